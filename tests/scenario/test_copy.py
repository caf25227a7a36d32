"""The source's own video as the first rung: byte for byte, cut at its own keyframes, the other rungs aligned to it; and where it
isn't copied, why."""
import hashlib
import json
import re
import subprocess

import pytest

from client import error_of
from hls import Media, complaints, ffmpeg_says, idr_times
from make_media import media
from server import run

COPIED = ['gops.mp4', 'gops-faststart.mp4', 'gops-negative-offsets.mp4', 'gops-fragmented.mp4', 'gops.mkv', 'gops-mute.mp4',
          'gops-b0.mp4', 'gops-pyramid.mp4', 'gops-60.mp4', 'gops-vfr.mp4', 'gops-late.mp4']


def ladder(name, out, *words, rungs='180p,90p', check=0):
    return run('ladder', media(name), out, '--rungs', rungs, '--quiet', *words, check=check, timeout=120)


def ffmpeg(*words):
    done = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', *map(str, words)], capture_output=True, check=True)
    return done.stdout


def pictures(source):
    """The coded slices, without what a container puts around them (TS has delimiters, and parameter sets at each keyframe)."""
    stream = ffmpeg('-i', source, '-map', '0:v', '-c', 'copy', '-bsf:v', 'h264_mp4toannexb,filter_units=pass_types=1-6',
                    '-f', 'h264', '-')
    return hashlib.sha256(stream).hexdigest(), len(stream)


def frames(source):
    """[(time, digest)] of all decoded pictures."""
    text = ffmpeg('-i', source, '-map', '0:v', '-fps_mode', 'passthrough', '-enc_time_base', '1:90000', '-f', 'framemd5', '-')
    rows = [line.split(',') for line in text.decode().splitlines() if not line.startswith('#')]
    return [(int(row[2]), row[-1].strip()) for row in rows]


def was_copied(out, name):
    coded = pictures(out / '180p' / 'playlist.m3u8')
    return coded == pictures(media(name))


def lengths(out, name):
    return re.findall(r'EXTINF:([\d.]+)', (out / name / 'playlist.m3u8').read_text())


def whole(out, name):
    folder = out / name
    parts = sorted(folder.glob('segment_*'))
    init = folder / 'init.mp4'
    return (init.read_bytes() if init.exists() else b'') + b''.join(p.read_bytes() for p in parts)


@pytest.mark.parametrize('name', COPIED)
def test_copied(tmp_path, name):
    out = tmp_path / 'out'
    ladder(name, out)
    assert was_copied(out, name)
    ours, theirs = frames(out / '180p' / 'playlist.m3u8'), frames(media(name))
    assert [digest for _, digest in ours] == [digest for _, digest in theirs]
    # the first is shown from the start on (it may come later than the sound); all others keep their times
    shift = {a - b for (a, _), (b, _) in zip(ours[1:], theirs[1:])}
    assert max(shift) - min(shift) <= (90 if name.endswith('.mkv') else 1)
    assert lengths(out, '180p') == lengths(out, '90p')
    assert idr_times(whole(out, '180p'))[0] == idr_times(whole(out, '90p'))[0]
    for rung in ('180p', '90p'):
        playlist = Media((out / rung / 'playlist.m3u8').read_text())
        playlist.check()
        assert playlist.target == 4 and playlist.duration == pytest.approx(13, abs=0.1)
        Media((out / rung / 'iframes.m3u8').read_text()).check()
    assert complaints(out, '--ended')[0] == []
    assert ffmpeg_says(out / 'master.m3u8') == ''


@pytest.mark.parametrize('name', ['gops.mp4', 'gops-pyramid.mp4', 'gops-vfr.mp4', 'gops-mute.mp4'])
def test_copied_into_transport_streams(tmp_path, name):
    out = tmp_path / 'out'
    ladder(name, out, '--container', 'ts')
    assert was_copied(out, name)
    assert [d for _, d in frames(out / '180p' / 'playlist.m3u8')] == [d for _, d in frames(media(name))]
    assert lengths(out, '180p') == lengths(out, '90p')
    assert complaints(out, '--ended')[0] == []
    assert ffmpeg_says(out / 'master.m3u8') == ''


@pytest.mark.parametrize('name', ['gops.mp4', 'gops-mute.mp4'])
def test_copied_without_other_rungs(tmp_path, name):
    out = tmp_path / 'out'
    ladder(name, out, rungs='180p')
    assert was_copied(out, name)
    assert complaints(out, '--ended')[0] == [] and ffmpeg_says(out / 'master.m3u8') == ''


def test_iframes_of_the_copy_are_its_keyframes(tmp_path):
    ladder('gops.mp4', tmp_path / 'out')
    playlist = Media((tmp_path / 'out' / '180p' / 'iframes.m3u8').read_text())
    assert len(playlist.ranges) == len(idr_times(whole(tmp_path / 'out', '180p'))) == 7
    segment = (tmp_path / 'out' / '180p' / 'segment_001.m4s').read_bytes()
    size, offset = re.search(r'BYTERANGE:(\d+)@(\d+)\nsegment_001', playlist.text).groups()
    picture = (tmp_path / 'out' / '180p' / 'init.mp4').read_bytes() + segment[int(offset):int(offset) + int(size)]
    path = tmp_path / 'one.mp4'
    path.write_bytes(picture)
    assert frames(path)[0][1] == frames(media('gops.mp4'))[96][1]


@pytest.mark.parametrize('name', ['gops-open.mp4', 'gops-cut.mp4', 'gops-long.mp4', 'gops-fat.mp4'])
def test_not_copied_unasked(tmp_path, name):
    ladder(name, tmp_path / 'out', rungs='180p')
    assert not was_copied(tmp_path / 'out', name)


@pytest.mark.parametrize('name,why', [('gops-open.mp4', 'open'), ('gops-cut.mp4', 'edit list'), ('anamorphic.mp4', 'square'),
                                      ('rotated-90.mp4', 'turned'), ('interlaced-bff.mp4', 'interlaced'), ('hevc.mp4', 'H.264'),
                                      ('full-range.mp4', '4:2:0'), ('sound.wav', 'no video'), ('h264.ts', 'header')])
def test_a_copy_that_cannot_be_is_refused_with_a_reason(tmp_path, name, why):
    done = run('ladder', media(name), tmp_path / 'out', '--copy', 'always')
    assert done.returncode == 1 and ("can't be copied" in done.stderr or 'could be copied' in done.stderr)
    assert why in done.stderr, done.stderr


@pytest.mark.parametrize('name,target', [('gops-long.mp4', 10), ('gops-intra.mp4', 4), ('gops-fat.mp4', 4)])
def test_copied_because_it_was_asked_for(tmp_path, name, target):
    out = tmp_path / 'out'
    ladder(name, out, '--copy', 'always')
    assert was_copied(out, name)
    playlist = Media((out / '180p' / 'playlist.m3u8').read_text())
    playlist.check()
    assert target <= playlist.target <= target + 1
    assert ffmpeg_says(out / 'master.m3u8') == ''


def test_never_means_never(tmp_path):
    ladder('gops.mp4', tmp_path / 'out', '--copy', 'never')
    assert not was_copied(tmp_path / 'out', 'gops.mp4')


def wanted(file_id, copy):
    return {'kind': 'ladder', 'file_id': file_id, 'params': {'copy': copy}}


def test_the_api_copies_and_refuses(server, client, tmp_path):
    file = client.upload(media('gops.mp4'))
    assert 'keyframes' not in json.dumps(file) and file['probe']['copy']['gop_ticks'] == 180000
    job = client.run_job(file['file_id'], rungs=['180p', '90p'], copy='always')
    out = server.store.copy(f'hls/local/{job["job_id"]}', tmp_path / 'out')
    assert was_copied(out, 'gops.mp4')
    open_gops = client.upload(media('gops-open.mp4'))['file_id']
    error_of(client.post('/api/jobs', json=wanted(open_gops, 'always')), 422, 'COPY_NOT_POSSIBLE')
    assert 'copy' in error_of(client.post('/api/jobs', json=wanted(open_gops, 'perhaps')), 400)['message']


def test_same_bytes_whatever_the_workers(tmp_path):
    outs = []
    for workers in ('1', '3'):
        out = tmp_path / workers
        ladder('gops-vfr.mp4', out, '--workers', workers, '--segment-seconds', '2')
        outs.append({p.relative_to(out): p.read_bytes() for p in out.rglob('*') if p.is_file()})
    assert outs[0] == outs[1] and len(outs[0]) > 8
