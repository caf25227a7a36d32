"""kill -9 of server, zygote or task at a seeded moment of a ladder: the job completes, nothing committed is made again, the
progress that a client sees never falls, and every byte is as if nothing had happened.

Five of each kind; fifty with MILLRACE_SOAK=1. The moment is a share of the time that an undisturbed run took; what was committed
then is read from the database, which alone knows it.
"""
import contextlib
import os
import random
import signal
import subprocess
import time

import pytest

from client import ENDED, Client, Watch
from make_media import media
from server import SOAK, Server, alive, rigged, wait_for

pytestmark = pytest.mark.long
SEEDS = range(50 if SOAK else 5)
PARAMS = {'rungs': ['240p', {'name': '144p', 'codec': 'hevc'}], 'segment_seconds': 2}
SECONDS = 300
COMPLETED = 4   # of a job's row


class Rig:
    """One server for all kills, its source, and the bytes of an undisturbed run."""

    def __init__(self, folder, source, params):
        self.params = params
        self.server = Server(folder, '--workers', '2').start()
        self.client = Client(self.server.url)
        self.file = self.client.upload(source)['file_id']
        began = time.monotonic()
        job = self.client.run_job(self.file, seconds=SECONDS, **self.params)
        self.seconds = time.monotonic() - began
        self.total = job['streaming']['segments_total']
        self.expected = self.server.store.digests(self.folder_of(job))

    def folder_of(self, job):
        return f'hls/local/{job["job_id"]}'

    def committed(self, job):
        """{key: its object's version} of what the database calls committed."""
        rows = self.server.rows('SELECT r.name, s.idx FROM segment s '
                                'JOIN rendition r ON r.job_id = s.job_id AND r.idx = s.rendition '
                                f"WHERE s.job_id = '{job['job_id']}' AND s.committed = 1")
        found = {}
        for name, index in rows:
            # It is there: a row is committed after its object.
            one = self.server.store.one(f'{self.folder_of(job)}/{name}/segment_{index:03}.')
            found[one.key] = one.version()
        return found

    def victim(self, kind):
        if kind == 'zygote':
            return next(iter(self.server.zygotes()), None)
        return next(iter(self.server.tasks()), None)

    def kill(self, kind, job):
        """Kills one; what was committed just before, or None when there was nobody to kill."""
        if kind == 'server':
            self.server.kill()
            return self.committed(job)
        pid = self.victim(kind)
        before = self.committed(job)
        if not pid:
            return None
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        wait_for(lambda: not alive(pid), 'what was killed is dead')
        return before

    def disturbed(self, kind, moment):
        """A job with one kill after `moment` seconds: (job, watch, what was committed then), or None if it was over before."""
        watch = Watch()
        job = watch.note(self.client.start_job(self.file, **self.params))
        end = time.monotonic() + moment
        before = None
        while before is None:
            if time.monotonic() >= end:
                before = self.kill(kind, job)
            if before is None and watch.note(self.client.job(job['job_id']))['status'] in ENDED:
                assert watch.job['status'] == 'completed', watch.job['error']
                return None
            time.sleep(0.01)
        if kind == 'server':
            self.server.start()
        self.client.complete(job['job_id'], watch, seconds=SECONDS, patient=True)
        return job, watch, before


@pytest.fixture(scope='session')
def source(tmp_path_factory):
    """24 s of small pictures: a ladder long enough for many moments, and quick enough for many kills."""
    path = tmp_path_factory.mktemp('source') / 'source.mp4'
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', media('sample-60s.mp4'), '-t', '24', '-c', 'copy', path], check=True)
    return path


@pytest.fixture(scope='module')
def rig(tmp_path_factory, source):
    with rigged(Rig(tmp_path_factory.mktemp('kill'), source, PARAMS)) as r:
        # of each rendition the header, segments and playlist; of each rung the I-frames; master and DASH manifest
        assert len(r.expected) == 3 * (r.total + 2) + 2 + 2
        yield r


@pytest.fixture(scope='module')
def copied_rig(tmp_path_factory, source):
    """A film whose video is copied, with two sounds and subtitles."""
    folder = tmp_path_factory.mktemp('copied')
    text = ''.join(f'{n + 1}\n00:00:{n:02},200 --> 00:00:{n + 3:02},700\nline {n}\n\n' for n in range(20))
    (folder / 'lines.srt').write_text(text)
    film = folder / 'film.mp4'
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', source, '-i', folder / 'lines.srt', '-map', '0:v', '-map', '0:a',
                    '-map', '0:a', '-map', '1:s', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '48', '-keyint_min', '48',
                    '-sc_threshold', '0', '-c:a', 'aac', '-c:s', 'mov_text', '-metadata:s:a:0', 'language=eng', '-metadata:s:a:1',
                    'language=deu', film], check=True)
    with rigged(Rig(folder, film, {'copy': 'always', 'rungs': ['360p', '144p'], 'segment_seconds': 2})) as r:
        # fMP4's renditions have headers; rungs have I-frames
        assert len(r.expected) == 4 * (r.total + 2) + (r.total + 1) + 2 + 2
        yield r


def kill_and_compare(rig, kind, seed):
    moment = random.Random(f'{kind} {seed}').uniform(0, 0.9) * rig.seconds
    for _ in range(4):
        done = rig.disturbed(kind, moment)
        if done:
            break
        moment /= 2   # this run was quicker than the measured one, and over before its moment came
    assert done, 'no job could be disturbed'
    job, _, before = done
    assert rig.client.job(job['job_id'])['generation_attempt'] == 1, 'a kill is no failure'
    for key, was in before.items():
        assert rig.server.store[key].version() == was, f'{key} was committed and has been made again'
    assert rig.server.store.digests(rig.folder_of(job)) == rig.expected
    rig.client.delete(f'/api/jobs/{job["job_id"]}')


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('kind', ['server', 'zygote', 'task'])
def test_kill(rig, kind, seed):
    kill_and_compare(rig, kind, seed)


@pytest.mark.parametrize('seed', SEEDS)
def test_kill_while_video_is_copied_beside_several_tracks(copied_rig, seed):
    kill_and_compare(copied_rig, ('server', 'task', 'zygote')[seed % 3], f'copied {seed}')


def test_kills_left_nothing(rig):
    """After all those deaths: one zygote, no task, no temporary file of a dead writer that a sweep would not find."""
    server = rig.server
    wait_for(lambda: not server.tasks(), 'no task is left')
    assert len(server.zygotes()) == 1
    assert rig.client.get('/readyz').status_code == 200
    assert {j['status'] for j in rig.client.jobs(limit=500)} == {'completed'}


@pytest.mark.threads
def test_kill_everything_again_and_again(make_server, source):
    """A job that is disturbed all the time still goes on: kills are no failures, however many."""
    s = make_server('--workers', '2')
    client = Client(s.url)
    job = client.start_job(client.upload(source)['file_id'], rungs=['144p'], segment_seconds=2)
    watch = Watch()
    rng = random.Random(7)
    for _ in range(4):
        seen = watch.job['streaming']['segments_completed'] if watch.job else 0
        client.follow(job['job_id'], lambda j: j['streaming']['segments_completed'] > seen or j['status'] == 'completed', watch)
        if watch.job['status'] == 'completed':
            break
        for kind in rng.sample(['task', 'zygote', 'server'], 3):
            victims = {'task': s.tasks, 'zygote': s.zygotes, 'server': lambda: [s.pid]}[kind]()
            if kind == 'server':
                s.kill()
                s.start()
            elif victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victims[0], signal.SIGKILL)
    job = client.complete(job['job_id'], watch, seconds=SECONDS, patient=True)
    assert job['generation_attempt'] == 1


def test_sigterm_in_the_middle(make_server, source):
    """A stop gives claims back, so that the next start needn't wait for leases, and it goes on with equal bytes."""
    s = make_server('--workers', '2')
    client = Client(s.url)
    file = client.upload(source)['file_id']
    for _ in range(5):
        job = client.start_job(file, rungs=['144p'])
        watch = Watch()
        client.follow(job['job_id'], lambda j: j['streaming']['segments_completed'] >= 1, watch)
        s.stop()
        in_the_middle = s.rows(f"SELECT status FROM job WHERE id = '{job['job_id']}'") != [(COMPLETED,)]
        assert s.rows('SELECT COUNT(*) FROM chunk WHERE state = 3') == [(0,)], 'a claim was not given back'
        s.start()
        if in_the_middle:
            break
    assert in_the_middle, 'no job could be stopped'
    job = client.complete(job['job_id'], watch, seconds=SECONDS, patient=True)
    other = client.run_job(file, seconds=SECONDS, rungs=['144p'])
    assert s.store.digests(f'hls/local/{job["job_id"]}') == s.store.digests(f'hls/local/{other["job_id"]}')
