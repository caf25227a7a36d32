"""Live sessions: many speakers in real time, against what the system before it did: one ffmpeg process for each chunk; and how long
it takes until somebody hears what was said.

Both get the same chunks of 300 ms (WebM with Opus) and make 16 kHz mono PCM of them. Ours also frames, orders, stores and answers.
"""
import asyncio
import concurrent.futures
import json
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time

from measure import Failed, run
from servers import Millrace, fetch

TESTS = pathlib.Path(__file__).resolve().parents[1] / 'tests'
sys.path.append(str(TESTS / 'scenario'))
from listening import Ear  # noqa: E402
from live_load import CHUNK_MS, frames, load  # noqa: E402
from speaker import FFMPEG, Speaker, recording  # noqa: E402

SESSIONS = 400
SECONDS = 60
SHARE_S = 12  # of a recording, that ffmpeg is given; more of it would only take longer


def one_process_per_chunk(chunks):
    """CPU seconds: the header and the chunk go in, samples come out."""
    header = chunks[0][:chunks[0].index(b'\x1f\x43\xb6\x75')]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for i, chunk in enumerate(chunks):
        done = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-f', 'webm', '-i', 'pipe:0', '-ac', '1', '-ar', '16000', '-f',
                               's16le', 'pipe:1'], input=chunk if i == 0 else header + chunk, capture_output=True, check=False)
        if done.returncode != 0 or not done.stdout:
            raise Failed(f'ffmpeg: chunk {i}: {done.stderr[-500:]}')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def live(bench):
    """400 live sessions in real time, and their CPU against one ffmpeg process for each chunk"""
    sessions, seconds = (40, 12) if bench.quick else (SESSIONS, SECONDS)
    folder = bench.fresh('live')
    chunks = recording(folder, seconds, chunk_ms=CHUNK_MS)
    speakers = folder / 'live_load'
    run(['cc', '-O2', '-D_GNU_SOURCE', '-o', speakers, TESTS / 'load/live_load.c'])
    path, share = frames(folder, chunks), chunks[:SHARE_S * 1000 // CHUNK_MS]
    ours, theirs = [], []
    for number in range(bench.rounds):
        for side in bench.order(number):
            if side == 'theirs':
                theirs.append(one_process_per_chunk(share) * 60e3 / (len(share) * CHUNK_MS))
                continue
            with Millrace(bench.build, bench.fresh('live-server'), '--log-level', 'warn', '--workers', '0') as m:
                f = load(m, path, sessions, program=speakers)
            if f['chunks_not_stored'] or f['gaps'] or f['broken']:
                raise Failed(f'live sessions: {f}')
            ours.append(f['server_cpu_s'] * 60 / (sessions * seconds))
    bench.table.pair('live', 'CPU for a minute of one session, s', '', ours, theirs)
    bench.table.figure(f'live, {sessions} sessions, {seconds} s',
                       f'{f["fragments"]} fragments, none lost; from a chunk to its durable fragment {f["oldest_p50_s"]:.2f} s, '
                       f'99th percentile {f["oldest_p99_s"]:.2f} s, of which the server\'s share is '
                       f'{f["newest_p50_s"] * 1000:.0f} and {f["newest_p99_s"] * 1000:.0f} ms; '
                       f'{f["bytes_per_session"] // 1000} KB of memory a session; '
                       f'{f["server_cpu_s"]:.1f} s of CPU, and {f["cpu_s"]:.1f} s for those who speak', '≤ 2.5 s, ≤ 300 KB')


# ---- from glass to ear ----

MARK_EVERY_S, MARK_AT_S, MARK_HZ, MARK_STEP_HZ = 3, 1, 500, 200    # tests/browser/ear.js knows the tones
HEARD_S = 36


def marked(folder, seconds):
    """Near silence with a tone of its own every three seconds."""
    path = folder / 'marked.wav'
    hz = f'({MARK_HZ}+{MARK_STEP_HZ}*floor(t/{MARK_EVERY_S}))'
    tone = f'sin(2*PI*{hz}*t)*between(mod(t,{MARK_EVERY_S}),{MARK_AT_S},{MARK_AT_S}.2)'
    run([*FFMPEG, '-f', 'lavfi', '-i', f"aevalsrc='0.5*{tone}+0.004*sin(2*PI*60*t)':s=48000:d={seconds}", path])
    return path


class Talk(threading.Thread):
    """Says chunks as they would be recorded; remembers when each was sent, and what the server said of fragments."""
    def __init__(self, url, session, chunks):
        super().__init__(daemon=True)
        self.url, self.session, self.chunks = url, session, chunks
        self.sent, self.fragments = [], []

    async def talk(self):
        async with Speaker(self.url, self.session) as s:
            self.fragments = s.fragments
            heard = asyncio.create_task(s.hear('closed'))
            begin = time.time()
            for i, chunk in enumerate(self.chunks):
                await asyncio.sleep(max(0, begin + (i + 1) * CHUNK_MS / 1000 - time.time()))
                self.sent.append(time.time())
                await s.chunk(chunk)
            await s.send_json(action='stop')
            await heard

    def run(self):
        asyncio.run(self.talk())

    def ends(self):
        """(when it was sent, where its sound ends by the producer's clock) of each chunk: fragments end with chunks."""
        first, begins = 0, None
        for f in self.fragments:
            begins = begins or f['producerTimestamp']
            ends = f['producerTimestamp'] + f['durationMs']
            count = f['chunkIndex'] + 1 - first
            for i in range(count):
                yield self.sent[first + i], (begins + (ends - begins) * (i + 1) / count) / 1000
            first, begins = f['chunkIndex'] + 1, ends


def fetched(server, talk):
    """When each segment had been fetched by somebody who looks all the time: (where its sound ends, when)."""
    ear, when = Ear(f'{server.url}/api/streams/session-{talk.session}/live.m3u8'), {}
    while talk.is_alive():
        ear.look()
        now = time.time()
        for number, segment in ear.seen.items():
            when.setdefault(number, (segment.date + segment.seconds, now))
        time.sleep(0.02)
    return sorted(when.values())


def in_browser(server, session):
    """What the page heard, or None where there is no browser."""
    chromium = shutil.which('chromium')
    if not chromium or not (TESTS / 'browser/node_modules/playwright-core').exists():
        return None
    done = subprocess.run(['node', TESTS / 'browser/ear.js', f'{server.url}/#/live', f'session-{session}', str(HEARD_S)],
                          capture_output=True, text=True, timeout=HEARD_S + 60, check=False)
    if done.returncode != 0:
        raise Failed(f'ear.js: {done.stderr[-1000:]}')
    return json.loads(done.stdout)


def spread(values):
    return f'{statistics.median(values):.2f} s, {max(values):.2f} s at most'


def listening(bench):
    """how long after a chunk was sent a listener has it: fetched by whoever looks all the time, and heard in Chromium"""
    folder = bench.fresh('listening')
    seconds = HEARD_S + 14
    chunks = recording(folder, seconds, chunk_ms=CHUNK_MS, sound=marked(folder, seconds))
    with Millrace(bench.build, bench.fresh('listening-server'), '--log-level', 'warn', '--workers', '0') as m:
        talk = Talk(m.url, 'bench', chunks)
        talk.start()
        while fetch(f'{m.url}/api/streams/session-bench/live.m3u8')[0] != 200:
            if not talk.is_alive():
                raise Failed('live: nothing can be listened to')
            time.sleep(0.05)
        with concurrent.futures.ThreadPoolExecutor() as browser:
            page = browser.submit(in_browser, m, 'bench')
            segments = fetched(m, talk)
            page = page.result()
    waits = []
    for sent, ends in talk.ends():
        there = next((when for to, when in segments if to >= ends - 0.0005), None)
        if there and sent >= segments[0][1]:
            waits.append(there - sent)
    bench.table.figure('glass to ear: from a chunk sent until its segment has been fetched',
                       f'{spread(waits)} ({len(waits)} chunks)', '≤ 6 s')
    if not page:
        return
    tones = [(talk.sent[int((MARK_EVERY_S * k + MARK_AT_S) * 1000 / CHUNK_MS)], at / 1000) for k, at in page['tones']]
    heard = [at - sent for sent, at in tones]
    bench.table.figure('the same, until it sounds in Chromium (hls.js)', f'{spread(heard)} ({len(heard)} tones)', '')
    bench.table.figure('Chromium: now less PROGRAM-DATE-TIME of what sounds', spread(page['behind']), '')
