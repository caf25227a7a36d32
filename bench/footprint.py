"""Memory: the server idle, everything together during a 1080p ladder, and a task at ten minutes and at three hours."""
import re

import media
from measure import Watch, status_bytes, tree
from servers import Millrace

MIB = 2**20
LONG_MINUTES, QUICK_MINUTES = 180, 60
CHUNKS = 6  # of the long sources: a task's memory does not depend on which of a job's chunks it makes


def memory(bench):
    with Millrace(bench.build, bench.fresh('memory'), '--workers', '1', '--log-level', 'info') as m:
        idle = status_bytes(m.pid, 'VmRSS')
        zygote = sum(status_bytes(pid, 'VmRSS') for pid in tree(m.pid)[1:])
        file_id = m.upload(media.film(bench.work))['file_id']
        with Watch(m.pid) as watch:
            m.complete(m.start(file_id, rungs=['1080p', '720p', '480p']))
        kind = 'shared pages counted once' if watch.proportional else 'shared pages counted in each process'
        tasks = [n / 1024 for n in task_peaks(m)]
    figure = bench.table.figure
    figure('server, idle', f'{idle / MIB:.1f} MiB (its zygote {zygote / MIB:.1f})', '≤ 20 MB')
    figure('1080p ladder, one worker: server, zygote and task',
           f'{watch.peak / MIB:.0f} MiB ({kind}); tasks peak at {tasks[0]:.0f} MiB in the first chunk, '
           f'{max(tasks[1:], default=0):.0f} in later ones', '< 400 MB')
    minutes = QUICK_MINUTES if bench.quick else LONG_MINUTES
    short, long = long_source(bench, 10), long_source(bench, minutes)
    figure(f'task peak, {minutes} min against 10 min (320x240)',
           f'{long / MIB:.0f} and {short / MIB:.0f} MiB: {long / short:.2f}', '≤ 1.10')


def task_peaks(m):
    """KiB, of each chunk that is done."""
    return [int(n) for n in re.findall(r'event=chunk_done .*max_rss_kb=(\d+)', m.said())]


def long_source(bench, minutes):
    """The highest peak of the tasks that make the first chunks."""
    with Millrace(bench.build, bench.fresh('memory-long'), '--log-level', 'info') as m:
        job_id = m.start(m.upload(media.repeated(bench.work, minutes))['file_id'], rungs=['240p'])
        enough = float('inf') if bench.full else CHUNKS
        m.wait(job_id, lambda j: j['status'] == 'completed' or len(task_peaks(m)) >= enough, every=0.1)
        m.cancel(job_id)
        return max(task_peaks(m)) * 1024
