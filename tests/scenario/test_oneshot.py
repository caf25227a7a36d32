"""millrace ladder FILE DIR: one file into a folder, without a server."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from client import Client
from hls import Media, complaints, ffmpeg_says
from make_media import media
from server import MILLRACE, children, clean_environment, limit, run, wait_for
from store_view import Folder


def test_folder_plays(tmp_path):
    out = tmp_path / 'out'
    done = run('ladder', media('moov-at-end.mp4'), f'{out}/', '--rungs', '480p,360p', check=0, timeout=120)
    assert done.stdout.strip() == f'{out}/master.m3u8'
    assert {p.name for p in out.iterdir() if not p.name.startswith('.')} == {'master.m3u8', 'manifest.mpd', '480p', '360p', 'audio'}
    assert complaints(out, '--ended')[0] == []
    assert ffmpeg_says(out / 'master.m3u8') == ''
    playlist = Media((out / '480p' / 'playlist.m3u8').read_text())
    playlist.check()
    assert playlist.ended and playlist.duration == pytest.approx(12.1, abs=0.15)
    percents = [int(p) for p in re.findall(r'(\d+)%', done.stderr)]
    assert percents == sorted(percents) and percents[-1] == 100 and len(percents) >= 2
    assert not [p for p in out.rglob('*') if p.is_file() and '.millrace' in p.parts], 'nothing temporary is left'


def test_same_bytes_as_the_server(tmp_path, make_server):
    path, out = media('film-24.mp4'), tmp_path / 'out'
    run('ladder', path, out, '--rungs', '240p', '--segment-seconds', '2', '--quiet', check=0, timeout=120)
    s = make_server('--workers', '2')
    client = Client(s.url)
    job = client.run_job(client.upload(path)['file_id'], rungs=['240p'], segment_seconds=2)
    ours = Folder(out).digests()
    assert ours == s.store.digests(f'hls/local/{job["job_id"]}') and len(ours) > 8


def test_bytes_do_not_depend_on_workers(tmp_path):
    outs = []
    for workers in (1, 3):
        out = tmp_path / str(workers)
        run('ladder', media('silent.mp4'), out, '--rungs', '144p', '--codecs', 'h264,hevc', '--segment-seconds', '2', '--workers',
            workers, '--quiet', check=0)
        outs.append({p.relative_to(out): p.read_bytes() for p in out.rglob('*') if p.is_file()})
    assert outs[0] == outs[1] and outs[0]


def test_transport_streams(tmp_path):
    out = tmp_path / 'out'
    run('ladder', media('film-24.mp4'), out, '--rungs=144p', '--container', 'ts', '--quiet', check=0)
    assert list(out.rglob('*.ts')) and not list(out.rglob('*.m4s'))
    assert complaints(out, '--ended')[0] == []


def test_quiet_is_quiet(tmp_path):
    assert run('ladder', media('sound.mp3'), tmp_path / 'out', '--quiet', check=0).stderr == ''


@pytest.mark.parametrize('name', ['text.mp4', 'zero-bytes.mp4', 'header-only.wav', 'truncated-no-moov.mp4', 'cover.png'])
def test_refuses_what_is_no_media(tmp_path, name):
    out = tmp_path / 'out'
    done = run('ladder', media(name), out)
    assert done.returncode == 1 and done.stdout == ''
    assert re.fullmatch(r'millrace ladder: [^\n]{10,}\n', done.stderr), done.stderr
    assert not out.exists() or not [p for p in out.rglob('*') if p.is_file()]


def test_fails_with_a_message(tmp_path):
    cases = [((tmp_path / 'nothing.mp4', tmp_path / 'a'), 'nothing.mp4'), ((tmp_path, tmp_path / 'b'), str(tmp_path)),
             ((media('sound.mp3'), '/proc/nothing'), '/proc')]
    for words, named in cases:
        done = run('ladder', *words)
        assert done.returncode == 1 and done.stderr.startswith('millrace ladder: ') and named in done.stderr, done.stderr
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'master.m3u8').write_text('#EXTM3U\n')
    done = run('ladder', media('sound.mp3'), tmp_path / 'full')
    assert done.returncode == 1 and 'master.m3u8' in done.stderr
    assert (tmp_path / 'full' / 'master.m3u8').read_text() == '#EXTM3U\n'


@pytest.mark.parametrize('words', [(), ('only.mp4',), ('a', 'b', 'c'), ('a', 'b', '--rungs', 'tall'), ('a', 'b', '--rungs', ''),
                                   ('a', 'b', '--container', 'avi'), ('a', 'b', '--segment-seconds', '99'), ('a', 'b', '--wings'),
                                   ('a', 'b', '--workers', '0'), ('a', 'b', '--log-level', 'loud'), ('a', 'b', '--rungs')],
                         ids=' '.join)
def test_wrong_usage(words, tmp_path):
    done = run('ladder', *words, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith('millrace ladder: ') and done.stdout == ''
    assert list(tmp_path.iterdir()) == []


def test_commands():
    assert run('ladder', '--help', check=0).stdout.startswith('usage: millrace ladder FILE DIR')
    for word in ('version', '--version'):
        assert re.match(r'millrace \d+\.\d+', run(word, check=0).stdout)
    assert 'ladder' in run('--help', check=0).stdout
    for words in ((), ('dance',)):
        done = run(*words)
        assert done.returncode == 2 and 'usage' in done.stderr


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_interrupted(tmp_path, number):
    process = subprocess.Popen([MILLRACE, 'ladder', media('sample.mp4'), tmp_path / 'out', '--rungs', '480p'],
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment())
    zygotes = wait_for(lambda: children(process.pid), 'it has begun')
    tasks = wait_for(lambda: [t for z in zygotes for t in children(z)], 'a task runs')
    process.send_signal(number)
    out, err = process.communicate(timeout=limit(60))
    assert process.returncode == 130 and out == '' and 'interrupted' in err
    wait_for(lambda: not any(os.path.exists(f'/proc/{pid}') for pid in [*zygotes, *tasks]), 'nothing goes on running')


def test_bar_on_a_terminal(tmp_path):
    """Speed and time left are shown, percent never falls."""
    parent, child = pty.openpty()
    process = subprocess.Popen([MILLRACE, 'ladder', media('sample.mp4'), tmp_path / 'out', '--rungs', '144p'], stderr=child,
                               stdout=subprocess.DEVNULL, env=clean_environment())
    os.close(child)
    shown, end = b'', time.monotonic() + limit(90)
    while time.monotonic() < end:
        try:
            if select.select([parent], [], [], 1)[0]:
                shown += os.read(parent, 65536)
        except OSError:   # the other end is closed
            break
    os.close(parent)
    assert process.wait(limit(10)) == 0
    text = shown.decode()
    percents = [float(p) for p in re.findall(r'([\d.]+)%', text)]
    assert percents == sorted(percents) and percents[-1] == 100
    assert re.search(r'\d\.\dx', text) and re.search(r'\d:\d\d left', text) and '\r' in text
