"""By-products of a file: poster, storyboard, waveform and loudness come after the upload, are right, survive what a ladder
survives, fail no file, and go with it."""
import json
import os
import re
import signal
import subprocess

import pytest

from client import Client, error_of
from make_media import media
from server import BUILD, alive, limit, wait_for

OPTIONS = ('--analyze', 'on', '--workers', '1')
URLS = ('poster_url', 'storyboard_url', 'waveform_url', 'waveform_image_url')


def analyzed(client, file_id, status='done', seconds=60):
    def ended():
        f = client.good(client.get(f'/api/files/{file_id}'), 200)
        return f if f['analysis']['status'] != 'pending' else None
    f = wait_for(ended, 'the analysis ends', seconds, every=0.05)
    assert f['analysis']['status'] == status, f['analysis']
    return f


def made(client, name):
    return analyzed(client, client.upload(media(name))['file_id'])


def pixels(data, size=None, pix='gray'):
    """A picture's (or a film's first) pixels, scaled if a size is given."""
    scale = ['-vf', f'scale={size[0]}:{size[1]}:flags=area'] if size else []
    return subprocess.run(['ffmpeg', '-v', 'error', '-i', 'pipe:0', '-frames:v', '1', *scale, '-f', 'rawvideo', '-pix_fmt', pix,
                           'pipe:1'], input=data, capture_output=True, check=True).stdout


def frame_at(path, seconds, size):
    """In colour, as players take untagged HD: BT.709."""
    return subprocess.run(['ffmpeg', '-v', 'error', '-ss', f'{seconds:.3f}', '-i', path, '-frames:v', '1', '-vf',
                           f'scale={size[0]}:{size[1]}:flags=area:in_color_matrix=bt709', '-f', 'rawvideo', '-pix_fmt', 'rgb24',
                           'pipe:1'], capture_output=True, check=True).stdout


def difference(a, b):
    assert a and len(a) == len(b)
    return sum(abs(x - y) for x, y in zip(a, b)) / len(a)


def size_of(data):
    out = subprocess.run(['ffprobe', '-v', 'error', '-show_entries', 'stream=width,height,codec_name', '-of', 'json', 'pipe:0'],
                         input=data, capture_output=True, check=True).stdout
    s = json.loads(out)['streams'][0]
    return s['codec_name'], s['width'], s['height']


def cues_of(text):
    head, *cues = text.strip().split('\n\n')
    assert head == 'WEBVTT'
    found = []
    for cue in cues:
        m = re.fullmatch(r'(\d+):(\d\d):(\d\d\.\d{3}) --> (\d+):(\d\d):(\d\d\.\d{3})\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)', cue)
        assert m, cue
        start = int(m[1]) * 3600 + int(m[2]) * 60 + float(m[3])
        end = int(m[4]) * 3600 + int(m[5]) * 60 + float(m[6])
        found.append((start, end, m[7], tuple(map(int, m.group(8, 9, 10, 11)))))
    assert found[0][0] == 0
    for a, b in zip(found, found[1:]):
        assert a[1] == b[0]
    assert all(start < end for start, end, *_ in found)
    return found


def measured(path):
    """What ffmpeg says of a sound: integrated loudness and true peak."""
    log = subprocess.run(['ffmpeg', '-hide_banner', '-nostats', '-i', path, '-map', '0:a:0', '-af',
                          'ebur128=peak=true:metadata=1,ametadata=print:key=lavfi.r128.I', '-f', 'null', '-'],
                         capture_output=True, text=True, check=True).stderr
    return float(re.findall(r'lavfi\.r128\.I=(-?[\d.]+)', log)[-1]), float(re.findall(r'Peak:\s+(-?[\d.]+)', log)[-1])


def test_all_of_a_film(client):
    upload = client.upload(media('sample.mp4'))
    assert upload['analysis']['status'] in ('pending', 'done') and upload['probe']['loudness'] is None
    f = analyzed(client, upload['file_id'])
    a = f['analysis']
    assert a['problems'] == [] and all(a[u] for u in URLS)
    assert f in client.files() and f['analysis'] == client.files()[0]['analysis']   # URLs that don't change
    # The poster: a JPEG of that moment.
    poster = client.get(a['poster_url'])
    assert poster.headers['Content-Type'] == 'image/jpeg'
    assert '/media/' not in a['poster_url'] or 'immutable' in poster.headers['Cache-Control']   # a bucket's own address has none
    assert size_of(poster.content) == ('mjpeg', 1280, 720) == ('mjpeg', a['poster']['width'], a['poster']['height'])
    assert 1.5 <= a['poster']['time'] <= 18
    assert difference(pixels(poster.content, (64, 36), 'rgb24'), frame_at(media('sample.mp4'), a['poster']['time'], (64, 36))) < 4
    # The storyboard: each tile a picture of its time.
    vtt = client.get(a['storyboard_url'])
    assert vtt.headers['Content-Type'].startswith('text/vtt')
    cues = cues_of(vtt.text)
    assert len(cues) == 15 and abs(cues[-1][1] - f['probe']['duration']) < 0.01   # a keyframe every two seconds
    sheet = client.get(cues[0][2]).content
    codec, width, height = size_of(sheet)
    assert codec == 'mjpeg' and {c[2] for c in cues} == {cues[0][2]}
    colours = pixels(sheet, pix='rgb24')
    for start, _, _, (x, y, w, h) in cues[1::4]:
        assert (w, h) == (160, 90) and x + w <= width and y + h <= height
        tile = b''.join(colours[3 * (row * width + x):3 * (row * width + x + w)] for row in range(y, y + h))
        assert difference(tile, frame_at(media('sample.mp4'), start, (w, h))) < 8
    # The waveform.
    peaks = client.good(client.get(a['waveform_url']), 200)
    assert (peaks['version'], peaks['bits'], peaks['channels']) == (2, 8, 1)
    assert 2000 <= peaks['length'] <= 8192 and len(peaks['data']) == 2 * peaks['length']
    assert abs(peaks['length'] * peaks['samples_per_pixel'] / peaks['sample_rate'] - 30) < 0.1
    assert all(-128 <= low <= high <= 127 for low, high in zip(peaks['data'][::2], peaks['data'][1::2]))
    image = client.get(a['waveform_image_url'])
    assert image.headers['Content-Type'] == 'image/png' and size_of(image.content) == ('png', 1800, 280)
    alpha = pixels(image.content, pix='rgba')[3::4]
    assert set(alpha) == {0, 255} and 0.001 < alpha.count(255) / len(alpha) < 0.9
    # Nobody sees a job of it.
    assert client.jobs() == []


@pytest.mark.parametrize('name', ['sound.wav', 'sound-8k-mono.wav', 'surround.mp4', 'sound.opus'])
def test_loudness_is_what_ffmpeg_measures(client, name):
    loudness = made(client, name)['probe']['loudness']
    integrated, peak = measured(media(name))
    assert abs(loudness['integrated_lufs'] - integrated) <= 0.1
    assert abs(loudness['true_peak_dbtp'] - peak) <= 0.25
    assert loudness['range_lu'] >= 0 and loudness['sample_peak_dbfs'] <= loudness['true_peak_dbtp']


def test_sound_alone_has_no_pictures(client):
    a = made(client, 'sound.flac')['analysis']
    assert a['poster_url'] is None and a['storyboard_url'] is None and a['waveform_url'] and a['problems'] == []


def test_cover_art_is_the_poster_of_sound(client):
    f = made(client, 'cover-art.mp3')
    poster = client.get(f['analysis']['poster_url']).content
    assert size_of(poster) == ('mjpeg', 300, 300)
    assert difference(pixels(poster, (60, 60)), pixels(media('cover.png').read_bytes(), (60, 60))) < 4
    error_of(client.get(f'/api/files/{f["file_id"]}/storyboard.vtt'), 404, 'NO_STORYBOARD')


def test_pictures_stand_upright(client):
    f = made(client, 'rotated-90.mp4')
    poster = client.get(f['analysis']['poster_url']).content
    assert size_of(poster) == ('mjpeg', 1280, 720)
    assert difference(pixels(poster, (64, 36), 'rgb24'),
                      frame_at(media('rotated-90.mp4'), f['analysis']['poster']['time'], (64, 36))) < 4
    assert cues_of(client.get(f['analysis']['storyboard_url']).text)[0][3][2:] == (160, 90)


def combs(grey, width):
    """How much lines differ from their neighbours beyond what the lines two further do: the mark of two moments in a picture."""
    rows = [grey[i:i + width] for i in range(0, len(grey), width)]
    total = sum(abs(b - a) - abs(c - a) for above, row, below in zip(rows, rows[1:], rows[2:]) for a, b, c in zip(above, row, below)
                if abs(b - a) > abs(c - a))
    return total / len(grey)


@pytest.mark.parametrize('name', ['interlaced-tff.ts', 'interlaced-bff.mp4'])
def test_interlaced_pictures_show_one_moment(client, name):
    f = made(client, name)
    analysis = f['analysis']
    poster = client.get(analysis['poster_url']).content
    _, width, height = size_of(poster)
    source = next(s for s in f['probe']['streams'] if s['kind'] == 'video')
    assert (width, height) == (source['width'], source['height'])
    woven = frame_at(media(name), analysis['poster']['time'], (width, height))
    assert difference(pixels(poster, (64, 36), 'rgb24'), frame_at(media(name), analysis['poster']['time'], (64, 36))) < 16
    assert combs(pixels(poster), width) < combs(woven[1::3], width) / 3


@pytest.mark.parametrize('name', ['black-intro.mp4', 'black-intro-one-keyframe.mp4'])
def test_the_poster_is_not_the_black_beginning(client, name):
    f = made(client, name)
    assert f['analysis']['poster']['time'] >= 3
    grey = pixels(client.get(f['analysis']['poster_url']).content)
    assert max(grey) > 180 and sum(grey) / len(grey) > 40


def test_a_black_film_has_a_black_poster(client):
    f = made(client, 'black.mp4')
    assert max(pixels(client.get(f['analysis']['poster_url']).content)) < 16
    assert f['probe']['loudness'] is None and f['analysis']['waveform_url'] is None


@pytest.mark.parametrize('name', ['truncated.mp4', 'truncated.webm', 'chance-floats.wav', 'hevc-10bit.mkv', 'odd-size.mkv',
                                  'short-1-frame.mp4', 'mpeg2.ts', 'h264.ts', 'fragmented.mp4', 'vfr.mkv'])
def test_whatever_can_be_uploaded_is_analyzed(client, name):
    f = made(client, name)
    a = f['analysis']
    assert bool(a['poster_url']) == (f['probe']['best_video'] >= 0), a
    assert bool(a['waveform_url']) == (f['probe']['best_audio'] >= 0), a
    for url in filter(None, map(a.get, URLS)):
        assert client.get(url).status_code == 200


def test_only_its_owner_reads_the_storyboard(client, server):
    f = made(client, 'sample.mp4')
    path = f'/api/files/{f["file_id"]}/storyboard.vtt'
    assert client.get(path).status_code == 200
    error_of(Client(server.url, user='somebody').get(path), 404)


def test_switched_off(make_server):
    client = Client(make_server('--analyze', 'off').url)
    a = client.upload(media('short-1-frame.mp4'))['analysis']
    assert a['status'] == 'off' and not any(a[u] for u in URLS)


def objects(server, folder):
    return server.store.keys(folder + '/')


def caught(server, client):
    """A file whose analysis was stopped in mid-work, and the stopped task."""
    for _ in range(20):
        file_id = client.upload(media('sample-60s.mp4'))['file_id']
        task = wait_for(lambda: server.tasks() or client.get(f'/api/files/{file_id}').json()['analysis']['status'] == 'done',
                        'a task begins', every=0.002)
        if task is not True:
            try:
                os.kill(task[0], signal.SIGSTOP)
                return file_id, task[0]
            except ProcessLookupError:
                pass
        client.delete(f'/api/files/{file_id}')
    pytest.fail('no analysis was caught running')


def test_kill_9_and_it_is_done_again(make_server):
    server = make_server(*OPTIONS)
    client = Client(server.url)
    file_id, _ = caught(server, client)
    server.kill()
    server.start()
    first = analyzed(client, file_id)
    again = analyzed(client, client.upload(media('sample-60s.mp4'))['file_id'])
    assert first['analysis']['poster'] == again['analysis']['poster'] and first['probe'] == again['probe']
    names = objects(server, f'analysis/local/{file_id}')
    assert {n.rsplit('/', 1)[1] for n in names} == {'poster.jpg', 'sprite_000.jpg', 'waveform.json', 'waveform.png'}
    for name in names:   # the same bytes, interrupted or not
        assert server.store.read(name) == server.store.read(name.replace(file_id, again['file_id']))


def test_a_killed_task_is_no_failure(make_server):
    server = make_server(*OPTIONS)
    client = Client(server.url)
    file_id, task = caught(server, client)
    os.kill(task, signal.SIGKILL)
    analyzed(client, file_id)
    assert 'event=chunk_failed' not in server.log()


def test_deleted_with_its_file(make_server):
    server = make_server(*OPTIONS)
    client = Client(server.url)
    file_id = analyzed(client, client.upload(media('cover-art.mp3'))['file_id'])['file_id']
    assert len(objects(server, 'analysis')) == 3
    assert client.delete(f'/api/files/{file_id}').status_code == 204
    wait_for(lambda: not objects(server, 'analysis') and not objects(server, 'uploads'), 'nothing is left')


def test_deleted_while_it_runs(make_server):
    server = make_server(*OPTIONS)
    client = Client(server.url)
    file_id, task = caught(server, client)
    assert client.delete(f'/api/files/{file_id}').status_code == 204
    error_of(client.get(f'/api/files/{file_id}'), 404)
    # A stopped process is killed, too: its worker learns that the claim is gone and ends it.
    wait_for(lambda: not alive(task), 'the task ends')
    wait_for(lambda: 'event=chunk_dropped' in server.log(), 'its worker lets go')
    wait_for(lambda: not objects(server, 'analysis') and not objects(server, 'uploads'), 'nothing is left')


def test_a_failure_is_recorded_and_the_file_stays(make_server):
    server = make_server('--analyze', 'on', '--workers', '0')
    client = Client(server.url)
    file_id = client.upload(media('sound.flac'))['file_id']
    assert client.get(f'/api/files/{file_id}').json()['analysis']['status'] == 'pending'
    server.stop()
    (name,) = objects(server, 'uploads')
    server.store.delete(name)
    server.options[-1] = '1'
    server.start()
    f = analyzed(client, file_id, 'failed')
    assert f['status'] == 'ready' and f['analysis']['problems'][0]['code'] == 'SOURCE_GONE'
    assert not any(f['analysis'][u] for u in URLS)


def test_beside_a_one_shot_ladder(tmp_path):
    out = tmp_path / 'out'
    subprocess.run([BUILD / 'millrace', 'ladder', media('surround.mp4'), out, '--rungs', '144p', '--quiet', '--by-products'],
                   check=True, timeout=limit(120))
    assert {p.name for p in out.iterdir() if p.is_file()} >= {'master.m3u8', 'poster.jpg', 'sprite_000.jpg', 'storyboard.vtt',
                                                             'waveform.json', 'waveform.png'}
    cues = cues_of((out / 'storyboard.vtt').read_text())
    assert {c[2] for c in cues} == {'sprite_000.jpg'}
