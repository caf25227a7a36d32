"""A browser's side of a live session: a recording cut into chunks, and the WebSocket that sends them.

    chunks = recording(folder, seconds=5)                  # what MediaRecorder would give
    async with Speaker(server.url, 'a-session') as s:
        await s.say(chunks)
        assert (await s.stop())['fragments'] == 3
"""
import asyncio
import base64
import json
import operator
import pathlib
import subprocess

import websockets

from server import limit

RATE = 16000
FFMPEG = ['ffmpeg', '-v', 'error', '-nostdin']


def source(folder, seconds, seed=0):
    """A sound that is nowhere alike, as a WAV file."""
    path = pathlib.Path(folder) / f'source-{seconds}-{seed}.wav'
    if not path.exists():
        expression = f'0.4*sin(2*PI*({200 + 37 * seed}*t+60*t*t))+0.2*sin(2*PI*(90*t+5*sin(3*t)))'
        subprocess.run([*FFMPEG, '-f', 'lavfi', '-i', f'aevalsrc={expression}:s=48000:d={seconds}', path], check=True)
    return path


def recording(folder, seconds, seed=0, chunk_ms=300, sound=None):
    """WebM with Opus in clusters as a browser writes them, cut at each cluster: the first chunk has the header."""
    done = subprocess.run([*FFMPEG, '-i', sound or source(folder, seconds, seed), '-c:a', 'libopus', '-b:a', '48k', '-f', 'webm',
                           '-live', '1', '-cluster_time_limit', str(chunk_ms), '-'], check=True, capture_output=True)
    parts = done.stdout.split(b'\x1f\x43\xb6\x75')
    assert len(parts) > 2
    return [parts[0] + b'\x1f\x43\xb6\x75' + parts[1], *(b'\x1f\x43\xb6\x75' + p for p in parts[2:])]


def pcm(path):
    """Samples of a sound file at 16 kHz."""
    done = subprocess.run([*FFMPEG, '-i', path, '-ac', '1', '-ar', str(RATE), '-f', 's16le', '-'], check=True, capture_output=True)
    return memoryview(done.stdout).cast('h')


def likeness(x, y):
    xy, xx, yy = sum(map(operator.mul, x, y)), sum(map(operator.mul, x, x)), sum(map(operator.mul, y, y))
    return xy / ((xx * yy) ** 0.5 or 1)


def correlation(a, b, reach=240, every=7):
    """The best of those at which b is moved by up to `reach` samples."""
    def at(lag):
        first, last = max(0, -lag), min(len(a), len(b) - lag)
        return likeness(a[first:last:every], b[first + lag:last + lag:every])
    a, b = a.tolist(), b.tolist()
    return max(at(lag) for lag in range(-reach, reach + 1, 4))


class Speaker:
    def __init__(self, url, session=None, token=None, how='header', query='', **more):
        self.url = url.replace('http', 'ws', 1) + '/api/live' + query
        self.session = session
        # The library's own limits would end what a busy machine is late with.
        self.more = {'open_timeout': None, 'ping_timeout': None, 'close_timeout': limit(60), **more}
        if token and how == 'header':
            self.more['extra_headers'] = {'Authorization': f'Bearer {token}'}
        elif token and how == 'query':
            self.url += ('&' if query else '?') + f'token={token}'
        elif token:
            self.more['subprotocols'] = ['millrace', f'bearer.{token}']
        self.acks, self.fragments, self.gaps, self.others = [], [], [], []
        self.next = 0

    async def __aenter__(self):
        self.ws = await asyncio.wait_for(websockets.connect(self.url, max_size=None, **self.more), limit(60))
        return self

    async def __aexit__(self, kind, *_):
        await self.ws.close()

    def note(self, message):
        kind = message['type']
        known = {'ack': self.acks, 'fragment': self.fragments, 'gap': self.gaps}
        known.get(kind, self.others).append(message)
        return message

    async def hear(self, kind=None, seconds=60):
        """The next message, or the next of a kind."""
        while True:
            message = self.note(json.loads(await asyncio.wait_for(self.ws.recv(), limit(seconds))))
            if kind in (None, message['type']):
                return message

    async def send_json(self, **message):
        await self.ws.send(json.dumps(message))

    async def chunk(self, data, index=None, action='audioChunk', **more):
        if index is None:
            index = self.next
        self.next = index + 1
        await self.send_json(action=action, sessionId=self.session, audioData=base64.b64encode(data).decode(),
                             timestamp=1732622783456, format='webm-opus', chunkIndex=index, **more)

    async def say(self, chunks, pause=0.0):
        for data in chunks:
            await self.chunk(data)
            if pause:
                await asyncio.sleep(pause)

    async def stop(self):
        await self.send_json(action='stop', sessionId=self.session)
        return await self.hear('closed')

    async def closed(self):
        """The close's code and reason, once everything was heard."""
        try:
            while True:
                await self.hear()
        except websockets.ConnectionClosed:
            return self.ws.close_code, self.ws.close_reason
