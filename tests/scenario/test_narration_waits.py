"""Narrations that wait for a slow endpoint keep nobody else from being worked at."""
import threading

import pytest

import narration
import sound
from client import Client
from server import Server
from speech_server import Endpoint

WORKERS = 1
NARRATIONS = 3


@pytest.fixture
def endpoint():
    e = Endpoint()
    threading.Thread(target=e.serve_forever, daemon=True).start()
    yield e
    e.shutdown()


def test_others_are_worked_at_while_narrations_wait(endpoint, tmp_path):
    endpoint.slow = 3600  # until the test says otherwise
    speech = f'openai+{endpoint.url}?model=tone&format=mp3&concurrency=8'
    server = Server(tmp_path / 's', '--workers', str(WORKERS), '--speech', speech).start()
    try:
        client = Client(server.url)
        music = client.upload(narration.music(tmp_path / 'music.wav', 3))['file_id']
        waiting = [narration.start(client, f'This is story {i}.')['job_id'] for i in range(NARRATIONS)]
        for job in waiting:
            client.follow(job, lambda j: j['status'] == 'processing')
        # All of them have a worker's place; so has this.
        other = client.good(client.post('/api/jobs', json={'kind': 'ladder', 'file_id': music, 'params': {}}), 202)['job_id']
        client.complete(other)
        # And beside what is long, what is short: they wait in its place, too.
        with sound.endless_chunk(server, client, tmp_path):
            client.run_convert(music, format='mp3')
        assert {client.job(job)['status'] for job in waiting} == {'processing'}
    finally:
        server.close()
        Server.live.remove(server)
