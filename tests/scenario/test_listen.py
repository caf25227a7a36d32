"""Listeners: live HLS of a session while it is spoken, over a restart, after its end; who may listen."""
import asyncio
import subprocess
import threading
import time

import pytest
import requests

from client import error_of
from listening import Ear, Playlist, alike, timestamp
from server import limit, wait_for
from speaker import RATE, Speaker, correlation, pcm, recording, source

OPTIONS = ('--workers', '0')


def playlist_url(server, name, query=''):
    return f'{server.url}/api/streams/{name}/live.m3u8{query}'


def speak(server, session, chunks, pause=0.0):
    async def run():
        async with Speaker(server.url, session) as s:
            await s.say(chunks, pause)
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
    speaker = threading.Thread(target=speak, args=(server, 'talk', chunks, 0.1))
    speaker.start()
    wait_for(lambda: requests.get(f'{server.url}/api/streams/session-talk').status_code == 200, 'the stream is there')
    first = wait_for(ear.look, 'something to listen to')
    assert not first.ended and '#EXT-X-PLAYLIST-TYPE' not in first.head
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
