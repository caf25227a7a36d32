"""Bytes out, bytes in, and jobs through the queue: against nginx, and against a shell loop of ffmpeg."""
import re
import shutil
import subprocess
import time

import media
from measure import Failed, cpu_seconds, environment, output, reset_peak, status_bytes
from servers import Millrace, Nginx, fetch

SEGMENT_BYTES = 88 * 1024
WRK_SECONDS = 5
ROUNDS_S = 90   # for so long at least segments are compared
UPLOAD_BYTES = 10**9
JOBS = 100


MILLISECONDS = {'us': 1e-3, 'ms': 1, 's': 1e3}


class Load:
    """What wrk says of 64 connections that ask for one URL over and over, and what the server spent on it."""

    def __init__(self, url, pid, seconds):
        before = cpu_seconds(pid)
        text = output(['wrk', '-t2', '-c64', '--latency', f'-d{seconds}s', url])
        spent = cpu_seconds(pid) - before
        if 'Non-2xx' in text or 'Socket errors' in text:
            raise Failed(f'wrk {url}: {text}')
        self.rate = float(re.search(r'Requests/sec:\s*([0-9.]+)', text)[1])
        self.cpu_us = spent * 1e6 / int(re.search(r'(\d+) requests in', text)[1])
        self.p50_ms, self.p99_ms = (self.percentile(text, p) for p in (50, 99))

    @staticmethod
    def percentile(text, which):
        value, unit = re.search(rf'{which}%\s+([0-9.]+)(us|ms|s)\b', text).groups()
        return float(value) * MILLISECONDS[unit]


def serve(bench):
    """An 88 KiB object by its pre-signed URL over keep-alive, 64 connections; wrk shares the cores with the server."""
    body = media.noise_file(bench.work, SEGMENT_BYTES).read_bytes()
    loads = {'ours': [], 'theirs': []}
    with Millrace(bench.build, bench.fresh('serve'), '--workers', '0', '--log-level', 'warn') as m, \
            Nginx(bench.fresh('serve-nginx')) as n:
        key = 'uploads/local/benchmark.bin'
        status, said = fetch(m.presign('PUT', key), 'PUT', body)
        if status >= 300:
            raise Failed(f'PUT: HTTP {status}: {said[:500]}')
        (n.root / 'object.bin').write_bytes(body)
        sides = {'ours': (m.presign('GET', key), m.pid), 'theirs': (n.url + '/object.bin', n.pid)}
        for url, _ in sides.values():
            if fetch(url) != (200, body):
                raise Failed(f'{url} does not give the object')
        for number in bench.rounds_of(ROUNDS_S):
            for side in bench.order(number):
                loads[side].append(Load(*sides[side], 2 if bench.quick else WRK_SECONDS))

    def pair(what, unit, of, bar=''):
        ours, theirs = ([of(load) for load in loads[side]] for side in ('ours', 'theirs'))
        bench.table.pair('segments', what, unit, ours, theirs, bar, against='nginx')
    pair('88 KiB, 64 connections', 'requests/s', lambda load: load.rate, '≥ 0.9')
    pair('the server\'s CPU for each', 'µs', lambda load: load.cpu_us)
    pair('latency, median', 'ms', lambda load: load.p50_ms)
    pair('latency, 99th percentile', 'ms', lambda load: load.p99_ms)


def send(path, method, url):
    began = time.monotonic()
    words = ['curl', '-sS', '-T', str(path), '-X', method, '-H', 'Expect:', '-o', '/dev/null', '-w', '%{http_code}', url]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment())
    if done.stdout not in ('201', '204'):
        raise Failed(f'upload to {url}: {done.stdout} {done.stderr}')
    return UPLOAD_BYTES / 1e6 / (time.monotonic() - began)


def upload(bench):
    """A body of 1 GB: here it is hashed, written, made durable and probed; nginx (WebDAV) only writes it."""
    path = media.large_wav(bench.work, UPLOAD_BYTES)
    ours, theirs, growth = [], [], []
    with Millrace(bench.build, bench.fresh('upload'), '--log-level', 'warn') as m, Nginx(bench.fresh('upload-nginx')) as n:
        for number in range(bench.rounds):
            for side in bench.order(number):
                if side == 'theirs':
                    theirs.append(send(path, 'PUT', f'{n.url}/upload/{number}.wav'))
                    (n.root / f'upload/{number}.wav').unlink()
                    continue
                reset_peak(m.pid)
                before = status_bytes(m.pid, 'VmRSS')
                ours.append(send(path, 'POST', f'{m.url}/api/files?filename=large.wav'))
                growth.append((status_bytes(m.pid, 'VmHWM') - before) / 2**20)
                for f in m.get('/api/files')['files']:
                    fetch(f"{m.url}/api/files/{f['file_id']}", 'DELETE')
    shutil.rmtree(bench.work / 'upload')
    bench.table.pair('upload', '1 GB body', 'MB/s', ours, theirs, against='nginx')
    bench.table.figure('upload of 1 GB: growth of the server', f'{max(growth):.1f} MiB at most', '≤ 16 MiB')


def queue(bench):
    """The smallest ladders (0.1 s of sound), all posted at once; the shell runs as many ffmpegs at a time as there are cores."""
    path = media.blip(bench.work)
    loop = ('seq {n} | xargs -P "$(nproc)" -I@ sh -c \'mkdir {out}/@ && exec ffmpeg -nostdin -v error -i {src} -c:a aac -f hls '
            '-hls_segment_type fmp4 -hls_playlist_type vod {out}/@/playlist.m3u8\'')
    ours, theirs = [], []
    with Millrace(bench.build, bench.fresh('queue'), '--log-level', 'warn') as m:
        file_id = m.upload(path)['file_id']
        for number in range(bench.rounds):
            for side in bench.order(number):
                began = time.monotonic()
                if side == 'ours':
                    for job_id in [m.start(file_id) for _ in range(JOBS)]:
                        m.complete(job_id)
                    ours.append(JOBS / (time.monotonic() - began))
                else:
                    output(['sh', '-c', loop.format(n=JOBS, out=bench.fresh('queue-ffmpeg'), src=path)])
                    theirs.append(JOBS / (time.monotonic() - began))
    bench.table.pair('queue', f'{JOBS} jobs of 0.1 s of sound', 'jobs/s', ours, theirs)
