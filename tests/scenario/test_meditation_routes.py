"""The meditation app's routes: its shapes, whose job it is, and the answer without streaming."""
import base64

import pytest
import requests

import narration
import sound
from client import Client, error_of
from server import limit, wait_for

OPTIONS = ('--workers', '2', '--cors-origin', 'https://app.example')
SCRIPT = 'One. Two. [pause 1s] Three.'


def post(client, **body):
    return client.post('/', json={'type': 'meditation', 'script': SCRIPT, **body})


def test_a_meditation_from_its_script_to_its_file(server, tmp_path):
    anna = Client(server.url, user='anna')
    music = anna.upload(narration.music(tmp_path / 'music.mp3'))['file_id']
    made = anna.good(post(Client(server.url), user_id='anna', music_file_id=music, min_seconds=12), 202)
    assert set(made) == {'job_id', 'status'} and made['status'] == 'pending'
    path = f'/job/{made["job_id"]}'
    error_of(Client(server.url, user='berta').get(path), 404)
    error_of(Client(server.url, user='berta').post(path + '/download'), 404)
    job = wait_for(lambda: (j := anna.good(anna.get(path), 200))['status'] == 'completed' and j, 'the meditation is complete')
    assert job == anna.good(anna.get(f'/api/jobs/{made["job_id"]}'), 200) | {'streaming': job['streaming']}
    assert job['user_id'] == 'anna' and job['duration'] >= 12 and narration.playlist(anna, job)[0].ended
    answer = anna.good(anna.post(path + '/download'), 200)
    assert set(answer) == {'job_id', 'download_url', 'expires_in'} and answer['expires_in'] == 3600
    (tmp_path / 'a.mp3').write_bytes(requests.get(answer['download_url'], timeout=limit(30)).content)
    assert sound.samples(tmp_path / 'a.mp3') == round(job['duration'] * 48000)


@pytest.mark.parametrize('body, code', [({'type': 'summary'}, 'SUMMARY_NOT_SUPPORTED'), ({'type': 'poem'}, 'UNKNOWN_TYPE'),
                                        ({'type': None}, 'MISSING_FIELD'), ({'script': ''}, 'SCRIPT_EMPTY'),
                                        ({'tempo': 2}, None)])
def test_what_is_wrong_is_named(client, body, code):
    error_of(post(client, **body), 400, code)


def test_paths_and_states(client, sample):
    error_of(client.get('/job/..%2f..%2fetc'), 400)
    error_of(client.get('/job/nobody'), 404)
    ladder = client.start_job(client.upload(sample)['file_id'], rungs=['240p'])['job_id']
    error_of(client.get(f'/job/{ladder}'), 404)
    job = client.good(post(client, script=SCRIPT * 100), 202)['job_id']   # long enough not to be complete by then
    error_of(client.post(f'/job/{job}/download'), 409, 'NOT_COMPLETED')
    client.delete(f'/api/jobs/{job}')


def test_preflight(client):
    for path, method in (('/', 'POST'), ('/job/0192f1a0-0000-7000-8000-000000000000/download', 'POST')):
        answer = client.call('OPTIONS', path, headers={'Origin': 'https://app.example', 'Access-Control-Request-Method': method,
                                                       'Access-Control-Request-Headers': 'content-type'})
        assert answer.status_code == 204
        assert answer.headers['Access-Control-Allow-Origin'] == 'https://app.example'
        assert method in answer.headers['Access-Control-Allow-Methods']


def test_without_streaming_the_job_carries_the_file(make_server, tmp_path):
    server = make_server('--workers', '2', env={'ENABLE_HLS_STREAMING': 'false'})
    client = Client(server.url)
    job_id = client.good(post(client), 202)['job_id']

    def ended():
        job = client.good(client.get(f'/job/{job_id}'), 200)
        assert 'streaming' not in job and job['status'] in ('pending', 'processing', 'completed')
        assert job['status'] == 'completed' or job['result'] is None
        return job if job['status'] == 'completed' else None
    job = wait_for(ended, 'the meditation and its file')
    assert job['result']['format'] == 'mp3'
    (tmp_path / 'a.mp3').write_bytes(base64.b64decode(job['result']['base64'], validate=True))
    assert (tmp_path / 'a.mp3').stat().st_size == job['result']['bytes']
    assert sound.samples(tmp_path / 'a.mp3') == round(job['duration'] * 48000)
    # Where its file can't be made it looks failed, and stays so until somebody asks for it again.
    job_id = client.good(post(client, script='Four.'), 202)['job_id']
    wait_for(lambda: 'job_completed job=' + job_id in server.log(), 'it is rendered')
    segment = next(o for o in server.store.below('narrations/local/' + job_id) if o.suffix == '.ts')
    with segment.taken():
        failed = wait_for(lambda: (j := client.good(client.get(f'/job/{job_id}'), 200))['status'] == 'failed' and j,
                          'it looks failed')
        assert failed['error']['code'] == 'SEGMENT_MISSING' and failed['result'] is None and 'streaming' not in failed
        assert client.good(client.get(f'/job/{job_id}'), 200)['error'] == failed['error']
    assert client.good(client.post(f'/job/{job_id}/download'), 200)['job_id'] == job_id
    assert client.good(client.get(f'/job/{job_id}'), 200)['result']['base64']
