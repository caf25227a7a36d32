"""The page in Chromium (tests/browser/bench.js): its first view on a slow processor, a long list, and updates without end."""
import concurrent.futures
import json
import pathlib
import statistics
import subprocess

import media
from measure import Failed
from servers import Millrace

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / 'tests' / 'browser' / 'bench.js'
JOBS = 5000
# Half an hour of ten jobs that tell four times a second how far they are.
EVENTS = 30 * 60 * 10 * 4


def page(bench):
    """the page: first view, 5,000 jobs, half an hour of updates"""
    jobs, events = (500, EVENTS // 10) if bench.quick else (JOBS, EVENTS)
    with Millrace(bench.build, bench.fresh('page'), '--workers', '0', '--analyze', 'off') as server:
        file = server.upload(media.song(bench.work, 60))['file_id']
        order = {'kind': 'convert', 'file_id': file, 'params': {'format': 'mp3'}}
        with concurrent.futures.ThreadPoolExecutor(8) as many:
            list(many.map(lambda _: server.post('/api/jobs', order), range(jobs)))
        done = subprocess.run(['node', SCRIPT, server.url, str(events)], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise Failed(f'the browser: {done.stderr[-500:]}')
    told = json.loads(done.stdout)
    first, frames, heap, nodes = told['first'], sorted(told['frames']), told['heap'], told['nodes']
    figure = bench.table.figure
    figure('page, first view with files and jobs, processor slowed 4 times',
           f'{statistics.median(first) / 1000:.2f} s ({min(first) / 1000:.2f}–{max(first) / 1000:.2f}), {len(first)} times', '≤ 1')
    at = len(frames) - 1
    figure(f'page, {told["jobs"]} jobs scrolling by: from frame to frame',
           f'median {frames[at // 2]:.1f} ms, 99th percentile {frames[at * 99 // 100]:.1f}, longest {frames[at]:.1f}', '60/s')
    figure(f'page, {events:,} updates (30 min of ten jobs): heap after collecting',
           f'{heap[1]:.1f} MB after a fifth, {heap[-1]:.1f} at the end; {nodes[1]:.0f} and {nodes[-1]:.0f} nodes', 'flat')
