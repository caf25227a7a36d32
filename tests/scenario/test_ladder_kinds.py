"""Ladders of what is not the usual film: sound alone, silent, with a cover, upright, turned, surround, of a single rung."""
import re
import subprocess

import pytest
import requests

from hls import Presentation, complaints, ffmpeg_says, ffprobe, idr_times, peak_bps
from make_media import media

AAC_FRAME = 1024 / 48000


def ladder_of(client, name, **params):
    job = client.run_job(client.upload(media(name))['file_id'], **params)
    url = job['streaming']['playlist_url']
    assert complaints(url, '--ended')[0] == []
    assert ffmpeg_says(url) == ''
    return job, Presentation(url).load()


def test_sound_alone(client):
    job, p = ladder_of(client, 'sound.m4a')
    assert list(p.named()) == ['audio']
    (attributes, _), = p.master.variants
    assert attributes['CODECS'] == 'mp4a.40.2' and 'RESOLUTION' not in attributes and not p.master.sounds
    assert p.named()['audio'].duration == pytest.approx(12, abs=AAC_FRAME)


def test_silent_film(client):
    _, p = ladder_of(client, 'silent.mp4', rungs=['240p', '144p'])
    assert list(p.named()) == ['240p', '144p'] and not p.master.sounds
    assert all(a['CODECS'].startswith('avc1.') and ',' not in a['CODECS'] for a, _ in p.master.variants)


def test_cover_art_is_no_film(client):
    _, p = ladder_of(client, 'cover-art.mp3')
    assert list(p.named()) == ['audio']


def test_portrait(client):
    """A rung is named by the shorter side."""
    _, p = ladder_of(client, 'portrait.mp4', rungs=['720p', '240p'])
    assert [a['RESOLUTION'] for a, _ in p.master.variants] == ['720x1280', '240x426']


def test_rotated(client):
    _, p = ladder_of(client, 'rotated-90.mp4', rungs=['240p'])
    assert [a['RESOLUTION'] for a, _ in p.master.variants] == ['426x240']


def test_surround_becomes_stereo(client):
    _, p = ladder_of(client, 'surround.mp4', rungs=['240p', '144p'])
    assert p.master.sounds[0]['CHANNELS'] == '2'
    assert ffprobe(p.stream('audio'), '-show_streams')['streams'][0]['channels'] == 2


def test_one_rung(client):
    job, p = ladder_of(client, 'film-24.mp4', rungs=['360p'], segment_seconds=2)
    assert p.rungs() == ['360p'] and job['params']['rungs'] == ['360p']
    assert float(p.master.variants[0][0]['FRAME-RATE']) == 24


@pytest.mark.parametrize('again', [None, '-c copy'])
def test_frame_rate_is_the_highest_of_a_variable_one(client, tmp_path, again):
    """15 and 60 frames a second in turn (RFC 8216, 4.3.4.2), in Matroska's milliseconds and in an MP4's index."""
    path = media('vfr.mkv')
    if again:
        path = tmp_path / 'vfr.mp4'
        subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', media('vfr.mkv'), *again.split(), path], check=True)
    file = client.upload(path)
    stream = file['probe']['streams'][0]
    assert not stream['constant_frame_rate'] and stream['max_frame_rate'] == pytest.approx(60, rel=0.005)
    p = Presentation(client.run_job(file['file_id'], rungs=['144p'])['streaming']['playlist_url'])
    assert float(p.master.variants[0][0]['FRAME-RATE']) == pytest.approx(stream['max_frame_rate'], abs=0.001)


def test_slower_rungs(client):
    """Every other frame in a small rung of a fast film, and as many as are asked for in another; segments stay together."""
    rungs = [{'name': '240p'}, {'name': '144p'}, {'name': '120p', 'frame_rate': 20}]
    _, p = ladder_of(client, 'sixty-fps.mp4', rungs=rungs, segment_seconds=2)
    assert [a['FRAME-RATE'] for a, _ in p.master.variants] == ['60.000', '30.000', '20.000']
    times = {}
    for name in p.rungs():
        shown = ffprobe(p.stream(name), '-select_streams', 'v:0', '-show_entries', 'packet=pts_time')['packets']
        times[name] = sorted(round(float(x['pts_time']) * 60) for x in shown)
    assert times['240p'] == list(range(times['240p'][0], times['240p'][0] + len(times['240p'])))
    assert times['144p'] == times['240p'][::2] and times['120p'] == times['240p'][::3]
    assert idr_times(p.stream('240p')) == idr_times(p.stream('144p')) == idr_times(p.stream('120p'))


def test_a_rung_as_asked_for(client):
    """A cap that is asked for is kept, over every run of segments that counts."""
    asked = {'name': '240p', 'crf': 18, 'maxrate': 120000, 'bufsize': 60000}
    job, p = ladder_of(client, 'silent.mp4', rungs=[asked, '144p'], segment_seconds=2)
    assert job['params']['rungs'] == [asked, '144p'] and p.rungs() == ['240p', '144p']
    cap = 120000 + 60000  # what a buffer adds in half a target duration
    assert peak_bps(p.sizes('240p'), 2) <= 1.05 * cap + 16000
    assert job['streaming']['dash_url'] and requests.get(job['streaming']['dash_url']).status_code == 200


def test_hevc_beside_h264(client):
    """Each rung in each codec: variants of their own, one sound, I-frames, and a set of their own in DASH."""
    job, p = ladder_of(client, 'late-audio.mp4', codecs=['h264', 'hevc'], rungs=['240p', '144p'], segment_seconds=2)
    assert job['params']['codecs'] == ['h264', 'hevc']
    assert p.rungs() == ['240p', '144p', '240p-hevc', '144p-hevc']
    codecs = [a['CODECS'].split(',') for a, _ in p.master.variants]
    assert [c[0] for c in codecs[2:]] == ['hvc1.1.6.L60.90', 'hvc1.1.6.L60.90']
    assert all(c[0].startswith('avc1.64') for c in codecs[:2]) and all(c[1] == 'mp4a.40.2' for c in codecs)
    assert {a['AUDIO'] for a, _ in p.master.variants} == {'audio'} and len(p.master.iframes) == 4
    for h264, hevc in (('240p', '240p-hevc'), ('144p', '144p-hevc')):
        assert [s for s, _ in p.named()[h264].segments] == [s for s, _ in p.named()[hevc].segments]
        assert sum(n for _, n in p.sizes(hevc)) < sum(n for _, n in p.sizes(h264))
    data = p.stream('240p-hevc')
    stream = ffprobe(data, '-show_streams', '-count_frames')['streams'][0]
    assert (stream['codec_tag_string'], stream['profile'], stream['height']) == ('hvc1', 'Main', 240)
    assert stream['nb_read_frames'] == ffprobe(p.stream('240p'), '-show_streams', '-count_frames')['streams'][0]['nb_read_frames']
    assert idr_times(data, 'hevc') == idr_times(p.stream('240p')) and len(idr_times(data, 'hevc')) >= 3
    sets = re.findall(r'<AdaptationSet[^>]*"video"', requests.get(job['streaming']['dash_url']).text)
    assert len(sets) == 2


def test_hevc_in_transport_streams_is_refused(client):
    file_id = client.upload(media('silent.mp4'))['file_id']
    for params, word in (({'codecs': ['h264', 'hevc'], 'container': 'ts'}, 'fmp4'), ({'codecs': ['hevc']}, 'h264')):
        answer = client.post('/api/jobs', json={'kind': 'ladder', 'file_id': file_id, 'params': params})
        assert answer.status_code == 400 and word in answer.json()['error']['message']


def test_rungs_above_the_source_are_left_out(client):
    _, p = ladder_of(client, 'silent.mp4', rungs=['1080p', '240p'])
    assert p.rungs() == ['240p']
