"""PostgreSQL, S3 or Redis goes away in the middle of jobs of every kind and comes back: no job is lost, none fails, the bytes are
those of a quiet run, health says what is wrong meanwhile, and nothing has to be started again. 20 jobs and 20 s with
MILLRACE_SOAK=1. Two processes on one PostgreSQL tell each other of work."""
import hashlib
import shutil
import time

import pytest
import requests

import narration
import postgres
import s3_server
from client import Client
from make_media import media
from redis_server import Redis
from server import SOAK, limit, wait_for

without_postgres = pytest.mark.skipif(not postgres.programs(), reason='PostgreSQL is not installed')
JOBS = 20 if SOAK else 3
AWAY_S = 20 if SOAK else 2
PARAMS = {'rungs': ['144p'], 'segment_seconds': 2}


def health(server, name):
    """What /api/health says of a part: ok, warn or fail."""
    checks = requests.get(server.url + '/api/health', timeout=limit(60)).json()['checks']
    return next(c['status'] for c in checks if c['name'] == name)


class Database:
    """Each of these three: `option` and `env` of a server over it, stop(), start(), its `name` in what health says,
    and what that says while it is `away`."""
    name, env, away = 'database', {}, 'fail'

    def __init__(self, _folder):
        self.server = postgres.Postgres().start()
        self.option = '--database', self.server.url
        self.stop, self.start, self.end = self.server.stop, self.server.start, self.server.remove

    def check_away(self, server, client, job):
        assert_unready(server, 'database')
        assert client.get(f'/api/jobs/{job}').status_code == 503


class Store:
    name, away = 'store', 'fail'

    def __init__(self, _folder):
        self.server = s3_server.S3Server().__enter__()
        self.server.client.create_bucket(Bucket='outage')
        self.option = '--store', self.server.url('outage')
        self.env = self.server.env
        self.stop, self.start, self.end = self.server.stop, self.server.start, self.server.__exit__

    def check_away(self, server, client, job):
        assert_unready(server, 'store')
        assert client.job(job)['status'] != 'failed'


class Bus:
    """Nothing needs it: all goes on from the database, and it is said once."""
    name, env, away = 'bus', {}, 'warn'

    def __init__(self, folder):
        self.server = Redis(folder / 'redis').start()
        self.option = '--bus', self.server.url
        self.stop, self.start, self.end = self.server.stop, self.server.start, self.server.stop

    def check_away(self, server, _client, _job):
        wait_for(lambda: 'event=bus_away' in server.log(), 'the log says so')
        assert requests.get(server.url + '/readyz', timeout=limit(60)).status_code == 200


def assert_unready(server, what):
    assert requests.get(server.url + '/healthz', timeout=limit(60)).status_code == 200
    answer = wait_for(lambda: not (a := requests.get(server.url + '/readyz', timeout=limit(60))).ok and [a], 'it says so')[0]
    assert answer.status_code == 503 and what in answer.text


@pytest.fixture(params=[pytest.param(Database, marks=without_postgres),
                        pytest.param(Store, marks=pytest.mark.skipif(not s3_server.available(), reason='radosgw is not installed')),
                        pytest.param(Bus, marks=pytest.mark.skipif(not shutil.which('redis-server'), reason='no redis-server'))],
                ids=lambda service: service.name)
def service(request, tmp_path):
    made = request.param(tmp_path)
    yield made
    made.end()


class Work:
    """A ladder, a conversion or a narration; and what came of it."""

    def __init__(self, client):
        self.client = client
        self.files = [client.upload(media(name))['file_id'] for name in ('sample.mp4', 'sound-8k-mono.wav')]

    def start(self, i):
        return (lambda: self.client.start_job(self.files[0], **PARAMS),
                lambda: self.client.start_convert(self.files[1], format='flac'),
                lambda: narration.start(self.client, 'One. [pause 2s] Two.'))[i % 3]()['job_id']

    def made(self, server, job):
        if job['kind'] == 'convert':
            return hashlib.sha256(self.client.fetch(job)).hexdigest()
        return server.store.digests(('hls' if job['kind'] == 'ladder' else 'narrations') + '/local/' + job['job_id'])


@pytest.mark.long
def test_soak_a_service_goes_away_and_comes_back(service, make_server):   # the server ends before the service
    server = make_server(*service.option, '--workers', '2', env=service.env)
    client = Client(server.url)
    work = Work(client)
    jobs = [work.start(i) for i in range(JOBS)]
    client.follow(jobs[0], lambda j: j['status'] != 'pending')
    process = server.process
    service.stop()
    gone = time.monotonic()
    service.check_away(server, client, jobs[0])
    if SOAK or service.name != 'store':   # of which it asks every ten seconds
        wait_for(lambda: health(server, service.name) == service.away, 'health says it')
    time.sleep(max(0, AWAY_S - (time.monotonic() - gone)))   # an outage lasts as long as it lasts
    service.start()
    began = time.monotonic()
    wait_for(lambda: requests.get(server.url + '/readyz', timeout=limit(60)).status_code == 200, 'the server is ready again')
    wait_for(lambda: health(server, service.name) == 'ok', 'health says so, too')
    print(f'{service.name}: ready {time.monotonic() - began:.1f} s after its return')
    done = [client.complete(job, seconds=240) for job in jobs]
    print(f'{service.name}: {len(done)} jobs completed {time.monotonic() - began:.1f} s after its return')
    assert [job['error'] for job in done] == [None] * JOBS
    assert server.process is process
    assert server.rows('SELECT job_id FROM chunk WHERE failures > 0') == []
    assert server.log().count('event=job_failed') == 0
    if service.name == 'bus':
        wait_for(lambda: server.log().count('event=bus_connected') == 2, 'Redis is connected again')
        assert server.log().count('event=bus_away') == 1, 'it is said once'
    for i in range(3):
        quiet = work.made(server, client.complete(work.start(i)))
        assert quiet and all(work.made(server, job) == quiet for job in done[i::3])


@pytest.fixture
def database():
    with postgres.Postgres() as pg:
        yield pg


@without_postgres
def test_connections_are_cut_all_the_time(database, make_server, sample):
    """Each of them some times, wherever it is."""
    server = make_server('--database', database.url, '--workers', '2')
    client = Client(server.url)
    file_id = client.upload(sample)['file_id']
    job = client.start_job(file_id, **PARAMS)['job_id']
    for _ in range(20):
        database.kill_backends()
        time.sleep(0.05)   # so that some come between and others into a statement
    assert client.complete(job, seconds=240)['error'] is None


@without_postgres
@pytest.mark.backend('local', 'Redis tells them otherwise')
def test_two_processes_tell_each_other_of_work(database, make_server, sample, tmp_path):
    """A job that one takes in is begun by the other, and the first tells of its progress."""
    front = make_server('--database', database.url, '--workers', '0', '--data', tmp_path / 'shared')
    make_server('--database', database.url, '--workers', '2', '--data', tmp_path / 'shared')
    client = Client(front.url)
    job = client.run_job(client.upload(sample)['file_id'], **PARAMS)
    assert job['status'] == 'completed'
    heard = "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    wait_for(lambda: database.sql(heard) == [('2',)], 'both of them listen')
