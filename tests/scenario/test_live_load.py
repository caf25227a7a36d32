"""Many speakers at once, in real time: nothing lost, fragments soon, little memory a session. MILLRACE_LIVE_SESSIONS and _SECONDS
change how many and how long; the figures are printed (pytest -s)."""
import asyncio
import base64
import json
import os
import time

import pytest
import websockets

from server import memory, process_state
from speaker import recording

SESSIONS = int(os.environ.get('MILLRACE_LIVE_SESSIONS', '400'))
SECONDS = int(os.environ.get('MILLRACE_LIVE_SECONDS', '60'))
CHUNK_S = 0.3


def tree(pid):
    """The process and all below it."""
    states = {int(p): process_state(int(p)) for p in os.listdir('/proc') if p.isdigit()}
    found, size = {pid}, 0
    while len(found) != size:
        size = len(found)
        found |= {p for p, state in states.items() if state and state[2] in found and state[1] not in 'ZX'}
    return found


def footprint(pid):
    """Bytes that these processes hold for themselves."""
    return sum(memory(p, 'RssAnon') for p in tree(pid))


def cpu_seconds(pid):
    ticks = 0
    for p in tree(pid):
        fields = open(f'/proc/{p}/stat', encoding='ascii').read().rsplit(')', 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


async def speak(url, name, texts, begin, latencies):
    """Sends each chunk when it is due; returns (fragments told, last chunk stored, gaps)."""
    sent, fragments, gaps, stored = [], 0, 0, -1
    async with websockets.connect(f'{url}/api/live?session_id={name}', max_size=None, compression=None) as ws:
        async def send():
            for i, text in enumerate(texts):
                await asyncio.sleep(max(0.0, begin + i * CHUNK_S - time.monotonic()))
                sent.append(time.monotonic())
                await ws.send(f'{{"action":"audioChunk","chunkIndex":{i},"audioData":"{text}"}}')
            await ws.send('{"action":"stop"}')
        sender = asyncio.ensure_future(send())
        async for text in ws:
            if text.startswith('{"type":"ack"'):
                continue
            message = json.loads(text)
            if message['type'] == 'fragment':
                fragments += 1
                if message['chunkIndex'] > stored:
                    latencies.append(time.monotonic() - sent[stored + 1])
                    stored = message['chunkIndex']
            gaps += message['type'] == 'gap'
        await sender
    return fragments, stored, gaps


@pytest.mark.soak
def test_many_sessions_at_once(make_server, tmp_path):
    server = make_server('--workers', '0')
    texts = [base64.b64encode(c).decode() for c in recording(tmp_path, SECONDS, chunk_ms=int(CHUNK_S * 1000))]
    idle, latencies, peak, url = footprint(server.pid), [], 0, server.url.replace('http', 'ws', 1)

    async def run():
        nonlocal peak
        begin = time.monotonic() + 2
        tasks = [asyncio.ensure_future(speak(url, f's{i}', texts, begin + CHUNK_S * i / SESSIONS, latencies))
                 for i in range(SESSIONS)]
        while not all(t.done() for t in tasks):
            await asyncio.sleep(1)
            peak = max(peak, footprint(server.pid))
        return [t.result() for t in tasks]

    before = cpu_seconds(server.pid)
    results = asyncio.run(run())
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * q)] for q in (0.5, 0.99))
    each = (peak - idle) / SESSIONS
    print(f'\n{SESSIONS} sessions, {SECONDS} s: {sum(r[0] for r in results)} fragments, chunk to durable p50 {p50:.2f} s, '
          f'p99 {p99:.2f} s, worst {latencies[-1]:.2f} s; {each / 1024:.0f} KiB a session; '
          f'{cpu_seconds(server.pid) - before:.1f} s of CPU')
    assert all(stored == len(texts) - 1 and not gaps for _, stored, gaps in results)
    assert p99 <= 2.5
    assert each <= 300e3
