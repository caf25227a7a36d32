"""What a process costs the others that share its database: how often an idle one asks; and how many chunks of a kind it takes."""
import re
import time

import pytest

import postgres
from client import Client
from server import wait_for
from workers import Worker

SECONDS, ROUNDS = 8, 6
MOST = 12   # 0.9 a second over a minute; those that are rare may all come within these


def statements(log, name):
    return re.findall(rf'^{name} LOG:  (?:statement|execute [^:]+): (.*)', log, re.MULTILINE)


@pytest.mark.skipif(not postgres.programs(), reason='PostgreSQL is not installed')
def test_an_idle_process_asks_less_than_once_a_second(make_server):
    """Every statement is counted. On a slow machine there are fewer."""
    with postgres.Postgres(log_statement='all', log_min_messages='log', log_line_prefix='%a ') as pg:
        url = pg.schema('idle')
        server = make_server('--database', f'{url}&application_name=front', '--workers', '2', '--analyze', 'on')
        with Worker(server, '--database', f'{url}&application_name=worker', '--workers', '4', '--analyze', 'on'):
            log = pg.folder / 'log'
            # What a process looks for at its start, all of which is done once, is over.
            wait_for(lambda: all(len(statements(log.read_text(), n)) > 10 for n in ('front', 'worker')), 'both have looked around')
            # On a busy machine some of it is done late, and then within a round: but not in every one.
            for _ in range(ROUNDS):
                time.sleep(1)
                seen = log.stat().st_size
                time.sleep(SECONDS)
                asked = {name: statements(log.read_bytes()[seen:].decode(), name) for name in ('front', 'worker')}
                if all(0 < len(one) <= MOST for one in asked.values()):
                    break
            else:
                pytest.fail(f'they ask too often, or not at all: {asked}')
        server.stop()


def test_as_many_of_a_kind_as_are_allowed(make_server, sample):
    server = make_server('--workers', '3', '--limit', 'ladder=1,narration=0')
    client = Client(server.url)
    source = client.upload(sample)['file_id']
    ladders = [client.start_job(source, rungs=['144p'], segment_seconds=2)['job_id'] for _ in range(2)]
    others = [client.start_convert(source, format='wav')['job_id'] for _ in range(2)]
    most = 0

    def all_done():
        nonlocal most
        running, = server.rows("SELECT COUNT(*) FROM chunk c JOIN job j ON j.id = c.job_id WHERE j.kind = 1 AND c.state = 3")[0]
        most = max(most, running)
        return server.rows("SELECT COUNT(*) FROM job WHERE status = 4") == [(4,)]
    wait_for(all_done, 'all are made', 180)   # later chunks are nice to whatever else runs
    assert most == 1
    for job in ladders + others:
        assert client.job(job)['status'] == 'completed'


def test_a_limit_that_is_none(make_server):
    server = make_server('--limit', 'film=1', start=False)
    with pytest.raises(AssertionError, match='--limit: "film" is no kind of job'):
        server.start()
