"""What a server has of a live session, as sound: of the built-in store's files, and through the API of Kinesis Video Streams."""
import os
import pathlib
import subprocess

import boto3
from botocore.config import Config

from server import limit
from speaker import RATE, correlation

AWS = pathlib.Path('/usr/bin/aws')
ID, SECRET = 'READERS', 'a/secret+with=odd'
ACCESS = ('--access-key', f'{ID}:{SECRET}')   # to everybody's streams
HEADER = bytes.fromhex('1a45dfa3')
FRAGMENT = b'AWS_KINESISVIDEO_FRAGMENT_NUMBER'


def spoken(server):
    """The samples of the server's only stream, in the order of fragments, and how many fragments there are."""
    parts = server.store.below('streams')
    sound = b''
    for part in parts:
        sound += subprocess.run(['ffmpeg', '-v', 'error', '-i', '-', '-f', 's16le', '-'], input=part.read(), check=True,
                                capture_output=True).stdout
    return memoryview(sound).cast('h'), len(parts)


def decoded(matroska):
    """The samples of what GetMedia sent, fragment by fragment, by ffmpeg."""
    sound = b''
    for part in matroska.split(HEADER)[1:]:
        if FRAGMENT in part:
            sound += subprocess.run(['ffmpeg', '-v', 'error', '-i', '-', '-f', 's16le', '-'], input=HEADER + part,
                                    capture_output=True, check=True).stdout
    return memoryview(sound).cast('h')


def by_boto3(server, stream):
    client = boto3.client('kinesis-video-media', endpoint_url=server.url, region_name='us-east-1', aws_access_key_id=ID,
                          aws_secret_access_key=SECRET, config=Config(retries={'max_attempts': 0}, read_timeout=limit(30)))
    return client.get_media(StreamName=stream, StartSelector={'StartSelectorType': 'EARLIEST'})['Payload'].read()


def by_command_line(server, stream, folder):
    out = folder / f'{stream}.mkv'
    env = {**os.environ, 'AWS_ACCESS_KEY_ID': ID, 'AWS_SECRET_ACCESS_KEY': SECRET, 'AWS_DEFAULT_REGION': 'us-east-1',
           'AWS_PAGER': ''}
    subprocess.run([AWS, 'kinesis-video-media', 'get-media', '--endpoint-url', server.url, '--stream-name', stream,
                    '--start-selector', 'StartSelectorType=EARLIEST', out], env=env, check=True, capture_output=True,
                   timeout=limit(60))
    return out.read_bytes()


def through_get_media(server, stream, folder):
    """What a stream that has ended holds: read by boto3, and alike by AWS's command line where there is one."""
    sound = decoded(by_boto3(server, stream))
    if AWS.exists():
        assert decoded(by_command_line(server, stream, folder)) == sound
    return sound


def same_sound(said, heard):
    """As long, and alike from end to end."""
    assert abs(len(heard) - len(said)) <= 0.06 * RATE, (len(said), len(heard))
    assert correlation(said, heard, every=31) >= 0.95
