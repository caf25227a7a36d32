#!/usr/bin/python3
"""A ladder by one worker process with one slot against two of them, each pinned to a core of its own, over one database and store.

    bench/workers.py FILM [--build DIR] [--rounds N] [--rungs 480p,360p,240p] [--postgres]

One and two take turns; the medians count. The aim: two are at least 1.85 times as fast. A front that runs nothing (`--workers 0`)
takes the job in; its time is from POST to completed.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'bench')]

import postgres  # noqa: E402
from measure import environment  # noqa: E402
from servers import Millrace, fetch  # noqa: E402

AIM = 1.85


@contextlib.contextmanager
def worker(build, core, options, log):
    """One slot, on that core; its tasks inherit that."""
    process = subprocess.Popen([build / 'millrace', 'worker', '--workers', '1', '--analyze', 'off', *options],
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(),
                               preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def job_of(m, job_id):
    return json.loads(fetch(f'{m.url}/api/jobs/{job_id}')[1])


def ladder(m, workers, file_id, rungs):
    """Seconds from the moment that the workers are there to the job's end."""
    body = json.dumps({'kind': 'ladder', 'file_id': file_id, 'params': {'rungs': rungs}}).encode()
    with contextlib.ExitStack() as stack:
        for start in workers:
            stack.enter_context(start())
        time.sleep(1)   # their zygotes are warm
        began = time.monotonic()
        job = json.loads(fetch(m.url + '/api/jobs', 'POST', body, {'Content-Type': 'application/json'})[1])
        while (now := job_of(m, job['job_id']))['status'] not in ('completed', 'failed'):
            time.sleep(0.2)
        took = time.monotonic() - began
    assert now['status'] == 'completed', now
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('film', type=pathlib.Path)
    parser.add_argument('--build', default=ROOT / 'build', type=pathlib.Path)
    parser.add_argument('--rounds', default=3, type=int)
    parser.add_argument('--rungs', default='480p,360p,240p')
    parser.add_argument('--postgres', action='store_true')
    options = parser.parse_args()
    build, rungs = options.build.absolute(), options.rungs.split(',')
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit('two cores are needed')
    folder = pathlib.Path(tempfile.mkdtemp(prefix='millrace-workers-'))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        log = stack.enter_context((folder / 'workers.log').open('ab'))
        shared = ['--data', folder / 'data']
        if options.postgres:
            shared += ['--database', stack.enter_context(postgres.Postgres()).url]
        m = stack.enter_context(Millrace(build, folder, '--workers', '0', '--analyze', 'off', *shared))
        file_id = m.upload(options.film)['file_id']
        starts = [lambda core=core: worker(build, core, shared, log) for core in cores]
        took = {1: [], 2: []}
        for _ in range(options.rounds):
            for count in 1, 2:
                took[count].append(ladder(m, starts[:count], file_id, rungs))
                print(f'{count}: {took[count][-1]:.2f} s', flush=True)
    one, two = (statistics.median(took[n]) for n in (1, 2))
    print(f'medians: one {one:.2f} s, two {two:.2f} s: {one / two:.2f} times as fast (aim: {AIM})')
    return one / two < AIM


if __name__ == '__main__':
    sys.exit(main())
