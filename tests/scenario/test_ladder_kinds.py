"""Ladders of what is not the usual film: sound alone, silent, with a cover, upright, turned, surround, of a single rung."""
import pytest
import requests

from hls import Presentation, complaints, ffmpeg_says, ffprobe, peak_bps
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


def test_a_rung_as_asked_for(client):
    """A cap that is asked for is kept, over every run of segments that counts."""
    asked = {'name': '240p', 'crf': 18, 'maxrate': 120000, 'bufsize': 60000}
    job, p = ladder_of(client, 'silent.mp4', rungs=[asked, '144p'], segment_seconds=2)
    assert job['params']['rungs'] == [asked, '144p'] and p.rungs() == ['240p', '144p']
    cap = 120000 + 60000  # what a buffer adds in half a target duration
    assert peak_bps(p.sizes('240p'), 2) <= 1.05 * cap + 16000
    assert job['streaming']['dash_url'] and requests.get(job['streaming']['dash_url']).status_code == 200


def test_rungs_above_the_source_are_left_out(client):
    _, p = ladder_of(client, 'silent.mp4', rungs=['1080p', '240p'])
    assert p.rungs() == ['240p']
