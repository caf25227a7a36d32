"""What those see who run the product: health, figures, everybody's jobs, processes; and who may see it."""
import contextlib
import os
import re
import signal
import subprocess

import pytest

import postgres
import tokens
from client import Client, error_of
from make_media import media
from server import hold, let_go, wait_for
from test_openapi_answers import check
from tokens import hs256
from workers import Worker

QUICK = ('--workers', '1', '--analyze', 'off', '--watch-interval', '1')
ADMIN = ['/api/admin/stats', '/api/admin/active', '/api/admin/history', '/metrics']
NOBODYS = '/api/admin/jobs/01a1fd75-3c72-710f-ac67-33c73944a85f'
TOKEN = 'a token for who reads metrics'


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / 'disk'
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64m,mode=700', 'millrace-test', folder],
                                                   stderr=subprocess.DEVNULL).returncode == 0
    if not mounted:
        pytest.skip('needs the right to mount')
    yield folder
    subprocess.run(['umount', '-l', folder], check=True)


@pytest.fixture(scope='module')
def sound():
    return media('sound-8k-mono.wav')


# An answer of the figures stays for twenty times as long as it took to make, that of what is stored for a hundred times: a moment
# in which the machine was busy elsewhere may make minutes.
KEPT_S = 240


def stats(client, window='hour'):
    found = client.good(client.get('/api/admin/stats', params={'window': window}), 200)
    check(found, 'Stats')
    return found


def stored(client):
    return {s['kind']: s for s in stats(client)['storage']}


def health(client, status=200):
    answer = client.get('/api/health')
    assert answer.status_code == status, answer.text
    check(answer.json(), 'Health')
    return {c['name']: c for c in answer.json()['checks']}


# ---- figures ----

def test_figures_of_real_jobs_are_true(make_server, sound):
    server = make_server(*QUICK)
    client = Client(server.url)
    assert stats(client)['jobs'] == dict.fromkeys(['pending', 'processing', 'streaming', 'completed', 'failed', 'canceled'], 0)
    file = client.upload(sound)
    duration = file['probe']['duration']
    done = [client.run_convert(file['file_id'], format='mp3') for _ in range(2)]
    seen = wait_for(lambda: (s := stats(client))['jobs']['completed'] == 2 and s, 'two are counted', KEPT_S)
    bucket = [b for b in seen['buckets']['list'] if b['completed']]
    assert sum(b['completed'] for b in bucket) == 2 and len(seen['buckets']['list']) == 60
    assert sum(b['media_seconds'] for b in bucket) == pytest.approx(2 * duration, rel=0.02)
    assert [k['kind'] for k in seen['by_kind']] == ['convert'] and seen['by_kind'][0]['speed'] > 0
    upload = {'kind': 'uploads', 'objects': 1, 'bytes': file['size']}
    wait_for(lambda: stored(client)['uploads'] == upload, 'the upload is counted', KEPT_S)
    for window, buckets in ('day', 48), ('week', 56):
        other = stats(client, window)
        assert len(other['buckets']['list']) == buckets and sum(b['completed'] for b in other['buckets']['list']) == 2

    past = client.good(client.get('/api/admin/history'), 200)['jobs']
    for job in past:
        check(job, 'PastJob')
    assert [j['job_id'] for j in past] == [d['job_id'] for d in reversed(done)]
    assert all(j['status'] == 'completed' and not j['deleted'] and j['source_name'] == sound.name for j in past)
    assert past[0]['took_seconds'] > 0 and past[0]['waited_seconds'] >= 0

    # A job that is deleted counts on, and so it does when it is removed.
    assert client.delete(f'/api/jobs/{done[0]["job_id"]}').status_code == 204
    wait_for(lambda: 'event=job_removed' in server.log(), 'its rows are gone')
    after = client.good(client.get('/api/admin/history'), 200)['jobs']
    assert [(j['job_id'], j['status'], j['deleted'], j['duration_seconds']) for j in after] == [
        (past[0]['job_id'], 'completed', False, past[0]['duration_seconds']),
        (past[1]['job_id'], 'completed', True, past[1]['duration_seconds'])]
    wait_for(lambda: stored(client)['conversions']['objects'] == 1, 'its object is not counted', KEPT_S)
    assert stats(client)['jobs']['completed'] == 2


def test_history_by_page_and_filter(make_server, sound):
    client = Client(make_server(*QUICK).url)
    file = client.upload(sound)['file_id']
    ids = [client.run_convert(file, format='wav')['job_id'] for _ in range(3)]
    page, found = None, []
    while page is None or page['cursor']:
        page = client.good(client.get('/api/admin/history', params={'limit': 2, 'cursor': page['cursor'] if page else ''}), 200)
        found += [j['job_id'] for j in page['jobs']]
    assert found == ids[::-1]
    for params, count in (({'status': 'failed'}, 0), ({'kind': 'convert'}, 3), ({'user': 'local'}, 3), ({'user': 'x'}, 0)):
        assert len(client.good(client.get('/api/admin/history', params=params), 200)['jobs']) == count, params
    error_of(client.get('/api/admin/history', params={'status': 'pending'}), 400)
    error_of(client.get('/api/admin/stats', params={'window': 'year'}), 400)


def test_the_queue_and_what_waits(make_server, sound):
    client = Client(make_server('--workers', '0', '--watch-interval', '1').url)
    file = client.upload(sound)['file_id']
    job = client.start_convert(file, format='mp3')
    seen = wait_for(lambda: (s := stats(client))['jobs']['pending'] == 1 and s, 'it is counted', KEPT_S)
    assert seen['queue']['ready'] >= 1 and seen['queue']['oldest_waiting_seconds'] >= 0
    kind = next(k for k in seen['queue']['by_kind'] if k['kind'] == 'convert')
    assert kind['jobs'] == 1 and kind['waiting'] >= 1
    active = client.good(client.get('/api/admin/active'), 200)
    assert active['total'] == 1 and active['jobs'][0]['job_id'] == job['job_id']
    check(active['jobs'][0], 'ActiveJob')
    assert active['jobs'][0]['workers'] == [] and active['jobs'][0]['waiting_seconds'] >= 0


# ---- processes ----

def test_processes_come_work_and_go(make_server, sample):
    server = make_server('--workers', '0', '--watch-interval', '1')
    client = Client(server.url)
    file = client.upload(sample)['file_id']
    with Worker(server, '--workers', '1', '--watch-interval', '1', '--lease', '2') as worker:
        job = client.start_job(file, rungs=['240p'], segment_seconds=2)['job_id']
        pid = worker.process.pid
        held = wait_for(lambda: hold(worker.tasks()), 'it is at work, and stays so')

        def busy():
            found = [w for w in stats(client)['workers'] if w['pid'] == pid and w['doing']]
            return found and found[0]
        seen = wait_for(busy, 'the worker is seen at work', KEPT_S)
        let_go(held)
        assert (seen['role'], seen['slots'], seen['alive']) == ('worker', 1, True) and seen['busy'] >= 1
        assert seen['doing'][0]['job_id'] == job and seen['doing'][0]['kind'] == 'ladder'
        client.complete(job)
        wait_for(lambda: [w for w in stats(client)['workers'] if w['pid'] == pid and (w['chunks_done'] or 0) >= 2 and w['speed']],
                 'it says what it has done', KEPT_S)
    wait_for(lambda: pid not in [w['pid'] for w in stats(client)['workers']], 'who stops in order takes its row away',
             KEPT_S)
    assert worker.events('process_started') and worker.events('process_stopped')

    with Worker(server, '--workers', '1', '--watch-interval', '1') as worker:
        pid = worker.process.pid
        wait_for(lambda: pid in [w['pid'] for w in stats(client)['workers']], 'the next one is seen', KEPT_S)
        worker.kill()
        with Worker(server, '--workers', '1', '--watch-interval', '1') as third:
            wait_for(lambda: f'pid={pid}' in ' '.join(third.events('process_died')) + server.log(), 'somebody says that it died')
            wait_for(lambda: pid not in [w['pid'] for w in stats(client)['workers']], 'and takes its row away', KEPT_S)


# ---- health ----

def events(server, name, alert):
    return server.log().count(f'event={name} alert={alert} ')


def test_a_full_disk_is_said_once_and_so_is_its_end(make_server, small_disk):
    server = make_server(*QUICK, '--store', f'file:{small_disk}')
    client = Client(server.url)
    checks = health(client)
    assert {'database', 'store', 'tasks', 'queue', 'cpu', 'memory', 'disk', 'descriptors'} <= set(checks)
    assert checks['database']['latency_ms'] >= 0 and 'seccomp' in checks['tasks']['message']
    filler = small_disk / 'filler'
    with contextlib.suppress(OSError), filler.open('wb') as f:
        while True:
            f.write(bytes(1 << 20))
            f.flush()
    # A look that began before the disk was full may have found it so at its end.
    wait_for(lambda: client.get('/api/health').status_code == 503, 'health notices')
    found = wait_for(lambda: (h := health(client, 503))['store']['status'] == 'fail' and h, 'and says of what')
    assert found['disk']['status'] == 'fail' and found['disk']['value'] < found['disk']['threshold']

    def alerts():
        return {a['alert'] for a in stats(client)['alerts']} & {'store', 'disk'}   # a busy machine may have others
    wait_for(lambda: alerts() == {'store', 'disk'}, 'the alerts are shown', KEPT_S)
    for _ in range(3):   # rounds in which nothing changes
        seen = stats(client)['workers'][0]['last_seen_at']
        wait_for(lambda: stats(client)['workers'][0]['last_seen_at'] > seen, 'another round', KEPT_S)
    assert events(server, 'alert_raised', 'store') == events(server, 'alert_raised', 'disk') == 1
    filler.unlink()
    wait_for(lambda: events(server, 'alert_cleared', 'store') == events(server, 'alert_cleared', 'disk') == 1, 'it is over')
    wait_for(lambda: health(client)['store']['status'] == 'ok', 'health says so')
    wait_for(lambda: not alerts(), 'none of them is left', KEPT_S)


def test_work_that_nobody_does_is_an_alert(make_server, sound):
    server = make_server('--workers', '0', '--watch-interval', '1', '--alert', 'queue=0.5')
    client = Client(server.url)
    job = client.start_convert(client.upload(sound)['file_id'], format='mp3')['job_id']
    wait_for(lambda: events(server, 'alert_raised', 'queue') == 1, 'the alert')
    assert health(client)['queue']['status'] == 'warn'
    with Worker(server, '--workers', '1'):
        client.complete(job)
        wait_for(lambda: events(server, 'alert_cleared', 'queue') == 1, 'its end')


@pytest.mark.skipif(not postgres.programs(), reason='PostgreSQL is not installed')
def test_health_without_the_database(make_server):
    with postgres.Postgres() as database:
        server = make_server(*QUICK, '--database', database.url)
        client = Client(server.url)
        wait_for(lambda: health(client)['database']['status'] == 'ok', 'all is well, and quick')
        database.stop()
        found = wait_for(lambda: client.get('/api/health').status_code == 503 and health(client, 503), 'health notices')
        assert found['database']['status'] == 'fail' and 'queue' not in found
        error_of(client.get('/api/admin/stats'), 503)
        wait_for(lambda: events(server, 'alert_raised', 'database') == 1, 'the alert')
        database.start()
        wait_for(lambda: events(server, 'alert_cleared', 'database') == 1, 'its end')
        wait_for(lambda: health(client)['database']['status'] == 'ok', 'health says so, too')
        server.stop()


# ---- one job ----

def test_all_of_one_job(make_server, sample):
    server = make_server('--workers', '1', '--analyze', 'off')
    client = Client(server.url)
    job = client.start_job(client.upload(sample)['file_id'], rungs=['144p'], segment_seconds=2)['job_id']

    def view():
        return client.good(client.get(f'/api/admin/jobs/{job}'), 200)
    held = wait_for(lambda: hold(server.tasks()), 'a chunk runs, and goes on doing so')
    running = wait_for(lambda: [c for c in view()['chunks'] if c['state'] == 'running'], 'it is seen')
    assert str(server.process.pid) in running[0]['worker']
    let_go(held)
    client.complete(job)
    seen = view()
    assert seen['job']['job_id'] == job and seen['job']['status'] == 'completed' and seen['job']['params']['rungs']
    assert [r['name'] for r in seen['renditions']][0] == '144p'
    assert {(c['state'], c['claims'], c['failures']) for c in seen['chunks']} == {('done', 1, 0)}
    assert any('event=chunk_done' in line for line in seen['log']) and all(f'job={job}' in line for line in seen['log'])
    error_of(client.get('/api/admin/jobs/01a1fd75-3c72-710f-ac67-33c73944a85f'), 404)


def test_attempts_that_came_to_nothing(make_server, sample):
    """Whose they were, what became of them, and what was logged there, on whatever machine that was."""
    server = make_server('--workers', '0')
    client = Client(server.url)
    job = client.start_job(client.upload(sample)['file_id'], rungs=['144p'], segment_seconds=2)['job_id']

    def attempts():
        return client.good(client.get(f'/api/admin/jobs/{job}'), 200)['attempts']
    assert attempts() == []
    with Worker(server, '--workers', '1', '--lease', '2') as first:
        task, = wait_for(lambda: hold(first.tasks()), 'a task runs')
        os.kill(task, signal.SIGKILL)
        released = wait_for(attempts, 'the attempt is noted')[0]
        assert (released['chunk'], released['attempt'], released['outcome']) == (0, 1, 'released')
        assert released['error']['code'] == 'TASK_LOST'
        wait_for(lambda: attempts()[0]['worker'].endswith(f':{first.process.pid}'), 'it has a name, once it has said that')
        wait_for(lambda: hold(first.tasks()), 'it goes on')
        first.kill()
    with Worker(server, '--workers', '1'):
        client.complete(job)
    assert released['ended_at'] and [a['outcome'] for a in attempts()[:2]] == ['released', 'lost']
    assert all(f'job={job}' in line for a in attempts() for line in a['log'])
    client.delete(f'/api/jobs/{job}')
    wait_for(lambda: server.rows('SELECT COUNT(*) FROM attempt') == [(0,)], 'they go with the job')


def test_a_failure_is_an_attempt_with_its_lines(make_server, sample):
    server = make_server('--workers', '0', '--analyze', 'off')
    client = Client(server.url)
    job = client.start_job(client.upload(sample)['file_id'], rungs=['144p'])['job_id']
    for name in server.store.keys('uploads/'):
        server.store.delete(name)
    with Worker(server, '--workers', '1'):
        wait_for(lambda: client.job(job)['status'] == 'failed', 'the job fails')
        failed = wait_for(lambda: client.good(client.get(f'/api/admin/jobs/{job}'), 200)['attempts'], 'the attempt is noted')
    assert [(a['outcome'], a['error']['code']) for a in failed] == [('failed', 'SOURCE_GONE')]
    assert 'event=job_failed' in failed[0]['log'][-1]


# ---- metrics ----

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def metrics(client, **more):
    """{(name, labels): value}, if the text is what Prometheus' format 0.0.4 allows, and histograms are such."""
    answer = client.get('/metrics', **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8' and answer.text.endswith('\n')
    found, family, kinds = {}, None, {}
    for line in answer.text.splitlines():
        if line.startswith('# HELP '):
            family = line.split()[2]
            assert family not in kinds, f'{family} comes in two pieces'
        elif line.startswith('# TYPE '):
            assert line.split()[2] == family
            kinds[family] = line.split()[3]
        else:
            name, labels, value = SAMPLE.fullmatch(line).groups()
            suffixes = ('_bucket', '_sum', '_count') if kinds[family] == 'histogram' else ('',)
            assert name in [family + suffix for suffix in suffixes], line
            key = name, frozenset(LABEL.findall(labels or ''))
            assert key not in found, line
            found[key] = float(value)
            assert kinds[family] != 'counter' or (found[key] >= 0 and (name.endswith('_total') or name.startswith('process_')))
    check_histograms(found, [name for name, kind in kinds.items() if kind == 'histogram'])
    return found


def check_histograms(found, names):
    series = {}
    for (name, labels), value in found.items():
        le = dict(labels).get('le')
        if le and name.removesuffix('_bucket') in names:
            others = frozenset(label for label in labels if label[0] != 'le')
            series.setdefault((name.removesuffix('_bucket'), others), []).append((float(le), value))
    for (name, labels), buckets in series.items():
        bounds, counts = zip(*sorted(buckets))
        assert bounds[-1] == float('inf') and list(counts) == sorted(counts), name
        assert counts[-1] == found[name + '_count', labels], name


def one(found, name, **labels):
    return found.get((name, frozenset(labels.items())), 0)


def test_metrics_are_well_formed_and_true(make_server, sound):
    server = make_server(*QUICK)
    client = Client(server.url)
    file = client.upload(sound)['file_id']
    for _ in range(2):
        client.run_convert(file, format='mp3')
    error_of(client.post('/api/jobs', json={'kind': 'convert', 'file_id': file, 'params': {'format': 'x'}}), 400)

    def all_counted(m):
        """A step counts behind its commit, with which the next may begin in another thread."""
        return all(one(m, 'millrace_chunk_seconds_count', kind=kind, outcome='done') == 2 for kind in ('convert', 'join'))
    wait_for(lambda: all_counted(metrics(client)), 'both conversions and their joins are counted')
    labels = {'millrace_check': 'check', 'millrace_alert': 'alert'}
    quiet = {(name, frozenset({(label, 'database')})): 0 for name, label in labels.items()}
    found = wait_for(lambda: quiet.items() <= (m := metrics(client)).items() and m, 'the database answers soon')
    assert one(found, 'millrace_http_requests_total', method='POST', route='/api/jobs', status='202') == 2
    assert one(found, 'millrace_http_requests_total', method='POST', route='/api/jobs', status='400') == 1
    assert one(found, 'millrace_http_requests_total', method='GET', route='/api/jobs/{id}', status='200') >= 2
    assert one(found, 'millrace_http_request_seconds_count', route='/api/jobs') == 3
    assert one(found, 'millrace_chunk_seconds_count', kind='convert', outcome='done') == 2
    assert one(found, 'millrace_encode_speed_count', kind='convert') == 2
    # But for the share of the last step.
    assert one(found, 'millrace_chunk_media_seconds_total', kind='convert') == pytest.approx(2 * 6, rel=0.05)
    assert one(found, 'millrace_task_seconds_count', operation='convert', outcome='ok') == 2
    assert one(found, 'millrace_jobs_ended_week', kind='convert', status='completed') == 2
    assert one(found, 'millrace_store_seconds_count', operation='put', outcome='ok') >= 5
    assert one(found, 'millrace_database_seconds_count', operation='transaction', outcome='ok') >= 10
    assert one(found, 'process_resident_memory_bytes') > 1 << 20 and one(found, 'process_open_fds') > 5
    later = metrics(client)
    assert all(later[key] >= value for key, value in found.items() if key[0].endswith(('_total', '_count', '_bucket')))


def test_a_worker_says_its_own_and_what_was_killed(make_server, sample):
    server = make_server('--workers', '0', '--watch-interval', '1')
    client = Client(server.url)
    file = client.upload(sample)['file_id']
    with Worker(server, '--workers', '1', '--metrics-listen', '127.0.0.1:0', '--metrics-token', TOKEN) as worker:
        watch = Client(re.search(r'url=(\S+)', worker.events('metrics_listening')[0])[1])
        error_of(watch.get('/metrics'), 401)
        error_of(watch.get('/metrics', headers={'Authorization': 'Bearer another token for metrics'}), 401)
        bearer = {'headers': {'Authorization': f'Bearer {TOKEN}'}}
        wait_for(lambda: one(metrics(watch, **bearer), 'millrace_processes', role='worker') == 1, 'it knows of itself')
        health(watch)
        error_of(watch.get('/api/jobs'), 404)
        job = client.start_job(file, rungs=['240p'], segment_seconds=2)['job_id']
        task, = held = wait_for(lambda: hold(worker.tasks()), 'a task')
        os.kill(task, signal.SIGSEGV)
        let_go(held)
        client.complete(job)
        found = metrics(watch, **bearer)
        assert one(found, 'millrace_sandbox_kills_total', reason='TASK_CRASHED') == 1
        assert one(found, 'millrace_chunk_seconds_count', kind='ladder', outcome='failed') == 1
        assert one(found, 'millrace_chunk_seconds_count', kind='ladder', outcome='done') >= 1
        assert one(metrics(client), 'millrace_chunk_seconds_count', kind='ladder', outcome='done') == 0, 'each process its own'


def test_slow_operations_are_logged_and_all_of_them_for_debugging(make_server, sound):
    quiet, loud = (make_server(*QUICK, *more) for more in (('--slow-ms', '60000'), ('--log-level', 'debug', '--slow-ms', '0')))
    for server in quiet, loud:
        client = Client(server.url)
        client.run_convert(client.upload(sound)['file_id'], format='mp3')
    assert not re.search(r'event=(store|database|task) ', quiet.log())
    assert re.search(r'event=store op=put what=uploads/\S+ ms=[0-9.]+ result=ok', loud.log())
    assert re.search(r'event=database op=transaction what=claim ms=[0-9.]+ result=ok', loud.log())
    assert re.search(r'event=task op=convert what=- ms=[0-9.]+ result=ok', loud.log())
    slow = make_server('--workers', '0', '--slow-ms', '1')
    Client(slow.url).upload(sound)
    wait_for(lambda: re.search(r'level=info event=(database|store) op=.* ms=[0-9.]+ result=ok slow=1', slow.log()), 'a slow one')


# ---- who may ----

def test_administrators_alone(make_server):
    server = make_server('--workers', '0', '--jwt-secret', tokens.SECRET, '--admin', 'olga')
    nobody, alice = Client(server.url), Client(server.url, token=hs256('alice'))
    for path in ADMIN:
        error_of(nobody.get(path), 401, 'UNAUTHORIZED')
        error_of(alice.get(path), 403, 'ADMIN_ONLY')
    error_of(alice.get(NOBODYS), 403, 'ADMIN_ONLY')
    for admin in Client(server.url, token=hs256('carl', role='admin')), Client(server.url, token=hs256('olga')):
        for path in ADMIN:
            assert admin.get(path).status_code == 200
        assert admin.get('/api/session').json()['admin'] is True
        assert 'message' in health(admin)['tasks']
    assert alice.get('/api/session').json()['admin'] is False
    with_token = Client(make_server('--workers', '0', '--jwt-secret', tokens.SECRET, '--metrics-token', TOKEN).url, token=TOKEN)
    assert with_token.get('/metrics').status_code == 200
    for path in ADMIN[:-1]:
        error_of(with_token.get(path), 401)
    assert all('message' not in c for c in health(nobody).values()), 'what could name hosts and paths is not for everybody'
