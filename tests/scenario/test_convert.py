"""Conversions: each format from several sources, what is refused, downloads, canceling, many at once and in which order."""
import email
import email.policy
import hashlib
import pathlib
import socket
import urllib.parse

import pytest

import sound
from client import Client, Watch, error_of
from make_media import media
from server import ROOT, SOAK, hold, let_go, wait_for

pytestmark = pytest.mark.long
OPTIONS = ('--workers', '2')
FORMATS = ['mp3', 'wav', 'aac', 'm4a', 'ogg', 'opus', 'flac']
SHARED = ROOT.parent / 'shared' / 'media'


def parts(server):
    return server.store.below('parts')


def file_of(server, job):
    found = [o for o in server.store.below('conversions') if o.stem == job['job_id']]
    return found[0] if found else None


@pytest.fixture(scope='session')
def song(tmp_path_factory):
    return sound.make(tmp_path_factory.mktemp('song') / 'song.wav', 23)


@pytest.fixture
def song_id(client, song):
    return client.upload(song)['file_id']


def check_file(tmp_path, client, job, fmt, seconds, source_frame=0):
    path = tmp_path / f'out.{fmt}'
    path.write_bytes(client.fetch(job))
    sound.validate(path)
    found = sound.probe(path)
    stream = [s for s in found['streams'] if s['codec_type'] == 'audio'][0]
    assert stream['codec_name'].startswith(sound.CODECS[fmt].removesuffix('16le'))
    result = job['result']
    assert result['format'] == fmt and result['bytes'] == path.stat().st_size
    assert result['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()
    rate = int(stream['sample_rate'])
    assert rate == result['sample_rate'] and stream['channels'] == result['channels']
    slack = max((2 * sound.FRAMES[fmt] if fmt == 'aac' else sound.FRAMES[fmt]) / rate, source_frame) + 0.001
    assert result['duration'] == pytest.approx(seconds, abs=slack)
    assert sound.samples(path) / rate == pytest.approx(seconds, abs=slack)
    return path


@pytest.mark.parametrize('fmt', FORMATS)
@pytest.mark.parametrize('source', ['song.wav', 'sound.mp3', 'moov-at-end.mp4'])
def test_formats(server, client, tmp_path, song, fmt, source):
    path = song if source == 'song.wav' else media(source)
    file = client.upload(path)
    stream = [s for s in file['probe']['streams'] if s['kind'] == 'audio'][0]
    job = client.run_convert(file['file_id'], format=fmt)
    assert job['kind'] == 'convert' and job['status'] == 'completed' and job['streaming']['enabled'] is False
    assert job['input'] == {'access': 'seekable'}
    assert job['jobId'] == job['job_id'] and job['fileId'] == file['file_id'] and job['createdAt'] == job['created_at']
    assert job['expires_at'] > job['finished_at']
    check_file(tmp_path, client, job, fmt, stream['duration'])
    wait_for(lambda: not parts(server), 'the parts are gone')


@pytest.mark.parametrize('fmt', ['wav', 'flac', 'mp3', 'ogg'])
def test_not_a_sample_is_lost(client, tmp_path, song_id, fmt):
    """Several chunks, and a length that fits no frame."""
    job = client.run_convert(song_id, format=fmt)
    path = tmp_path / f'out.{fmt}'
    path.write_bytes(client.fetch(job))
    assert sound.samples(path) == 23 * 44100


def test_same_bytes_again(client, song_id):
    first, second = (client.run_convert(song_id, format='mp3', vbr=4) for _ in range(2))
    assert first['result']['sha256'] == second['result']['sha256']


def test_trimmed_resampled_mono(client, tmp_path, song_id):
    job = client.run_convert(song_id, format='wav', start=1.5, end=14.25, sample_rate=22050, channels=1, bits=24)
    path = tmp_path / 'out.wav'
    path.write_bytes(client.fetch(job))
    stream = sound.probe(path)['streams'][0]
    assert (stream['sample_rate'], stream['channels'], stream['codec_name']) == ('22050', 1, 'pcm_s24le')
    assert sound.samples(path) == round(12.75 * 22050) and job['duration'] == pytest.approx(12.75, abs=1e-4)


def test_normalized(client, song_id):
    job = client.run_convert(song_id, format='flac', normalize={'target_lufs': -23, 'true_peak_dbtp': -2})
    loudness = job['result']['loudness']
    assert loudness['source_lufs'] + loudness['gain_db'] == pytest.approx(-23, abs=0.05)
    assert loudness['source_true_peak_dbtp'] + loudness['gain_db'] <= -2
    again = client.good(client.post('/api/files', data=client.fetch(job), params={'filename': 'n.flac'}), 201)
    twice = client.run_convert(again['file_id'], format='wav', normalize=-23)['result']
    assert twice['loudness']['gain_db'] == pytest.approx(0, abs=0.1)


def test_what_is_refused(client, song_id):
    for params, field in [({}, 'format'), ({'format': 'mid'}, 'format'), ({'format': 'mp3', 'bitrate': 1}, 'bitrate'),
                          ({'format': 'wav', 'start': 99}, 'start'), ({'format': 'mp3', 'x': 1}, 'x'),
                          ({'format': 'opus', 'sample_rate': 44100}, 'sample_rate')]:
        answer = client.post('/api/jobs', json={'kind': 'convert', 'file_id': song_id, 'params': params})
        assert field in error_of(answer, 400)['message']
    silent = client.upload(media('silent.mp4'))['file_id']
    error_of(client.post('/api/jobs', json={'kind': 'convert', 'file_id': silent, 'params': {'format': 'mp3'}}), 422, 'NO_AUDIO')


def test_idempotency(client, song_id):
    first, again = (client.start_convert(song_id, {'Idempotency-Key': song_id}, format='wav') for _ in range(2))
    assert first['job_id'] == again['job_id']


# ---- downloads ----

@pytest.fixture
def done(client, song):
    file = client.upload(song, name='Größe ü 曲.x.wav')
    return client.run_convert(file['file_id'], format='mp3')


def test_download(client, done):
    url = f'/api/jobs/{done["job_id"]}/file'
    answer = client.get(url)
    data = answer.content
    assert int(answer.headers['Content-Length']) == len(data) == done['result']['bytes']
    assert answer.headers['Content-Type'] == 'audio/mpeg' and answer.headers['Accept-Ranges'] == 'bytes'
    disposition = answer.headers['Content-Disposition']
    assert disposition.startswith('attachment') and "filename*=UTF-8''" in disposition
    assert urllib.parse.unquote(disposition.split("UTF-8''")[1]) == 'Größe ü 曲.x.mp3'
    etag = answer.headers['ETag']
    assert client.get(url, headers={'If-None-Match': etag}).status_code == 304
    part = client.get(url, headers={'Range': 'bytes=100-299', 'If-Range': etag})
    assert part.status_code == 206 and part.content == data[100:300]
    assert client.get(url, headers={'Range': 'bytes=-7'}).content == data[-7:]
    several = client.get(url, headers={'Range': 'bytes=0-1,5-6'})
    assert several.status_code == 206 and len(several.content) == int(several.headers['Content-Length'])
    message = email.message_from_bytes(b'Content-Type: ' + several.headers['Content-Type'].encode() + b'\r\n\r\n' + several.content,
                                       policy=email.policy.HTTP)
    assert [(p['Content-Range'], p['Content-Type'], p.get_payload(decode=True)) for p in message.iter_parts()] == [
        (f'bytes 0-1/{len(data)}', 'audio/mpeg', data[:2]), (f'bytes 5-6/{len(data)}', 'audio/mpeg', data[5:7])]
    error_of(client.get(url, headers={'Range': 'bytes=0-,0-'}), 416)
    error_of(client.get(url, headers={'Range': f'bytes={len(data)}-'}), 416)
    head = client.call('HEAD', url)
    assert head.headers['Content-Length'] == str(len(data)) and head.headers['ETag'] == etag and not head.content


def test_signed_download(client, done):
    signed = client.good(client.get(f'/api/jobs/{done["job_id"]}/file', params={'presigned': '1'}), 200)
    asked = client.good(client.post(f'/api/jobs/{done["job_id"]}/download', json={'format': 'mp3'}), 200)
    assert signed['expires_in'] == asked['expires_in'] == 3600 and asked['job_id'] == done['job_id']
    error_of(client.post(f'/api/jobs/{done["job_id"]}/download', json={'format': 'wav'}), 400)
    for url in (signed['url'], asked['download_url'], done['download']['url']):
        answer = client.get(url)
        assert answer.status_code == 200 and hashlib.sha256(answer.content).hexdigest() == done['result']['sha256']
        assert urllib.parse.quote('曲') in answer.headers['Content-Disposition']


def test_nobody_else_downloads(server, done):
    other = Client(server.url, user='somebody')
    error_of(other.get(f'/api/jobs/{done["job_id"]}/file'), 404)
    error_of(other.get('/api/download', params={'jobId': done['job_id']}), 404)
    error_of(other.get('/api/progress', params={'jobId': done['job_id']}), 404)


def gone(client, job):
    return client.get(f'/api/jobs/{job["job_id"]}/file').status_code == 410


def test_a_cut_download_removes_nothing(server, client, song_id):
    """The file is larger than what the sockets of both sides hold: the server sees that it didn't get through."""
    url = f'/api/jobs/{client.run_convert(song_id, format="wav", bits=32, sample_rate=96000)["job_id"]}/file'
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(('127.0.0.1', server.port))
        s.sendall(f'GET {url}?remove=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n'.encode())
        s.recv(1000)
    assert client.get(url).status_code == 200


def test_removed_after_its_download(server, client, done):
    url = f'/api/jobs/{done["job_id"]}/file'
    client.get(url, params={'remove': '1'}, headers={'Range': 'bytes=0-99'})
    client.call('HEAD', url, params={'remove': '1'})
    assert client.get(url).status_code == 200
    assert len(client.get(url, params={'remove': '1'}).content) == done['result']['bytes']
    wait_for(lambda: gone(client, done), 'the file is gone')
    error_of(client.get(url), 410, 'FILE_REMOVED')
    job = client.job(done['job_id'])
    assert job['status'] == 'completed' and job['download'] == {'available': False, 'url': None, 'downloaded': True}
    wait_for(lambda: not file_of(server, job), 'the object is gone')


def test_removal_as_a_parameter(client, song_id):
    job = client.run_convert(song_id, format='wav', delete_after_download=True)
    client.fetch(job, params={'remove': '0'})
    assert client.job(job['job_id'])['download']['available']
    client.fetch(job)
    wait_for(lambda: gone(client, job), 'the file is gone')


def test_no_file_yet(make_server, song):
    s = make_server('--workers', '0')
    client = Client(s.url)
    file = client.upload(song)['file_id']
    job = client.start_convert(file, format='mp3')
    error_of(client.get(f'/api/jobs/{job["job_id"]}/file'), 409, 'NOT_COMPLETED')
    assert client.post(f'/api/jobs/{job["job_id"]}/download', json={}).status_code == 202
    error_of(client.delete(f'/api/files/{file}'), 409, 'FILE_IN_USE')
    assert client.delete(f'/api/jobs/{job["job_id"]}').json()['status'] == 'canceled'
    error_of(client.get(f'/api/jobs/{job["job_id"]}/file'), 409)
    error_of(client.post(f'/api/jobs/{job["job_id"]}/download', json={}), 409)
    video = client.upload(media('tiny.mp4'))['file_id']
    ladder = client.start_job(video)
    error_of(client.get(f'/api/jobs/{ladder["job_id"]}/file'), 409, 'NO_FILE')


# ---- ends ----

def test_canceled_and_deleted(make_server, tmp_path):
    s = make_server('--workers', '1')
    client = Client(s.url)
    long = client.upload(sound.make(tmp_path / 'long.flac', 400))['file_id']
    job = client.start_convert(long, format='mp3')
    client.follow(job['job_id'], lambda j: parts(s))
    hold(s.tasks())   # it isn't done before it is canceled
    assert client.good(client.delete(f'/api/jobs/{job["job_id"]}'), 200)['status'] == 'canceled'
    wait_for(lambda: not s.tasks(), 'the task is gone')
    wait_for(lambda: not parts(s), 'the parts are gone, those too that were on their way', 120)
    assert client.delete(f'/api/jobs/{job["job_id"]}').status_code == 204
    done = client.run_convert(long, format='wav', end=5)
    assert file_of(s, done)
    client.delete(f'/api/jobs/{done["job_id"]}')
    wait_for(lambda: not file_of(s, done), 'the file is gone')


def test_failed_and_retried(make_server, tmp_path):
    """The source is gone for a while: what was done stays done, and the bytes are those of an undisturbed run."""
    s = make_server('--workers', '1', '--analyze', 'off')
    client = Client(s.url)
    file = client.upload(sound.make(tmp_path / 'long.flac', 150))['file_id']
    expected = client.run_convert(file, format='mp3')['result']
    stored = s.store.one('uploads/local/' + file)
    job, watch = client.start_convert(file, format='mp3'), Watch()
    client.follow(job['job_id'], lambda j: j['progress']['percent'] > 5, watch)
    held = hold(s.tasks())   # there is something left to do
    with stored.taken():
        let_go(held)
        failed = wait_for(lambda: (j := client.job(job['job_id']))['status'] == 'failed' and j, 'it failed')
        assert failed['error']['code'] == 'SOURCE_GONE' and failed['progress']['percent'] >= watch.percents[-1]
    client.good(client.post(f'/api/jobs/{job["job_id"]}/retry'), 202)
    again = Watch()
    done = client.complete(job['job_id'], again)
    assert done['result'] == expected and again.percents[0] >= failed['progress']['percent']
    wait_for(lambda: not parts(s), 'the parts are gone', 60)


def test_progress_of_events(client, song_id):
    job = client.start_convert(song_id, format='mp3', normalize=True)
    watch, stages = Watch(), set()
    with client.events(f'/api/jobs/{job["job_id"]}/events') as events:
        for event, _, data in events:
            if event != 'job':
                continue
            watch.note(data)
            stages.add(data['progress']['stage'])
            if data['status'] == 'completed':
                break
    assert watch.percents[-1] == 100 and stages <= {'queued', 'measuring', 'converting', 'finishing', 'done'}


# ---- many ----

def test_twenty_at_once(server, song):
    jobs = []
    for i in range(20):
        client = Client(server.url, user=f'user{i}')
        jobs.append((client, client.start_convert(client.upload(song)['file_id'], format='mp3')))
    digests = {client.complete(job['job_id'])['result']['sha256'] for client, job in jobs}
    assert len(digests) == 1


@pytest.mark.parametrize('same_user', [True, False])
def test_a_short_one_does_not_wait_for_long_ones(make_server, tmp_path, same_user):
    """Not how long it takes, but who is done first: the short one before any of the long ones that were there before."""
    s = make_server('--workers', '1')
    long, short = sound.make(tmp_path / 'long.flac', 300), sound.make(tmp_path / 'short.flac', 10)
    clients = [Client(s.url, user='all' if same_user else f'user{i}') for i in range(6)]
    jobs = [c.start_convert(c.upload(long)['file_id'], format='mp3') for c in clients[:5]]
    clients[0].follow(jobs[0]['job_id'], lambda j: j['progress']['percent'] > 0)
    quick = clients[5].start_convert(clients[5].upload(short)['file_id'], format='mp3')
    quick = clients[5].complete(quick['job_id'])
    ends = [c.job(j['job_id'])['finished_at'] for c, j in zip(clients, jobs)]
    # Those that were there when it came; where the test is late to ask, some may be done by now.
    assert not [at for at in ends if at and quick['created_at'] < at < quick['finished_at']]
    for c, j in zip(clients, jobs):
        c.delete(f'/api/jobs/{j["job_id"]}')


def test_a_short_one_does_not_wait_for_a_chunk(make_server, tmp_path, song):
    """The only worker has a chunk that doesn't end: a short conversion has a thread of its own."""
    s = make_server('--workers', '1', '--analyze', 'off')
    client = Client(s.url)
    with sound.endless_chunk(s, client, tmp_path):
        client.run_convert(client.upload(song)['file_id'], format='mp3')


# ---- what others have made ----

def shared():
    names = sorted(p.name for p in SHARED.iterdir() if p.is_file()) if SHARED.is_dir() else []
    return names if SOAK else names[::9]


def length_of(file):
    """Of the sound that is taken, as the probe says; and of one of its coded frames, by which that may be off."""
    probe = file['probe']
    stream = next(s for s in probe['streams'] if s['index'] == probe['best_audio'])
    seconds = stream['duration'] if stream['duration'] is not None else probe['duration']
    return seconds, (4096 if stream['codec'] == 'flac' else 1152) / stream['sample_rate']


@pytest.mark.parametrize('name', shared())
def test_shared_media(client, tmp_path, name):
    """Every file is converted, or refused with a reason."""
    answer = client.send(pathlib.Path(SHARED / name))
    if answer.status_code != 201:
        assert error_of(answer, answer.status_code)['code'] != 'INTERNAL_ERROR' and answer.status_code in (415, 422)
        return
    file = answer.json()
    for fmt in FORMATS if SOAK else ['mp3', 'flac']:
        answer = client.post('/api/jobs', json={'kind': 'convert', 'file_id': file['file_id'], 'params': {'format': fmt}})
        if answer.status_code != 202:
            error_of(answer, 422)
            continue
        job = client.follow(answer.json()['job_id'], lambda j: j['status'] in ('completed', 'failed'), seconds=300)
        if job['status'] == 'failed':
            ours = ('INTERNAL_ERROR', 'TASK_CRASHED', 'TASK_PROTOCOL', 'SANDBOX_VIOLATION')
            assert job['error']['code'] not in ours, job['error']
        else:
            check_file(tmp_path, client, job, fmt, *length_of(file))
        client.delete(f'/api/jobs/{job["job_id"]}')
