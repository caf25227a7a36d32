"""A narration's MP3: made once, from its segments, as long as they are; then the stream goes, after a grace."""
import array
import concurrent.futures
import datetime
import itertools
import random
import subprocess
import time
import urllib.parse

import pytest
import requests

import narration
import sound
from client import Client, error_of
from server import limit, wait_for
from snr import joints_are_no_worse, snr_db
from test_openapi_answers import check

FRAME = 1152  # samples, of MP3
SCRIPT = ' '.join(f'This is sentence number {i}, and it takes a while to say.' for i in range(8))


def download(client, job):
    """The answer; on a busy machine a request ends with 202 before the file is made, and is sent again."""
    def answered():
        answer = client.post(f'/api/jobs/{job["job_id"]}/download', json={'format': 'mp3'})
        return answer.status_code != 202 and (answer,)
    return wait_for(answered, 'the MP3 or an error', 180)[0]


def mono(path):
    done = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-ac', '1', '-f', 's16le', '-'], check=True,
                          capture_output=True)
    return array.array('h', done.stdout)


def chunks(server, job):
    """Between which of the MP3's frames its chunks meet."""
    return [first for first, in server.rows('SELECT first_segment FROM chunk WHERE segment_count > 0 AND first_segment > 0'
                                            f" AND job_id = (SELECT id FROM job WHERE parent_id = '{job['job_id']}')")]


@pytest.fixture(scope='module')
def made(module_server, tmp_path_factory):
    client = Client(module_server.url)
    music = client.upload(narration.music(tmp_path_factory.mktemp('music') / 'music.mp3'))['file_id']
    return client.complete(narration.start(client, SCRIPT, music_file_id=music)['job_id'])


def test_two_requests_at_once_make_one_file_as_long_as_the_stream(client, server, made, tmp_path):
    error_of(client.get(f'/api/jobs/{made["job_id"]}/file'), 409, 'NO_FILE')
    before_it = time.time()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = [client.good(a, 200) for a in pool.map(lambda c: download(c, made), [Client(server.url), Client(server.url)])]
    behind_it = time.time()
    assert [set(a) for a in answers] == [{'job_id', 'download_url', 'expires_in'}] * 2
    assert all(a['job_id'] == made['job_id'] and a['expires_in'] == 3600 for a in answers)
    bodies = {requests.get(a['download_url'], timeout=limit(30)).content for a in answers}
    assert len(bodies) == 1 and [o.name for o in server.store.below('downloads')] == [made['job_id'] + '.mp3']
    path = tmp_path / 'narration.mp3'
    path.write_bytes(bodies.pop())
    assert sound.samples(path) == round(made['duration'] * 48000)
    stream = tmp_path / 'stream.ts'
    stream.write_bytes(b''.join(narration.segments(client, made)))
    before, after = mono(stream), mono(path)
    # The stream is what it was made of: neither where segments meet nor where the MP3's chunks do is it less true to it.
    ratios = snr_db(before, after, FRAME)
    assert sorted(ratios)[len(ratios) // 2] > 18, 'the MP3 is another sound than the stream'
    first, last = 4 * 48000 // FRAME, (len(before) - 4 * 48000) // FRAME  # within the fades hardly anything is heard
    ends = itertools.accumulate(seconds for seconds, _ in narration.playlist(client, made)[0].segments)
    for joints in ([round(at * 48000) // FRAME for at in ends], chunks(server, made)):
        joints = [at for at in joints if first + 2 < at < last - 2]
        assert len(joints) > 1
        joints_are_no_worse(ratios[first:last], {at + near - first for at in joints for near in (-1, 0, 1)})
    job = client.job(made['job_id'])
    check(job, 'Job')
    assert job['download']['available'] and job['download']['downloaded']
    assert requests.get(job['download']['url'], timeout=limit(30)).headers['Content-Disposition'].endswith('"narration.mp3"')
    assert client.get(f'/api/jobs/{made["job_id"]}/file').content == path.read_bytes()
    assert len(client.jobs()) == 1, 'the job that makes it is nobody\'s business'
    # An hour for the address, seven days for the file; the stream stays for its length, a minute at least, and goes then.
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(answers[0]['download_url']).query)
    assert int(query['X-Amz-Expires'][0]) == 3600
    now = time.time()
    assert abs(datetime.datetime.fromisoformat(job['expires_at'].replace('Z', '+00:00')).timestamp() - now - 7 * 86400) < 600
    [(due,)] = server.rows(f"SELECT doomed_ms FROM doomed_object WHERE object_key LIKE '%{made['job_id']}/'")
    assert before_it + 60 - 1 < due / 1000 < behind_it + 60 + 1
    assert job['streaming']['playlist_url'] and narration.playlist(client, job)[0].ended


def test_other_formats_and_unfinished_jobs_are_refused(client, made):
    error_of(client.post(f'/api/jobs/{made["job_id"]}/download', json={'format': 'wav'}), 400)
    job = narration.start(client, SCRIPT * 30)   # long enough not to be complete by then
    error_of(download(client, job), 409, 'NOT_COMPLETED')
    client.delete(f'/api/jobs/{job["job_id"]}')


def test_the_stream_goes_and_the_file_stays(make_server):
    server = make_server('--stream-grace', '0')
    client = Client(server.url)
    job = client.complete(narration.start(client, 'One. Two. Three.')['job_id'])
    url = job['streaming']['playlist_url']
    answer = client.good(download(client, job), 200)
    job = client.job(job['job_id'])
    assert job['streaming']['playlist_url'] is None and job['status'] == 'completed'
    error_of(client.get(url), 410, 'STREAM_REMOVED')
    wait_for(lambda: not [o for o in server.store.below('narrations') if o.suffix == '.ts'], 'the segments are removed', 60)
    assert download(client, job).json()['download_url'].split('?')[0] == answer['download_url'].split('?')[0]
    assert requests.get(answer['download_url'], timeout=limit(30)).status_code == 200
    assert client.delete(f'/api/jobs/{job["job_id"]}').status_code == 204
    wait_for(lambda: not server.store.below('downloads'), 'the file goes with its job', 60)


def test_a_missing_segment_is_a_clear_error(make_server):
    server = make_server()
    client = Client(server.url)
    job = client.complete(narration.start(client, SCRIPT)['job_id'])
    victim = next(o for o in server.store.below('narrations') if o.name == 'segment_001.ts')
    with victim.taken():
        assert 'segment 1' in error_of(download(client, job), 410, 'SEGMENT_MISSING')['message']
    client.good(download(client, job), 200)


def test_it_is_made_whatever_is_killed(make_server):
    server = make_server('--workers', '2')
    client = Client(server.url)
    job = client.complete(narration.start(client, SCRIPT, min_seconds=200)['job_id'])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(download, Client(server.url), job)
        time.sleep(0.3)
        server.kill()
        assert asked.exception() is not None or asked.result().status_code == 200
    server.start()
    body = requests.get(client.good(download(client, job), 200)['download_url'], timeout=limit(30)).content
    assert len(body) > 200 * 192000 // 8 - 10000


@pytest.mark.soak
def test_soak_kills_while_it_is_made(make_server):
    """The same file, whatever is killed, whenever."""
    server = make_server('--workers', '2')
    client = Client(server.url)
    bodies = set()
    for seed in range(12):
        chance = random.Random(seed)
        job = client.complete(narration.start(client, SCRIPT, min_seconds=100)['job_id'])
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(download, Client(server.url), job)
            time.sleep(chance.uniform(0, 0.8))
            server.kill_part(chance.choice(['server', 'task', 'zygote']))
            assert asked.exception() is not None or asked.result().status_code == 200
        bodies.add(requests.get(client.good(download(client, job), 200)['download_url'], timeout=limit(30)).content)
        assert client.delete(f'/api/jobs/{job["job_id"]}').status_code == 204
    assert len(bodies) == 1
