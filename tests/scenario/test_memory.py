"""What a server may cost in memory: idle, with a huge upload, over many requests; and what its tasks may.

The bars (20 MB idle, 16 MB for an upload of 2 GB) are for builds without sanitizers, which alone they are checked in.
"""
import math
import os
import re
import socket
import subprocess

import pytest

from client import Client
from make_media import media
from server import COVERAGE, SANITIZER, limit

MB = 1 << 20
pytestmark = pytest.mark.skipif(bool(SANITIZER) or COVERAGE, reason='bars for builds without sanitizers')


def test_idle_memory(make_server):
    """The front process: at most 20 MB idle, also after it has served everybody once."""
    s = make_server()
    client = Client(s.url)
    for path in ('/', '/healthz', '/readyz', '/api/jobs', '/api/files', '/api/session', '/none'):
        client.get(path)
    assert s.memory() <= 20 * MB, f'{s.memory() / MB:.1f} MB'


def wav_header(data_bytes):
    """A valid WAV of 16-bit stereo sound at 48 kHz; RF64 is not needed below 4 GB."""
    def number(n, size=4):
        return n.to_bytes(size, 'little')
    form = number(1, 2) + number(2, 2) + number(48000) + number(192000) + number(4, 2) + number(16, 2)
    return (b'RIFF' + number(36 + data_bytes) + b'WAVE' + b'fmt ' + number(16) + form + b'data' + number(data_bytes))


def stream_zeros(s, total, on_piece):
    piece = bytes(MB)
    while total > 0:
        total -= s.send(piece[:min(total, MB)])
        on_piece()


@pytest.mark.backend('file', 'a bucket costs parts in memory: test_s3_store.py')
def test_memory_of_a_huge_upload(make_server):
    """2 GB go through without the server growing by more than 16 MB."""
    size = (2 << 30) - 44
    disk = os.statvfs('/tmp')
    if disk.f_bavail * disk.f_frsize < 3 << 30:
        pytest.skip('needs 3 GB of disk')
    s = make_server('--workers', '1')
    client = Client(s.url)
    client.upload(media('sound.mp3'))   # what the first upload of all costs is not a matter of size
    before, most, pieces = s.memory(), 0, 0

    def look():
        nonlocal most, pieces
        pieces += 1
        if pieces % 32 == 0:
            most = max(most, s.memory())
    with socket.create_connection(('127.0.0.1', s.port), timeout=limit(120)) as c:
        c.sendall(f'POST /api/files?filename=huge.wav HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Type: audio/wav\r\n'
                  f'Content-Length: {size + 44}\r\n\r\n'.encode() + wav_header(size))
        stream_zeros(c, size, look)
        answer = b''
        while b'\r\n\r\n' not in answer:
            answer += c.recv(65536)
    assert answer.startswith(b'HTTP/1.1 201 '), answer
    most = max(most, s.memory())
    assert most - before <= 16 * MB, f'from {before / MB:.1f} MB to {most / MB:.1f} MB'
    file, = [f for f in client.files() if f['filename'] == 'huge.wav']
    assert file['size'] == size + 44 and file['probe']['duration'] == pytest.approx(size / 192000, abs=0.1)
    assert client.delete(f'/api/files/{file["file_id"]}').status_code == 204


@pytest.mark.soak
def test_soak_memory_stays(make_server):
    """A day's worth of small requests does not make the server grow."""
    s = make_server('--workers', '1')
    client = Client(s.url)
    file = client.upload(media('sound-8k-mono.wav'))['file_id']

    def one_round():
        for _ in range(200):
            client.jobs()
            client.files()
            client.get('/none')
        job = client.run_job(file)
        client.delete(f'/api/jobs/{job["job_id"]}')
    for _ in range(3):
        one_round()
    before = s.memory()
    for _ in range(20):
        one_round()
    assert s.memory() - before <= 4 * MB


def task_peak(s, client, path, **params):
    """The most memory of any task of a job, by the log's own account."""
    job = client.run_job(client.upload(path)['file_id'], seconds=1200, **params)
    peaks = re.findall(rf'chunk_done job={job["job_id"]}.*max_rss_kb=(\d+)', s.log())
    assert peaks, 'the log tells what a chunk cost'
    return max(map(int, peaks)) * 1024


def test_task_memory_of_a_ladder(make_server, sample):
    """A 720p ladder with one worker slot: server, zygote and task together well below 400 MB."""
    s = make_server('--workers', '1')
    peak = task_peak(s, Client(s.url), sample, rungs=['720p', '240p'])
    assert peak + s.memory('VmHWM') <= 400 * MB, f'{peak / MB:.0f} MB'


@pytest.mark.soak
def test_soak_task_memory_does_not_follow_the_length(make_server, tmp_path):
    """A 3 h source's tasks peak within 10 % of a 10 min one's."""
    s = make_server('--workers', '2')
    client = Client(s.url)
    peaks = []
    for minutes in (10, 180):
        path = tmp_path / f'{minutes}.mp4'
        loops = math.ceil(minutes) - 1
        subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-stream_loop', str(loops), '-i', media('sample-60s.mp4'),
                        '-c', 'copy', path], check=True)
        peaks.append(task_peak(s, client, path, rungs=['144p'], segment_seconds=10))
    assert peaks[1] <= 1.1 * peaks[0], peaks
