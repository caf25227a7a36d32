"""kill -9 of server, zygote or task at a seeded moment of a conversion: it completes, progress never falls, the same bytes.

Five of each kind; fifty with MILLRACE_SOAK=1.
"""
import random
import time

import pytest

import sound
from client import ENDED, Client, Watch
from server import SOAK, Server, rigged, wait_for

SEEDS = range(50 if SOAK else 5)
PARAMS = {'format': 'm4a', 'normalize': -20}
COMPLETED = 4   # of a job's row


class Rig:
    def __init__(self, folder):
        self.server = Server(folder, '--workers', '2').start()
        self.client = Client(self.server.url)
        source = sound.make(folder / 'source.flac', 120)
        self.file = self.client.upload(source)['file_id']
        began = time.monotonic()
        self.expected = self.client.run_convert(self.file, **PARAMS)['result']
        self.seconds = time.monotonic() - began

    def disturbed(self, kind, moment):
        watch = Watch()
        job = watch.note(self.client.start_convert(self.file, **PARAMS))
        end = time.monotonic() + moment
        killed = False
        while not killed:
            if time.monotonic() >= end:
                killed = self.server.kill_part(kind)
            elif watch.note(self.client.job(job['job_id']))['status'] in ENDED:
                return None
            if not killed and watch.note(self.client.job(job['job_id']))['status'] in ENDED:
                return None
            time.sleep(0.005)
        return self.client.complete(job['job_id'], watch, seconds=300, patient=True)


@pytest.fixture(scope='module')
def rig(tmp_path_factory):
    with rigged(Rig(tmp_path_factory.mktemp('convert-kill'))) as r:
        yield r


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('kind', ['server', 'zygote', 'task'])
def test_kill(rig, kind, seed):
    moment = random.Random(f'{kind} {seed}').uniform(0, 0.95) * rig.seconds
    for _ in range(4):
        job = rig.disturbed(kind, moment)
        if job:
            break
        moment /= 2   # this run was quicker than the measured one
    assert job, 'no job could be disturbed'
    assert job['generation_attempt'] == 1, 'a kill is no failure'
    assert job['result'] == rig.expected


def test_stopped_while_joining(rig):
    """SIGTERM in the last step: the server ends cleanly, and the next one makes the same file."""
    for _ in range(10):
        watch = Watch()
        job = rig.client.start_convert(rig.file, format='flac')
        rig.client.follow(job['job_id'], lambda j: j['progress']['stage'] in ('finishing', 'done'), watch, every=0.001)
        rig.server.stop()
        caught = rig.server.rows(f"SELECT status FROM job WHERE id = '{job['job_id']}'") != [(COMPLETED,)]
        rig.server.start()
        done = rig.client.complete(job['job_id'], watch, patient=True)
        if caught:
            break
    assert caught, 'it was never stopped in its last step'
    again = rig.client.run_convert(rig.file, format='flac')
    assert done['result'] == again['result'] and done['generation_attempt'] == 1


def test_kills_left_nothing(rig):
    wait_for(lambda: not rig.server.tasks(), 'no task is left')
    wait_for(lambda: not rig.server.store.below('parts'), 'no part is left', 180)
