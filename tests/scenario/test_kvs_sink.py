"""Live sessions whose fragments go to Kinesis Video Streams: here, to another Millrace that speaks its API. What was said comes
back sample by sample, whatever happens to the connections between."""
import asyncio
import json
import random
import re

import boto3
import pytest
import requests
from botocore.config import Config

from fault_proxy import FaultProxy, random_cuts
from listening import Ear, alike
from s3_server import KEY as ID, SECRET   # the sender's keys for a bucket, too: it has one place for both
from server import limit, wait_for
from speaker import RATE, Speaker, correlation, pcm, recording, source
from test_live import told
from tls import Authority, TlsProxy

KEYS = {'AWS_ACCESS_KEY_ID': ID, 'AWS_SECRET_ACCESS_KEY': SECRET}


def fragments_of(service, name):
    """(producer's time, samples' bytes) of all fragments, by number."""
    client = boto3.client('kinesis-video-archived-media', endpoint_url=service.url, region_name='eu-west-1', aws_access_key_id=ID,
                          aws_secret_access_key=SECRET, config=Config(retries={'max_attempts': 0}, read_timeout=limit(30)))
    found = client.list_fragments(StreamName=name)['Fragments']
    numbers = [f['FragmentNumber'] for f in found]
    assert numbers == sorted(numbers)
    times = [round(f['ProducerTimestamp'].timestamp() * 1000) for f in found]
    parts = [client.get_media_for_fragment_list(StreamName=name, Fragments=[n])['Payload'].read() for n in numbers]
    return [(at, number, blocks(part)) for at, number, part in zip(times, numbers, parts)]


def blocks(data):
    """The frames of the only cluster, behind each other."""
    at = data.index(bytes.fromhex('1f43b675')) + 4
    end, at = element_end(data, at)
    out = b''
    while at < end:
        kind, stop, begin = data[at], *element_end(data, at + 1)
        if kind == 0xa3:
            out += data[begin + 4:stop]
        at = stop
    assert at == end
    return out


def element_end(data, at):
    """Where an element ends whose size begins here, and where its content does."""
    length = 9 - data[at].bit_length()
    size = int.from_bytes(data[at:at + length], 'big') & (1 << 7 * length) - 1
    return at + length + size, at + length


class Pair:
    """A service, and what stands between it and its sender."""

    def __init__(self, make_server, more='', options=(), hidden=True):
        self.proxy = FaultProxy()
        self.service = make_server('--workers', '0', '--access-key', f'{ID}:{SECRET}:alice',
                                   *(('--live-url', self.proxy.url) if hidden else ()), name='service')
        self.proxy.target = int(re.search(r'put_media_listening.*port=(\d+)', self.service.log())[1])
        self.sender = make_server('--workers', '0', '--streams', f'kvs://eu-west-1?endpoint={self.service.url}{more}', *options,
                                  name='sender', env=KEYS)

    def check(self, name, said, fragments):
        """Nothing lost, nothing doubled, in order, as the speaker was told."""
        found = fragments_of(self.service, name)
        assert [at for at, _, _ in found] == [f['producerTimestamp'] for f in fragments]
        assert [n for _, n, _ in found] == [f['fragmentNumber'] for f in fragments]
        for (a, _, sound), (b, _, _) in zip(found, found[1:]):
            assert b >= a + len(sound) // 32
        sounds = [sound for _, _, sound in found]
        assert all(len(sound) >= 32000 for sound in sounds)
        for samples in said:
            heard = b''
            while sounds and len(heard) < len(samples):
                last = sounds.pop(0)
                heard += last
            # The service refuses what is shorter than a second: silence may fill the last one up.
            assert heard[:len(samples)] == samples and not any(heard[len(samples):])
            assert len(heard) == len(samples) or len(last) == 32000
        assert not sounds


@pytest.fixture
def pairs(make_server):
    made = []

    def make(*args, **more):
        made.append(Pair(make_server, *args, **more))
        return made[-1]
    yield make
    for p in made:
        p.proxy.__exit__()


@pytest.fixture
def pair(pairs):
    return pairs()


async def talk(server, name, chunks, pause=0.0, during=None, halfway=None):
    # It listens only when all is said: that may take longer than the library waits for an answer to its ping.
    async with Speaker(server.url, name, ping_interval=None, max_queue=None) as s:
        task = asyncio.ensure_future(during(s)) if during else None
        for i, data in enumerate(chunks):
            await s.chunk(data)
            await asyncio.sleep(pause)
            if halfway and i == len(chunks) // 2:
                await halfway()
        end = await s.stop()
        assert end['fragments'] == len(s.fragments) and s.gaps == [] and end['chunkIndex'] == len(chunks) - 1
        told(s.fragments)
        if task:
            await task
        return s.fragments


@pytest.fixture(scope='session')
def said(tmp_path_factory, request):
    """Chunks of a recording, and their samples as the decoder gives them: a session of the built-in store heard."""
    folder = tmp_path_factory.mktemp('said')
    known = {}

    def make(make_server, seconds):
        if seconds not in known:
            chunks = recording(folder, seconds)
            server = make_server('--workers', '0', name='reference')
            asyncio.run(talk(server, 'reference', chunks))
            parts = server.store.below('streams')
            known[seconds] = chunks, b''.join(blocks(p.read()) for p in parts)
            server.stop()
        return known[seconds]
    return make


def test_what_is_said_arrives_sample_by_sample(make_server, pair, said, tmp_path):
    chunks, samples = said(make_server, 7)
    fragments = asyncio.run(talk(pair.sender, 'plain', chunks))
    assert len(fragments) >= 3
    pair.check('session-plain', [samples], fragments)
    assert correlation(pcm(source(tmp_path, 7)), memoryview(samples).cast('h'), every=29) >= 0.95
    # Again into the same stream, which is there already now.
    again = asyncio.run(talk(pair.sender, 'plain', chunks))
    pair.check('session-plain', [samples, samples], fragments + again)
    assert pair.proxy.counts['connections'] == 2
    streams = boto3.client('kinesisvideo', endpoint_url=pair.service.url, region_name='x', aws_access_key_id=ID,
                           aws_secret_access_key=SECRET)
    info = streams.describe_stream(StreamName='session-plain')['StreamInfo']
    assert (info['DataRetentionInHours'], info['MediaType']) == (1, 'audio/x-matroska')


def streams_of(server):
    return {s['name']: s for s in requests.get(server.url + '/api/streams', timeout=limit(20)).json()['streams']}


def test_sessions_that_go_elsewhere_are_listed_and_heard_here(make_server, pair, said, tmp_path):
    chunks, samples = said(make_server, 7)
    fragments = asyncio.run(talk(pair.sender, 'heard', chunks))
    wait_for(lambda: not streams_of(pair.sender)['session-heard']['live'], 'the copy is whole')
    assert streams_of(pair.sender)['session-heard']['retention_hours'] == 1
    ear = Ear(pair.sender.url + '/api/streams/session-heard/live.m3u8')
    wait_for(lambda: ear.look().ended, 'the stream has ended')
    heard = ear.samples()
    assert 0 <= len(heard) - len(samples) // 2 < 0.6 * RATE
    assert alike(pcm(source(tmp_path, 7)), heard)[0] >= 0.97
    # The same pieces at the same times as over there.
    kept = [blocks(p.read()) for p in pair.sender.store.below('streams')]
    assert kept == [sound for _, _, sound in fragments_of(pair.service, 'session-heard')] and len(kept) == len(fragments)


@pytest.mark.parametrize('more, options', [('&copy=0', ()), ('', ('--access-key', f'{ID}:{SECRET}:bob'))])
def test_without_a_copy_a_session_arrives_all_the_same(make_server, pairs, said, more, options):
    """None is wanted, or its name is another user's."""
    chunks, samples = said(make_server, 7)
    pair = pairs(more, options)
    if options:
        boto3.client('kinesisvideo', endpoint_url=pair.sender.url, region_name='x', aws_access_key_id=ID,
                     aws_secret_access_key=SECRET).create_stream(StreamName='session-alone')
    fragments = asyncio.run(talk(pair.sender, 'alone', chunks))
    pair.check('session-alone', [samples], fragments)
    assert 'session-alone' not in streams_of(pair.sender) and pair.sender.store.keys('streams/') == []
    if options:
        wait_for(lambda: 'copy_failed' in pair.sender.log(), 'it is logged')
    else:
        assert 'copy_failed' not in pair.sender.log()


class Encrypted:
    """A service whose both ports are behind TLS, and a sender that trusts who signed that."""

    def __init__(self, make_server, tmp_path, trusted=True, **media):
        ca = Authority(tmp_path)
        self.media, self.control = TlsProxy(ca, **media), TlsProxy(ca)
        self.service = make_server('--workers', '0', '--access-key', f'{ID}:{SECRET}:alice', '--live-url', self.media.url,
                                   name='service')
        self.media.target = int(re.search(r'put_media_listening.*port=(\d+)', self.service.log())[1])
        self.control.target = self.service.port
        self.sender = make_server('--workers', '0', '--streams', f'kvs://eu-west-1?endpoint={self.control.url}', name='sender',
                                  env={**KEYS, **({'AWS_CA_BUNDLE': str(ca.file)} if trusted else {})})

    def refuses(self, chunks, why):
        """Nothing is sent; the log says why, and the session waits."""
        async def run():
            async with Speaker(self.sender.url, 'refused') as s:
                for data in chunks[:10]:
                    await s.chunk(data)
                while 'kvs_again' not in self.sender.log():
                    await asyncio.sleep(0.05)
        asyncio.run(run())
        assert re.search('event=kvs_again .*' + why, self.sender.log()), self.sender.log()
        self.sender.kill()   # it would try for another while
        self.close()

    def close(self):
        self.media.__exit__()
        self.control.__exit__()


def test_over_tls(make_server, tmp_path, said):
    chunks, samples = said(make_server, 7)
    tls = Encrypted(make_server, tmp_path)
    fragments = asyncio.run(talk(tls.sender, 'secret', chunks))
    found = fragments_of(tls.service, 'session-secret')
    assert [n for _, n, _ in found] == [f['fragmentNumber'] for f in fragments] and len(found) >= 3
    assert b''.join(sound for _, _, sound in found)[:len(samples)] == samples
    tls.close()


def test_a_certificate_of_nobody_known_is_refused(make_server, tmp_path, said):
    tls = Encrypted(make_server, tmp_path, trusted=False)
    tls.refuses(said(make_server, 7)[0], 'createStream: SSL certificate problem')


def test_a_certificate_of_another_host_is_refused(make_server, tmp_path, said):
    tls = Encrypted(make_server, tmp_path, name='elsewhere')
    tls.refuses(said(make_server, 7)[0], 'PutMedia: SSL: no alternative certificate subject name')


ERRORS = [json.dumps({'EventType': 'ERROR', 'FragmentTimecode': 1, 'ErrorId': i, 'ErrorCode': c}) for i, c in (
    (4000, 'STREAM_READ_ERROR'), (5000, 'INTERNAL_ERROR'), (5001, 'ARCHIVAL_ERROR'), (4003, 'MAX_CONNECTION_DURATION_REACHED'),
    (4006, 'INVALID_MKV_DATA'))]


def test_broken_connections_lose_and_double_nothing(make_server, pair, said):
    """Cut anywhere, refused, told of errors, away for a while."""
    chunks, samples = said(make_server, 12)
    pair.proxy.faults = [('answer', 503), ('down', 900), ('say', 500, ERRORS[0]), ('up', 120000), ('answer', 500),
                         ('say', 500, ERRORS[3]), *random_cuts(3, seed=1), ('say', 500, ERRORS[1])]

    async def outage(_):
        while pair.proxy.counts['connections'] < 4:
            await asyncio.sleep(0.01)
        pair.proxy.down = True
        while pair.proxy.counts['refused'] < 2:
            await asyncio.sleep(0.01)
        pair.proxy.down = False
    fragments = asyncio.run(talk(pair.sender, 'broken', chunks, during=outage))
    pair.check('session-broken', [samples], fragments)
    assert pair.proxy.counts['answer'] and pair.proxy.counts['refused'] >= 2 and pair.proxy.counts['connections'] >= 5


def test_after_kill_9_of_the_sender_the_session_goes_on(make_server, pair, said):
    """What the speaker was told of is there, once; it says the rest again to the server that comes after."""
    chunks, _ = said(make_server, 12)

    async def first():
        async with Speaker(pair.sender.url, 'phoenix') as s:
            for data in chunks[:20]:
                await s.chunk(data)
            await s.hear('fragment')
            await s.hear('fragment')
            pair.sender.kill()
            return s.fragments

    async def second(done):
        async with Speaker(pair.sender.url, 'phoenix', query='?session_id=phoenix') as s:
            await s.hear('session')
            for i in range(done + 1, len(chunks)):
                await s.chunk(chunks[i], i)
            end = await s.stop()
            assert end['chunkIndex'] == len(chunks) - 1
            return s.fragments
    told_first = asyncio.run(first())
    pair.sender.start()
    told_then = asyncio.run(second(told_first[-1]['chunkIndex']))
    found = [number for _, number, _ in fragments_of(pair.service, 'session-phoenix')]
    ours = [f['fragmentNumber'] for f in told_first + told_then]
    assert [n for n in found if n in ours] == ours
    assert len(found) - len(ours) <= 2   # persisted when the sender died, before it could tell


def test_a_stream_that_is_deleted_ends_its_session(make_server, pair, said):
    chunks, _ = said(make_server, 7)
    streams = boto3.client('kinesisvideo', endpoint_url=pair.service.url, region_name='x', aws_access_key_id=ID,
                           aws_secret_access_key=SECRET)

    async def run():
        async with Speaker(pair.sender.url, 'gone') as s:
            for data in chunks[:8]:
                await s.chunk(data)
            await s.hear('fragment')
            arn = streams.describe_stream(StreamName='session-gone')['StreamInfo']['StreamARN']
            await asyncio.get_running_loop().run_in_executor(None, lambda: streams.delete_stream(StreamARN=arn))
            for data in chunks[8:]:
                await s.chunk(data)
            code, _ = await s.closed()
            assert code == 1011 and s.others[-1]['type'] == 'error' and s.others[-1]['fatal']
    asyncio.run(run())
    wait_for(lambda: 'kvs_refused' in pair.sender.log(), 'it is logged')


@pytest.mark.soak
@pytest.mark.parametrize('seed', range(3))
def test_twenty_cuts_and_ten_seconds_away_soak(make_server, pair, said, seed):
    """In real time: a connection lasts until a random byte, and the service is away for ten seconds."""
    chunks, samples = said(make_server, 90)
    faults = [*random_cuts(20, seed, up=120000, down=1500),
              *(('say', 400, e) for e in ERRORS), *(('answer', s) for s in (500, 502, 503, 504, 429))]
    random.Random(seed).shuffle(faults)
    pair.proxy.faults = faults

    async def outage(_):
        while pair.proxy.counts['connections'] < 12:
            await asyncio.sleep(0.01)
        pair.proxy.down = True
        await asyncio.sleep(10)
        pair.proxy.down = False
    fragments = asyncio.run(talk(pair.sender, 'soaked', chunks, pause=0.2, during=outage))
    pair.check('session-soaked', [samples], fragments)
    # Some end by another fault before their byte comes.
    assert pair.proxy.faults == [] and pair.proxy.counts['up'] + pair.proxy.counts['down'] >= 15, pair.proxy.counts


def test_connections_are_replaced_before_they_are_old(make_server, pairs, said):
    pair = pairs('&rotate=1')
    chunks, samples = said(make_server, 7)

    async def grow_old():
        while pair.proxy.counts['connections'] == 0:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.2)

    fragments = asyncio.run(talk(pair.sender, 'old', chunks, halfway=grow_old))
    pair.check('session-old', [samples], fragments)
    assert pair.proxy.counts['connections'] >= 2 and 'kvs_again' not in pair.sender.log()
    assert pair.service.log().count('path=/getDataEndpoint') == 1   # it is kept


def test_a_service_that_is_killed_and_comes_back_elsewhere(make_server, pairs, said):
    """PutMedia's port is another one then: the data endpoint is asked for anew."""
    pair = pairs(hidden=False)
    chunks, samples = said(make_server, 7)

    def kill():
        wait_for(lambda: 'kvs_connected' in pair.sender.log(), 'the first connection')
        pair.service.kill()
        pair.service.start()

    async def halfway():
        await asyncio.get_running_loop().run_in_executor(None, kill)
    fragments = asyncio.run(talk(pair.sender, 'moved', chunks, halfway=halfway))
    pair.check('session-moved', [samples], fragments)
    ports = re.findall(r'put_media_listening.*port=(\d+)', pair.service.log())
    assert len(set(ports)) == 2 and pair.service.log().count('path=/getDataEndpoint') >= 2
