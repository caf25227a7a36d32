"""kill -9 in the middle of a live session, of the server and of the decoder's process. The client does as docs/API.md says: it
keeps its chunks until a fragment names them, and sends the rest again. Nothing is missing and nothing is doubled."""
import asyncio
import random

import pytest
import websockets

import speaker
from live_sound import spoken
from server import limit
from speaker import Speaker, correlation, pcm, recording, source

SECONDS = 6
CHUNK_MS = 100


class Persistent:
    """Says a recording to its end, over as many connections as that takes."""

    def __init__(self, server, chunks, session='phoenix'):
        self.server, self.session = server, session
        self.kept = dict(enumerate(chunks))
        self.fragments, self.gaps, self.connections = [], [], 0
        self.reached = asyncio.Condition()
        self.sent = 0
        self.over = False

    def forget(self, stored):
        self.kept = {i: c for i, c in self.kept.items() if i > stored}

    async def hear(self, s):
        while not self.over:
            message = await s.hear()
            if message['type'] == 'fragment':
                self.fragments.append(message)
                self.forget(message['chunkIndex'])
            self.gaps += [message] if message['type'] == 'gap' else []
            self.over = message['type'] == 'closed'

    async def connection(self, pause):
        async with Speaker(self.server.url, self.session, query=f'?session_id={self.session}') as s:
            hello = await s.hear('session')
            self.forget(hello['storedChunkIndex'] if self.connections else -1)
            self.connections += 1
            hearing = asyncio.ensure_future(self.hear(s))
            try:
                for i, data in list(self.kept.items()):
                    await s.chunk(data, i)
                    async with self.reached:
                        self.sent += 1
                        self.reached.notify_all()
                    await asyncio.sleep(pause)
                await s.send_json(action='stop', sessionId=self.session)
                await hearing
            finally:
                hearing.cancel()

    async def run(self, pause):
        while not self.over:
            try:
                await self.connection(pause)
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(0.02)

    async def has_sent(self, count):
        async with self.reached:
            await asyncio.wait_for(self.reached.wait_for(lambda: self.sent >= count or self.over), limit(120))


def check_whole(server, client, said):
    heard, count = spoken(server)
    numbers = [f['fragmentNumber'] for f in client.fragments]
    assert numbers == sorted(set(numbers)) and count >= len(numbers)
    for a, b in zip(client.fragments, client.fragments[1:]):
        assert b['producerTimestamp'] >= a['producerTimestamp'] + a['durationMs']
    assert all(1000 <= f['durationMs'] <= 20000 for f in client.fragments[:-1])
    assert client.gaps == []
    assert abs(len(heard) - len(said)) <= 0.06 * speaker.RATE
    assert correlation(said, heard) >= 0.95


def kill_at_random(server, folder, seed):
    by = random.Random(seed)
    chunks = recording(folder, SECONDS, chunk_ms=CHUNK_MS)
    moments = sorted(by.sample(range(3, len(chunks)), by.choice([1, 2, 3])))
    client = Persistent(server, chunks)

    async def run():
        speaking = asyncio.ensure_future(client.run(by.choice([0.0, 0.01, 0.03])))
        for moment in moments:
            await client.has_sent(moment)
            await asyncio.sleep(by.random() * 0.05)
            if client.over:
                break
            await asyncio.get_running_loop().run_in_executor(None, server.kill_part, by.choice(['server', 'server', 'task']))
        await asyncio.wait_for(speaking, limit(240))

    asyncio.run(run())
    check_whole(server, client, pcm(source(folder, SECONDS)))


@pytest.mark.parametrize('seed', range(2))
def test_killed_at_any_moment_nothing_is_lost_or_doubled(make_server, tmp_path, seed):
    kill_at_random(make_server('--workers', '0'), tmp_path, seed)


@pytest.mark.soak
def test_killed_at_many_moments_soak(make_server, tmp_path):
    for seed in range(100, 125):
        print('seed', seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        server = make_server('--workers', '0', name=f'server-{seed}')
        kill_at_random(server, folder, seed)
        server.stop()
