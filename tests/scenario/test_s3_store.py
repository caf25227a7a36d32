"""The object store on S3: the client against a real server (Ceph's radosgw), with and without faults on the way."""
import hashlib
import random
import re
import subprocess
import time
import uuid
import wave

import boto3
import pytest
import requests
from botocore.config import Config

import narration
from client import Client
from hls import Presentation
from s3_faults import S3Faults
from s3_server import KMS_KEY, S3Server, available
from server import BUILD, clean_environment, limit, wait_for

pytestmark = pytest.mark.skipif(not available(), reason='radosgw is not installed')
ACCESS = 'SECRETSECRETSECRET'   # to a server's own /media
LARGE = random.Random(7).randbytes(9 << 20)   # more than a part
CONFORMANCE = BUILD / 'tests' / 'unit' / 'store' / 'test_store_conformance'


@pytest.fixture(scope='module')
def s3():
    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3):
    name = f'test-{uuid.uuid4().hex[:12]}'
    s3.client.create_bucket(Bucket=name)
    return name


def conformance(s3, url, keys=100):
    env = clean_environment(**s3.env, MILLRACE_TEST_STORE_URL=url, MILLRACE_TEST_STORE_KEYS=str(keys))
    done = subprocess.run([CONFORMANCE], env=env, capture_output=True, text=True, timeout=limit(300), check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def keys(s3, bucket):
    pages = s3.client.get_paginator('list_objects_v2').paginate(Bucket=bucket)
    return [o['Key'] for page in pages for o in page.get('Contents', ())]


def test_the_store_keeps_its_promises_on_s3(s3, bucket):
    conformance(s3, s3.url(bucket, stale_hours=0), keys=1005)
    assert keys(s3, bucket) == [] and 'Uploads' not in s3.client.list_multipart_uploads(Bucket=bucket)
    s3.client.put_object(Bucket=bucket, Key='t/of somebody else', Body=b'x')
    conformance(s3, s3.url(bucket, 'a prefix/ü', payload='unsigned', stale_hours=0))
    assert keys(s3, bucket) == ['t/of somebody else']


@pytest.mark.soak
def test_soak_the_store_keeps_its_promises_while_connections_break(s3, bucket):
    with S3Faults(s3.port, share=0.2) as broken:
        conformance(s3, s3.url(bucket, port=broken.port, stale_hours=0, stall_seconds=1, patience_seconds=120))
        assert all(broken.counts[fault] for fault in broken.faults), broken.counts
    assert keys(s3, bucket) == []


@pytest.fixture
def s3_server(make_server, s3, bucket):
    """Servers over the bucket."""
    def make(*options, port=0, env=None, **more):
        return make_server('--store', s3.url(bucket, 'media', port=port, **more), *options, env={**s3.env, **(env or {})})
    return make


def object_of(s3, bucket, key):
    return s3.client.get_object(Bucket=bucket, Key='media/' + key)['Body'].read()


def test_a_film_is_uploaded_made_and_played_from_the_bucket(s3, bucket, s3_server, sample):
    server = s3_server('--analyze', 'on')
    client = Client(server.url)
    file = client.upload(sample)
    stored = [k for k in keys(s3, bucket) if k.startswith('media/uploads/')]
    assert len(stored) == 1 and s3.client.get_object(Bucket=bucket, Key=stored[0])['Body'].read() == sample.read_bytes()
    assert file['sha256'] == hashlib.sha256(sample.read_bytes()).hexdigest()
    job = client.run_job(file['file_id'], rungs=['240p'])
    shown = Presentation(job['streaming']['playlist_url'])
    lines = [uri for playlist in shown.playlists.values() for uri in playlist.uris()]
    assert lines and all(uri.startswith(f'http://127.0.0.1:{s3.port}/{bucket}/media/hls/') for uri in lines)
    assert all(requests.get(uri).status_code == 200 for uri in lines)
    assert requests.get(lines[0].replace('X-Amz-Signature=', 'X-Amz-Signature=0')).status_code == 403
    assert len({re.search(r'X-Amz-Date=(\w+)', uri)[1] for uri in lines}) == 1, 'one signing time for a playback'
    assert not any((server.data / 'store').rglob('*')), 'nothing lies in the folder'
    policy = requests.get(server.url + '/').headers['Content-Security-Policy']
    assert f'connect-src \'self\' http://127.0.0.1:{s3.port};' in policy
    client.delete(f'/api/files/{file["file_id"]}')
    wait_for(lambda: not any('/uploads/' in k for k in keys(s3, bucket)), 'the upload is deleted', 60)


def put_large(server):
    signed = client_of(server).generate_presigned_url('put_object', Params={'Bucket': 'media', 'Key': 'uploads/u/large.bin'})
    assert requests.put(signed, data=LARGE).status_code == 200


def everybody_reads(s3, bucket, key):
    grants = s3.client.get_object_acl(Bucket=bucket, Key=key)['Grants']
    return any(g['Grantee'].get('URI', '').endswith('/AllUsers') and g['Permission'] == 'READ' for g in grants)


def test_a_public_bucket_is_played_without_signatures(s3, bucket, s3_server, sample):
    """`acl` and `storage_class` on whatever is put, in one piece and in parts; `public_url` in place of signing."""
    public = f'http://127.0.0.1:{s3.port}/{bucket}'
    server = s3_server('--analyze', 'off', '--access-key', f'AK:{ACCESS}', acl='public-read', storage_class='STANDARD',
                       public_url=public)
    client = Client(server.url)
    put_large(server)
    job = client.run_job(client.upload(sample)['file_id'], rungs=['144p'])
    shown = Presentation(job['streaming']['playlist_url'])
    lines = [uri for playlist in shown.playlists.values() for uri in playlist.uris()]
    assert lines and all(uri.startswith(f'{public}/media/hls/') and '?' not in uri for uri in lines)
    assert all(requests.get(uri).status_code == 200 for uri in lines), 'nobody has to show who they are'
    stored = keys(s3, bucket)
    assert stored and all(everybody_reads(s3, bucket, key) for key in stored)


def test_what_is_put_is_encrypted_with_the_key_that_is_named(s3, bucket, s3_server, sample):
    server = s3_server('--analyze', 'off', '--access-key', f'AK:{ACCESS}', sse='aws:kms', sse_kms_key=KMS_KEY)
    client = Client(server.url)
    put_large(server)
    assert object_of(s3, bucket, 'uploads/u/large.bin') == LARGE
    job = client.run_job(client.upload(sample)['file_id'], rungs=['144p'])
    shown = Presentation(job['streaming']['playlist_url'])
    assert all(requests.get(uri).status_code == 200 for playlist in shown.playlists.values() for uri in playlist.uris())
    for key in keys(s3, bucket):
        head = s3.client.head_object(Bucket=bucket, Key=key)
        assert (head.get('ServerSideEncryption'), head.get('SSEKMSKeyId')) == ('aws:kms', KMS_KEY), key


def test_a_resumable_upload_is_joined_inside_the_bucket(s3, bucket, s3_server, tmp_path):
    """Pieces of 8 MiB and a tail below S3's least part: each an object of its own, so that the offset is durable."""
    server = s3_server()
    data = make_long(tmp_path).read_bytes()
    answer = requests.post(server.url + '/api/uploads', headers={'Tus-Resumable': '1.0.0', 'Upload-Length': str(len(data))})
    assert answer.status_code == 201
    where = answer.headers['Location']
    tus = {'Tus-Resumable': '1.0.0', 'Content-Type': 'application/offset+octet-stream'}
    first = (8 << 20) + 100000
    assert requests.patch(where, data[:first], headers={**tus, 'Upload-Offset': '0'}).headers['Upload-Offset'] == str(first)
    server.kill()
    server.start()
    offset = int(requests.head(where, headers=tus).headers['Upload-Offset'])
    assert offset == first
    assert requests.patch(where, data[offset:], headers={**tus, 'Upload-Offset': str(offset)}).status_code == 204
    key = next(k for k in keys(s3, bucket) if k.startswith('media/uploads/'))
    assert s3.client.get_object(Bucket=bucket, Key=key)['Body'].read() == data
    wait_for(lambda: not any('/parts/' in k for k in keys(s3, bucket)), 'the pieces are removed', 60)


def make_long(folder):
    path = folder / 'long.wav'
    with wave.open(str(path), 'wb') as w:
        w.setnchannels(2)
        w.setsampwidth(2)
        w.setframerate(48000)
        w.writeframes(random.Random(1).randbytes(20 << 20))
    return path


def client_of(server):
    """boto3 for a server's own /media."""
    return boto3.client('s3', endpoint_url=server.url, region_name='us-east-1', aws_access_key_id='AK',
                        aws_secret_access_key=ACCESS, config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))


def test_the_server_and_boto3_read_each_others_objects(s3, bucket, s3_server, sample):
    server = s3_server('--access-key', f'AK:{ACCESS}')
    ours = client_of(server)
    s3.client.put_object(Bucket=bucket, Key='media/uploads/u/theirs.bin', Body=b'by boto3' * 100000, ContentType='a/b')
    signed = ours.generate_presigned_url('get_object', Params={'Bucket': 'media', 'Key': 'uploads/u/theirs.bin'})
    answer = requests.get(signed)
    assert answer.content == b'by boto3' * 100000 and answer.headers['Content-Type'] == 'a/b'
    assert requests.get(signed, headers={'Range': 'bytes=3-9'}).content == b'boto3by'
    signed = ours.generate_presigned_url('put_object', Params={'Bucket': 'media', 'Key': 'uploads/u/ours.bin'})
    assert requests.put(signed, data=b'x' * (9 << 20)).status_code == 200
    assert object_of(s3, bucket, 'uploads/u/ours.bin') == b'x' * (9 << 20)


@pytest.mark.long
def test_jobs_end_well_while_a_fifth_of_the_requests_breaks(s3, bucket, s3_server, sample):
    """A ladder, a conversion and a narration: each with the bytes of a calm run."""
    def made(server):
        client = Client(server.url)
        file = client.upload(sample)['file_id']
        jobs = (client.start_job(file, rungs=['144p']), client.start_convert(file, format='flac'),
                narration.start(client, 'One. [pause 2s] Two.'))
        done = [client.complete(job['job_id'], seconds=400)['job_id'] for job in jobs]
        # The parts of a conversion go behind its end; where a request for that breaks, they are the janitor's.
        wait_for(lambda: not any(k.startswith('media/parts/') for k in keys(s3, bucket)), 'the parts are gone', 120)
        return [objects(s3, bucket, job) for job in done]
    with S3Faults(s3.port, share=0.2) as broken:
        server = s3_server('--workers', '2', port=broken.port, stall_seconds=1, patience_seconds=60)
        found = made(server)
        server.stop()   # while there is a bucket: what it still has to remove there it would try for a minute
        assert sum(broken.counts[f] for f in broken.faults) > 5, broken.counts
    assert found == made(s3_server('--workers', '2')) and all(found)


def objects(s3, bucket, job_id):
    found = [k for k in keys(s3, bucket) if f'/{job_id}' in k]
    return {k.split(job_id)[1]: s3.client.get_object(Bucket=bucket, Key=k)['Body'].read() for k in found}


@pytest.mark.soak
def test_a_large_object_in_bounded_memory_soak(make_server):
    """1.5 GB through the server into the bucket: parts beside one another, and what the server holds doesn't grow."""
    with S3Server(bytes_max=4 << 30) as s3:
        s3.client.create_bucket(Bucket='large')
        server = make_server('--store', s3.url('large'), '--access-key', f'AK:{ACCESS}', env=s3.env)
        ours = client_of(server)
        signed = ours.generate_presigned_url('put_object', Params={'Bucket': 'media', 'Key': 'uploads/u/large'})
        block, blocks, digest = random.Random(2).randbytes(1 << 20), 1500, hashlib.sha256()
        before, most = server.memory(), 0

        class Body:
            """What is sent, of a length that is known."""
            sent, left = 0, b''

            def __len__(self):
                return blocks << 20

            def read(self, n):
                nonlocal most
                if not self.left and self.sent < blocks:
                    self.left = self.sent.to_bytes(8, 'big') + block[8:]
                    self.sent += 1
                    digest.update(self.left)
                    most = max(most, server.memory())
                out, self.left = self.left[:n], self.left[n:]
                return out
        began = time.monotonic()
        assert requests.put(signed, data=Body(), timeout=limit(200)).status_code == 200
        print(f'{blocks} MiB in {time.monotonic() - began:.1f} s, {(most - before) >> 20} MiB of memory more')
        assert most - before < 96 << 20   # parts of 8 MiB: three under way, one being filled; and what libcurl holds
        assert '-' in s3.client.head_object(Bucket='large', Key='uploads/u/large')['ETag']
        whole = hashlib.sha256()
        for piece in s3.client.get_object(Bucket='large', Key='uploads/u/large')['Body'].iter_chunks(1 << 20):
            whole.update(piece)
        assert whole.digest() == digest.digest()
        server.stop()
