"""PostgreSQL goes away in the middle of jobs and comes back: no job is lost, none fails, readiness says what is wrong meanwhile,
and nothing has to be started again. Two processes on one database tell each other of work."""
import time

import pytest
import requests

import postgres
from client import Client
from server import SOAK, limit, wait_for

pytestmark = pytest.mark.skipif(not postgres.programs(), reason='PostgreSQL is not installed')
JOBS = 20 if SOAK else 3
AWAY_S = 20 if SOAK else 2
PARAMS = {'rungs': ['144p'], 'segment_seconds': 2}


@pytest.fixture
def database():
    with postgres.Postgres() as pg:
        yield pg


def ready(server):
    answer = requests.get(server.url + '/readyz', timeout=limit(60))
    return answer.status_code == 200, answer.text


def test_the_database_goes_away_and_comes_back(make_server, database, sample):
    server = make_server('--database', database.url, '--workers', '2')
    client = Client(server.url)
    file_id = client.upload(sample)['file_id']
    jobs = [client.start_job(file_id, **PARAMS)['job_id'] for _ in range(JOBS)]
    client.follow(jobs[0], lambda j: j['status'] != 'pending')
    process = server.process
    database.stop()
    gone = time.monotonic()
    is_ready, why = ready(server)
    assert not is_ready and 'database' in why
    assert client.get(f'/api/jobs/{jobs[0]}').status_code == 503
    time.sleep(max(0, AWAY_S - (time.monotonic() - gone)))   # an outage lasts as long as it lasts
    database.start()
    wait_for(lambda: ready(server)[0], 'the server is ready again')
    for job in jobs:
        done = client.complete(job, seconds=240)
        assert done['error'] is None
    assert server.process is process
    assert [] == server.rows("SELECT job_id FROM chunk WHERE failures > 0")
    assert server.log().count('event=job_failed') == 0


def test_connections_are_cut_all_the_time(make_server, database, sample):
    """Each of them some times, wherever it is."""
    server = make_server('--database', database.url, '--workers', '2')
    client = Client(server.url)
    file_id = client.upload(sample)['file_id']
    job = client.start_job(file_id, **PARAMS)['job_id']
    for _ in range(20):
        database.kill_backends()
        time.sleep(0.05)   # so that some come between and others into a statement
    assert client.complete(job, seconds=240)['error'] is None


def test_two_processes_tell_each_other_of_work(make_server, database, sample, tmp_path):
    """A job that one takes in is begun by the other, and the first tells of its progress."""
    front = make_server('--database', database.url, '--workers', '0', '--data', tmp_path / 'shared')
    make_server('--database', database.url, '--workers', '2', '--data', tmp_path / 'shared')
    client = Client(front.url)
    job = client.run_job(client.upload(sample)['file_id'], **PARAMS)
    assert job['status'] == 'completed'
    heard = database.sql("SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    assert heard == [('2',)]
