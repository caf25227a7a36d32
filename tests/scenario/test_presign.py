"""Pre-signed URLs as AWS's own SDK makes them: taken when right, refused when anything about them is not."""
import datetime
import os
import socket
import urllib.parse

import boto3
import pytest
import requests
from botocore.config import Config

from client import Client
from make_media import media
from server import limit, wait_for

ID, SECRET = 'TESTKEY', 'a/secret+with=odd'
OWN_ID, OWN_SECRET = 'ALICES', 'another'
OPTIONS = ('--workers', '0', '--access-key', f'{ID}:{SECRET}', '--access-key', f'{OWN_ID}:{OWN_SECRET}:alice')
BODY = bytes(range(256)) * 40


def s3(server, key=ID, secret=SECRET):
    return boto3.client('s3', endpoint_url=server.url, region_name='us-east-1', aws_access_key_id=key, aws_secret_access_key=secret,
                        config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))


def sign(server, method, key, expires=300, signer=None, bucket='media', **params):
    name = {'GET': 'get_object', 'PUT': 'put_object', 'HEAD': 'head_object'}[method]
    return (signer or s3(server)).generate_presigned_url(name, Params={'Bucket': bucket, 'Key': key, **params}, ExpiresIn=expires)


@pytest.fixture
def stored(server):
    key = 'uploads/alice/some object (1)+ü~.bin'
    assert requests.put(sign(server, 'PUT', key), data=BODY).status_code == 200
    return key


def refused(answer, status=403, code=None):
    assert answer.status_code == status, f'{answer.status_code}: {answer.text[:300]}'
    error = answer.json()['error']
    assert error['request_id'] == answer.headers['X-Request-Id']
    if code:
        assert error['code'] == code, error
    return error


def test_put_get_head(server, stored):
    answer = requests.get(sign(server, 'GET', stored))
    assert answer.status_code == 200 and answer.content == BODY
    assert answer.headers['ETag'].startswith('"') and answer.headers['Accept-Ranges'] == 'bytes'
    head = requests.head(sign(server, 'HEAD', stored))
    assert head.status_code == 200 and head.content == b'' and head.headers['Content-Length'] == str(len(BODY))
    assert head.headers['ETag'] == answer.headers['ETag']
    assert requests.get(sign(server, 'GET', stored), headers={'If-None-Match': answer.headers['ETag']}).status_code == 304
    refused(requests.get(sign(server, 'GET', 'uploads/alice/nothing')), 404)
    assert requests.head(sign(server, 'HEAD', 'uploads/alice/nothing')).status_code == 404


def test_put_replaces_whole(server, stored):
    assert requests.put(sign(server, 'PUT', stored), data=b'short').status_code == 200
    assert requests.get(sign(server, 'GET', stored)).content == b'short'


def test_put_keeps_the_content_type(server):
    url = sign(server, 'PUT', 'uploads/alice/t.txt', ContentType='text/plain')
    assert requests.put(url, data=b'x', headers={'Content-Type': 'text/plain'}).status_code == 200
    assert requests.get(sign(server, 'GET', 'uploads/alice/t.txt')).headers['Content-Type'].startswith('text/plain')
    refused(requests.put(url, data=b'x', headers={'Content-Type': 'text/html'}), 403, 'SignatureDoesNotMatch')


def test_an_object_that_is_cut_off_is_none(server):
    key = 'uploads/alice/cut.bin'
    url = urllib.parse.urlsplit(sign(server, 'PUT', key))
    with socket.create_connection(('127.0.0.1', server.port)) as s:
        head = f'PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 20000000\r\n\r\n'
        s.sendall(head.encode() + bytes(10 << 20))
        wait_for(lambda: server.store.arriving(), 'it has begun to arrive')
    wait_for(lambda: not server.store.arriving(), 'nothing is left of it')
    refused(requests.get(sign(server, 'GET', key)), 404)


@pytest.mark.parametrize('header, status, body, told', [
    ('bytes=0-9', 206, BODY[:10], 'bytes 0-9/10240'), ('bytes=100-', 206, BODY[100:], 'bytes 100-10239/10240'),
    ('bytes=-5', 206, BODY[-5:], 'bytes 10235-10239/10240'), ('bytes=10-99999', 206, BODY[10:], 'bytes 10-10239/10240'),
    ('bytes=10240-', 416, None, 'bytes */10240'), ('bytes=5-2', 200, BODY, None), ('rubbish', 200, BODY, None),
    ('bytes=-0', 416, None, 'bytes */10240'), ('bytes=-99999', 206, BODY, 'bytes 0-10239/10240'),
], ids=lambda v: v if isinstance(v, str) else '')
def test_ranges(server, stored, header, status, body, told):
    answer = requests.get(sign(server, 'GET', stored), headers={'Range': header})
    assert answer.status_code == status
    assert answer.headers.get('Content-Range') == told
    if body is not None:
        assert answer.content == body
    if status == 416:
        refused(answer, 416, 'RANGE_NOT_SATISFIABLE')


def test_overrides(server, stored):
    url = sign(server, 'GET', stored, ResponseContentDisposition='attachment; filename="a b.bin"',
               ResponseContentType='audio/x-test', ResponseCacheControl='no-cache')
    answer = requests.get(url)
    assert answer.headers['Content-Disposition'] == 'attachment; filename="a b.bin"'
    assert answer.headers['Content-Type'] == 'audio/x-test' and answer.headers['Cache-Control'] == 'no-cache'
    refused(requests.get(url.replace('a%20b', 'evil')), 403, 'SignatureDoesNotMatch')
    refused(requests.get(sign(server, 'GET', stored) + '&response-content-type=text%2Fhtml'), 403, 'SignatureDoesNotMatch')


def flip(url, name):
    """The URL with the first character of one query value changed."""
    at = url.index(name + '=') + len(name) + 1
    return url[:at] + ('0' if url[at] != '0' else '1') + url[at + 1:]


@pytest.mark.parametrize('what', ['X-Amz-Signature', 'X-Amz-Date', 'X-Amz-Expires', 'X-Amz-SignedHeaders', 'X-Amz-Algorithm',
                                  'X-Amz-Credential'])
def test_tampered(server, stored, what):
    url = sign(server, 'GET', stored)
    refused(requests.get(flip(url, what)))
    start = url.index(what)
    end = url.find('&', start)
    refused(requests.get(url[:start] + (url[end + 1:] if end >= 0 else '')))


def test_other_path_method_bucket_host(server, stored):
    url = sign(server, 'GET', stored)
    refused(requests.get(url.replace('object', 'objecu')), 403, 'SignatureDoesNotMatch')
    refused(requests.put(url, data=b'x'), 403, 'SignatureDoesNotMatch')
    refused(requests.put(sign(server, 'PUT', stored).replace('object', 'other'), data=b'x'))
    assert requests.get(sign(server, 'GET', stored, bucket='other')).status_code == 404
    refused(requests.get(url, headers={'Host': 'localhost'}), 403, 'SignatureDoesNotMatch')
    refused(requests.get(server.url + '/media/' + stored))
    refused(requests.get(url + '&X-Amz-Signature=0'))
    assert requests.get(url).status_code == 200, 'and nothing of this did any harm'
    assert requests.delete(url).status_code == 405


def test_expired(server, stored):
    url = sign(server, 'GET', stored, expires=1)
    wait_for(lambda: requests.get(url).status_code == 403, 'it expires', every=0.2)
    refused(requests.get(url), 403)
    # Signed for longer than AWS permits (a week).
    refused(requests.get(sign(server, 'GET', stored, expires=700000)))


def test_signed_in_the_future(server, stored, monkeypatch):
    import botocore.auth
    real = datetime.datetime

    class Later(real):
        @classmethod
        def utcnow(cls):
            return real.utcnow() + datetime.timedelta(hours=2)
    monkeypatch.setattr(botocore.auth.datetime, 'datetime', Later)
    url = sign(server, 'GET', stored)
    monkeypatch.undo()
    refused(requests.get(url))


def test_other_keys(server, stored):
    refused(requests.get(sign(server, 'GET', stored, signer=s3(server, ID, 'wrong'))), 403, 'SignatureDoesNotMatch')
    refused(requests.get(sign(server, 'GET', stored, signer=s3(server, 'NOBODY', SECRET))))


def test_a_key_bound_to_a_user(server, stored):
    own = s3(server, OWN_ID, OWN_SECRET)
    assert requests.get(sign(server, 'GET', stored, signer=own)).content == BODY
    assert requests.put(sign(server, 'PUT', 'uploads/alice/mine', signer=own), data=b'x').status_code == 200
    assert requests.put(sign(server, 'PUT', 'uploads/bob/x'), data=b'x').status_code == 200
    for key in ('uploads/bob/x', 'uploads/alicia/x', 'uploads/alice', 'x', 'alice', 'hls/bob/x', 'uploads/x/alice/x'):
        refused(requests.get(sign(server, 'GET', key, signer=own)), 403, 'AccessDenied')
        refused(requests.put(sign(server, 'PUT', key, signer=own), data=b'evil'), 403, 'AccessDenied')
    assert requests.get(sign(server, 'GET', 'uploads/bob/x')).content == b'x'


def test_a_users_key_and_playlists(server):
    """/hls by a bound key: the user's own jobs alone."""
    alice, bob = Client(server.url, user='alice'), Client(server.url, user='bob')
    urls = []
    for c in (alice, bob):
        job = c.start_job(c.upload(media('sound-8k-mono.wav'))['file_id'])
        signed = sign(server, 'GET', f'{job["job_id"]}/master.m3u8', signer=s3(server, OWN_ID, OWN_SECRET), bucket='hls')
        urls.append(signed)
    refused(requests.get(urls[0]), 404, 'NOT_READY')
    refused(requests.get(urls[1]), 403)


def raw_request(server, method, url, body=b''):
    """Status of a request whose path nobody has made neat."""
    path, _, query = url.partition('?')
    path = path[len(server.url):]
    with socket.create_connection(('127.0.0.1', server.port), timeout=limit(30)) as s:
        s.sendall(f'{method} {path}?{query} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {len(body)}\r\n'
                  'Connection: close\r\n\r\n'.encode() + body)
        answer = b''
        while piece := s.recv(65536):
            answer += piece
    assert b'SQLite' not in answer and b'root:' not in answer
    return int(answer.split(b' ')[1])


@pytest.mark.parametrize('key', ['../millrace.db', 'uploads/../../millrace.db', 'uploads/alice/../../../millrace.db', './x', 'a//b',
                                 'a/./b', '/etc/passwd', '.millrace/tmp/x', 'a/\x00b', 'a\nb', 'uploads/', 'x' * 2000,
                                 pytest.param('x' * 300, marks=pytest.mark.backend('file', 'a file\'s name has 255 bytes'))],
                         ids=lambda k: k[:30])
def test_keys_stay_inside(server, key):
    def everything():
        return sorted(f'{path}/{name}' for path, folders, names in os.walk(server.data) for name in folders + names
                      if not name.startswith('millrace.db-'))
    # For a moment there may be what the server tries its store with.
    before, = wait_for(lambda: (seen := everything()) == everything() and [seen], 'nothing happens')
    for method in ('GET', 'PUT'):
        url = sign(server, method, key)
        assert raw_request(server, method, url, b'evil' if method == 'PUT' else b'') in (400, 403, 404, 414)
    wait_for(lambda: everything() == before, 'nothing is there that was not, and nothing is gone')


def test_odd_keys_are_just_names(server):
    for key in ('uploads/alice/%2e%2e/x', 'uploads/alice/...', '/'.join(['uploads', *'a' * 200]), 'uploads/alice/a b+c&d=e',
                'uploads/\u202e'):
        assert requests.put(sign(server, 'PUT', key), data=key.encode()).status_code == 200, key
        assert requests.get(sign(server, 'GET', key)).content == key.encode()
        assert server.store.read(key) == key.encode()


def test_a_page_in_the_store_is_no_page(server):
    """What somebody uploads must not act in the server's origin."""
    key = 'uploads/alice/page.html'
    requests.put(sign(server, 'PUT', key), data=b'<script>1</script>', headers={'Content-Type': 'text/html'})
    answer = requests.get(sign(server, 'GET', key))
    assert answer.headers['Content-Disposition'].startswith('attachment') or 'sandbox' in answer.headers['Content-Security-Policy']
    assert answer.headers['X-Content-Type-Options'] == 'nosniff'


def test_large_objects_both_ways(server):
    data = BODY * 4000   # 40 MB: many buffers, many sendfiles
    key = 'uploads/alice/large.bin'
    assert requests.put(sign(server, 'PUT', key), data=data).status_code == 200
    assert requests.get(sign(server, 'GET', key)).content == data
    assert requests.get(sign(server, 'GET', key), headers={'Range': 'bytes=20000001-30000000'}).content == data[20000001:30000001]


def test_keys_survive_a_restart(make_server):
    """The server's own signing key is made once: URLs that it gave out stay good."""
    s = make_server('--workers', '1')
    c = Client(s.url)
    job = c.run_job(c.upload(media('sound-8k-mono.wav'))['file_id'])
    url = job['streaming']['playlist_url']
    text = requests.get(url).text
    s.stop()
    s.start()
    assert requests.get(url).text == text
