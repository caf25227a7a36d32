"""Uploads straight into the bucket, as a browser does them: URLs of the server, PUTs to S3, whose CORS rules setup has made."""
import contextlib
import hashlib
import re
import sqlite3
import subprocess
import time
import uuid

import pytest
import requests

from client import Client, error_of
from make_media import media
from s3_server import S3Server, available
from server import MILLRACE, clean_environment, limit, wait_for
from tokens import SECRET, hs256

ORIGIN = 'https://media.example'
PART = 8 << 20
pytestmark = pytest.mark.backend('sqlite', 'rows are changed in the file')
needs_s3 = pytest.mark.skipif(not available(), reason='radosgw is not installed')


@pytest.fixture(scope='module')
def s3():
    with S3Server() as server:
        yield server


@pytest.fixture
def front(s3, make_server, tmp_path):
    bucket = f'direct-{uuid.uuid4().hex[:12]}'
    store = s3.url(bucket, 'pre')
    subprocess.run([MILLRACE, 'setup', '--data', tmp_path / 'front' / 'data', '--store', store, '--cors-origin', ORIGIN],
                   env=clean_environment(**s3.env), check=True, capture_output=True)
    server = make_server('--database', f'sqlite:{tmp_path}/front/data/millrace.db', '--store', store, '--jwt-secret', SECRET,
                         '--max-upload-bytes', str(64 << 20), name='front', env=s3.env)
    server.bucket = bucket
    return server


def user(server, name='ann'):
    return Client(server.url, token=hs256(name))


def begin(client, size, **more):
    return client.good(client.post('/api/direct-uploads', json={'size': size, **more}), 201)


def urls(client, upload, *numbers):
    answer = client.good(client.post(f'/api/direct-uploads/{upload["upload_id"]}/parts', json={'numbers': numbers}), 200)
    return {part['number']: part for part in answer['parts']}


def put(url, data):
    return requests.put(url, data=data, headers={'Origin': ORIGIN}, timeout=limit(60))


def complete(client, path):
    """The file. 202: the janitor was quicker than the request, and is at it still."""
    def done():
        answer = client.post(f'{path}/complete')
        return answer.status_code != 202 and [answer]
    return client.good(wait_for(done, 'the upload is joined')[0], 200)


def objects(s3, bucket):
    return [o['Key'] for o in s3.client.list_objects_v2(Bucket=bucket).get('Contents', ())]


def change(server, statement):
    """Of the server's rows, while it doesn't run."""
    with contextlib.closing(sqlite3.connect(server.data / 'millrace.db')) as db:
        db.execute(statement)
        db.commit()


def under_way(s3, bucket):
    return len(s3.client.list_multipart_uploads(Bucket=bucket).get('Uploads', ()))


@needs_s3
def test_a_browser_uploads_into_the_bucket(s3, front):
    ann, bob = user(front), user(front, 'bob')
    film = media('sample.mp4').read_bytes()
    # Two parts: what is behind an MP4's last box is skipped.
    padding = PART + 100_000 - len(film)
    data = film + padding.to_bytes(4, 'big') + b'free' + bytes(padding - 8)
    upload = begin(ann, len(data), filename='../Ein Film.mp4', content_type='video/mp4')
    assert (upload['part_bytes'], upload['part_count'], upload['size']) == (PART, 2, len(data))
    path, file = f'/api/direct-uploads/{upload["upload_id"]}', f'/api/files/{upload["file_id"]}'
    assert ann.get(file).json()['status'] == 'uploading'
    error_of(bob.get(path), 404)
    error_of(bob.post(f'{path}/parts', json={'numbers': [1]}), 404)
    error_of(bob.post(f'{path}/complete'), 404)
    error_of(ann.post(f'{path}/parts', json={'numbers': [3]}), 400)
    error_of(ann.call('PATCH', f'/api/uploads/{upload["upload_id"]}', headers={'Tus-Resumable': '1.0.0'}), 404)

    parts = urls(ann, upload, 1, 2)
    asked = {'Origin': ORIGIN, 'Access-Control-Request-Method': 'PUT', 'Access-Control-Request-Headers': 'content-type'}
    allowed = requests.options(parts[1]['url'], headers=asked, timeout=limit(60))
    assert allowed.status_code == 200 and allowed.headers['Access-Control-Allow-Origin'] == ORIGIN
    assert 'PUT' in allowed.headers['Access-Control-Allow-Methods']
    refused = requests.options(parts[1]['url'], headers={**asked, 'Origin': 'https://evil.example'}, timeout=limit(60))
    assert refused.status_code == 403 or 'Access-Control-Allow-Origin' not in refused.headers

    # Each URL is good for its part, its length and nothing else.
    assert put(parts[1]['url'], data[:PART] + b'x').status_code == 403
    assert put(parts[2]['url'], data[:PART]).status_code == 403
    assert put(parts[1]['url'].replace('partNumber=1', 'partNumber=2'), data[:PART]).status_code == 403
    first = put(parts[1]['url'], data[:PART])
    assert first.status_code == 200 and first.headers['Access-Control-Allow-Origin'] == ORIGIN
    assert 'ETag' in re.split(r',\s*', first.headers['Access-Control-Expose-Headers'])
    error_of(ann.post(f'{path}/complete'), 409, 'PARTS_MISSING')
    # A page that was loaded anew finds out how far it was.
    assert ann.get(path).json()['parts'] == [{'number': 1, 'size': PART}]
    assert put(parts[2]['url'], data[PART:]).status_code == 200

    done = complete(ann, path)
    assert done['status'] == 'ready' and done['filename'] == 'Ein Film.mp4' and done['size'] == len(data)
    assert done['probe']['best_video'] >= 0 and done['content_type'] == 'video/mp4'
    assert ann.good(ann.post(f'{path}/complete'), 200)['status'] == 'ready'
    assert ann.get(path).json()['complete'] is True
    key, = [key for key in objects(s3, front.bucket) if '/uploads/' in key]
    stored = s3.client.get_object(Bucket=front.bucket, Key=key)['Body'].read()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(data).digest()
    error_of(ann.delete(path), 409, 'UPLOAD_COMPLETE')
    assert ann.delete(file).status_code == 204
    wait_for(lambda: not any('/uploads/' in key for key in objects(s3, front.bucket)), 'the object goes with its file')


@needs_s3
def test_what_cannot_be_used_is_refused_and_nothing_stays(s3, front):
    ann = user(front)
    error_of(ann.post('/api/direct-uploads', json={'size': 0}), 422, 'EMPTY_MEDIA')
    error_of(ann.post('/api/direct-uploads', json={'size': (64 << 20) + 1}), 413)
    error_of(ann.post('/api/direct-uploads', json={}), 400)
    error_of(ann.post('/api/direct-uploads', json={'size': 1, 'file': 'x'}), 400)
    error_of(requests.post(front.url + '/api/direct-uploads', json={'size': 1}, timeout=limit(60)), 401)

    upload = begin(ann, 5000, filename='notes.txt')
    assert put(urls(ann, upload, 1)[1]['url'], b'no media at all\n' * 312 + b'no media').status_code == 200
    error_of(ann.post(f'/api/direct-uploads/{upload["upload_id"]}/complete'), 415)
    error_of(ann.get(f'/api/files/{upload["file_id"]}'), 404)

    given_up = begin(ann, PART * 3)
    assert put(urls(ann, given_up, 2)[2]['url'], bytes(PART)).status_code == 200 and under_way(s3, front.bucket) == 1
    assert ann.delete(f'/api/direct-uploads/{given_up["upload_id"]}').status_code == 204
    error_of(ann.get(f'/api/direct-uploads/{given_up["upload_id"]}'), 404)
    # Deleted as a file, too.
    assert ann.delete(f'/api/files/{begin(ann, 1000)["file_id"]}').status_code == 204
    assert under_way(s3, front.bucket) == 0

    # Left alone for a day: the janitor ends it.
    old = begin(ann, PART * 2)
    assert under_way(s3, front.bucket) == 1
    front.stop()
    change(front, f"UPDATE file SET updated_ms = {int((time.time() - 90000) * 1000)} WHERE id = '{old['file_id']}'")
    front.start()
    wait_for(lambda: under_way(s3, front.bucket) == 0, 'the janitor aborts it')
    # Its row goes after what the store held of it.
    wait_for(lambda: ann.get(f'/api/files/{old["file_id"]}').status_code == 404, 'its row goes, too')
    assert objects(s3, front.bucket) == []


@needs_s3
def test_a_server_that_dies_while_it_completes_loses_nothing(s3, front):
    ann = user(front)
    film = media('sample.mp4').read_bytes()
    upload = begin(ann, len(film), filename='film.mp4')
    for number, part in urls(ann, upload, *range(1, upload['part_count'] + 1)).items():
        assert put(part['url'], film[(number - 1) * PART:number * PART]).status_code == 200
    # As if it had died between the row and the parts; and then between the parts and the file.
    front.kill()
    change(front, f"UPDATE upload SET offset_bytes = length WHERE id = '{upload['upload_id']}'")
    front.start()
    wait_for(lambda: ann.get(f'/api/files/{upload["file_id"]}').json().get('status') == 'ready', 'the janitor joins it')
    front.kill()
    change(front, f"UPDATE upload SET joined = 0, join_due_ms = 0 WHERE id = '{upload['upload_id']}'")
    change(front, f"UPDATE file SET ready = 0 WHERE id = '{upload['upload_id']}'")
    front.start()
    wait_for(lambda: ann.get(f'/api/files/{upload["file_id"]}').json().get('status') == 'ready', 'and again')


def test_a_folder_has_none(make_server):
    server = make_server('--store', 'file:objects')
    error = error_of(Client(server.url).post('/api/direct-uploads', json={'size': 10}), 409, 'NO_DIRECT_UPLOADS')
    assert '/api/uploads' in error['message']
