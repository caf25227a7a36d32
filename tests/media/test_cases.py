"""The table of media cases against ffmpeg: what it says plays does, as long and as large as it says, and nothing is left out."""
import json
import pathlib
import subprocess

import pytest

import cases
import make_media


def probe(path):
    out = subprocess.run(['ffprobe', '-v', 'quiet', '-of', 'json', '-show_streams', path], capture_output=True, check=False).stdout
    return json.loads(out or '{}').get('streams', [])


def displayed(stream):
    turn = next((d['rotation'] for d in stream.get('side_data_list', ()) if 'rotation' in d), 0)
    wide, high = (int(n) for n in stream.get('sample_aspect_ratio', '1:1').split(':'))
    size = (round(stream['width'] * wide / high) if wide and high else stream['width'], stream['height'])
    return size[::-1] if turn % 180 else size


def decoded_seconds(path):
    out = subprocess.run(['ffmpeg', '-v', 'quiet', '-nostdin', '-i', path, '-map', '0:V:0?', '-map', '0:a:0?',
                          '-progress', '-', '-f', 'null', '-'], capture_output=True, text=True, check=False)
    times = [line.partition('=')[2] for line in out.stdout.splitlines() if line.startswith('out_time_us=')]
    return int(times[-1]) / 1e6 if times and times[-1].lstrip('-').isdigit() and out.returncode == 0 else 0


@pytest.mark.parametrize('case', cases.ALL, ids=str)
def test_ffmpeg_agrees(case):
    path = case.path()
    if not case.plays:
        assert case.expect and cases.PLAYS not in case.expect
        return
    streams = probe(path)
    videos = [s for s in streams if s['codec_type'] == 'video' and not s['disposition']['attached_pic']]
    sounds = [s for s in streams if s['codec_type'] == 'audio']
    assert (displayed(videos[0]) if videos else None) == case.video
    assert (sounds[0]['channels'] if sounds else 0) == case.channels
    assert decoded_seconds(path) == pytest.approx(case.seconds, abs=0.15)


def test_every_made_file_is_listed():
    assert {case.name for case in cases.MADE} | cases.ELSEWHERE == set(make_media.RECIPES)


def test_every_shared_file_is_listed():
    folder = cases.shared_folder()
    if not folder.is_dir():
        pytest.skip('no shared media on this machine')
    there = {p.name for p in folder.iterdir() if p.name != 'MANIFEST.md'}
    assert there == {case.name for case in cases.SHARED}


def test_names_are_unique():
    names = [case.name for case in cases.ALL]
    assert len(names) == len(set(names))


def test_a_file_is_made_once_and_anew_when_its_recipe_changes(tmp_path, monkeypatch):
    monkeypatch.setenv('MILLRACE_TEST_MEDIA', str(tmp_path))
    first = make_media.media('text.txt')
    stamp = first.stat().st_mtime_ns
    assert make_media.media('text.txt') == first and first.stat().st_mtime_ns == stamp
    monkeypatch.setitem(make_media.RECIPES, 'text.txt', make_media.data(lambda: b'other'))
    other = make_media.media('text.txt')
    assert other != first and other.read_bytes() == b'other'
    assert not list(pathlib.Path(tmp_path).rglob('making-*'))
