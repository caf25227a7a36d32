"""The audio converter's own routes, in the shapes that its clients know."""
import subprocess

import pytest

import sound
from client import Client, error_of
from make_media import media
from server import wait_for

OPTIONS = ('--workers', '2', '--max-audio-bytes', '3000000')


def upload(client, path, name=None, multipart=True):
    with open(path, 'rb') as f:
        more = {'files': {'file': (name or path.name, f)}} if multipart else {'data': f, 'params': {'filename': name or path.name}}
        return client.post('/api/upload-audio', **more)


def progress(client, job_id):
    answer = client.get('/api/progress', params={'jobId': job_id})
    assert answer.headers['Cache-Control'] == 'no-store'
    return client.good(answer, 200)


@pytest.mark.parametrize('name, fmt', [('sound.wav', 'wav'), ('sound.mp3', 'mp3'), ('sound.aac', 'aac'), ('sound.m4a', 'm4a'),
                                       ('sound.ogg', 'ogg'), ('sound.opus', 'opus'), ('sound.flac', 'flac'), ('sound.webm', 'webm'),
                                       ('cover-art.mp3', 'mp3')])
def test_upload(client, name, fmt):
    path = media(name)
    found = client.good(upload(client, path, 'a b.bin', multipart=fmt != 'ogg'), 200)
    assert found == {'fileId': found['fileId'], 'filename': 'a b.bin', 'size': path.stat().st_size, 'format': fmt}
    assert client.good(client.get(f'/api/files/{found["fileId"]}'), 200)['status'] == 'ready'


@pytest.mark.parametrize('name', ['tiny.mp4', 'random-bytes.mp3', 'text.mp4', 'wide-sound.mkv', 'vp9-opus.webm'])
def test_what_is_not_taken(server, client, name):
    before = len(client.files())
    error = error_of(upload(client, media(name)), 415)
    assert len(error['message']) > 20
    assert len(client.files()) == before


def test_too_large(client, tmp_path):
    path = sound.make(tmp_path / 'large.wav', 20)
    error_of(upload(client, path, multipart=False), 413)
    error_of(upload(client, path), 413)


def resumable(client, path):
    return client.post('/api/uploads', data=path.read_bytes(),
                       headers={'Tus-Resumable': '1.0.0', 'Content-Type': 'application/offset+octet-stream',
                                'Upload-Length': str(path.stat().st_size)})


def test_too_large_whichever_way_it_comes(server, client, tmp_path):
    """What it is shows when it is there; a picture beside the sound makes it a film, which may be larger."""
    before, objects = len(client.files()), len(server.store.below('uploads'))
    path = sound.make(tmp_path / 'large.wav', 20)
    for answer in client.send(path), resumable(client, path):
        assert '3000000 bytes' in error_of(answer, 413)['message']
    assert len(client.files()) == before and len(server.store.below('uploads')) == objects
    film = tmp_path / 'film.mkv'
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', 'color=s=64x64:r=5:d=20', '-i', path, '-c:a', 'copy',
                    film], check=True)
    assert film.stat().st_size > 3000000
    client.upload(film)
    assert resumable(client, film).status_code == 201


def test_a_conversion(client):
    file = client.good(upload(client, media('sound.wav'), 'söng.wav'), 200)['fileId']
    made = client.good(client.post('/api/convert-audio', json={'fileId': file, 'format': 'mp3', 'quality': 'low'}), 202)
    assert made == {'jobId': made['jobId'], 'status': 'created'}
    seen = []

    def done():
        p = progress(client, made['jobId'])
        assert set(p) == {'jobId', 'progress', 'stage', 'status'} and p['jobId'] == made['jobId']
        seen.append(p['progress'])
        return p['status'] == 'completed'
    wait_for(done, 'it is done')
    assert seen == sorted(seen) and seen[-1] == 100
    job = client.job(made['jobId'])
    assert job['jobId'] == made['jobId'] and job['fileId'] == file
    answer = client.get('/api/download', params={'jobId': made['jobId']})
    assert answer.headers['Content-Type'] == 'audio/mpeg' and int(answer.headers['Content-Length']) == len(answer.content)
    assert answer.content == client.fetch(job)
    signed = client.good(client.get('/api/download', params={'jobId': made['jobId'], 'presigned': '1'}), 200)
    assert set(signed) == {'url', 'expiresIn'} and client.get(signed['url']).content == answer.content


def test_errors(client):
    file = client.good(upload(client, media('sound.wav')), 200)['fileId']
    unknown = '01900000-0000-7000-8000-000000000000'
    error_of(client.post('/api/convert-audio', json={'fileId': unknown, 'format': 'mp3'}), 404)
    error_of(client.post('/api/convert-audio', json={'fileId': file, 'format': 'midi'}), 400)
    error_of(client.post('/api/convert-audio', json={'fileId': file, 'format': 'mp3', 'quality': 'best'}), 400)
    for path in ('/api/progress', '/api/download'):
        error_of(client.get(path), 400)
        error_of(client.get(path, params={'jobId': unknown}), 404)
        error_of(client.get(path, params={'jobId': 'x'}), 404)


def test_not_ready(make_server):
    client = Client(make_server('--workers', '0').url)
    file = client.good(upload(client, media('sound.wav')), 200)['fileId']
    made = client.good(client.post('/api/convert-audio', json={'fileId': file, 'format': 'wav'}), 202)
    assert progress(client, made['jobId']) == {'jobId': made['jobId'], 'progress': 0, 'stage': 'queued', 'status': 'pending'}
    error_of(client.get('/api/download', params={'jobId': made['jobId']}), 409)
