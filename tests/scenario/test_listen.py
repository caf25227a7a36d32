"""Listeners: live HLS of a session while it is spoken, over a restart, after its end; who may listen."""
import asyncio
import dataclasses
import http.client
import os
import signal
import subprocess
import threading
from urllib.parse import urljoin, urlparse

import boto3
import pytest
import requests

import tokens
from client import Client, error_of
from listening import Ear, Playlist, alike, decode, frames, timestamp
from put_media import Producer, cluster, end_of_fragment, header
from server import limit, wait_for
from speaker import RATE, Speaker, pcm, recording, source
from tokens import hs256

OPTIONS = ('--workers', '0')


def playlist_url(server, name, query=''):
    return f'{server.url}/api/streams/{name}/live.m3u8{query}'


def speak(server, session, chunks, pause=0.0, heard=None, enough=None):
    """Events: the second half isn't said before `heard`, and nothing more once there was `enough`."""
    async def run():
        async with Speaker(server.url, session) as s:
            for i, chunk in enumerate(chunks):
                while heard and i >= len(chunks) // 2 and not heard.is_set():
                    await asyncio.sleep(0.05)
                if enough and enough.is_set():
                    break
                await s.say([chunk], pause)
            return await s.stop()
    return asyncio.run(run())


def listen_to_the_end(ear):
    def step():
        now = ear.look()
        return now and now.ended
    wait_for(step, 'the stream has ended')


@pytest.fixture(scope='module')
def chunks(tmp_path_factory):
    return recording(tmp_path_factory.mktemp('recording'), 9)


def test_a_session_is_heard_while_it_is_spoken(make_server, chunks, tmp_path):
    server = make_server(*OPTIONS)
    ear = Ear(playlist_url(server, 'session-talk'))
    begun = threading.Event()
    speaker = threading.Thread(target=speak, args=(server, 'talk', chunks, 0.1, begun), daemon=True)
    speaker.start()
    wait_for(lambda: requests.get(f'{server.url}/api/streams/session-talk').status_code == 200, 'the stream is there')
    first = wait_for(ear.look, 'something to listen to')
    assert not first.ended and '#EXT-X-PLAYLIST-TYPE' not in first.head
    begun.set()
    listen_to_the_end(ear)
    speaker.join()
    said, heard = pcm(source(tmp_path, 9)), ear.samples()
    assert abs(len(heard) / RATE - ear.seconds) < 0.03
    assert 0 <= len(heard) / RATE - len(said) / RATE < 0.6        # the last segment may be filled up
    likeness, late = alike(said, heard)
    assert likeness >= 0.97, (likeness, late)
    # The whole of it afterwards, as a VOD, by everybody's player.
    vod = Ear(playlist_url(server, 'session-talk', '?type=vod'))
    whole = vod.look()
    assert whole.ended and whole.head['#EXT-X-PLAYLIST-TYPE'] == 'VOD'
    assert alike(said, vod.samples())[0] >= 0.97
    done = subprocess.run(['ffmpeg', '-v', 'warning', '-nostdin', '-i', vod.url, '-f', 's16le', '-ac', '1', '-ar', str(RATE), '-'],
                          capture_output=True, check=True, timeout=limit(60))
    assert not done.stderr, done.stderr.decode()
    assert abs(len(done.stdout) / 2 - len(heard)) <= 0.06 * RATE


def test_many_who_wait_for_a_segment_are_in_nobodys_way(make_server, chunks, tmp_path):
    server = make_server(*OPTIONS, '--io-threads', '2')
    for session in 'abc':
        speak(server, session, chunks)
    decoders = set(server.tasks())

    def segment(session):
        url = playlist_url(server, f'session-{session}')
        return urljoin(url, Playlist(requests.get(url).text).segments[0].uri)
    for session in 'ab':                               # an encoder each: there is a process for two cores
        assert requests.get(segment(session)).status_code == 200
    encoders = set(server.tasks()) - decoders
    assert encoders
    for task in encoders:
        os.kill(task, signal.SIGSTOP)
    wanted = urlparse(segment('c'))
    listeners = [http.client.HTTPConnection(wanted.netloc, timeout=limit(60)) for _ in range(100)]
    for listener in listeners:
        listener.request('GET', wanted.path)
    Client(server.url).upload(source(tmp_path, 1))     # which needs the pool, and a task
    for task in encoders:
        os.kill(task, signal.SIGCONT)
    answers = [(answer.status, answer.read()) for answer in (listener.getresponse() for listener in listeners)]
    assert {status for status, _ in answers} == {200} and len({body for _, body in answers}) == 1


# ---- streams of producers: quickly put, whatever their clock says ----

ID, SECRET = 'ALICES', 'a/secret+with=odd'
KEY = ('--workers', '0', '--access-key', f'{ID}:{SECRET}:alice')
START_MS = 1732622783456
SECOND = 32000


def make_stream(server, name):
    boto3.client('kinesisvideo', endpoint_url=server.url, region_name='us-east-1', aws_access_key_id=ID,
                 aws_secret_access_key=SECRET).create_stream(StreamName=name, DataRetentionInHours=1)


def put(server, name, clusters, head=None, **more):
    p = Producer(server, name, ID, SECRET, **more)
    p.send(head or header())
    for c in clusters:
        p.send(c)
    p.end()
    p.rest()
    assert 'ERROR' not in {a['EventType'] for a in p.acks}, p.acks


def sound(folder, seconds):
    return bytes(pcm(source(folder, seconds)))


def clusters(data, first, last, at_ms=START_MS):
    return [cluster(at_ms + 2000 * i, data[2 * SECOND * i:2 * SECOND * (i + 1)]) for i in range(first, last)]


def as_alice(server):
    return playlist_url(server, 'radio', '?user_id=alice')


class AliceEar(Ear):
    """Relative lines lose the playlist's query."""
    def fetch(self, segment):
        return super().fetch(dataclasses.replace(segment, uri=segment.uri + '?user_id=alice'))


def joint_is_clean(before, after):
    """Who listens on over a restart hears the first encoder's segments and then the other's. What these two say of the same sound
    differs by their quantization alone; a frame that wasn't in step would stand out where they meet."""
    joined = decode(b''.join(map(frames, before[:3] + after[3:6])))
    single = decode(b''.join(map(frames, before[:6])))
    joint = len(decode(b''.join(map(frames, before[:3]))))
    assert len(joined) == len(single)

    def noise(first, last):
        """The loudest of blocks of 20 ms."""
        return max(sum((a - b) ** 2 for a, b in zip(joined[at:at + 320], single[at:at + 320]))
                   for at in range(first, last - 320, 160))
    assert joined[:joint - RATE // 10] == single[:joint - RATE // 10]
    assert noise(joint - RATE // 10, joint + RATE // 10) <= 2 * noise(joint + RATE // 10, joint + 2 * RATE)


def test_a_restart_and_a_gap(make_server, tmp_path):
    server = make_server(*KEY)
    data = 10 * sound(tmp_path, 6)
    make_stream(server, 'radio')
    p = Producer(server, 'radio', ID, SECRET)          # which stays: the stream is live
    p.send(header())

    def go_on(first, last):
        for c in clusters(data, first, last):
            p.send(c)
        p.send(end_of_fragment())
        wait_for(lambda: p.ack() and sum(a['EventType'] == 'PERSISTED' for a in p.acks) == last, 'all is stored')

    go_on(0, 12)
    ear = AliceEar(as_alice(server))

    def window(first):
        """That begins there; what is persisted is listed soon."""
        return wait_for(lambda: (now := ear.look()) and now.number('SEQUENCE') >= first and now, f'a window from {first} on')
    before = window(3)
    assert len(before.segments) == 8 and before.number('SEQUENCE') == 3 and not before.ended
    go_on(12, 20)
    window(11)
    server.kill()
    server.start()
    same = ear.look()                                  # which compares each segment with what was listed before
    assert same.number('SEQUENCE') == 11
    again = AliceEar(as_alice(server))
    again.look()
    for n, made_anew in again.bytes.items():           # by another encoder: at the same place, as long, the same sound
        assert timestamp(made_anew) == timestamp(ear.bytes[n]) and abs(len(made_anew) - len(ear.bytes[n])) < 2000
    joint_is_clean([ear.bytes[n] for n in sorted(again.bytes)], [again.bytes[n] for n in sorted(again.bytes)])
    put(server, 'radio', clusters(data, 20, 23) + clusters(data, 23, 29, START_MS + 60000))
    ear.look()
    listen_to_the_end(ear)
    assert {s.discontinuity for s in ear.seen.values()} == {0, 1}
    assert next(s.date for n, s in sorted(ear.seen.items()) if s.discontinuity) == pytest.approx(START_MS / 1000 + 106, abs=0.03)
    whole = memoryview(data).cast('h')
    first = [n for n, s in sorted(ear.seen.items()) if not s.discontinuity]
    skipped = round((ear.seen[first[0]].date - START_MS / 1000) * RATE)
    heard = decode(b''.join(frames(ear.bytes[n]) for n in first))
    # Places are known to a millisecond only.
    assert alike(whole[skipped:skipped + 6 * RATE], heard[:6 * RATE], reach=RATE // 50)[0] >= 0.9
    vod = AliceEar(as_alice(server) + '&type=vod')
    vod.look()
    assert len({s.discontinuity for s in vod.seen.values()}) == 2
    assert requests.get(as_alice(server) + '&type=event').text.count('#EXT-X-PLAYLIST-TYPE:EVENT') == 1


@pytest.mark.parametrize('codec', ['aac', 'libopus'])
def test_any_codec_is_heard(make_server, tmp_path, codec):
    """A producer's own encoding: decoded in one go over fragments, with no seam."""
    server = make_server(*KEY)
    make_stream(server, 'radio')
    done = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', source(tmp_path, 7), '-c:a', codec, '-b:a', '96k', '-f',
                           'matroska', '-live', '1', '-cluster_time_limit', '2000', '-'], capture_output=True, check=True)
    put(server, 'radio', [], head=done.stdout, kind='RELATIVE')
    ear = AliceEar(as_alice(server) + '&type=event')
    listen_to_the_end(ear)
    likeness, late = alike(pcm(source(tmp_path, 7)), ear.samples())
    assert likeness >= 0.97, (likeness, late)
    assert abs(ear.seconds - 7) < 0.6


def test_who_may_listen(make_server, tmp_path):
    server = make_server(*KEY, '--jwt-secret', tokens.SECRET)
    data = sound(tmp_path, 9)
    for name in ('session-s1', 'other'):
        make_stream(server, name)
        put(server, name, clusters(data, 0, 4))
    url = playlist_url(server, 'session-s1')

    def status(address, token=None, method='GET'):
        return requests.request(method, address, headers={'Authorization': f'Bearer {token}'} if token else {}).status_code

    alice, bob = hs256('alice'), hs256('bob')
    listener = hs256('carol', role='listener', session_id='s1')
    assert status(url) == 401 and status(url, bob) == 404 and status(url, alice) == status(url, listener) == 200
    assert status(playlist_url(server, 'other'), listener) == 404
    segment = urljoin(url, Playlist(requests.get(url, headers={'Authorization': f'Bearer {alice}'}).text).segments[0].uri)
    assert status(segment) == 401 and status(segment, bob) == 404 and status(segment, listener) == 200
    link = f'{server.url}/api/streams/session-s1/link'
    assert status(link, method='POST') == 401 and status(link, bob, 'POST') == 404 and status(link, listener, 'POST') == 403
    made = requests.post(link, json={'expires_in': 600}, headers={'Authorization': f'Bearer {alice}'})
    assert made.status_code == 201, made.text
    ear = Ear(made.json()['url'])                      # its segments are signed, too
    assert len(ear.look().segments) >= 4
    assert requests.get(made.json()['events_url'], stream=True).status_code == 200
    assert status(made.json()['url'].replace('session-s1', 'other')) == 403
    assert status(made.json()['url'].replace('Expires=600', 'Expires=6000')) == 403
    assert status(urljoin(url, ear.last.segments[0].uri).split('?')[0]) == 401
    assert status(made.json()['url'].replace('live.m3u8', 'events')) == 403
    short = requests.post(link, json={'expires_in': 1}, headers={'Authorization': f'Bearer {alice}'}).json()['url']
    wait_for(lambda: status(short) == 403, 'the link has expired')
    error_of(requests.get(playlist_url(server, 'session-s1', '?type=film'), headers={'Authorization': f'Bearer {alice}'}), 400)
