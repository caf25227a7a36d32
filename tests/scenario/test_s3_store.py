"""The object store on S3: the client against a real server (Ceph's radosgw), with and without faults on the way."""
import subprocess
import uuid

import pytest

from s3_server import S3Faults, S3Server, available
from server import BUILD, clean_environment, limit

pytestmark = pytest.mark.skipif(not available(), reason='radosgw is not installed')
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
