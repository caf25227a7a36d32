"""Live sessions: many speakers in real time, against what the system before it did: one ffmpeg process for each chunk.

Both get the same chunks of 300 ms (WebM with Opus) and make 16 kHz mono PCM of them. Ours also frames, orders, stores and answers.
"""
import pathlib
import resource
import subprocess
import sys

from measure import Failed, run
from servers import Millrace

TESTS = pathlib.Path(__file__).resolve().parents[1] / 'tests'
sys.path.append(str(TESTS / 'scenario'))
from live_load import CHUNK_MS, frames, load  # noqa: E402
from speaker import recording  # noqa: E402

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
