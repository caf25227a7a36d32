"""kill -9 of server, zygote or task while a narration is spoken by an endpoint that fails now and then: it completes, with the same
bytes, and what was spoken isn't asked for again.

Five moments; fifty with MILLRACE_SOAK=1, and there the endpoint is slow as well.
"""
import random
import threading
import time

import pytest

import narration
from client import ENDED, Client, Watch
from server import SOAK, Server, rigged
from speech_server import Endpoint

SEEDS = range(50 if SOAK else 5)
KINDS = ('server', 'task', 'zygote')
KEY = 'sk-test'
AT_ONCE = 3
SENTENCES = [f'This is sentence number {i}, spoken slowly.' for i in range(9)]


class Rig:
    def __init__(self, folder):
        self.endpoint = Endpoint(key=KEY, fail=0.3, slow=2 if SOAK else 0.1)
        threading.Thread(target=self.endpoint.serve_forever, daemon=True).start()
        speech = f'openai+{self.endpoint.url}?model=tone&format=wav&concurrency={AT_ONCE}'
        self.server = Server(folder, '--workers', '2', '--speech', speech, env={'MILLRACE_SPEECH_API_KEY': KEY}).start()
        self.client = Client(self.server.url)
        self.music = self.client.upload(narration.music(folder / 'music.mp3'))['file_id']
        began = time.monotonic()
        self.expected = self.made(self.client.complete(self.start()['job_id'], patient=True))
        self.seconds = time.monotonic() - began

    def start(self):
        return narration.start(self.client, ' '.join(SENTENCES), voice='alloy', music_file_id=self.music)

    def made(self, job):
        """Every segment, and the voice alone."""
        voice = self.server.store[f'narrations/local/{job["job_id"]}/voice.mp3']
        return [*narration.segments(self.client, job), voice.read()]

    def forget(self):
        """The next narration has to be spoken anew."""
        self.server.store.remove('speech')
        with self.endpoint.lock:
            self.endpoint.asked.clear()
            self.endpoint.spoken.clear()

    def disturbed(self, kind, moment):
        self.forget()
        watch = Watch()
        job = watch.note(self.start())
        end = time.monotonic() + moment
        killed = False
        while not killed:
            if watch.note(self.client.job(job['job_id']))['status'] in ENDED:
                return None
            if time.monotonic() >= end:
                killed = self.server.kill_part(kind)
            time.sleep(0.005)
        return self.client.complete(job['job_id'], watch, seconds=300, patient=True)


@pytest.fixture(scope='module')
def rig(tmp_path_factory):
    r = Rig(tmp_path_factory.mktemp('narration-kill'))
    with rigged(r, r.endpoint.shutdown):
        yield r
    assert KEY not in r.server.log()


@pytest.mark.parametrize('seed', SEEDS)
def test_kill(rig, seed):
    kind = KINDS[seed % len(KINDS)]
    moment = random.Random(seed).uniform(0, 0.95) * rig.seconds
    for _ in range(4):
        job = rig.disturbed(kind, moment)
        if job:
            break
        moment /= 2   # this run was quicker than the measured one
    assert job, 'no job could be disturbed'
    assert job['generation_attempt'] == 1, 'a kill is no failure'
    assert rig.made(job) == rig.expected
    stats = rig.endpoint.stats()
    assert set(stats['spoken']) == set(SENTENCES)
    again = sum(stats['spoken'].values()) - len(SENTENCES)
    assert again <= AT_ONCE, f'spoken a second time: {stats["spoken"]}'
    assert stats['keys'] == [f'Bearer {KEY}']
