#!/usr/bin/python3
"""How many jobs without work the queue takes in, gives out and finishes in a second, on SQLite and on PostgreSQL, and what
pgbench makes of the same statements there.

    bench/claims.py [--build DIR] [--jobs N] [--seconds N] [--threads 1,4,8]

PostgreSQL runs here with its usual settings: each commit waits for the disk, as SQLite's does. The aim: at least half of pgbench.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests'))

import postgres  # noqa: E402

DURABLE = {'fsync': 'on', 'synchronous_commit': 'on', 'full_page_writes': 'on', 'shared_buffers': '128MB'}


def load(build, url, threads, jobs):
    done = subprocess.run([build / 'tests/load/queue_load', url, str(threads), str(jobs)], capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout)


def pgbench(pg, url, threads, seconds):
    """Jobs a second."""
    clients = ['-c', str(threads), '-j', str(threads), '-T', str(seconds)]
    done = subprocess.run([pg.bin / 'pgbench', '-n', '-M', 'prepared', *clients, '--max-tries=5',
                           '-f', ROOT / 'bench' / 'claims.pgbench', url], capture_output=True, text=True, check=True)
    return float(re.search(r'tps = ([\d.]+)', done.stdout)[1])


def show(name, threads, found, more=''):
    print(f'{name:11} {threads:3} threads: {found["jobs_per_second"]:8.1f} jobs/s, claim p50 {found["claim_p50_ms"]:.2f} ms, '
          f'p99 {found["claim_p99_ms"]:.2f} ms{more}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=ROOT / 'build', type=pathlib.Path)
    parser.add_argument('--jobs', default=2000, type=int)
    parser.add_argument('--seconds', default=5, type=int)
    parser.add_argument('--threads', default='1,4,8')
    options = parser.parse_args()
    counts = [int(n) for n in options.threads.split(',')]
    with tempfile.TemporaryDirectory() as folder:
        for n in counts:
            show('SQLite', n, load(options.build, f'sqlite:{folder}/{n}.db', n, options.jobs))
    with postgres.Postgres(**DURABLE) as pg:
        for n in counts:
            url = pg.schema(f'load{n}')
            found = load(options.build, url, n, options.jobs)
            pg.sql('VACUUM ANALYZE')
            bar = pgbench(pg, pg.schema(f'load{n}'), n, options.seconds)
            show('PostgreSQL', n, found, f'; pgbench {bar:.1f}: {found["jobs_per_second"] / bar:.0%}')


if __name__ == '__main__':
    main()
