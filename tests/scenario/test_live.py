"""Live sessions over WebSocket: who may speak, limits, and a recording that becomes fragments of the built-in stream."""
import asyncio

import pytest
import requests
import websockets

import speaker
import tokens
from client import Client, error_of
from live_sound import spoken
from server import limit, wait_for
from speaker import Speaker, correlation, pcm, recording, source
from tokens import hs256

OPTIONS = ('--workers', '0')


@pytest.fixture(scope='session')
def chunks(tmp_path_factory):
    return recording(tmp_path_factory.mktemp('recording'), 5)


def told(fragments):
    """What the client was told of its fragments hangs together."""
    for a, b in zip(fragments, fragments[1:]):
        assert b['producerTimestamp'] >= a['producerTimestamp'] + a['durationMs']
        assert b['fragmentNumber'] > a['fragmentNumber']
        assert b['chunkIndex'] >= a['chunkIndex']
    for f in fragments[:-1]:
        assert 1000 <= f['durationMs'] <= 3000


@pytest.mark.parametrize('how', ['json', 'binary'])
def test_a_recording_becomes_fragments(make_server, chunks, tmp_path, how):
    server = make_server(*OPTIONS)

    async def run():
        async with Speaker(server.url, 'talk', query='?session_id=talk') as s:
            hello = await s.hear('session')
            assert hello['stream'] == 'session-talk' and not hello['resumed'] and hello['nextChunkIndex'] == 0
            if how == 'json':
                await s.say(chunks)
            else:
                for data in chunks:
                    await s.ws.send(data)
            end = await s.stop()
            assert await s.closed() == (1000, '')
            assert end['fragments'] == len(s.fragments) >= 2 and end['chunkIndex'] == len(chunks) - 1
            assert [a['chunkIndex'] for a in s.acks] == list(range(len(chunks)))
            assert s.gaps == []
            told(s.fragments)
            return s.fragments

    fragments = asyncio.run(run())
    heard, count = spoken(server)
    said = pcm(source(tmp_path, 5))
    assert count == len(fragments)
    assert abs(len(heard) - len(said)) <= 0.06 * speaker.RATE
    assert correlation(said, heard) >= 0.95


def test_late_double_and_lost_chunks(server, chunks):
    async def run():
        async with Speaker(server.url, 'mixed') as s:
            order = [0, 2, 1, 1, 4, 3, 3, 5, 0, *range(7, len(chunks))]   # 6 is lost
            for i in order:
                await s.chunk(chunks[i], i)
            gap = await s.hear('gap')
            assert (gap['fromChunkIndex'], gap['chunks']) == (6, 1)
            end = await s.stop()
            assert end['chunkIndex'] == len(chunks) - 1
            doubles = [a['chunkIndex'] for a in s.acks if a.get('duplicate')]
            assert doubles == [1, 3, 0]
            told(s.fragments)

    asyncio.run(run())


def test_a_client_that_reconnects_goes_on(make_server, chunks, tmp_path):
    """With the chunks that weren't acknowledged, over a connection that was cut and one that a page's reload closed."""
    server = make_server(*OPTIONS)
    half = len(chunks) // 2

    async def run():
        first = Speaker(server.url, 'again')
        async with first as s:
            await s.say(chunks[:half])
            while len(s.acks) < half:
                await s.hear()
            s.ws.transport.abort()
        async with Speaker(server.url, 'again', query='?session_id=again') as s:
            hello = await s.hear('session')
            assert hello['resumed'] and hello['nextChunkIndex'] == half
            for i in range(half - 2, half + 2):
                await s.chunk(chunks[i], i)
            while len(s.acks) < 4:
                await s.hear()
            assert [bool(a.get('duplicate')) for a in s.acks] == [True, True, False, False]
            await s.ws.close(1001)
        async with Speaker(server.url, 'again') as s:
            for i in range(half + 2, len(chunks)):
                await s.chunk(chunks[i], i)
            await s.stop()

    asyncio.run(run())
    heard, _ = spoken(server)
    said = pcm(source(tmp_path, 5))
    assert abs(len(heard) - len(said)) <= 0.06 * speaker.RATE
    assert correlation(said, heard) >= 0.95


def test_another_front_goes_on_without_a_header(make_server, chunks, tmp_path):
    here = make_server(*OPTIONS)
    there = make_server(*OPTIONS, '--data', here.data)

    async def run():
        async with Speaker(here.url, 'roams') as s:
            await s.say(chunks[:12])
            fragment = await s.hear('fragment')
            s.ws.transport.abort()
        async with Speaker(there.url, 'roams', query='?session_id=roams') as s:
            hello = await s.hear('session')
            assert hello['resumed'] and fragment['chunkIndex'] <= hello['storedChunkIndex'] < 12
            for i in range(hello['storedChunkIndex'] + 1, len(chunks)):
                await s.chunk(chunks[i], i)
            end = await s.stop()
            assert end['chunkIndex'] == len(chunks) - 1 and s.gaps == []
            assert s.fragments[0]['fragmentNumber'] > fragment['fragmentNumber']

    asyncio.run(run())
    heard, _ = spoken(here)
    said = pcm(source(tmp_path, 5))
    assert abs(len(heard) - len(said)) <= 0.1 * speaker.RATE
    assert correlation(said[-2 * speaker.RATE:], heard[-2 * speaker.RATE:], reach=1600) >= 0.95


def test_a_session_whose_speaker_stays_away_is_over(make_server, chunks):
    server = make_server(*OPTIONS, '--live-leave', '1')

    async def run():
        async with Speaker(server.url, 'away') as s:
            await s.say(chunks)
            while len(s.acks) < len(chunks):
                await s.hear()
            await s.ws.close(1001)

    asyncio.run(run())
    wait_for(lambda: 'event=session_closed' in server.log(), 'the session is over')
    assert abs(len(spoken(server)[0]) - 5 * speaker.RATE) <= 0.06 * speaker.RATE


def test_a_second_connection_takes_the_session_over(server, chunks):
    async def run():
        async with Speaker(server.url, 'two', query='?session_id=two') as a:
            await a.hear('session')
            async with Speaker(server.url, 'two', query='?session_id=two') as b:
                await b.hear('session')
                assert await a.closed() == (1008, 'REPLACED')
                await b.chunk(chunks[0])
                await b.hear('ack')

    asyncio.run(run())


def test_what_is_no_webm_ends_the_session(server):
    async def run():
        async with Speaker(server.url, 'noise') as s:
            await s.chunk(b'\0' * 70000)
            code, _ = await s.closed()
            assert code == 1003
            assert s.others[-1]['type'] == 'error' and s.others[-1]['fatal']
        async with Speaker(server.url, 'noise', query='?session_id=noise') as s:   # which may begin anew
            assert not (await s.hear('session'))['resumed']

    asyncio.run(run())


def test_bad_messages_are_told_and_survived(server, chunks):
    async def run():
        async with Speaker(server.url, 'clumsy', query='?session_id=clumsy') as s:
            await s.hear('session')
            for text in ('', '{', '[]', '{"action":"sing"}', '{"action":"audioChunk","chunkIndex":1}'):
                await s.ws.send(text)
                assert not (await s.hear('error'))['fatal']
            await s.send_json(action='stop', sessionId='another')
            assert (await s.hear('error'))['code'] == 'OTHER_SESSION'
            await s.send_json(action='ping')
            await s.hear('pong')
            await asyncio.wait_for(await s.ws.ping(), limit(60))
            await s.chunk(chunks[0])
            assert (await s.hear('ack'))['chunkIndex'] == 0
            for _ in range(20):
                await s.ws.send('?')
            assert (await s.closed())[0] == 1008
        async with Speaker(server.url) as s:
            await s.ws.send(b'nobody said whose this is')
            assert (await s.hear('error'))['code'] == 'MISSING_FIELD'
            assert (await s.closed())[0] == 1008
        async with Speaker(server.url, query='?session_id=big') as s:
            await s.hear('session')
            await s.ws.send(b'x' * (1 << 20) + b'x')
            assert (await s.closed())[0] == 1009

    asyncio.run(run())


def refused(server, **more):
    """The answer to a handshake that is refused, as HTTP."""
    async def run():
        try:
            async with Speaker(server.url, **more):
                pytest.fail('it was let in')
        except websockets.InvalidStatusCode as e:
            return e.status_code
    return asyncio.run(run())


def test_only_the_speaker_may_speak(make_server):
    server = make_server(*OPTIONS, '--jwt-secret', tokens.SECRET)
    mine = hs256('ann', role='speaker', session_id='s1')
    cognito = hs256('ann', **{'custom:role': 'speaker', 'custom:sessionId': 's1'})
    query = '?session_id=s1'

    async def opens(**more):
        async with Speaker(server.url, **more) as s:
            assert (await s.hear('session'))['sessionId'] == 's1'
            return s.ws.subprotocol

    for token in (mine, cognito):
        for how in ('header', 'query', 'protocol'):
            protocol = asyncio.run(opens(token=token, how=how, query=query))
            assert protocol == ('millrace' if how == 'protocol' else None)
    assert refused(server) == 401
    assert refused(server, token='nonsense', query=query) == 401
    assert refused(server, token=hs256('ann', role='speaker', session_id='s1', exp=1), query=query) == 401
    assert refused(server, token=mine, query='?session_id=s2') == 403
    assert refused(server, token=hs256('ann', role='listener', session_id='s1'), query=query) == 403
    assert refused(server, token=hs256('ann'), query=query) == 403
    assert refused(server, token=hs256('ann', role='speaker'), query=query) == 403
    # It is the first speaker's, whatever a token says.
    assert refused(server, token=hs256('bob', role='speaker', session_id='s1'), query=query) == 403

    async def names_it_later():
        async with Speaker(server.url, 's1', token=hs256('bob', role='speaker', session_id='s1')) as s:
            await s.chunk(b'x')
            assert (await s.hear('error'))['code'] == 'NOT_YOUR_SESSION'
            assert (await s.closed())[0] == 1008
        async with Speaker(server.url, 's2', token=mine) as s:
            await s.chunk(b'x')
            assert (await s.hear('error'))['code'] == 'NOT_YOUR_SESSION'

    asyncio.run(names_it_later())


def test_pages_of_other_sites_may_not(make_server):
    server = make_server(*OPTIONS, '--jwt-secret', tokens.SECRET, '--cors-origin', 'https://app.example')
    token = hs256('ann', role='speaker', session_id='s1')

    async def opens(origin):
        async with Speaker(server.url, token=token, query='?session_id=s1', origin=origin) as s:
            await s.hear('session')

    asyncio.run(opens('https://app.example'))
    asyncio.run(opens(server.url))
    assert refused(server, token=token, query='?session_id=s1', origin='https://evil.example') == 403
    # By cookie, which no other site's page may use.
    answer = requests.post(server.url + '/api/session', headers={'Authorization': f'Bearer {token}'})
    cookie = answer.headers['Set-Cookie'].split(';')[0]

    async def by_cookie():
        async with Speaker(server.url, query='?session_id=s1', origin=server.url, extra_headers={'Cookie': cookie}) as s:
            await s.hear('session')

    asyncio.run(by_cookie())
    assert refused(server, query='?session_id=s1', origin='https://evil.example', extra_headers={'Cookie': cookie}) == 403


def test_what_is_no_handshake(server):
    error_of(requests.get(server.url + '/api/live'), 426, 'NOT_A_WEBSOCKET')
    upgrade = {'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA=='}
    error_of(requests.get(server.url + '/api/live', headers={**upgrade, 'Sec-WebSocket-Version': '8'}), 426, 'WEBSOCKET_VERSION')
    upgrade |= {'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'x'}
    error_of(requests.get(server.url + '/api/live', headers=upgrade), 400)


def test_a_server_that_stops_flushes(make_server, chunks):
    server = make_server(*OPTIONS)

    async def run():
        async with Speaker(server.url, 'stop') as s:
            await s.say(chunks[:3])
            while len(s.acks) < 3:
                await s.hear()
            server.process.terminate()
            assert (await s.closed())[0] == 1001
            assert s.fragments[-1]['chunkIndex'] == 2
        wait_for(lambda: server.process.poll() is not None, 'the server ends')

    asyncio.run(run())
    assert server.process.wait() == 0
    server.process = None


def test_after_kill_9_the_session_goes_on(make_server, chunks):
    """What was told as a fragment is there; the client sends again what was not, and never the header."""
    server = make_server(*OPTIONS)

    async def first():
        async with Speaker(server.url, 'phoenix') as s:
            await s.say(chunks[:12])
            fragment = await s.hear('fragment')
            await asyncio.sleep(0.2)
            server.kill()
            return fragment

    fragment = asyncio.run(first())
    server.start()

    async def second():
        async with Speaker(server.url, 'phoenix', query='?session_id=phoenix') as s:
            await s.hear('session')
            for i in range(fragment['chunkIndex'] + 1, len(chunks)):
                await s.chunk(chunks[i], i)
            end = await s.stop()
            assert end['chunkIndex'] == len(chunks) - 1
            assert s.fragments[0]['fragmentNumber'] > fragment['fragmentNumber']
            assert s.fragments[0]['producerTimestamp'] >= fragment['producerTimestamp'] + fragment['durationMs']

    asyncio.run(second())


def test_streams_are_seen_by_their_owner_and_listeners(make_server, chunks):
    server = make_server(*OPTIONS, '--jwt-secret', tokens.SECRET)
    ann = Client(server.url, token=hs256('ann', role='speaker', session_id='s1'))
    listener = Client(server.url, token=hs256('liz', role='listener', session_id='s1'))
    bob = Client(server.url, token=hs256('bob'))
    assert ann.good(ann.get('/api/streams'), 200) == {'streams': [], 'cursor': None}

    async def talk(part, first=0):
        async with Speaker(server.url, 's1', token=ann.token) as s:
            s.next = first
            await s.say(part)
            await s.stop()
            return s.fragments

    asyncio.run(talk(chunks))
    with listener.events('/api/streams/session-s1/events') as events:
        told = asyncio.run(talk(chunks))
        fragments = (data['fragment_number'] for kind, _, data in events if kind == 'fragment')   # between them may be heartbeats
        heard = [number for _, number in zip(told, fragments)]
    assert heard == [f['fragmentNumber'] for f in told]
    with listener.events('/api/streams/session-s1/events', last_id=heard[0]) as events:
        assert next(e for e in events if e[0] != ':')[1] == heard[1]
    for who in (ann, listener):
        stream = who.good(who.get('/api/streams/session-s1'), 200)
        assert stream['last_fragment']['fragment_number'] == heard[-1]
        assert stream['user_id'] == 'ann' and stream['retention_hours'] == 1
    assert [s['name'] for s in ann.good(ann.get('/api/streams?prefix=session-'), 200)['streams']] == ['session-s1']
    for who in (bob, Client(server.url, token=hs256('liz', role='listener', session_id='s2'))):
        error_of(who.get('/api/streams/session-s1'), 404, 'NOT_FOUND')
        error_of(who.get('/api/streams/session-s1/events'), 404, 'NOT_FOUND')
        assert who.good(who.get('/api/streams'), 200)['streams'] == []
