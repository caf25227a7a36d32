"""Resumable uploads (tus 1.0): by hand against the protocol, and by tus-js-client through pauses, cuts and kills."""
import base64
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import uuid

import pytest

from client import Client, error_of
from fault_proxy import FaultProxy
from make_media import media
from server import ROOT, alive, limit, wait_for

pytestmark = pytest.mark.long
OPTIONS = ('--workers', '0', '--max-upload-bytes', str(64 << 20))
TUS = {'Tus-Resumable': '1.0.0'}
BYTES = {**TUS, 'Content-Type': 'application/offset+octet-stream'}
PIECE = 8 << 20


def metadata(**values):
    return ','.join(f'{k} {base64.b64encode(v.encode()).decode()}' for k, v in values.items())


def create(client, length, data=None, status=201, **headers):
    answer = client.post('/api/uploads', data=data, headers={**(TUS if data is None else BYTES), 'Upload-Length': str(length),
                                                             'Upload-Metadata': metadata(filename='a.wav'), **headers})
    assert answer.status_code == status, answer.text
    return answer


def patch(client, url, offset, data, **headers):
    return client.call('PATCH', url, data=data, headers={**BYTES, 'Upload-Offset': str(offset), **headers})


def head(client, url):
    return client.call('HEAD', url, headers=TUS)


def offset_of(client, url):
    answer = head(client, url)
    assert answer.status_code == 200 and answer.headers['Cache-Control'] == 'no-store'
    return int(answer.headers['Upload-Offset'])


def file_of(client, url):
    return client.good(client.get('/api/files/' + url.rsplit('/', 1)[1]), 200)


def parts(server):
    return server.store.below('parts')


def check_whole(client, server, url, data):
    # Who joined it may have been the janitor, where that was quicker than the request: it is at it for a while then.
    file = wait_for(lambda: (f := file_of(client, url))['status'] == 'ready' and f, 'the file is joined')
    assert file['size'] == len(data)
    # Pieces of an earlier process are joined inside a bucket: nobody has read them since.
    assert file['sha256'] == hashlib.sha256(data).hexdigest() or file['sha256'] is None and server.store_url().startswith('s3:')
    assert server.store.one('uploads/local/' + file['file_id']).read() == data
    assert file['probe']['streams']
    wait_for(lambda: not parts(server), 'the pieces are gone', 60)


@pytest.fixture(scope='session')
def wav(tmp_path_factory):
    """20 MB: three pieces."""
    path = tmp_path_factory.mktemp('tus') / 'long.wav'
    subprocess.run(['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'sine=440:sample_rate=48000', '-t', '105', '-ac', '2', path],
                   check=True)
    return path


def test_what_the_server_can(client):
    answer = client.call('OPTIONS', '/api/uploads')
    assert answer.status_code == 204 and answer.headers['Tus-Version'] == '1.0.0' == answer.headers['Tus-Resumable']
    assert set(answer.headers['Tus-Extension'].split(',')) == {'creation', 'creation-with-upload', 'expiration', 'checksum',
                                                               'termination'}
    assert set(answer.headers['Tus-Checksum-Algorithm'].split(',')) == {'sha1', 'sha256', 'md5'}
    assert answer.headers['Tus-Max-Size'] == str(64 << 20)


def test_in_several_requests(client, server):
    data = media('sound.wav').read_bytes()
    answer = create(client, len(data), **{'Upload-Metadata': metadata(filename='Grüße/ö.wav', filetype='audio/wav')})
    url = answer.headers['Location']
    assert url.startswith(server.url + '/api/uploads/') and re.search(r' GMT$', answer.headers['Upload-Expires'])
    assert offset_of(client, url) == 0
    assert head(client, url).headers['Upload-Length'] == str(len(data))
    assert head(client, url).headers['Upload-Metadata'] == metadata(filename='Grüße/ö.wav', filetype='audio/wav')
    assert file_of(client, url)['status'] == 'uploading'
    at = 0
    for n in (1, 1000, 100_000, len(data)):
        answer = patch(client, url, at, data[at:at + n])
        at = min(at + n, len(data))
        assert answer.status_code == 204 and answer.headers['Upload-Offset'] == str(at), answer.text
        assert answer.headers['Tus-Resumable'] == '1.0.0'
        assert offset_of(client, url) == at
    check_whole(client, server, url, data)
    file = file_of(client, url)
    assert file['filename'] == 'ö.wav' and file['content_type'] == 'audio/wav'
    assert file['file_id'] in [f['file_id'] for f in client.files()]


def test_with_its_creation(client, server):
    data = media('sound.wav').read_bytes()
    answer = create(client, len(data), data)
    assert answer.headers['Upload-Offset'] == str(len(data))
    check_whole(client, server, answer.headers['Location'], data)
    half = create(client, len(data), data[:5000])
    assert half.headers['Upload-Offset'] == '5000'
    assert patch(client, half.headers['Location'], 5000, data[5000:]).status_code == 204
    check_whole(client, server, half.headers['Location'], data)


@pytest.mark.parametrize('algorithm', ['sha1', 'sha256', 'md5'])
def test_checksum(client, server, algorithm):
    data = media('sound.wav').read_bytes()
    url = create(client, len(data)).headers['Location']
    digest = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    wrong = base64.b64encode(hashlib.new(algorithm, data[1:]).digest()).decode()
    error_of(patch(client, url, 0, data, **{'Upload-Checksum': f'{algorithm} {wrong}'}), 460, 'UPLOAD_CHECKSUM_MISMATCH')
    assert offset_of(client, url) == 0
    error_of(patch(client, url, 0, data, **{'Upload-Checksum': 'crc32 AAAA'}), 400, 'UNSUPPORTED_CHECKSUM')
    error_of(patch(client, url, 0, data, **{'Upload-Checksum': f'{algorithm} ***'}), 400)
    assert patch(client, url, 0, data, **{'Upload-Checksum': f'{algorithm} {digest}'}).status_code == 204
    check_whole(client, server, url, data)


def test_refused(client, server):
    data = media('sound.wav').read_bytes()
    error_of(client.post('/api/uploads', headers={'Upload-Length': '5'}), 412, 'TUS_VERSION')
    error_of(client.post('/api/uploads', headers={'Tus-Resumable': '0.2.2', 'Upload-Length': '5'}), 412, 'TUS_VERSION')
    for bad in ('-1', 'x', '', '1.5', '9' * 30):
        error_of(create(client, bad, status=400), 400)
    error_of(client.post('/api/uploads', headers={**TUS, 'Upload-Defer-Length': '1'}), 400)
    error_of(create(client, (64 << 20) + 1, status=413), 413)
    error_of(client.post('/api/uploads', headers={**TUS, 'Upload-Concat': 'partial', 'Upload-Length': '5'}), 400)
    error_of(create(client, 3, b'1234', status=413), 413)
    url = create(client, len(data)).headers['Location']
    error_of(client.call('PATCH', url, data=b'x', headers={**TUS, 'Upload-Offset': '0', 'Content-Type': 'text/plain'}), 415)
    error_of(client.call('PATCH', url, data=b'x', headers=BYTES), 400)
    error_of(patch(client, url, 1, b'x'), 409, 'OFFSET_MISMATCH')
    error_of(patch(client, url, 0, data + b'x'), 413)
    error_of(client.call('PATCH', url, data=b'x', headers={'Upload-Offset': '0', 'Content-Type': BYTES['Content-Type']}), 412)
    pieces = (data[at:at + 50_000] for at in range(0, len(data), 50_000))
    over = patch(client, url, 0, (p for p in [*pieces, b'one too many']))
    error_of(over, 413)
    assert offset_of(client, url) <= len(data)
    for nowhere in (str(uuid.uuid4()), 'x', '..'):
        assert head(client, '/api/uploads/' + nowhere).status_code in (400, 404)
    assert client.call('DELETE', url, headers=TUS).status_code == 204
    assert head(client, url).status_code == 404
    assert patch(client, url, 0, b'x').status_code == 404
    assert client.get('/api/files/' + url.rsplit('/', 1)[1]).status_code == 404
    wait_for(lambda: not parts(server), 'nothing of it is left', 60)


def test_not_media(client, server):
    url = create(client, 5000).headers['Location']
    error_of(patch(client, url, 0, b'no sound at all ' * 312 + b'12345678'), 415, 'UNSUPPORTED_FORMAT')
    assert head(client, url).status_code == 404
    error_of(client.post('/api/uploads', headers={**TUS, 'Upload-Length': '0'}), 422, 'EMPTY_MEDIA')
    wait_for(lambda: not parts(server), 'nothing of it is left', 60)


def test_of_others(make_server):
    server = make_server(*OPTIONS)
    mine, theirs = Client(server.url, user='ann'), Client(server.url, user='bob')
    url = create(mine, 10).headers['Location']
    for answer in (head(theirs, url), patch(theirs, url, 0, b'x'), theirs.call('DELETE', url, headers=TUS)):
        assert answer.status_code == 404
    assert offset_of(mine, url) == 0


def hanging_patch(server, url, offset, length, data):
    """A PATCH that promises more than it sends, on a connection that stays open."""
    s = socket.create_connection(('127.0.0.1', server.port))
    path = url[len(server.url):]
    s.sendall((f'PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n'
               f'Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n').encode() + data)
    return s


@pytest.mark.backend('file', 'that little has begun to arrive is seen in a folder alone')
def test_a_hanging_connection_locks_nobody_out(client, server):
    data = media('sound.wav').read_bytes()
    url = create(client, len(data)).headers['Location']
    with hanging_patch(server, url, 0, len(data), data[:100_000]) as old:
        wait_for(server.store.arriving, 'the first one has begun')
        assert patch(client, url, 0, data).status_code == 204
        old.sendall(data[100_000:])
        assert b' 409 ' in old.recv(4096).split(b'\r\n')[0]
    check_whole(client, server, url, data)


def test_a_cut_keeps_what_came(client, server):
    data = media('sound.wav').read_bytes()
    url = create(client, len(data)).headers['Location']
    with hanging_patch(server, url, 0, len(data), data[:100_000]):
        pass
    wait_for(lambda: offset_of(client, url) == 100_000, 'what came before the cut counts')
    assert patch(client, url, 100_000, data[100_000:]).status_code == 204
    check_whole(client, server, url, data)


def test_two_at_once(client, server):
    """Whoever wins, the file is whole."""
    data = media('sound.wav').read_bytes()
    for _ in range(5):
        url = create(client, len(data)).headers['Location']
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(patch(Client(server.url), url, 0, data))) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert {a.status_code for a in answers} <= {204, 409} and 204 in {a.status_code for a in answers}
        check_whole(client, server, url, data)


# ---- tus-js-client ----

class Uploader:
    def __init__(self, server, path, *options):
        self.process = subprocess.Popen(['node', ROOT / 'tests' / 'browser' / 'tus.js', server.url + '/api/uploads', path,
                                         *map(str, options)], stdout=subprocess.PIPE, text=True)
        self.events = []

    def until(self, event, **more):
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            last = self.events[-1]
            assert last['event'] != 'error' or event == 'error', last
            if last['event'] == event and all(last[k] >= v for k, v in more.items()):
                return last
        raise AssertionError(f'no {event}: {self.events[-3:]}')

    def end(self):
        self.process.stdout.close()
        return self.process.wait(timeout=limit(60))


def check_progress(events, size, kept):
    """It never falls, to the whole size; but after a pause it begins with what the server has, which is `kept` or more."""
    stretches = [[]]
    for event in events:
        if event['event'] == 'paused':
            stretches.append([])
        elif event['event'] == 'progress':
            stretches[-1].append(event['sent'])
    for sent in stretches:
        assert len(sent) > 2 and sent == sorted(sent)
    assert stretches[-1][-1] == size
    assert all(sent[0] >= kept for sent in stretches[1:])


def test_client_whole_and_paused(client, server, wav):
    up = Uploader(server, wav, '--chunk', 3 << 20, '--pause-at', 5 << 20)
    up.until('paused')
    url = up.until('success')['url']
    assert up.end() == 0
    check_progress(up.events, wav.stat().st_size, 3 << 20)
    check_whole(client, server, url, wav.read_bytes())


def test_client_aborts(client, server, wav):
    up = Uploader(server, wav, '--chunk', 1 << 20, '--abort-at', 3 << 20)
    url = up.until('url')['url']
    up.until('aborted')
    up.process.kill()
    up.end()
    assert head(client, url).status_code == 404
    wait_for(lambda: not parts(server), 'nothing of it is left', 60)


def test_client_dies_and_another_goes_on(client, server, wav):
    up = Uploader(server, wav, '--chunk', 1 << 20)
    url = up.until('url')['url']
    up.until('progress', sent=6 << 20)
    up.process.kill()
    up.end()
    at = wait_for(lambda: offset_of(client, url), 'something has come')
    again = Uploader(server, wav, '--resume', url)
    again.until('success')
    assert again.end() == 0 and at >= 5 << 20
    check_whole(client, server, url, wav.read_bytes())


def test_the_network_is_cut(client, server, wav):
    """Both ways, within a request's head, its bytes and an answer: the client goes on by itself where the server is."""
    with FaultProxy(server.port) as proxy:
        proxy.faults = [('up', 300), ('down', 50), ('up', 1 << 20), ('down', 300), ('up', 9 << 20), ('up', 2 << 20)]
        up = Uploader(proxy, wav)
        url = up.until('success')['url'].replace(proxy.url, server.url)
        assert up.end() == 0 and not proxy.faults
    sent = [e['sent'] for e in up.events if e['event'] == 'progress']
    assert sent[-1] == wav.stat().st_size
    check_whole(client, server, url, wav.read_bytes())


@pytest.mark.parametrize('seed', range(3))
def test_server_killed_in_mid_upload(make_server, wav, seed):
    """The client goes on by itself when the server is back; the bytes are the same, and the offset never falls."""
    server = make_server(*OPTIONS)
    client = Client(server.url)
    rng = random.Random(seed)
    up = Uploader(server, wav, '--chunk', rng.choice([1 << 20, 6 << 20, 64 << 20]))
    url = up.until('url')['url']
    durable = 0
    for part in (0.4, 0.8):
        up.until('progress', sent=max(durable, int(part * rng.random() * wav.stat().st_size)))
        server.kill()
        server.start()
        now = offset_of(client, url)
        assert now >= durable
        durable = now
    up.until('success')
    assert up.end() == 0
    wait_for(lambda: file_of(client, url)['status'] == 'ready', 'the file is joined', 60)
    check_whole(client, server, url, wav.read_bytes())


def test_server_killed_while_joining(make_server, wav):
    """All bytes are there, the last step isn't done: the next server does it."""
    server = make_server(*OPTIONS)
    client = Client(server.url)
    data = wav.read_bytes()
    url = create(client, len(data), data[:-1]).headers['Location']
    zygote, = server.zygotes()
    os.kill(zygote, signal.SIGSTOP)   # the probe doesn't end
    with hanging_patch(server, url, len(data) - 1, 1, data[-1:]):
        wait_for(lambda: offset_of(client, url) == len(data), 'the last byte is stored')
        os.kill(server.pid, signal.SIGKILL)
        os.kill(zygote, signal.SIGCONT)
        server.kill()
    wait_for(lambda: not alive(zygote), 'its zygote has gone')
    server.start()
    wait_for(lambda: file_of(client, url)['status'] == 'ready', 'the next server joined it', 90)
    check_whole(client, server, url, data)
