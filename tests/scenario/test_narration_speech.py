"""Narrations spoken by an endpoint: published while it still speaks, asked for what is new alone, and clear when it refuses."""
import threading

import pytest

import narration
from client import Client, error_of
from server import Server, rigged, wait_for
from speech_server import Endpoint

KEY = 'sk-test'


class Rig:
    def __init__(self, folder):
        self.endpoint = Endpoint(key=KEY)
        threading.Thread(target=self.endpoint.serve_forever, daemon=True).start()
        self.speech = f'openai+{self.endpoint.url}?model=tone&format=mp3&voices=alloy,nova&concurrency=2'
        self.server = Server(folder, '--workers', '2', '--speech', self.speech, env={'MILLRACE_SPEECH_API_KEY': KEY}).start()
        self.client = Client(self.server.url)

    def asked(self):
        return self.endpoint.stats()['asked']


@pytest.fixture
def rig(tmp_path):
    r = Rig(tmp_path)
    with rigged(r, r.endpoint.shutdown):
        yield r
    assert KEY not in r.server.log()


def test_an_edited_script_asks_for_what_is_new(rig):
    first = rig.client.complete(narration.start(rig.client, 'One. Two. Three. Two.')['job_id'])
    assert rig.asked() == {'One.': 1, 'Two.': 1, 'Three.': 1}
    again = rig.client.complete(narration.start(rig.client, 'One. Two. Three. Two.')['job_id'])
    assert narration.segments(rig.client, again) == narration.segments(rig.client, first)
    rig.client.complete(narration.start(rig.client, 'One. [pause 1s] Four. Three.', voice='alloy')['job_id'])
    assert rig.asked() == {'One.': 1, 'Two.': 1, 'Three.': 1, 'Four.': 1}
    rig.client.complete(narration.start(rig.client, 'One.', voice='nova')['job_id'])
    assert rig.asked()['One.'] == 2, 'another voice is another sound'


def test_segments_come_while_sentences_are_spoken(rig):
    rig.endpoint.most = 4   # sounds for two segments; the voice says nothing more until it is let
    script = ' '.join(f'This is the sentence number {i}, of many words, so that it takes seconds to be said.' for i in range(8))
    job = narration.start(rig.client, script)['job_id']
    seen = rig.client.follow(job, lambda j: j['streaming']['playlist_url'])
    assert seen['status'] == 'streaming'
    assert len(rig.asked()) < 8
    assert not rig.endpoint.go_on.is_set()
    media, _ = narration.playlist(rig.client, seen)
    assert media.segments and not media.ended
    rig.endpoint.go_on.set()
    rig.client.complete(job)
    assert set(rig.asked().values()) == {1}


def test_voices_are_the_endpoint_s(rig):
    error = error_of(rig.client.post('/api/jobs', json={'kind': 'narration', 'params': {'script': 'Hi.', 'voice': 'slt'}}), 400)
    assert 'alloy, nova' in error['message']


def test_a_refusal_is_final_and_a_retry_goes_on(rig):
    rig.endpoint.key = 'sk-another'
    job = narration.start(rig.client, 'One. Two. Three.')['job_id']
    failed = rig.client.follow(job, lambda j: j['status'] == 'failed')
    assert failed['error']['code'] == 'GENERATION_FAILED' and '401' in failed['error']['message']
    assert KEY not in failed['error']['message'] and not failed['error']['retriable']
    assert rig.asked()['One.'] == 1, 'what is refused is not asked for again'
    rig.endpoint.key = KEY
    rig.client.good(rig.client.post(f'/api/jobs/{job}/retry'), 202)
    done = rig.client.complete(job)
    assert done['generation_attempt'] == 2
    assert rig.asked()['One.'] == 2


def test_what_passes_isn_t_seen(rig):
    done = rig.client.complete(narration.start(rig.client, 'Fail500 it. Reset it. Html it. Cut it. Fine.')['job_id'])
    assert done['generation_attempt'] == 1
    assert set(rig.asked().values()) == {1, 2}


def test_a_narration_keeps_to_its_provider(rig):
    rig.endpoint.most = 2
    job = narration.start(rig.client, 'One. Two. Three. Four. Five.')['job_id']
    wait_for(lambda: len(rig.asked()) > 2, 'it is being spoken')
    rig.server.kill()
    rig.server.options[rig.server.options.index(rig.speech)] = 'flite'
    rig.server.env = {}
    rig.server.start()
    failed = wait_for(lambda: (j := rig.client.job(job))['status'] == 'failed' and j, 'it has failed')
    assert 'SPEECH_PROVIDER_CHANGED' in failed['error']['message']
