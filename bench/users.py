#!/usr/bin/python3
"""Many people at once: each uploads a short sound, has it converted, asks how far it is, fetches the file, and begins again.

    bench/users.py [--build DIR] [--users 10,50,200] [--seconds 60] [--postgres]

Any answer but the expected one, a file that isn't what was asked for, and a job that fails are errors, and there must be none.
Clients and server share the machine. Each user is a thread with one connection; what it waits for is told by what it does: p50,
p99, most.
"""
import argparse
import collections
import contextlib
import http.client
import json
import math
import pathlib
import re
import shutil
import statistics
import struct
import sys
import tempfile
import threading
import time
import urllib.parse
import wave

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'bench')]

import postgres  # noqa: E402
from servers import Millrace  # noqa: E402

SOUND_SECONDS, RATE = 2, 22050
POLL_S = 0.25


def sound(folder):
    """A short tone as WAV, 88 KB."""
    path = folder / 'tone.wav'
    with wave.open(str(path), 'wb') as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(b''.join(struct.pack('<h', int(9000 * math.sin(i * 0.06))) for i in range(SOUND_SECONDS * RATE)))
    return path.read_bytes()


class User(threading.Thread):
    def __init__(self, port, number, body, until, took, errors):
        super().__init__(daemon=True)
        self.port, self.name, self.body, self.until, self.took, self.errors = port, f'user{number}', body, until, took, errors
        self.connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
        self.rounds = 0

    def call(self, what, method, path, wanted, body=None, kind='application/json'):
        """The answer's body; how long it took is noted."""
        if '?' not in path:
            path += f'?user_id={self.name}'
        began = time.monotonic()
        self.connection.request(method, path, body, {'Content-Type': kind} if body else {})
        answer = self.connection.getresponse()
        said = answer.read()
        self.took[what].append(time.monotonic() - began)
        if answer.status in (302, 303, 307) and 200 in wanted:
            where = urllib.parse.urlsplit(answer.headers['Location'])
            return self.call(what, 'GET', f'{where.path}?{where.query}', (200,))
        if answer.status not in wanted:
            raise RuntimeError(f'{method} {path}: HTTP {answer.status}: {said[:300]}')
        return said

    def once(self):
        path = f'/api/files?filename=tone.wav&user_id={self.name}'
        file_id = json.loads(self.call('upload', 'POST', path, (201,), self.body, 'application/octet-stream'))['file_id']
        order = json.dumps({'kind': 'convert', 'file_id': file_id, 'params': {'format': 'mp3'}}).encode()
        began = time.monotonic()
        job_id = json.loads(self.call('create a job', 'POST', '/api/jobs', (202,), order))['job_id']
        while (job := json.loads(self.call('poll', 'GET', f'/api/jobs/{job_id}', (200,))))['status'] != 'completed':
            if job['status'] not in ('pending', 'processing'):
                raise RuntimeError(f'a job is {job["status"]}: {job["error"]}')
            time.sleep(POLL_S)
        self.took['job, from POST to completed'].append(time.monotonic() - began)
        found = self.call('download', 'GET', f'/api/jobs/{job_id}/file', (200,))
        if len(found) < 8000 or not (found[:3] == b'ID3' or found[0] == 0xff):
            raise RuntimeError(f'this is no MP3 of two seconds: {len(found)} bytes')
        self.call('delete', 'DELETE', f'/api/jobs/{job_id}', (204,))
        self.call('delete', 'DELETE', f'/api/files/{file_id}', (204,))
        self.rounds += 1

    def run(self):
        while time.monotonic() < self.until:
            try:
                self.once()
            except (RuntimeError, OSError, http.client.HTTPException, ValueError) as e:
                self.errors.append(f'{self.name}: {type(e).__name__}: {e}')
                self.connection.close()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def crowd(m, count, seconds, body):
    """Prints what they waited for; the number of errors."""
    took, errors = collections.defaultdict(list), []
    until = time.monotonic() + seconds
    users = [User(m.port, i, body, until, took, errors) for i in range(count)]
    for u in users:
        u.start()
    for u in users:
        u.join()
    rounds = sum(u.rounds for u in users)
    print(f'{count} users, {seconds} s: {rounds} files made, {rounds / seconds:.1f} a second, {len(errors)} errors')
    for what, of in took.items():
        ms = [1000 * v for v in of]
        print(f'  {what:28} {len(ms):7} times, p50 {statistics.median(ms):8.1f} ms, p99 {percentile(ms, 0.99):8.1f} ms, '
              f'most {max(ms):8.1f} ms', flush=True)
    for e in errors[:5]:
        print('  ' + e)
    return len(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=ROOT / 'build', type=pathlib.Path)
    parser.add_argument('--users', default='10,50,200')
    parser.add_argument('--seconds', default=60, type=int)
    parser.add_argument('--postgres', action='store_true')
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix='millrace-users-'))
    errors = 0
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        shared = ['--database', stack.enter_context(postgres.Postgres()).url] if options.postgres else []
        m = stack.enter_context(Millrace(options.build.absolute(), folder, '--log-level', 'warn', *shared))
        body = sound(folder)
        for count in options.users.split(','):
            errors += crowd(m, int(count), options.seconds, body)
        said = m.said()
        print('in the log:', dict(collections.Counter(re.findall(r'level=(?:warn|error) event=\w+', said))) or 'no warning')
        if errors:
            print(said[-2000:])
    return errors > 0


if __name__ == '__main__':
    sys.exit(main())
