"""The API's manners: errors, methods, bodies, ids, limits, headers, CORS, lists, idempotency.

The server makes nothing (no workers), so that jobs stay as they were asked for.
"""
import re
import socket
import uuid

import pytest
import requests

from client import Client, error_of
from make_media import media
from server import ROOT, limit

OPTIONS = ('--workers', '0', '--cors-origin', 'https://app.example')
NOBODY = '01a1fd75-3c72-710f-ac67-33c73944a85f'
ISO8601 = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')


@pytest.fixture(scope='module')
def file(module_server):
    return Client(module_server.url).upload(media('sound-8k-mono.wav'), name='ein Ton.wav')


def routes():
    """(method, pattern) of the server's own table."""
    text = (ROOT / 'src' / 'api' / 'routes.c').read_text()
    found = re.findall(r'\{\s*"([A-Z]+)",\s*"(/[^"]*)"', text)
    assert len(found) > 15
    return found


def concrete(pattern):
    return re.sub(r'\{[a-z_]+(\.\.\.)?\}', NOBODY, pattern)


def test_health(client):
    for path in ('/healthz', '/readyz'):
        answer = client.get(path)
        assert answer.status_code == 200 and answer.headers['Cache-Control'] == 'no-store'
        assert client.call('HEAD', path).status_code == 200


def test_unknown_paths(client):
    for path in ('/api', '/api/', '/api/nothing', '/api/files/', '/api/jobs/x/y/z', '/a/b', '/api/files/%2e%2e/jobs/x'):
        answer = client.get(path)
        assert error_of(answer, answer.status_code)['code'] and answer.status_code in (400, 404), path


@pytest.mark.parametrize('path', sorted({p for _, p in routes()}))
def test_other_methods_are_405_with_allow(client, path):
    allowed = {m for m, p in routes() if p == path or p == '/{asset}' and path.count('/') == 1}
    if 'GET' in allowed:
        allowed.add('HEAD')
    answer = client.call('PROPFIND', concrete(path))
    error_of(answer, 405, 'METHOD_NOT_ALLOWED')
    named = {m.strip() for m in answer.headers['Allow'].split(',')}
    assert allowed <= named <= allowed | {'OPTIONS'}


@pytest.mark.parametrize('route', [r for r in routes() if '{id}' in r[1]], ids=' '.join)
def test_ids_that_name_nothing(client, route):
    method, pattern = route
    if method == 'OPTIONS':
        return   # says what can be done there, whatever it is
    for wrong in (NOBODY, 'x', '0', 'null', '%F0%9F%92%A5', 'A' * 300, "'%20OR%201=1--", '-1'):
        answer = client.call(method, pattern.replace('{id}', wrong))
        if method == 'HEAD':
            assert answer.status_code == 404 and not answer.content
        else:
            error_of(answer, 404, 'NOT_FOUND')


def test_request_id_is_echoed(client):
    given = 'Abc-1_2.3'
    assert client.get('/healthz', headers={'X-Request-Id': given}).headers['X-Request-Id'] == given
    answer = client.get('/api/jobs/x', headers={'X-Request-Id': given})
    assert error_of(answer, 404)['request_id'] == given
    for bad in ('a b', 'a/b', 'x' * 65, 'ä'.encode(), '<script>'):
        own = client.get('/healthz', headers={'X-Request-Id': bad}).headers['X-Request-Id']
        assert str(uuid.UUID(own)) == own, bad
    ids = {client.get('/healthz').headers['X-Request-Id'] for _ in range(5)}
    assert len(ids) == 5


def test_what_changes_is_not_stored(client, file):
    for path in ('/api/files', '/api/jobs', f'/api/files/{file["file_id"]}', '/api/session', '/api/jobs/x'):
        answer = client.get(path)
        assert answer.headers['Cache-Control'] == 'no-store' and answer.headers['X-Content-Type-Options'] == 'nosniff', path


def test_a_file_record(client, file):
    assert set(file) == {'file_id', 'filename', 'content_type', 'size', 'sha256', 'status', 'probe', 'analysis',
                         'created_at', 'updated_at'}
    assert file['filename'] == 'ein Ton.wav' and file['status'] == 'ready'
    assert file['size'] == media('sound-8k-mono.wav').stat().st_size
    assert uuid.UUID(file['file_id']).version == 7
    assert ISO8601.fullmatch(file['created_at']) and ISO8601.fullmatch(file['updated_at'])
    stream, = file['probe']['streams']
    assert stream['kind'] == 'audio' and stream['sample_rate'] == 8000 and stream['channels'] == 1
    assert file['probe']['duration'] == pytest.approx(6, abs=0.01) and file['probe']['best_audio'] == 0
    assert client.get(f'/api/files/{file["file_id"]}').json() == file


def test_a_job_record(client, file):
    job = client.start_job(file['file_id'], container='ts', segment_seconds=6)
    assert set(job) == {'job_id', 'user_id', 'kind', 'status', 'file_id', 'filename', 'params', 'duration', 'progress', 'streaming',
                        'download',
                        'generation_attempt', 'tts_cache_key', 'created_at', 'updated_at', 'started_at', 'finished_at',
                        'expires_at', 'result', 'error'}
    assert job['user_id'] == 'local' and job['kind'] == 'ladder' and job['status'] == 'pending'
    assert (job['file_id'], job['filename']) == (file['file_id'], file['filename'])
    assert job['generation_attempt'] == 1 and job['error'] is None
    assert job['params'] == {'container': 'ts', 'segment_seconds': 6, 'rungs': [], 'codecs': ['h264'], 'copy': 'auto'}
    assert set(job['progress']) == {'percent', 'stage', 'speed', 'eta_seconds'} and job['progress']['percent'] == 0
    assert set(job['streaming']) == {'enabled', 'playlist_url', 'dash_url', 'segments_completed', 'segments_total', 'started_at'}
    assert job['streaming']['playlist_url'] is None and job['streaming']['segments_completed'] == 0
    assert job['download'] == {'available': False, 'url': None, 'downloaded': False}
    assert uuid.UUID(job['job_id']).version == 7 and ISO8601.fullmatch(job['created_at'])
    assert job['started_at'] is None and job['finished_at'] is None
    assert client.job(job['job_id']) == job


@pytest.mark.parametrize('body', [b'{', b'[]', b'"x"', b'{"kind": "ladder",}', b'{"a":1,"a":2}', b'\xff\xfe', b'{"kind": NaN}',
                                  b'[' * 5000, b'{"a":' * 100 + b'1' + b'}' * 100, b'null'])
def test_bad_json(client, body):
    error = error_of(client.post('/api/jobs', data=body), 400)
    assert error['code'] in ('INVALID_REQUEST', 'INVALID_JSON', 'MISSING_FIELD') and not error['retriable']


@pytest.mark.parametrize('change, field', [
    ({'kind': None}, 'kind'), ({'kind': 'waltz'}, 'kind'), ({'kind': 7}, 'kind'),
    ({'file_id': None}, 'file_id'), ({'file_id': 7}, 'file_id'), ({'file_id': 'x'}, 'file_id'), ({'file_id': ''}, 'file_id'),
    ({'params': []}, 'params'), ({'params': 'x'}, 'params'), ({'speed': 2}, 'speed'),
    ({'params': {'wings': 2}}, 'wings'),
    ({'params': {'container': 'avi'}}, 'container'), ({'params': {'container': 1}}, 'container'),
    ({'params': {'segment_seconds': 1}}, 'segment_seconds'), ({'params': {'segment_seconds': 11}}, 'segment_seconds'),
    ({'params': {'segment_seconds': '4'}}, 'segment_seconds'), ({'params': {'segment_seconds': 2.5}}, 'segment_seconds'),
    ({'params': {'segment_seconds': 10 ** 18}}, 'segment_seconds'),
    ({'params': {'rungs': '720p'}}, 'rungs'), ({'params': {'rungs': []}}, 'rungs'), ({'params': {'rungs': [720]}}, 'rungs'),
    ({'params': {'rungs': ['720']}}, 'rungs'), ({'params': {'rungs': ['0p']}}, 'rungs'), ({'params': {'rungs': ['-2p']}}, 'rungs'),
    ({'params': {'rungs': [f'{n}p' for n in range(64, 264, 2)]}}, 'rungs'),
], ids=str)
def test_fields_are_checked_and_named(client, file, change, field):
    body = {'kind': 'ladder', 'file_id': file['file_id'], **change}
    body = {k: v for k, v in body.items() if v is not None}
    before = len(client.jobs(limit=500))
    error = error_of(client.post('/api/jobs', json=body), 400,
                     {'INVALID_REQUEST', 'MISSING_FIELD', 'INVALID_FIELD', 'UNKNOWN_FIELD'})
    assert field in error['message'], error
    assert len(client.jobs(limit=500)) == before


def test_an_unknown_file_is_404(client):
    error_of(client.post('/api/jobs', json={'kind': 'ladder', 'file_id': NOBODY}), 404)


def test_limits(client):
    error_of(client.post('/api/jobs', data=b'{"x":"' + b'a' * (2 << 20) + b'"}'), 413)
    answer = client.get('/api/jobs?' + 'a' * 10000)
    error_of(answer, 414)
    answer = client.get('/api/jobs', headers={'X-Long': 'a' * 20000})
    error_of(answer, 431)
    # A body where none is taken, and after all that the connection or a new one works.
    error_of(client.call('GET', '/api/jobs', data=b'hello'), 413)
    assert client.get('/healthz').status_code == 200


@pytest.mark.parametrize('head', [
    b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    b'GET /healthz HTTP/1.1\r\n\r\n',
    b'POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    b'POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    b'POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -2\r\n\r\n{}',
    b'POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip\r\n\r\n{}',
    b'GET /%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    b'GET /a%00b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    b'GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
], ids=lambda h: h.split(b'\r\n')[0].decode(errors='replace'))
def test_malformed_requests(server, head):
    with socket.create_connection(('127.0.0.1', server.port), timeout=limit(30)) as s:
        s.sendall(head)
        s.shutdown(socket.SHUT_WR)
        answer = b''
        while piece := s.recv(65536):
            answer += piece
    assert re.match(rb'HTTP/1\.[01] 4\d\d ', answer), answer[:200]
    assert requests.get(server.url + '/healthz').status_code == 200


def test_what_is_no_http_ends(server):
    with socket.create_connection(('127.0.0.1', server.port), timeout=limit(30)) as s:
        s.sendall(b'hello\r\n\r\n')
        assert not s.recv(65536).startswith(b'HTTP/1.1 2')
    assert requests.get(server.url + '/healthz').status_code == 200


def test_cors(client):
    for origin, allowed in (('https://app.example', True), ('https://evil.example', False)):
        answer = client.get('/api/jobs', headers={'Origin': origin})
        assert ('Access-Control-Allow-Origin' in answer.headers) == allowed
        assert answer.headers['Vary'] == 'Origin'
        flight = client.call('OPTIONS', '/api/jobs', headers={'Origin': origin, 'Access-Control-Request-Method': 'POST',
                                                             'Access-Control-Request-Headers': 'authorization,content-type'})
        assert flight.status_code == 204 and (flight.headers.get('Access-Control-Allow-Origin') == origin) == allowed
        if allowed:
            assert 'POST' in flight.headers['Access-Control-Allow-Methods']
            assert 'authorization' in flight.headers['Access-Control-Allow-Headers'].lower()
    body = {'kind': 'ladder', 'file_id': NOBODY}
    error_of(client.post('/api/jobs', json=body, headers={'Origin': 'https://evil.example'}), 403)
    error_of(client.post('/api/jobs', json=body, headers={'Origin': 'https://app.example'}), 404)


def test_another_name_for_loopback_is_refused(client):
    """A page of another site that makes its name point here (DNS rebinding) shows in Host."""
    error_of(client.get('/api/files', headers={'Host': 'evil.example'}), 421, 'MISDIRECTED')
    assert client.get('/api/files', headers={'Host': f'localhost:{client.url.rsplit(":", 1)[1]}'}).status_code == 200


def test_idempotency(client, file):
    body = {'kind': 'ladder', 'file_id': file['file_id']}
    key = {'Idempotency-Key': str(uuid.uuid4())}
    first = client.good(client.post('/api/jobs', json=body, headers=key), 202)
    again = client.good(client.post('/api/jobs', json=body, headers=key), 202)
    assert again['job_id'] == first['job_id']
    error_of(client.post('/api/jobs', json={**body, 'params': {'segment_seconds': 5}}, headers=key), 409, 'IDEMPOTENCY_KEY_REUSED')
    other = client.good(client.post('/api/jobs', json=body, headers={'Idempotency-Key': 'x' * 255}), 202)
    assert other['job_id'] != first['job_id']
    stranger = Client(client.url, user='somebody else')
    theirs = stranger.upload(media('sound-8k-mono.wav'))
    new = stranger.good(stranger.post('/api/jobs', json={**body, 'file_id': theirs['file_id']}, headers=key), 202)
    assert new['job_id'] != first['job_id'], 'keys are a user\'s own'
    error_of(client.post('/api/jobs', json=body, headers={'Idempotency-Key': 'x' * 256}), 400)
    without = {client.start_job(file['file_id'])['job_id'] for _ in range(2)}
    assert len(without) == 2


def test_a_repeat_answers_after_the_file_is_gone(client):
    """A client that lost the first answer asks again; by then the file may have been deleted."""
    body = {'kind': 'ladder', 'file_id': client.upload(media('sound-8k-mono.wav'))['file_id']}
    key = {'Idempotency-Key': str(uuid.uuid4())}
    first = client.good(client.post('/api/jobs', json=body, headers=key), 202)
    client.good(client.delete(f'/api/jobs/{first["job_id"]}'), 200)
    assert client.delete(f'/api/files/{body["file_id"]}').status_code == 204
    again = client.good(client.post('/api/jobs', json=body, headers=key), 202)
    assert (again['job_id'], again['status']) == (first['job_id'], 'canceled')
    error_of(client.post('/api/jobs', json={**body, 'params': {'segment_seconds': 5}}, headers=key), 409, 'IDEMPOTENCY_KEY_REUSED')
    assert client.delete(f'/api/jobs/{first["job_id"]}').status_code == 204
    error_of(client.post('/api/jobs', json=body, headers=key), 404)


def pages(client, what, limit_, **params):
    cursor, seen, count = None, [], 0
    while True:
        place = {'cursor': cursor} if cursor else {}
        page = client.good(client.get(f'/api/{what}', params={'limit': limit_, **place, **params}), 200)
        assert len(page[what]) <= limit_
        seen += page[what]
        count += 1
        cursor = page['cursor']
        if cursor is None:
            return seen, count


def test_lists(client, module_server):
    mine = Client(client.url, user='lister')
    assert mine.jobs() == [] and mine.files() == []
    files = [mine.upload(media('sound-8k-mono.wav'), name=f'{i}.wav') for i in range(5)]
    listed, count = pages(mine, 'files', 2)
    assert [f['file_id'] for f in listed] == [f['file_id'] for f in reversed(files)] and count == 3
    jobs = [mine.start_job(files[0]['file_id']) for _ in range(7)]
    listed, count = pages(mine, 'jobs', 3)
    assert [j['job_id'] for j in listed] == [j['job_id'] for j in reversed(jobs)] and count == 3
    assert mine.delete(f'/api/jobs/{jobs[2]["job_id"]}').json()['status'] == 'canceled'
    assert [j['job_id'] for j in mine.jobs(status='canceled')] == [jobs[2]['job_id']]
    assert len(mine.jobs(status='pending', kind='ladder')) == 6
    assert mine.jobs(status='completed') == []
    # What is created while somebody pages doesn't shift the pages.
    page = mine.good(mine.get('/api/jobs', params={'limit': 3}), 200)
    mine.start_job(files[0]['file_id'])
    rest = mine.good(mine.get('/api/jobs', params={'limit': 3, 'cursor': page['cursor']}), 200)
    assert not {j['job_id'] for j in page['jobs']} & {j['job_id'] for j in rest['jobs']}


@pytest.mark.parametrize('query', ['limit=0', 'limit=-1', 'limit=x', 'limit=100000', 'limit=', 'status=dancing', 'kind=waltz',
                                   'cursor=rubbish', "cursor='", 'cursor=' + 'a' * 300])
def test_bad_list_queries(client, query):
    error_of(client.get(f'/api/jobs?{query}'), 400)
    if not query.startswith(('status', 'kind')):
        error_of(client.get(f'/api/files?{query}'), 400)


def test_cancel_before_it_began(client, file):
    job = client.start_job(file['file_id'])
    path = f'/api/jobs/{job["job_id"]}'
    error_of(client.post(path + '/retry'), 409)
    assert client.good(client.delete(path), 200)['status'] == 'canceled'
    error_of(client.post(path + '/retry'), 409)
    assert client.delete(path).status_code == 204
    error_of(client.delete(path), 404)


def test_user_names(client):
    """Without authentication the request names the user; odd names are names, bad ones are refused."""
    for name in ('local', 'a b', '../..', 'Jürgen/..', '%41', 'x' * 256, '.', "'; DROP TABLE job; --", '🎬'):
        c = Client(client.url, user=name)
        f = c.upload(media('sound-8k-mono.wav'))
        assert c.start_job(f['file_id'])['user_id'] == name
        assert f['file_id'] in [x['file_id'] for x in c.files()]
        assert c.get(f'/api/files/{f["file_id"]}').status_code == 200
    for name in ('x' * 257, 'a\nb', '\x7f'):
        error_of(Client(client.url, user=name).get('/api/files'), 400)
    body = client.post('/api/jobs', json={'kind': 'ladder', 'file_id': f['file_id'], 'user_id': '🎬'})
    assert body.status_code == 202 and body.json()['user_id'] == '🎬'
    error_of(client.post('/api/jobs', json={'kind': 'ladder', 'file_id': f['file_id'], 'user_id': 'other'}), 404)


def test_odd_user_names_stay_in_their_folders(server):
    assert {key.split('/')[0] for key in server.store.keys()} <= {'uploads', 'hls'}
    assert not [p for p in server.folder.iterdir() if p.name not in ('data', 'server.log')]


def test_the_page(client):
    answer = client.get('/')
    assert answer.status_code == 200 and answer.headers['Content-Type'].startswith('text/html')
    assert "default-src 'self'" in answer.headers['Content-Security-Policy']
    for asset in re.findall(r'(?:src|href)="(/[^"#]+)"', answer.text):
        assert client.get(asset).status_code == 200, asset
    etag = answer.headers['ETag']
    assert client.get('/', headers={'If-None-Match': etag}).status_code == 304
