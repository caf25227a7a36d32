"""Machines that come and go: workers in network namespaces of their own over PostgreSQL and S3, one killed and one paused for
longer than its lease; and every process of an installation ended and started again, one after another, in the middle of work."""
import collections
import contextlib
import re

import pytest

import namespaces
import postgres
import s3_server
from client import Client
from server import wait_for
from test_workers import LEASE, PARAMS, expected, objects  # noqa: F401: a fixture
from workers import Worker


def on_machine(namespace, server, options):
    w = Worker(server, *options)
    w.command, w.machine = [*namespace.prefix, *w.command], namespace.name
    return w


@pytest.mark.soak
@pytest.mark.skipif(bool(namespaces.REASON), reason=namespaces.REASON)
@pytest.mark.skipif(not postgres.programs(), reason='PostgreSQL is not installed')
def test_four_workers_that_share_only_a_network_soak(make_server, sample, expected):  # noqa: F811
    with contextlib.ExitStack() as stack:
        pg = stack.enter_context(postgres.Postgres())
        s3 = stack.enter_context(s3_server.S3Server())
        s3.client.create_bucket(Bucket='machines')
        server = make_server('--workers', '0', *LEASE, '--database', pg.url, '--store', s3.url('machines'), env=s3.env)
        client = Client(server.url)
        source = client.upload(sample)['file_id']
        workers = []
        for _ in range(4):
            n = stack.enter_context(namespaces.Namespace())
            database = pg.url.replace(f'127.0.0.1:{pg.port}', f'{n.host}:{n.relay(pg.port)}')
            store = s3.url('machines', endpoint=f'http://{n.host}:{n.relay(s3.port)}')
            options = ('--workers', '1', *LEASE, '--database', f'{database}?application_name={n.name}', '--store', store)
            workers.append(stack.enter_context(on_machine(n, server, options)))
        killed, paused, *others = workers

        def paused_between_writes():
            paused.pause()
            open_ones = pg.sql(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{paused.machine}'"
                               ' AND xact_start IS NOT NULL')
            if open_ones == [('0',)] and paused.tasks():
                return True
            paused.go_on()
        jobs = [client.start_job(source, **PARAMS)['job_id'] for _ in range(6)]
        wait_for(paused_between_writes, 'it has a task, and no transaction')
        wait_for(killed.tasks, 'the other has a task')
        killed.kill()
        for job in jobs:
            client.complete(job, seconds=240)
        before = [objects(server, job) for job in jobs]
        paused.go_on()
        wait_for(lambda: paused.events('chunk_dropped'), 'who was paused sees that its claim is gone')
        wait_for(lambda: not paused.tasks(), 'and its task ends')
        client.complete(client.start_job(source, **PARAMS)['job_id'])
        assert [objects(server, job) for job in jobs] == before == [expected] * len(jobs)
        assert server.rows('SELECT SUM(failures) FROM chunk') == [(0,)]
        found = (re.search(r'job=(\S+) chunk=(\d+)', line).groups() for w in workers for line in w.events('chunk_done'))
        done = collections.Counter(found)
        assert done and max(done.values()) == 1, 'nothing is made twice'
        assert all(w.events('chunk_done') for w in others)
        server.stop()   # before what it stands on


def test_every_process_is_restarted_in_the_middle_of_work(make_server, sample, expected):  # noqa: F811
    first = make_server('--workers', '1', *LEASE)
    second = make_server('--workers', '0', *LEASE, '--data', first.data, name='second')
    clients = {first: Client(first.url), second: Client(second.url)}
    source = clients[first].upload(sample)['file_id']
    with Worker(first, '--workers', '1', *LEASE) as worker:
        jobs = []
        for process in worker, first, second:
            other = second if process is first else first
            jobs.append(clients[other].start_job(source, **PARAMS)['job_id'])
            wait_for(lambda: first.tasks() or worker.tasks(), 'somebody is at it')
            process.stop()
            assert clients[other].job(jobs[-1])['status'] != 'failed'
            process.start()
        for job in jobs:
            clients[second].complete(job)
        assert first.rows('SELECT SUM(failures) FROM chunk') == [(0,)]
        for process in first, second, worker:
            assert 'event=job_failed' not in process.log() and 'event=chunk_failed' not in process.log()
    assert [objects(first, job) for job in jobs] == [expected] * len(jobs)
