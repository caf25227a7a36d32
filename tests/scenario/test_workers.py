"""Servers without workers and workers without a server over one database and one store: jobs spread, a worker that is stopped,
killed or paused for longer than its lease costs nothing, and the bytes are those of a single process."""
import contextlib
import sqlite3

import pytest

import postgres
from client import Client, Watch
from redis_server import Redis
from server import Server, hold, wait_for
from workers import Worker

PARAMS = {'rungs': ['240p', '144p'], 'segment_seconds': 2}
LEASE = ('--lease', '2')


def objects(server, job_id):
    return server.store.digests('hls/local/' + job_id)


@pytest.fixture(scope='module')
def expected(tmp_path_factory, sample):
    """The objects of the job as a server alone makes them."""
    with Server(tmp_path_factory.mktemp('alone'), '--workers', '2') as s:
        c = Client(s.url)
        job = c.run_job(c.upload(sample)['file_id'], **PARAMS)
        found = objects(s, job['job_id'])
    Server.live.remove(s)
    return found


@pytest.fixture
def front(make_server, sample):
    server = make_server('--workers', '0', *LEASE)
    client = Client(server.url)
    client.source = client.upload(sample)['file_id']
    return server, client


def start_on(client, worker):
    """A job that the worker is in the middle of."""
    job_id = client.start_job(client.source, **PARAMS)['job_id']
    wait_for(worker.tasks, 'the worker has a task')
    return job_id


def pause_between_writes(server, worker):
    """Not while it holds SQLite's lock, or those of a transaction of PostgreSQL's, for which all others would wait."""
    open_ones = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{worker.name}' AND xact_start IS NOT NULL"

    def paused():
        worker.pause()
        if not server.database_url().startswith('sqlite:'):
            if postgres.sql(server.database_url(), open_ones) == [('0',)]:
                return True
            return worker.go_on()
        try:
            with contextlib.closing(sqlite3.connect(server.data / 'millrace.db', timeout=0.5)) as db:
                db.execute('BEGIN IMMEDIATE')
            return True
        except sqlite3.OperationalError:
            worker.go_on()
    wait_for(paused, 'it is paused between two writes')


def test_workers_and_two_fronts(front, make_server, expected):
    server, client = front
    second = make_server('--workers', '0', '--data', server.data, name='second')
    other = Client(second.url)
    with Worker(server, '--workers', '1', *LEASE) as a, Worker(server, '--workers', '1', *LEASE) as b:
        job_id = client.start_job(client.source, **PARAMS)['job_id']
        stream = other.get(f'/api/jobs/{job_id}/events', stream=True)
        with stream:   # of the front that was not asked to make it
            assert any(b'"status":"completed"' in line.replace(b' ', b'') for line in stream.iter_lines())
        other.complete(job_id, Watch())
        assert client.job(job_id)['status'] == 'completed'
        chunks, = server.rows(f"SELECT COUNT(*) FROM chunk WHERE job_id = '{job_id}' AND kind = 1")[0]

        def done():
            return sum(len(w.events('chunk_done')) for w in (a, b))
        wait_for(lambda: done() >= chunks, 'who made the last one says so, which the other may end the job before')
        assert done() == chunks, 'nothing is made twice'
    assert objects(server, job_id) == expected
    playlist = other.get(other.job(job_id)['streaming']['playlist_url'])
    assert playlist.status_code == 200 and '#EXTM3U' in playlist.text


def test_progress_and_cancel_on_the_other_front(tmp_path, front, make_server):
    """Through Redis, which keeps the progress for a while; a request to a front that knows nothing of it ends the worker's task."""
    with Redis(tmp_path / 'redis') as redis:
        bus = ('--bus', redis.url)
        server = make_server('--workers', '0', *LEASE, *bus, '--data', front[0].data, name='first')
        second = make_server('--workers', '0', *LEASE, *bus, '--data', front[0].data, name='second')
        client, other = Client(server.url), Client(second.url)
        with Worker(server, '--workers', '1', *LEASE, *bus) as a:
            for process in server, second, a:
                wait_for(lambda p=process: 'event=bus_connected' in p.log(), 'Redis is connected')
            job_id = client.start_job(front[1].source, rungs=['480p', '360p', '240p', '144p'], segment_seconds=6)['job_id']
            wait_for(lambda: redis.cli('GET', f'millrace:progress:{job_id}'), 'progress is in Redis')
            wait_for(lambda: other.job(job_id)['progress']['percent'] > 0, 'the other front sees it')
            wait_for(lambda: hold(a.tasks()), 'it isn\'t done before it is canceled')
            assert 0 < int(redis.cli('TTL', f'millrace:progress:{job_id}')) <= 30
            stored = redis.cli('GET', f'millrace:progress:{job_id}').split()
            assert stored[-1] == 'local' and stored[3] == 'encoding'
            assert other.delete(f'/api/jobs/{job_id}').status_code == 200
            wait_for(lambda: not a.tasks(), 'the task ends')
            assert client.job(job_id)['status'] == 'canceled'
            wait_for(lambda: a.events('chunk_dropped'), 'and its worker knows why')


def test_a_worker_that_is_told_to_stop_gives_its_chunk_back(front, expected):
    server, client = front
    with Worker(server, '--workers', '1', *LEASE) as a:
        job_id = start_on(client, a)
        a.stop()
    with Worker(server, '--workers', '1', *LEASE):
        client.complete(job_id)
    assert server.rows(f"SELECT SUM(failures) FROM chunk WHERE job_id = '{job_id}'") == [(0,)]
    assert objects(server, job_id) == expected


def test_a_paused_worker_cannot_commit(front, expected):
    server, client = front
    with Worker(server, '--workers', '1', *LEASE) as a:
        job_id = start_on(client, a)
        pause_between_writes(server, a)
        try:
            with Worker(server, '--workers', '1', *LEASE) as b:
                client.complete(job_id)   # b has waited for the lease, and made what a had claimed
                assert b.events('chunk_done')
                before = objects(server, job_id)
        finally:
            a.go_on()
        wait_for(lambda: a.events('chunk_dropped'), 'the worker sees that its claim is gone')
        assert not a.events('job_failed') and not a.events('chunk_failed')
        wait_for(lambda: not a.tasks(), 'its task ends')
        second = client.start_job(client.source, **PARAMS)['job_id']
        client.complete(second)           # and it goes on working
    assert objects(server, job_id) == before == expected


def test_redis_is_stopped_in_the_middle_of_a_job(tmp_path, make_server, sample, expected):
    with Redis(tmp_path / 'redis', tls=True, password='secret') as redis:
        bus = ('--bus', redis.url)
        server = make_server('--workers', '0', *LEASE, *bus)
        client = Client(server.url)
        client.source = client.upload(sample)['file_id']
        with Worker(server, '--workers', '1', *LEASE, *bus) as a:
            for process in server, a:
                wait_for(lambda p=process: 'event=bus_connected' in p.log(), 'Redis is connected')
            job_id = start_on(client, a)
            redis.stop()
            client.complete(job_id)
            redis.start()
            for process in server, a:
                wait_for(lambda p=process: p.log().count('event=bus_connected') == 2, 'Redis is connected again')
                assert process.log().count('event=bus_away') == 1, 'it is said once'
                assert 'secret' not in process.log()
            client.run_job(client.source, **PARAMS)
    assert objects(server, job_id) == expected
