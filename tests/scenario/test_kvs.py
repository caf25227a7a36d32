"""The Kinesis Video Streams API: AWS's SDK and command line make and read streams here as they would there.

Fragments come from tests/unit/live/stream_tool, a process beside the server; putting them through the API: test_put_media.py.
"""
import datetime
import json
import os
import random
import subprocess
import threading
import time

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from put_media import read_fragment
from server import BUILD, SANITIZER, limit, wait_for

ID, SECRET, OTHER, SHARED = 'ALICES', 'a/secret+with=odd', 'BOBS', 'ALLOFTHEM'
OPTIONS = ('--workers', '0', '--access-key', f'{ID}:{SECRET}:alice', '--access-key', f'{OTHER}:{SECRET}:bob', '--access-key',
           f'{SHARED}:{SECRET}')
SERVICES = {'control': 'kinesisvideo', 'media': 'kinesis-video-media', 'archive': 'kinesis-video-archived-media'}
START_MS = 1732622783456
SECOND = 2 * 16000   # bytes
HEADER = bytes.fromhex('1a45dfa3')


class Aws:
    """The three services' clients, with a key."""

    def __init__(self, server, key=ID, secret=SECRET, region='eu-central-1'):
        for name, service in SERVICES.items():
            config = Config(retries={'max_attempts': 0}, read_timeout=limit(30))
            setattr(self, name, boto3.client(service, endpoint_url=server.url, region_name=region, aws_access_key_id=key,
                                             aws_secret_access_key=secret, config=config))

    def read(self, stream, **selector):
        return self.media.get_media(StreamName=stream, StartSelector=selector)['Payload']


@pytest.fixture
def aws(server):
    return Aws(server)


@pytest.fixture
def name(request):
    return request.node.name.replace('[', '.').replace(']', '')


def refused(call, code, status=400):
    with pytest.raises(ClientError) as raised:
        call()
    answer = raised.value.response
    assert answer['Error']['Code'] == code, answer
    assert answer['ResponseMetadata']['HTTPStatusCode'] == status, answer
    assert answer['ResponseMetadata']['RequestId'], answer
    return answer


class Producer:
    def __init__(self, server, name, user='alice', fragment_ms=1000, at_ms=START_MS):
        self.process = subprocess.Popen([BUILD / 'tests/unit/live/stream_tool', server.database_url(), server.store_url(), user,
                                         name, str(fragment_ms), str(at_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.numbers = []

    def put(self, samples, fragments=1):
        self.process.stdin.write(samples)
        self.process.stdin.flush()
        return self.take(fragments)

    def take(self, fragments):
        self.numbers += [self.process.stdout.readline().decode().strip() for _ in range(fragments)]
        assert all(self.numbers), 'the producer failed'
        return self.numbers

    def end(self):
        self.process.stdin.close()
        self.numbers += [line.decode().strip() for line in self.process.stdout]
        assert self.process.wait(limit(60)) == 0
        return self.numbers


def sound(seconds, seed=1):
    """16 kHz mono s16: noise."""
    return random.Random(seed).randbytes(int(seconds * SECOND))


def produce(server, name, samples, **more):
    p = Producer(server, name, **more)
    p.process.stdin.write(samples)
    return p.end()


def decode(matroska):
    """The sound of what GetMedia sent, fragment by fragment, by ffmpeg."""
    parts = [HEADER + part for part in matroska.split(HEADER)[1:]]
    out = b''
    for part in parts:
        out += subprocess.run(['ffmpeg', '-v', 'error', '-i', '-', '-f', 's16le', '-'], input=part, capture_output=True,
                              check=True).stdout
    return out


def tags(matroska, name):
    """Values of a tag in order: the name, then a TagString of at most 127 bytes."""
    found = []
    for part in matroska.split(name.encode())[1:]:
        assert part[:2] == b'\x44\x87'
        found.append(part[3:3 + (part[2] & 0x7F)].decode())
    return found


# ---- the control plane ----

def test_streams_are_made_described_listed_and_deleted(aws, name):
    arn = aws.control.create_stream(StreamName=name, DataRetentionInHours=2, MediaType='audio/L16', DeviceName='mic-1',
                                    Tags={'room': 'blue'})['StreamARN']
    info = aws.control.describe_stream(StreamName=name)['StreamInfo']
    assert info['StreamARN'] == arn and info['Status'] == 'ACTIVE' and info['DataRetentionInHours'] == 2
    assert info['MediaType'] == 'audio/L16' and info['DeviceName'] == 'mic-1'
    assert abs(info['CreationTime'].timestamp() - time.time()) < 60
    assert aws.control.describe_stream(StreamARN=arn)['StreamInfo'] == info
    refused(lambda: aws.control.create_stream(StreamName=name), 'ResourceInUseException')
    assert aws.control.list_tags_for_stream(StreamARN=arn)['Tags'] == {'room': 'blue'}
    aws.control.tag_stream(StreamName=name, Tags={'floor': '2', 'room': 'red'})
    aws.control.untag_stream(StreamName=name, TagKeyList=['floor', 'nothing'])
    assert aws.control.list_tags_for_stream(StreamName=name)['Tags'] == {'room': 'red'}
    assert name in [s['StreamName'] for s in aws.control.list_streams()['StreamInfoList']]
    for api in ('GET_MEDIA', 'LIST_FRAGMENTS', 'GET_MEDIA_FOR_FRAGMENT_LIST'):
        assert aws.control.get_data_endpoint(StreamName=name, APIName=api)['DataEndpoint'] == aws.control.meta.endpoint_url
    refused(lambda: aws.control.delete_stream(StreamARN=arn, CurrentVersion='1'), 'VersionMismatchException')
    aws.control.delete_stream(StreamARN=arn, CurrentVersion=aws.control.describe_stream(StreamName=name)['StreamInfo']['Version'])
    refused(lambda: aws.control.describe_stream(StreamName=name), 'ResourceNotFoundException', 404)
    again = aws.control.create_stream(StreamName=name)['StreamARN']
    assert again != arn
    refused(lambda: aws.control.describe_stream(StreamARN=arn), 'ResourceNotFoundException', 404)


def test_retention_changes_by_hours_and_version(aws, name):
    aws.control.create_stream(StreamName=name, DataRetentionInHours=2)

    def change(operation, hours, version=None):
        version = version or aws.control.describe_stream(StreamName=name)['StreamInfo']['Version']
        aws.control.update_data_retention(StreamName=name, CurrentVersion=version, Operation=operation,
                                          DataRetentionChangeInHours=hours)
        return aws.control.describe_stream(StreamName=name)['StreamInfo']['DataRetentionInHours']
    assert change('INCREASE_DATA_RETENTION', 22) == 24
    assert change('DECREASE_DATA_RETENTION', 23) == 1
    refused(lambda: change('DECREASE_DATA_RETENTION', 2), 'InvalidArgumentException')
    refused(lambda: change('INCREASE_DATA_RETENTION', 2, '1'), 'VersionMismatchException')


def test_lists_go_by_pages_and_beginnings(aws, name):
    names = sorted(f'{name}-{i}' for i in range(7))
    for n in names:
        aws.control.create_stream(StreamName=n)
    condition = {'ComparisonOperator': 'BEGINS_WITH', 'ComparisonValue': name}
    found, token, pages = [], None, 0
    while pages == 0 or token:
        more = {'NextToken': token} if token else {}
        page = aws.control.list_streams(MaxResults=3, StreamNameCondition=condition, **more)
        found += [s['StreamName'] for s in page['StreamInfoList']]
        token, pages = page.get('NextToken'), pages + 1
    assert found == names and pages == 3


def test_a_key_reaches_its_users_streams_alone(server, aws, name):
    bob, shared = Aws(server, OTHER), Aws(server, SHARED)
    arn = aws.control.create_stream(StreamName=name)['StreamARN']
    refused(lambda: bob.control.describe_stream(StreamName=name), 'ResourceNotFoundException', 404)
    refused(lambda: bob.control.delete_stream(StreamARN=arn), 'ResourceNotFoundException', 404)
    refused(lambda: bob.archive.list_fragments(StreamName=name), 'ResourceNotFoundException', 404)
    refused(lambda: bob.read(name, StartSelectorType='EARLIEST'), 'ResourceNotFoundException', 404)
    assert name not in [s['StreamName'] for s in bob.control.list_streams()['StreamInfoList']]
    assert shared.control.describe_stream(StreamName=name)['StreamInfo']['StreamARN'] == arn


@pytest.mark.parametrize('wrong, code', [
    ({'StreamName': 'a b'}, 'InvalidArgumentException'),
    ({'StreamName': 'x' * 257}, 'InvalidArgumentException'),
    ({'DataRetentionInHours': -1}, 'InvalidArgumentException'),
    ({'DataRetentionInHours': 10 ** 9}, 'InvalidArgumentException'),
    ({'MediaType': 'a b'}, 'InvalidArgumentException'),
    ({'MediaType': 'video'}, 'InvalidArgumentException'),
    ({'MediaType': 'video/h264,'}, 'InvalidArgumentException'),
    ({'DeviceName': ''}, 'InvalidArgumentException'),
    ({'KmsKeyId': 'a'}, 'InvalidArgumentException'),
    ({'Tags': {'k': 'v' * 257}}, 'InvalidArgumentException'),
    ({'Tags': {'k': 'what?'}}, 'InvalidArgumentException'),
    ({'Tags': {'': 'v'}}, 'InvalidArgumentException'),
    ({'Tags': {str(i): '' for i in range(51)}}, 'TagsPerResourceExceededLimitException'),
])
def test_bad_arguments_are_named(server, wrong, code):
    client = boto3.client('kinesisvideo', endpoint_url=server.url, region_name='us-west-2', aws_access_key_id=ID,
                          aws_secret_access_key=SECRET, config=Config(parameter_validation=False, retries={'max_attempts': 0}))
    refused(lambda: client.create_stream(**{'StreamName': 'n', **wrong}), code)


def test_signatures(server, aws):
    refused(lambda: Aws(server, secret='wrong').control.list_streams(), 'InvalidSignatureException', 403)
    refused(lambda: Aws(server, key='NOBODY').control.list_streams(), 'UnrecognizedClientException', 403)
    answer = requests.post(server.url + '/listStreams', json={})
    assert answer.status_code == 403 and answer.headers['x-amzn-ErrorType'] == 'MissingAuthenticationTokenException'
    assert answer.headers['x-amz-ErrorType'] == answer.headers['x-amzn-ErrorType'] and 'Message' in answer.json()
    assert answer.headers['x-amzn-RequestId'] and answer.headers['x-amz-request-id']
    answer = requests.post(server.url + '/listStreams', data=b'{}', headers={'Authorization': 'AWS4-HMAC-SHA256 nonsense'})
    assert answer.headers['x-amzn-ErrorType'] == 'IncompleteSignatureException'

    def send(change):
        """A request that was signed, and changed afterwards."""
        def alter(request, **_):
            change(request)
        client = Aws(server).control
        client.meta.events.register('before-send.kinesisvideo.*', alter)
        return lambda: client.list_streams(MaxResults=5)
    aws.control.list_streams(MaxResults=5)
    refused(send(lambda r: setattr(r, 'body', b'{"MaxResults": 6}')), 'InvalidSignatureException', 403)
    refused(send(lambda r: setattr(r, 'url', r.url.replace('listStreams', 'describeStream'))), 'InvalidSignatureException', 403)


def test_a_clock_that_is_wrong_is_told(server, monkeypatch):
    class Late(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return super().utcnow() - datetime.timedelta(minutes=16)
    monkeypatch.setattr(datetime, 'datetime', Late)
    refused(lambda: Aws(server).control.list_streams(), 'RequestExpired')


# ---- reading ----

def test_fragments_are_listed_and_read_back(server, aws, name):
    samples = sound(5)
    numbers = produce(server, name, samples)
    assert numbers == sorted(numbers) and len(set(numbers)) == 5 and all(len(n) == 47 for n in numbers)
    rows = aws.archive.list_fragments(StreamName=name)['Fragments']
    assert [r['FragmentNumber'] for r in rows] == numbers
    assert [round(r['ProducerTimestamp'].timestamp() * 1000) for r in rows] == [START_MS + 1000 * i for i in range(5)]
    assert all(r['FragmentLengthInMilliseconds'] == 1000 for r in rows)
    answer = aws.archive.get_media_for_fragment_list(StreamName=name, Fragments=[numbers[3], numbers[1]])
    media = answer['Payload'].read()
    assert len(media) == rows[3]['FragmentSizeInBytes'] + rows[1]['FragmentSizeInBytes']
    assert tags(media, 'AWS_KINESISVIDEO_FRAGMENT_NUMBER') == [numbers[3], numbers[1]]
    assert decode(media) == samples[3 * SECOND:4 * SECOND] + samples[SECOND:2 * SECOND]
    # By time (of which this SDK sends whole seconds), by pages, and nothing outside of it.
    window = {'FragmentSelectorType': 'PRODUCER_TIMESTAMP',
              'TimestampRange': {'StartTimestamp': START_MS // 1000 + 1, 'EndTimestamp': START_MS // 1000 + 4}}
    page = aws.archive.list_fragments(StreamName=name, FragmentSelector=window, MaxResults=2)
    rest = aws.archive.list_fragments(StreamName=name, FragmentSelector=window, MaxResults=2, NextToken=page['NextToken'])
    assert [r['FragmentNumber'] for r in page['Fragments'] + rest['Fragments']] == numbers[1:4] and 'NextToken' not in rest
    window['FragmentSelectorType'] = 'SERVER_TIMESTAMP'
    assert aws.archive.list_fragments(StreamName=name, FragmentSelector=window)['Fragments'] == []
    unknown = numbers[0][:-1] + '9'
    refused(lambda: aws.archive.get_media_for_fragment_list(StreamName=name, Fragments=[unknown]), 'ResourceNotFoundException', 404)
    refused(lambda: aws.archive.get_media_for_fragment_list(StreamName=name, Fragments=['1' * 47]), 'InvalidArgumentException')


def try_read(aws, name, **selector):
    """None while there are too many readers: one that has gone is noticed within a second."""
    try:
        return aws.read(name, **selector)
    except ClientError as e:
        if e.response['Error']['Code'] != 'ConnectionLimitExceededException':
            raise
        return None


def test_every_selector_begins_where_it_says(server, aws, name):
    samples = sound(4)
    numbers = produce(server, name, samples)
    rows = aws.archive.list_fragments(StreamName=name)['Fragments']

    def starts(fragment, **selector):
        payload = wait_for(lambda: try_read(aws, name, **selector), 'an earlier reader has left')
        got = payload.read(len(HEADER) + 400)
        payload.close()
        assert got.startswith(HEADER)
        assert tags(got, 'AWS_KINESISVIDEO_FRAGMENT_NUMBER') == [numbers[fragment]]
    starts(0, StartSelectorType='EARLIEST')
    starts(2, StartSelectorType='FRAGMENT_NUMBER', AfterFragmentNumber=numbers[1])
    starts(3, StartSelectorType='CONTINUATION_TOKEN', ContinuationToken=numbers[2])
    starts(1, StartSelectorType='PRODUCER_TIMESTAMP', StartTimestamp=START_MS // 1000 + 1)
    starts(2, StartSelectorType='PRODUCER_TIMESTAMP', StartTimestamp=START_MS // 1000 + 2)
    starts(0, StartSelectorType='SERVER_TIMESTAMP', StartTimestamp=rows[0]['ServerTimestamp'])
    refused(lambda: aws.read(name, StartSelectorType='FRAGMENT_NUMBER', AfterFragmentNumber='7'), 'InvalidArgumentException')
    refused(lambda: aws.read(name, StartSelectorType='FRAGMENT_NUMBER'), 'InvalidArgumentException')
    refused(lambda: aws.read('nothing-here', StartSelectorType='NOW'), 'ResourceNotFoundException', 404)


def test_a_reader_follows_a_live_stream(server, aws, name):
    samples = sound(4)
    live = Producer(server, name)
    live.put(samples[:SECOND])
    payload = aws.read(name, StartSelectorType='NOW')
    got = read_fragment(payload)
    for i in (1, 2):
        live.put(samples[SECOND * i:SECOND * (i + 1)])
        got += read_fragment(payload)
    assert tags(got, 'AWS_KINESISVIDEO_CONTINUATION_TOKEN') == live.numbers
    assert tags(got, 'AWS_KINESISVIDEO_PRODUCER_TIMESTAMP') == [f'{(START_MS + 1000 * i) / 1000:.3f}' for i in range(3)]
    assert all(int(t) >= 0 for t in tags(got, 'AWS_KINESISVIDEO_MILLIS_BEHIND_NOW'))
    # Who was cut goes on behind what it has.
    payload.close()
    live.put(samples[3 * SECOND:])
    again = aws.read(name, StartSelectorType='CONTINUATION_TOKEN', ContinuationToken=live.numbers[2])
    got += read_fragment(again)
    assert decode(got) == samples
    live.end()
    assert again.read() == b''   # a stream that nobody writes any more has an end


def test_three_readers_a_stream(server, aws, name):
    live = Producer(server, name)
    live.put(sound(1))
    readers = [aws.read(name, StartSelectorType='EARLIEST') for _ in range(3)]
    refused(lambda: aws.read(name, StartSelectorType='EARLIEST'), 'ConnectionLimitExceededException')
    produce(server, name + '-other', sound(1))
    aws.read(name + '-other', StartSelectorType='EARLIEST').close()
    readers.pop().close()
    readers.append(wait_for(lambda: try_read(aws, name, StartSelectorType='EARLIEST'), 'the place of who left is free'))
    for r in readers:
        r.close()
    live.end()


def test_waiting_readers_hold_no_thread_and_little_memory(make_server):
    """More readers than the server has threads of any kind, all waiting; other requests are answered as ever."""
    s = make_server(*OPTIONS, '--io-threads', '2', '--http-threads', '2', '--max-connections', '400')
    aws, count = Aws(s), 60
    for i in range(count // 3):
        aws.control.create_stream(StreamName=f's{i}')
    before = s.memory()
    producers = [Producer(s, f's{i}') for i in range(2)]
    payloads = [None] * count

    def read(i):
        payloads[i] = Aws(s).read(f's{i // 3}', StartSelectorType='NOW')
    threads = [threading.Thread(target=read, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(limit(120))
    assert all(payloads)
    assert aws.control.describe_stream(StreamName='s0')['StreamInfo']['Status'] == 'ACTIVE'
    grown = s.memory() - before
    assert SANITIZER or grown < count * 200_000 + 8_000_000, grown
    for p in producers:
        p.put(sound(1))
    for i in range(6):
        assert tags(read_fragment(payloads[i]), 'AWS_KINESISVIDEO_FRAGMENT_NUMBER') == producers[i // 3].numbers
    for p in payloads:
        p.close()
    for p in producers:
        p.end()


def test_what_was_committed_survives_a_kill(make_server):
    s = make_server(*OPTIONS)
    live, samples = Producer(s, 'killed'), sound(3)
    live.put(samples[:2 * SECOND], 2)
    s.kill()
    s.start()
    live.put(samples[2 * SECOND:])
    live.end()
    aws = Aws(s)
    assert [r['FragmentNumber'] for r in aws.archive.list_fragments(StreamName='killed')['Fragments']] == live.numbers
    payload = aws.read('killed', StartSelectorType='EARLIEST')
    assert decode(b''.join(read_fragment(payload) for _ in range(3))) == samples
    payload.close()


# ---- the command line ----

# Debian's aws, for many commands in one process: starting it takes as long as everything else.
DRIVER = '''
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
done = []
for words in json.load(sys.stdin):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        done.append([create_clidriver().main(words), text])
print(json.dumps([[code, text.getvalue()] for code, text in done]))
'''


def aws_commands(server, *lines, program=('/usr/bin/python3', '-c', DRIVER)):
    """What each of them prints; all are run, and none may fail."""
    env = {**os.environ, 'AWS_ACCESS_KEY_ID': ID, 'AWS_SECRET_ACCESS_KEY': SECRET, 'AWS_DEFAULT_REGION': 'us-east-1',
           'AWS_MAX_ATTEMPTS': '1', 'AWS_PAGER': '', 'AWS_ENDPOINT_URL': ''}
    words = [[*map(str, line), '--endpoint-url', server.url, '--output', 'json'] for line in lines]
    done = subprocess.run([*program, *(words[0] if len(program) == 1 else ())], input=json.dumps(words), env=env,
                          capture_output=True, text=True, timeout=limit(60), check=False)
    assert done.returncode == 0, done.stderr
    answers = [[0, done.stdout]] if len(program) == 1 else json.loads(done.stdout)
    assert not any(code for code, _ in answers), (answers, done.stderr)
    return [json.loads(text) if text.strip() else {} for _, text in answers]


def test_the_command_line(server, name, tmp_path):
    """Every call that there is."""
    control, archive = ['kinesisvideo'], ['kinesis-video-archived-media']
    of = ['--stream-name', name]
    arn = aws_commands(server, [*control, 'create-stream', *of, '--data-retention-in-hours', '1', '--media-type', 'audio/L16',
                                '--device-name', 'mic', '--tags', 'room=blue'])[0]['StreamARN']
    samples = sound(2)
    numbers = produce(server, name, samples)
    listed = aws_commands(server, [*control, 'list-streams'], program=('/usr/bin/aws',))[0]
    assert name in [s['StreamName'] for s in listed['StreamInfoList']]
    version = next(s['Version'] for s in listed['StreamInfoList'] if s['StreamName'] == name)
    some, whole = tmp_path / 'some.mkv', tmp_path / 'whole.mkv'
    said = aws_commands(
        server,
        [*control, 'list-streams', '--max-results', '5', '--stream-name-condition',
         f'ComparisonOperator=BEGINS_WITH,ComparisonValue={name}'],
        [*control, 'tag-stream', *of, '--tags', 'floor=2'],
        [*control, 'untag-stream', *of, '--tag-key-list', 'room'],
        [*control, 'list-tags-for-stream', '--stream-arn', arn],
        *([*control, 'get-data-endpoint', *of, '--api-name', api] for api in (
            'PUT_MEDIA', 'GET_MEDIA', 'LIST_FRAGMENTS', 'GET_MEDIA_FOR_FRAGMENT_LIST')),
        [*archive, 'list-fragments', *of, '--fragment-selector',
         'FragmentSelectorType=PRODUCER_TIMESTAMP,TimestampRange={StartTimestamp=%d,EndTimestamp=%d}' % (
             START_MS // 1000, START_MS // 1000 + 60)],
        [*archive, 'get-media-for-fragment-list', *of, some, '--fragments', *numbers],
        ['kinesis-video-media', 'get-media', *of, '--start-selector', 'StartSelectorType=EARLIEST', whole],
        [*control, 'describe-stream', *of])
    assert [s['StreamName'] for s in said[0]['StreamInfoList']] == [name]
    assert said[3]['Tags'] == {'floor': '2'}
    assert said[4]['DataEndpoint'] != server.url and [s['DataEndpoint'] for s in said[5:8]] == [server.url] * 3
    assert [f['FragmentNumber'] for f in said[8]['Fragments']] == numbers
    assert decode(some.read_bytes()) == decode(whole.read_bytes()) == samples
    assert {s['ContentType'] for s in said[9:11]} == {'video/webm'}
    info = said[11]['StreamInfo']
    assert (info['StreamARN'], info['DataRetentionInHours'], info['DeviceName'], info['Status']) == (arn, 1, 'mic', 'ACTIVE')
    assert info['Version'] > version   # tags are settings
    said = aws_commands(
        server,
        [*control, 'update-data-retention', *of, '--current-version', info['Version'], '--operation', 'INCREASE_DATA_RETENTION',
         '--data-retention-change-in-hours', '23'],
        [*control, 'describe-stream', '--stream-arn', arn],
        [*control, 'delete-stream', '--stream-arn', arn],
        [*control, 'list-streams', '--stream-name-condition', f'ComparisonOperator=BEGINS_WITH,ComparisonValue={name}'])
    assert said[1]['StreamInfo']['DataRetentionInHours'] == 24
    assert said[3]['StreamInfoList'] == []
