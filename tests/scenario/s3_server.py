"""A real S3 server on loopback (tools/radosgw.py), its objects in memory.

    with S3Server() as s3:                             # some two seconds, 140 MB; Debian's radosgw, ceph-mon, ceph-osd, ceph-common
        s3.client.create_bucket(Bucket='films')        # boto3
        url = s3.url('films', 'prefix', region='us-east-1')    # what --store takes
        env = s3.env                                   # the credentials
        s3.stop(); s3.start(); s3.pause(); s3.resume()
        with S3Faults(s3.port, share=0.2) as broken:   # s3_faults.py
            url = s3.url('films', port=broken.port)
"""
import pathlib
import shutil
import sys
import tempfile
import urllib.parse

import boto3
from botocore.config import Config

from server import ROOT, limit, reserve_port

sys.path.insert(0, str(ROOT / 'tools'))

from radosgw import KEY, KMS_KEY, SECRET, Radosgw, available  # noqa: E402, F401

def client(port):
    return boto3.client('s3', endpoint_url=f'http://127.0.0.1:{port}', region_name='us-east-1', aws_access_key_id=KEY,
                        aws_secret_access_key=SECRET, config=Config(s3={'addressing_style': 'path'}))


def url(port, bucket, prefix='', **options):
    options = {'endpoint': f'http://127.0.0.1:{port}', **options}
    return f's3://{bucket}/{urllib.parse.quote(prefix)}?{urllib.parse.urlencode(options)}'


class S3Server:
    env = {'AWS_ACCESS_KEY_ID': KEY, 'AWS_SECRET_ACCESS_KEY': SECRET}

    def __init__(self, bytes_max=2 << 30):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='millrace-s3-'))   # pytest's folders are their owner's alone
        self.port = reserve_port()
        self.gateway = Radosgw(self.folder / 'ceph', self.port, reserve_port(), bytes_max, limit(60))
        self.pause, self.resume = self.gateway.pause, self.gateway.resume
        self.stop, self.start = self.gateway.stop_gateway, self.gateway.start_gateway

    def __enter__(self):
        self.folder.chmod(0o755)
        try:
            self.gateway.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.gateway.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def client(self):
        return client(self.port)

    def url(self, bucket, prefix='', port=0, **options):
        return url(port or self.port, bucket, prefix, **options)
