"""PutMedia: what producers send is acknowledged while they send, kept byte for byte, and refused as AWS refuses it."""
import pathlib
import random
import re
import select
import socket
import subprocess
import time

import boto3
import pytest
from botocore.config import Config

from put_media import (Producer, Refused, block, cluster, end_of_fragment, endpoint, header, master, read_fragment, tags, track,
                       uint)
from server import SANITIZER, limit, wait_for

ID, SECRET, OTHER = 'ALICES', 'a/secret+with=odd', 'BOBS'
OPTIONS = ('--workers', '0', '--access-key', f'{ID}:{SECRET}:alice', '--access-key', f'{OTHER}:{SECRET}:bob')
SHARED = next((p / 'shared' / 'media' for p in pathlib.Path(__file__).resolve().parents[3:5] if (p / 'shared').is_dir()), None)
START_MS = 1732622783456
SECOND = 32000


def aws(server, service, key=ID):
    return boto3.client(service, endpoint_url=server.url, region_name='us-east-1', aws_access_key_id=key,
                        aws_secret_access_key=SECRET, config=Config(retries={'max_attempts': 0}, read_timeout=limit(30)))


@pytest.fixture
def stream(server, request):
    name = request.node.name.replace('[', '.').replace(']', '')
    make_stream(server, name)
    return name


def make_stream(server, name, hours=1):
    aws(server, 'kinesisvideo').create_stream(StreamName=name, DataRetentionInHours=hours)


def noise(seconds, seed=1):
    return random.Random(seed).randbytes(int(seconds * SECOND))


def rows(server, stream):
    return aws(server, 'kinesis-video-archived-media').list_fragments(StreamName=stream)['Fragments']


def media(server, stream, numbers):
    archive = aws(server, 'kinesis-video-archived-media')
    return archive.get_media_for_fragment_list(StreamName=stream, Fragments=numbers)['Payload'].read()


def produce(server, stream, **more):
    return Producer(server, stream, ID, SECRET, **more)


def test_fragments_are_acknowledged_and_kept(server, stream):
    sent = [cluster(START_MS + 2000 * i, noise(2, i)) for i in range(4)]
    p = produce(server, stream)
    p.send(header())
    for c in sent:
        p.send(c, pieces=20)
    p.end()
    acks = p.rest()
    assert [(a['EventType'], a['FragmentTimecode']) for a in acks] == [
        (event, START_MS + 2000 * i) for i in range(4) for event in ('BUFFERING', 'RECEIVED', 'PERSISTED')]
    for event in ('BUFFERING', 'RECEIVED'):
        assert p.numbers(event) == p.numbers()
    found = rows(server, stream)
    assert [f['FragmentNumber'] for f in found] == p.numbers() == sorted(p.numbers())
    assert [round(f['ProducerTimestamp'].timestamp() * 1000) for f in found] == [START_MS + 2000 * i for i in range(4)]
    kept = media(server, stream, p.numbers())
    assert all(kept.count(c) == 1 for c in sent)
    assert sorted(sent, key=kept.index) == sent


def test_the_habits_of_awss_own_producer(server, stream):
    """Host without its port, milliseconds without padding, Expect, a chunk a frame, the last fragment persisted before the end."""
    host = endpoint(server, stream, ID, SECRET).split('//')[1].split(':')[0]
    p = produce(server, stream, kind='RELATIVE', start='1732622783.19', host=host, expect=True)
    p.send(header())
    p.send(cluster(0, noise(2)), pieces=40)
    assert p.until('BUFFERING')['FragmentTimecode'] == 0
    p.send(end_of_fragment())
    number = p.until('PERSISTED')['FragmentNumber']
    p.end()
    p.rest()
    assert p.acks[-1]['FragmentNumber'] == number
    found = rows(server, stream)
    assert [round(f['ProducerTimestamp'].timestamp() * 1000) for f in found] == [1732622783019]


def test_a_producer_is_cut_when_it_is_silent_and_told_when_it_is_old(make_server):
    idle, old = make_server(*OPTIONS, '--put-idle', '3', name='idle'), make_server(*OPTIONS, '--put-age', '2', name='old')
    for server in (idle, old):
        make_stream(server, 'kept')
        p = produce(server, 'kept')
        p.send(header())
        p.send(cluster(START_MS, noise(1)) + end_of_fragment())
        p.until('PERSISTED')
        if server is idle:   # told that its connection lives, until that is closed
            assert set(p.until('IDLE')) == {'EventType'}
            with pytest.raises((EOFError, ConnectionResetError)):
                p.rest()
            assert {a['EventType'] for a in p.acks[3:]} == {'IDLE'}
        else:
            assert p.until('ERROR')['ErrorId'] == 4003
        p.close()
        assert len(rows(server, 'kept')) == 1


def test_a_reader_hears_a_fragment_as_soon_as_it_is_persisted(server, stream):
    p = produce(server, stream)
    p.send(header())
    first, second = cluster(START_MS, noise(1)), cluster(START_MS + 1000, noise(1, 2))
    p.send(first + end_of_fragment())
    p.until('PERSISTED')
    payload = aws(server, 'kinesis-video-media').get_media(StreamName=stream, StartSelector={'StartSelectorType': 'NOW'})['Payload']
    assert first in read_fragment(payload)
    p.send(second + end_of_fragment())
    assert second in read_fragment(payload)
    payload.close()
    p.end()
    p.rest()


def test_one_producer_a_stream(server, stream):
    p = produce(server, stream)
    p.send(header())
    with pytest.raises(Refused) as refused:
        produce(server, stream)
    assert (refused.value.status, refused.value.code) == (400, 'ConnectionLimitExceededException')
    p.send(cluster(START_MS, noise(1)))
    p.end()
    assert [a['EventType'] for a in p.rest()][-1] == 'PERSISTED'

    def again():
        try:
            return produce(server, stream)
        except Refused as e:
            assert e.code == 'ConnectionLimitExceededException'
            return None
    wait_for(again, 'the stream is free again').close()


@pytest.mark.parametrize('more, status, code', [
    ({'headers': {'x-amzn-stream-name': 'not-there'}}, 404, 'ResourceNotFoundException'),
    ({'headers': {'x-amzn-stream-name': 'a b'}}, 400, 'InvalidArgumentException'),
    ({'headers': {'x-amzn-stream-name': None}}, 400, 'InvalidArgumentException'),
    ({'headers': {'x-amzn-fragment-timecode-type': 'WHATEVER'}}, 400, 'InvalidArgumentException'),
    ({'kind': 'RELATIVE', 'start': None}, 400, 'InvalidArgumentException'),
    ({'start': 'yesterday'}, 400, 'InvalidArgumentException'),
    ({'path': '/getMedia'}, 404, 'ResourceNotFoundException'),
    ({'unsigned': {'x-amzn-stream-name': 'another'}}, 403, 'InvalidSignatureException'),
    ({'unsigned': {'X-Amz-Date': '20200101T000000Z'}}, 400, 'RequestExpired'),
    ({'unsigned': {'Authorization': 'Bearer x'}}, 400, 'IncompleteSignatureException'),
])
def test_requests_that_are_refused(server, more, status, code):
    name = 'for-refusals'
    if name not in [s['StreamName'] for s in aws(server, 'kinesisvideo').list_streams()['StreamInfoList']]:
        make_stream(server, name)
    with pytest.raises(Refused) as refused:
        produce(server, name, where=endpoint(server, name, ID, SECRET), **more)
    assert (refused.value.status, refused.value.code) == (status, code), refused.value


def test_streams_are_their_users(server, stream):
    with pytest.raises(Refused) as refused:
        Producer(server, stream, OTHER, SECRET, where=endpoint(server, stream, ID, SECRET))
    assert refused.value.code == 'ResourceNotFoundException'
    with pytest.raises(Refused) as refused:
        Producer(server, stream, ID, 'wrong', where=endpoint(server, stream, ID, SECRET))
    assert refused.value.code == 'InvalidSignatureException'


BAD = {
    'order': (header() + cluster(START_MS, noise(1)) + cluster(START_MS - 1000, noise(1)), 4004, 1),
    'garbage': (random.Random(7).randbytes(100000), 4006, 0),
    'webm-of-nothing': (header(doc='mp4'), 4006, 0),
    'tracks': (header(tracks=4) + cluster(START_MS, noise(1)), 4012, 0),
    'frames': (header(tracks=2) + cluster(START_MS, noise(1), tracks=(1,)) + cluster(START_MS + 1000, noise(1)), 4011, 0),
    'long': (header() + cluster(START_MS, noise(21)) + cluster(START_MS + 21000, noise(1)), 4002, 0),
    'timecode': (header() + cluster(10 ** 15, noise(1)) + cluster(10 ** 15 + 1000, noise(1)), 4006, 0),
    'size': (header() + bytes.fromhex('1f43b675') + b'\x01' + (51 << 20).to_bytes(7, 'big') + uint('e7', START_MS), 4001, 0),
    'tags': (header() + cluster(START_MS, noise(1)) + tags(**{f'k{i}': 'v' for i in range(11)}), 4009, 0),
    'tag-name': (header() + cluster(START_MS, noise(1)) + tags(**{'k' * 129: 'v'}), 4009, 0),
    'tag-value': (header() + cluster(START_MS, noise(1)) + tags(k='v' * 257), 4009, 0),
    'track': (header() + cluster(START_MS, noise(1), tracks=(1, 2)), 4010, 0),
    'second-tracks': (header() + cluster(START_MS, noise(1)) + master('1654ae6b', track(1)), 4006, 0),
    'future': (header() + cluster(1000, noise(1)) + cluster(2000, noise(1)), 4007, 0),
}


@pytest.mark.parametrize('name', BAD)
def test_media_that_is_refused(server, name):
    body, error_id, kept = BAD[name]
    stream = f'refused-{name}'
    make_stream(server, stream)
    more = {'kind': 'RELATIVE', 'start': '99999999999.999'} if name == 'future' else {}
    p = produce(server, stream, **more)
    p.send(body, pieces=7)
    try:
        p.end()
    except OSError:
        pass   # it has been told already
    acks = p.rest()
    assert acks and acks[-1]['EventType'] == 'ERROR' and acks[-1]['ErrorId'] == error_id, acks
    assert acks[-1]['ErrorCode'].isupper() and len(p.numbers()) == kept
    assert [f['FragmentNumber'] for f in rows(server, stream)] == p.numbers()


def last_word(p):
    """What it is told before its answer ends: an error's ErrorId, and whether something was persisted."""
    acks = p.rest()
    assert acks and acks[-1]['EventType'] == 'ERROR', acks
    return acks[-1]['ErrorId'], len(p.numbers())


def test_a_body_that_is_no_http_is_a_read_error(server, stream):
    p = produce(server, stream)
    p.send(header() + cluster(START_MS, noise(1)) + end_of_fragment())
    p.until('PERSISTED')
    p.socket.sendall(b'this is no chunk\r\n')
    assert last_word(p) == (4000, 1)


def test_a_stream_that_is_deleted_meanwhile_is_not_active(server, stream):
    p = produce(server, stream)
    p.send(header() + cluster(START_MS, noise(1)) + end_of_fragment())
    p.until('PERSISTED')
    control = aws(server, 'kinesisvideo')
    control.delete_stream(StreamARN=control.describe_stream(StreamName=stream)['StreamInfo']['StreamARN'])
    p.send(cluster(START_MS + 1000, noise(1)) + end_of_fragment())
    assert last_word(p) == (4008, 1)


def test_a_parser_that_dies_is_an_internal_error(make_server):
    server = make_server(*OPTIONS)
    make_stream(server, 'parsed')
    p = produce(server, 'parsed')
    p.send(header() + cluster(START_MS, noise(1)) + end_of_fragment())
    p.until('PERSISTED')
    while p.acks[-1]['EventType'] != 'ERROR':   # all of the processes: this is one of theirs
        assert server.kill_part('task')
        if select.select([p.socket], [], [], 0.2)[0]:
            assert p.ack()
    assert last_word(p) == (5000, 1)


def test_five_fragments_a_second(server, stream):
    """Sent at once; who sends more is read more slowly, and nothing is refused."""
    sent = [cluster(START_MS + 100 * i, noise(0.1, i)) for i in range(16)]
    began = time.monotonic()
    p = produce(server, stream)
    p.send(header() + b''.join(sent))
    p.end()
    p.rest()
    assert time.monotonic() - began > 2 - 0.2   # six may begin at once
    assert len(p.numbers()) == 16
    kept = media(server, stream, p.numbers())
    assert sorted(sent, key=kept.index) == sent


def test_whole_fragments_of_a_cut_connection_dont_wait_for_their_turn(server, stream):
    p = produce(server, stream)
    p.send(header() + b''.join(cluster(START_MS + 100 * i, noise(0.1, i)) for i in range(12)))
    p.until('PERSISTED', 5)
    p.close()
    wait_for(lambda: len(rows(server, stream)) >= 11, 'what was whole is kept')   # the last one may not be
    wait_for(lambda: try_again(server, stream), 'the stream is free again').close()


def test_a_cut_connection_loses_what_was_not_whole_alone(server, stream):
    p = produce(server, stream)
    first, second = cluster(START_MS, noise(2)), cluster(START_MS + 2000, noise(2, 2))
    p.send(header() + first + second[:20000])
    number = p.until('PERSISTED')['FragmentNumber']
    p.close()
    live = wait_for(lambda: try_again(server, stream), 'the stream is free after a cut')
    live.send(header() + second)
    live.end()
    live.rest()
    numbers = [number, *live.numbers()]
    assert [f['FragmentNumber'] for f in rows(server, stream)] == numbers == sorted(numbers)
    kept = media(server, stream, numbers)
    assert kept.count(first) == kept.count(second) == 1


def try_again(server, stream):
    try:
        return produce(server, stream)
    except Refused:
        return None


def test_producers_tags_come_back(server, stream):
    p = produce(server, stream)
    p.send(header() + cluster(START_MS, noise(1)) + tags(ROOM='blue') + cluster(START_MS + 1000, noise(1)))
    p.end()
    p.rest()
    kept = media(server, stream, p.numbers())
    assert kept.count(b'ROOM') == 1 and kept.count(b'blue') == 1


def test_without_retention_nothing_is_said_to_be_persisted(server):
    make_stream(server, 'unkept', hours=0)
    p = produce(server, 'unkept')
    p.send(header() + cluster(START_MS, noise(1)))
    p.end()
    assert [a['EventType'] for a in p.rest()] == ['BUFFERING', 'RECEIVED']
    assert len(rows(server, 'unkept')) == 1


def test_what_was_persisted_survives_a_kill(make_server):
    s = make_server(*OPTIONS)
    make_stream(s, 'killed')
    p, sent = produce(s, 'killed'), [cluster(START_MS + 1000 * i, noise(1, i)) for i in range(3)]
    p.send(header() + sent[0] + sent[1] + sent[2][:1000])
    p.until('PERSISTED', 2)
    s.kill()
    p.close()
    s.start()
    again = produce(s, 'killed')   # at once: a writer that died locks nobody out
    again.send(header() + sent[2])
    again.end()
    again.rest()
    numbers = p.numbers() + again.numbers()
    assert [f['FragmentNumber'] for f in rows(s, 'killed')] == numbers
    kept = media(s, 'killed', numbers)
    assert all(kept.count(c) == 1 for c in sent)


def test_a_flood_is_slowed_down_and_bounded(make_server):
    """As fast as it is taken: nothing is lost, and the server does not grow by it."""
    s = make_server(*OPTIONS)
    make_stream(s, 'flood')
    p = produce(s, 'flood')
    frames = [block(1, 1000 * i, noise(12.5, i)) for i in range(15)]   # 400 KB in each
    p.send(header())
    before = s.memory()
    most = 0
    for i in range(8):
        p.send(master('1f43b675', uint('e7', START_MS + 20000 * i), *frames), pieces=50)
        most = max(most, s.memory() - before)
    p.end()
    p.rest()
    assert len(p.numbers()) == 8
    assert SANITIZER or most < 40 << 20, most


def test_what_is_no_request_costs_nothing(server, stream):
    address = endpoint(server, stream, ID, SECRET).split('//')[1].split(':')
    by = random.Random(3)
    heads = [b'', b'GET / HTTP/1.1\r\n\r\n', b'POST /putMedia HTTP/1.1\r\n', b'POST /putMedia HTTP/1.1\r\nX: ' + b'y' * 70000,
             b'POST /putMedia HTTP/1.1\r\n' + b'a: b\r\n' * 100, *(by.randbytes(by.randrange(1, 5000)) for _ in range(30))]
    for head in heads:
        with socket.create_connection((address[0], int(address[1])), limit(20)) as s:
            s.sendall(head)
            s.shutdown(socket.SHUT_WR)
            try:
                answer = b''.join(iter(lambda: s.recv(4096), b''))
            except ConnectionResetError:
                answer = b''
            assert answer == b'' or re.match(rb'HTTP/1\.1 40[0-9] ', answer), answer
    p = produce(server, stream)
    p.send(header() + cluster(START_MS, noise(1)))
    p.end()
    assert p.rest()[-1]['EventType'] == 'PERSISTED'


@pytest.mark.soak
def test_slow_heads_keep_nobody_out_soak(make_server):
    server = make_server(*OPTIONS)
    make_stream(server, 'kept')
    url = endpoint(server, 'kept', ID, SECRET)
    name, port = url.split('//')[1].split(':')
    slow = [socket.create_connection((name, int(port)), limit(20)) for _ in range(400)]
    p = produce(server, 'kept', where=url)
    p.send(header())
    left, i = list(slow), 0
    end = time.monotonic() + limit(30)
    while left:
        assert time.monotonic() < end, f'{len(left)} are there still'
        for s in left:
            try:
                s.send(b'POST /putMedia HTTP/1.1\r\nX-Slow: 1\r\n'[i % 37:][:1])
            except OSError:
                pass
        gone = select.select(left, [], [], 0)[0]
        left = [s for s in left if s not in gone]
        p.send(cluster(START_MS + 1000 * i, noise(1)) + end_of_fragment())
        p.until('PERSISTED')
        i += 1
        time.sleep(0.5)
    p.end()
    p.rest()
    for s in slow:
        s.close()


@pytest.mark.soak
def test_a_body_without_end_soak(make_server):
    """As fast as it is read for a minute: the server does not grow by it, and nothing is lost."""
    s = make_server(*OPTIONS)
    make_stream(s, 'endless')
    p, frames = produce(s, 'endless'), [block(1, 1000 * i, noise(25, i)) for i in range(10)]
    p.send(header())
    before, sent, most, i = s.memory(), 0, 0, 0
    began = time.monotonic()
    while time.monotonic() - began < 60:
        body = master('1f43b675', uint('e7', START_MS + 10000 * i), *frames)
        p.send(body, pieces=100)
        sent, i = sent + len(body), i + 1
        most = max(most, s.memory() - before)
    seconds = time.monotonic() - began
    p.end()
    p.rest()
    print(f'{sent / 1e6:.0f} MB in {seconds:.0f} s, {sent / seconds / 1e6:.1f} MB/s; the server grew by {most / 1e6:.1f} MB')
    assert len(p.numbers()) == i and sent > 100e6
    assert most < 40 << 20 and sent / seconds < 13e6


@pytest.mark.skipif(not SHARED, reason='no shared media')
def test_what_the_real_service_sent_goes_in_and_comes_out(server, stream):
    whole = (SHARED / 'kvs-get-media-10s.mkv').read_bytes()
    p = produce(server, stream)
    p.send(whole, pieces=200)
    p.end()
    acks = p.rest()
    assert [a['EventType'] for a in acks].count('PERSISTED') == 5, acks
    kept = media(server, stream, p.numbers())
    mark = bytes.fromhex('1f43b675')
    for part in whole.split(mark)[1:]:
        size = int.from_bytes(part[1:8], 'big')   # eight bytes of size in this file
        assert mark + part[:8 + size] in kept


def test_several_tracks_and_codecs_byte_for_byte(server, stream, tmp_path):
    made = tmp_path / 'av.mkv'
    subprocess.run(['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=10:duration=6', '-f', 'lavfi', '-i',
                    'sine=duration=6', '-c:v', 'libx264', '-g', '10', '-c:a', 'aac', '-cluster_time_limit', '2000', '-live', '1',
                    '-f', 'matroska', made], check=True)
    p = produce(server, stream, kind='RELATIVE')
    p.send(made.read_bytes(), pieces=100)
    p.end()
    p.rest()
    assert len(p.numbers()) >= 3
    kept = tmp_path / 'kept.mkv'
    kept.write_bytes(media(server, stream, p.numbers()[:1]))

    def packets(path, *more):
        done = subprocess.run(['ffmpeg', '-v', 'error', '-i', path, '-map', '0', '-c', 'copy', *more, '-f', 'framehash', '-'],
                              capture_output=True, text=True, check=True)
        return [line.split(',')[-1].strip() for line in done.stdout.splitlines() if not line.startswith('#')]
    first = packets(kept)
    assert first and set(first) <= set(packets(made))
