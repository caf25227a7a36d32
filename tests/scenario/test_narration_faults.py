"""What goes wrong around a narration: a voice that fails for good and is mended, answers that are no sound, objects that are taken
away, scripts that can't be spoken. Nothing half-made stays, and what is tried again gives the bytes of a run without trouble."""
import os
import threading

import pytest

import narration
from client import Client, error_of
from server import Server, limit, rigged, wait_for
from speech_server import Endpoint
from test_upload import small_disk  # noqa: F401, a fixture


class Rig:
    def __init__(self, folder):
        self.endpoint = Endpoint()
        threading.Thread(target=self.endpoint.serve_forever, daemon=True).start()
        # Longer than an answer takes on a busy machine: what is asked is counted.
        speech = f'openai+{self.endpoint.url}?format=wav&concurrency=3&timeout={round(limit(10))}&tries=2'
        self.server = Server(folder, '--workers', '2', '--speech', speech).start()
        self.client = Client(self.server.url)
        self.music = self.client.upload(narration.music(folder / 'music.mp3'))['file_id']

    def start(self, script, **params):
        return narration.start(self.client, script, music_file_id=self.music, **params)

    def objects(self, job):
        return self.server.store.below(f'narrations/local/{job["job_id"]}')

    def kept_nothing(self, job):
        wait_for(lambda: not self.objects(job), 'of what failed nothing is kept', 30)   # by whoever failed it; the janitor later

    def failed(self, job):
        return wait_for(lambda: (j := self.client.job(job['job_id']))['status'] == 'failed' and j, 'it has failed', 180)


@pytest.fixture(scope='module')
def rig(tmp_path_factory):
    r = Rig(tmp_path_factory.mktemp('narration-faults'))
    with rigged(r, r.endpoint.shutdown):
        yield r


def test_three_attempts_then_a_retry_from_what_was_spoken(rig):
    script = 'One before. Two before. [pause 8s] Always500 now. Three behind.'
    job = rig.start(script)
    url = rig.client.follow(job['job_id'], lambda j: j['streaming']['playlist_url'])['streaming']['playlist_url']
    assert rig.objects(job)
    failed = rig.failed(job)
    assert failed['error']['code'] == 'GENERATION_FAILED' and 'sentence 3' in failed['error']['message'], failed['error']
    assert not failed['error']['retriable'] and failed['generation_attempt'] == 3
    assert failed['streaming']['playlist_url'] is None and failed['streaming']['segments_completed'] == 0
    assert not failed['download']['available'] and failed['finished_at']
    rig.kept_nothing(job)
    error_of(rig.client.get(url), 404)
    error_of(rig.client.post(f'/api/jobs/{job["job_id"]}/download', json={'format': 'mp3'}), 409, 'NOT_COMPLETED')
    asked = rig.endpoint.stats()['asked']
    assert asked['One before.'] == asked['Two before.'] == 1 and asked['Always500 now.'] == 3 * 2
    rig.endpoint.mended = True
    rig.client.good(rig.client.post(f'/api/jobs/{job["job_id"]}/retry'), 202)
    done = rig.client.complete(job['job_id'])
    rig.endpoint.mended = False
    assert done['generation_attempt'] == 4
    asked = rig.endpoint.stats()['asked']
    assert asked['One before.'] == asked['Two before.'] == 1 and asked['Always500 now.'] == 7
    fresh = rig.client.complete(rig.start(script)['job_id'])
    assert narration.segments(rig.client, done) == narration.segments(rig.client, fresh)


def test_answers_that_are_no_sound_are_asked_for_again(rig):
    words = ('noise', 'empty', 'hollow', 'never', 'cutchunked', 'html')
    done = rig.client.complete(rig.start(' '.join(f'An answer that is {word} .' for word in words))['job_id'])
    assert done['generation_attempt'] == 1
    asked = rig.endpoint.stats()['asked']
    assert [asked[f'An answer that is {word} .'] for word in words] == [2] * len(words)


def test_a_sound_without_end_is_refused(rig):
    failed = rig.failed(rig.start('A huge one.'))
    assert failed['error']['code'] == 'GENERATION_FAILED' and 'more than 67108864 bytes' in failed['error']['message'], failed
    rig.kept_nothing(failed)


def test_speech_that_is_gone_is_spoken_again(rig):
    script = 'It was kept. It is gone.'
    first = rig.client.complete(rig.start(script)['job_id'])
    rig.server.store.remove('speech')
    again = rig.client.complete(rig.start(script)['job_id'])
    assert again['generation_attempt'] == 1 and narration.segments(rig.client, first) == narration.segments(rig.client, again)
    assert rig.endpoint.stats()['asked']['It is gone.'] == 2


def test_music_is_kept_while_it_is_needed_and_its_loss_is_clear(rig, tmp_path):
    other = rig.client.upload(narration.music(tmp_path / 'other.mp3', 11))['file_id']
    rig.endpoint.slow = 5
    job = narration.start(rig.client, 'Slowly one. Slowly two.', music_file_id=other, lead_seconds=6)
    error_of(rig.client.delete(f'/api/files/{other}'), 409, 'FILE_IN_USE')
    stored = rig.server.store.one('uploads/local/' + other)
    rig.client.follow(job['job_id'], lambda j: j['status'] == 'streaming')
    with stored.taken():
        rig.endpoint.slow = 0
        # What has begun has the music open; the voice alone doesn't need it.
        rig.client.complete(job['job_id'])
        assert rig.server.store.exists(f'narrations/local/{job["job_id"]}/voice.mp3')
        failed = rig.failed(narration.start(rig.client, 'Three.', music_file_id=other))
        assert failed['error']['code'] == 'GENERATION_FAILED' and 'SOURCE_GONE' in failed['error']['message'], failed['error']
        rig.kept_nothing(failed)
    rig.client.good(rig.client.post(f'/api/jobs/{failed["job_id"]}/retry'), 202)
    assert narration.playlist(rig.client, rig.client.complete(failed['job_id']))[0].ended
    # A narration that is complete doesn't need it any more; one that would be made again does.
    assert rig.client.delete(f'/api/files/{other}').status_code == 204
    rig.client.good(rig.client.post(f'/api/jobs/{job["job_id"]}/download', json={'format': 'mp3'}), 200)


SCRIPTS = {
    'letters': ('x' * (100 << 10) + '.', 413, 'SCRIPT_TOO_LONG'), 'a million': ('A. ' * 1_000_000, 413, None),
    'many': ('A b. ' * 20_000, 413, 'SCRIPT_TOO_LONG'), 'signs': ('. ! ? …', 400, 'SCRIPT_EMPTY'),
    'control': ('\x01\x02\x03', 400, None), 'pause': ('[pause 2s]', 400, 'SCRIPT_EMPTY'),
    'long pause': ('[pause 99999999999999999999s] A.', 400, 'SCRIPT_INVALID'), 'minus': ('A. [pause -1s]', 400, 'SCRIPT_INVALID'),
    'pauses': ('A. [pause 600s]' * 100, 413, 'SCRIPT_TOO_LONG'), 'open': ('<speak>A.', 400, 'SCRIPT_INVALID'),
    'element': ('<speak><audio src="http://x/"/>A.</speak>', 400, 'SCRIPT_INVALID'),
    'entity': ('<!DOCTYPE a [<!ENTITY b "c">]><speak>&b;</speak>', 400, 'SCRIPT_INVALID'),
    'break': ('<speak>A <break time="1"/></speak>', 400, None),
    'no words': ('<speak><break time="2s"/></speak>', 400, 'SCRIPT_EMPTY'),
    'list': (['A.'], 400, None), 'surrogate': ('\ud800', 400, None)}


@pytest.mark.parametrize('name', SCRIPTS)
def test_scripts_that_cannot_be_spoken(rig, name):
    script, status, code = SCRIPTS[name]
    error_of(rig.client.post('/api/jobs', json={'kind': 'narration', 'params': {'script': script}}), status, code)


@pytest.mark.soak
@pytest.mark.backend('file', 'a full disk')
def test_soak_a_full_disk(small_disk, make_server):  # noqa: F811, the fixture
    """It waits for space, which is no failure, and goes on where it stopped."""
    server = make_server('--workers', '2', name=small_disk.parent.name)
    client = Client(server.url)
    script = 'One. Two. [pause 8s] Three. [pause 8s] Four.'
    expected = narration.segments(client, client.complete(narration.start(client, script)['job_id']))
    for room in (40, 160):
        job = narration.start(client, script)
        free = os.statvfs(small_disk)
        filler = small_disk / 'filler'
        filler.write_bytes(b'\0' * (free.f_bavail * free.f_frsize - (room << 10)))
        released = f'event=chunk_released job={job["job_id"]}'
        wait_for(lambda: released in server.log(), 'the full disk is noticed', 30)
        filler.unlink()
        done = client.complete(job['job_id'])
        assert done['generation_attempt'] == 1 and narration.segments(client, done) == expected
