"""Uploads: by form and raw, whole and cut off, good and bad; whatever is refused leaves nothing behind."""
import hashlib
import os
import socket
import subprocess
import threading
import urllib.parse

import pytest
import requests

from client import Client, error_of
from make_media import media
from server import limit, wait_for

OPTIONS = ('--workers', '0', '--max-upload-bytes', str(16 << 20))


def objects(server):
    """What is stored, and what is being stored."""
    return server.store.keys(), server.store.arriving()


def objects_at_rest(server):
    """The server tries now and then whether anything can be stored: for that moment something is."""
    return wait_for(lambda: (seen := objects(server)) and not seen[1] and seen, 'nothing is being stored')


@pytest.fixture
def nothing_left(server):
    """The test ends with the store and the list as they were."""
    before = objects_at_rest(server), Client(server.url).files(limit=500)
    yield
    wait_for(lambda: objects(server) == before[0], 'nothing of a failed upload is left in the store')
    wait_for(lambda: Client(server.url).files(limit=500) == before[1], 'nothing of it is left in the list')


def check_stored(server, file, path):
    assert server.store.one('uploads/local/' + file['file_id']).read() == path.read_bytes()
    assert file['size'] == path.stat().st_size
    assert file['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize('how', ['multipart', 'raw'])
def test_whole(client, server, how):
    path = media('film-24.mp4')
    answer = client.send(path, how)
    assert answer.status_code == 201
    file = answer.json()
    assert answer.headers['Location'] == f'/api/files/{file["file_id"]}' and file['filename'] == 'film-24.mp4'
    check_stored(server, file, path)
    video = next(s for s in file['probe']['streams'] if s['kind'] == 'video')
    assert (video['codec'], video['width'], video['height'], video['frame_rate']) == ('h264', 640, 360, [24, 1])
    assert client.get(f'/api/files/{file["file_id"]}').json() == file


def test_curl_as_in_the_readme(client, server):
    path = media('sound.mp3')
    done = subprocess.run(['curl', '-sS', '-F', f'file=@{path}', server.url + '/api/files'], capture_output=True, text=True,
                          timeout=limit(60), check=True)
    assert '"probe"' in done.stdout and '"file_id"' in done.stdout
    done = subprocess.run(['curl', '-sS', '-T', path, server.url + '/api/files', '-X', 'POST', '-H', 'Expect: 100-continue'],
                          capture_output=True, text=True, timeout=limit(60), check=True)
    assert '"file_id"' in done.stdout


def test_chunked(client, server):
    path = media('sound.wav')
    data = path.read_bytes()
    pieces = (data[at:at + 7001] for at in range(0, len(data), 7001))
    file = client.good(client.post('/api/files', data=pieces, params={'filename': 'sound.wav'}), 201)
    check_stored(server, file, path)


def test_form_fields_around_the_file(client, server):
    path = media('sound.mp3')
    form = [('note', (None, 'before')), ('file', ('a.mp3', path.read_bytes(), 'audio/mpeg')), ('after', (None, 'x' * 10000))]
    file = client.good(client.post('/api/files', files=form), 201)
    check_stored(server, file, path)
    assert file['content_type'] == 'audio/mpeg'


@pytest.mark.usefixtures('nothing_left')
def test_a_form_without_a_file(client):
    error_of(client.post('/api/files', files=[('film', ('a.mp3', b'x', 'audio/mpeg'))]), 400)
    error_of(client.post('/api/files', data=b'rubbish', headers={'Content-Type': 'multipart/form-data; boundary=b'}), 400)
    error_of(client.post('/api/files', data=b'rubbish', headers={'Content-Type': 'multipart/form-data'}), 400)
    cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello'
    error_of(client.post('/api/files', data=cut, headers={'Content-Type': 'multipart/form-data; boundary=b'}), 400)


@pytest.mark.parametrize('name, shown', [('../../etc/passwd', 'passwd'), ('C:\\films\\a.mp4', 'a.mp4'),
                                         ('ä 🎬.mp4', 'ä 🎬.mp4'),
                                         ('a\r\nb.mp4', 'ab.mp4'), ('.', None), ('x' * 5000 + '.mp4', None)])
def test_names_are_cleaned(client, server, name, shown):
    path = media('sound-8k-mono.wav')
    file = client.good(client.post('/api/files', data=path.read_bytes(), params={'filename': name}), 201)
    assert len(file['filename'].encode()) <= 255 and '/' not in file['filename']
    if shown:
        assert file['filename'] == shown
    check_stored(server, file, path)


@pytest.mark.usefixtures('nothing_left')
@pytest.mark.parametrize('how', ['multipart', 'raw'])
@pytest.mark.parametrize('name, status, codes', [
    ('text.txt', 415, {'UNSUPPORTED_FORMAT'}),
    ('text.mp4', 415, {'UNSUPPORTED_FORMAT'}),
    ('zero-bytes.mp4', 422, {'EMPTY_MEDIA'}),
    ('random-bytes.mp4', None, {'UNSUPPORTED_FORMAT', 'UNDECODABLE', 'DAMAGED_MEDIA', 'NO_MEDIA_STREAMS'}),
    ('header-only.wav', 422, {'EMPTY_MEDIA', 'NO_MEDIA_STREAMS', 'UNDECODABLE', 'DAMAGED_MEDIA'}),
])
def test_what_is_no_media_is_refused(client, how, name, status, codes):
    answer = client.send(media(name), how)
    error = error_of(answer, status or answer.status_code, codes)
    assert answer.status_code == (415 if error['code'] == 'UNSUPPORTED_FORMAT' else 422)
    assert not error['retriable']
    assert '/uploads' not in error['message'] and 'AVERROR' not in error['message']
    if name.startswith('text'):
        assert 'text' in error['message'], 'it says what was found'


@pytest.mark.usefixtures('nothing_left')
def test_no_body_at_all(client):
    error_of(client.post('/api/files'), 422, 'EMPTY_MEDIA')


@pytest.mark.usefixtures('nothing_left')
@pytest.mark.parametrize('how', ['length', 'chunked', 'multipart'])
def test_too_large(client, server, how):
    size = (16 << 20) + 1
    if how == 'length':
        # Told by the header, it is refused before the body is sent.
        with socket.create_connection(('127.0.0.1', server.port), timeout=limit(30)) as s:
            s.sendall(f'POST /api/files HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {size}\r\n\r\n'.encode())
            assert s.recv(4096).startswith(b'HTTP/1.1 413 ')
        return
    piece = b'\0' * 65536
    body = (piece for _ in range(size // len(piece) + 1))
    try:
        if how == 'chunked':
            answer = client.post('/api/files', data=body)
        else:
            answer = client.post('/api/files', files={'file': ('a.wav', b'\0' * size)})
    except requests.ConnectionError:
        return   # it was cut off while it was sending: the answer may be lost with the connection
    error_of(answer, 413)


def begin_upload(server, data, sent, query='?filename=cut.mp4'):
    """A connection on which `sent` bytes of an upload have been sent, and the rest will not be."""
    s = socket.create_connection(('127.0.0.1', server.port), timeout=limit(30))
    s.sendall((f'POST /api/files{query} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n'
               f'Content-Length: {len(data)}\r\n\r\n').encode() + data[:sent])
    return s


def long_upload():
    """Longer than a bucket takes in one piece."""
    return bytes(10 << 20) + media('moov-at-end.mp4').read_bytes()


def bytes_arriving(server):
    """Bytes of uploads that are not finished."""
    return sum(server.store.arriving())


@pytest.mark.usefixtures('nothing_left')
@pytest.mark.threads
def test_clients_that_go_away(server):
    data = long_upload()
    for sent in (0, 1, 9 << 20, len(data) - 1):
        s = begin_upload(server, data, sent)
        if sent > 1000:
            wait_for(lambda: bytes_arriving(server) > 0, 'the upload has begun to arrive')
        s.close()


@pytest.mark.usefixtures('nothing_left')
def test_an_upload_under_way_is_no_file(client, server):
    before = client.files()
    with begin_upload(server, long_upload(), 9 << 20):
        wait_for(lambda: bytes_arriving(server) > 0, 'the upload has begun to arrive')
        assert [f for f in client.files() if f['status'] == 'ready'] == [f for f in before if f['status'] == 'ready']


def test_many_at_once(client, server):
    """Each gets its own bytes."""
    paths = [media(n) for n in ('sound.mp3', 'sound.ogg', 'sound.opus', 'film-24.mp4', 'silent.mp4', 'tiny.mp4')] * 2
    files = [None] * len(paths)

    def send(i):
        files[i] = Client(server.url).upload(paths[i], 'multipart' if i % 2 else 'raw')
    threads = [threading.Thread(target=send, args=(i,)) for i in range(len(paths))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({f['file_id'] for f in files}) == len(paths)
    for file, path in zip(files, paths):
        check_stored(server, file, path)


def test_kill_leaves_nothing_visible(make_server):
    """kill -9 in the middle of uploads: after the restart there is neither file nor object of them."""
    s = make_server('--workers', '0')
    kept = Client(s.url).upload(media('sound.mp3'))
    before = s.store.keys()
    connections = [begin_upload(s, long_upload(), sent) for sent in (10, 300_000, 10 << 20)]
    wait_for(lambda: bytes_arriving(s) >= 8 << 20, 'the uploads have begun to arrive')
    s.kill()
    for c in connections:
        c.close()
    s.start()
    client = Client(s.url)
    assert [f['file_id'] for f in client.files() if f['status'] == 'ready'] == [kept['file_id']]
    assert s.store.keys() == before
    wait_for(lambda: [f['file_id'] for f in client.files()] == [kept['file_id']], 'rows of cut uploads go', seconds=60)
    assert client.upload(media('sound.mp3'))['sha256'] == kept['sha256']


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB for a server's data."""
    folder = tmp_path / 'small' / 'data'
    folder.mkdir(parents=True)
    mounted = os.geteuid() == 0 and subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m,mode=700', 'millrace-test', folder],
                                                   capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip('needs the right to mount')
    yield folder
    subprocess.run(['umount', '-l', folder], check=True)


@pytest.mark.backend('file', 'a full disk')
def test_full_disk(small_disk, make_server):
    s = make_server('--workers', '1', name=small_disk.parent.name)
    client = Client(s.url)
    kept = client.upload(media('sound.mp3'))
    before = objects_at_rest(s)
    big = b'\0' * (9 << 20)
    for how in ('multipart', 'raw'):
        try:
            answer = client.post('/api/files', **({'files': {'file': ('a.wav', big)}} if how == 'multipart' else {'data': big}))
        except requests.ConnectionError:
            continue   # refused while it was still sending
        error = error_of(answer, 503, 'NO_SPACE')
        assert error['retriable'] and int(answer.headers['Retry-After']) > 0
        wait_for(lambda: objects(s) == before, 'nothing of it is left')
    wait_for(lambda: objects(s) == before and client.files() == [kept], 'nothing of them is left')
    assert client.get('/readyz').status_code == 200
    assert client.upload(media('sound.ogg'))['status'] == 'ready', 'what fits is taken again'


@pytest.mark.backend('file', 'a full disk')
def test_full_disk_in_a_job(small_disk, make_server):
    """A job that fills the disk waits or fails with the reason; the server lives, and serves what there is."""
    s = make_server('--workers', '2', name=small_disk.parent.name)
    client = Client(s.url)
    file = client.upload(media('sound.mp3'))
    filler = small_disk / 'filler'
    free = os.statvfs(small_disk)
    filler.write_bytes(b'\0' * (free.f_bavail * free.f_frsize - (64 << 10)))
    answer = client.post('/api/jobs', json={'kind': 'ladder', 'file_id': file['file_id']})
    if answer.status_code != 202:
        error_of(answer, 503, 'NO_SPACE')
    else:
        # Its chunks can't be stored: as long as that lasts it isn't completed, and it says so or tries again.
        wait_for(lambda: 'NO_SPACE' in s.log() or client.job(answer.json()['job_id'])['status'] == 'failed',
                 'the full disk is noticed', seconds=120)
    assert client.get('/healthz').status_code == 200
    error_of(client.get('/readyz'), 503, 'NO_SPACE')
    filler.unlink()
    wait_for(lambda: client.get('/readyz').status_code == 200, 'there is room again')
    if answer.status_code == 202:
        job = client.job(answer.json()['job_id'])
        if job['status'] == 'failed':
            assert job['error']['code'] == 'NO_SPACE' and job['error']['retriable']
            client.good(client.post(f'/api/jobs/{job["job_id"]}/retry'), 202)
        wait_for(lambda: client.job(job['job_id'])['status'] == 'completed', 'it goes on when there is space', seconds=180)


def test_query_in_the_name(client):
    """A name in Content-Disposition counts as well, RFC 6266's extended form included."""
    data = media('sound-8k-mono.wav').read_bytes()
    for header, name in (('attachment; filename="a b.wav"', 'a b.wav'),
                         (f"attachment; filename*=UTF-8''{urllib.parse.quote('ü.wav')}", 'ü.wav')):
        file = client.good(client.post('/api/files', data=data, headers={'Content-Disposition': header}), 201)
        assert file['filename'] == name
