"""millrace setup and doctor: what they make, what they find wrong, and that they leave nothing behind."""
import http.server
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import uuid

import pytest

import postgres
from redis_server import Redis
from s3_server import S3Server, available, url
from server import MILLRACE, clean_environment, files_below, limit, reserve_port
from speech_server import Endpoint

needs_s3 = pytest.mark.skipif(not available(), reason='radosgw is not installed')
needs_postgres = pytest.mark.skipif(not postgres.programs(), reason='PostgreSQL is not installed')


# Of the machine that the test runs on; they may be warnings.
MACHINE = 'descriptors', 'memory', 'shared memory'


class Outcome:
    """The report of one run: o['store write'] is its line."""

    def __init__(self, command, *options, env=None, limits=None):
        def restrict():
            for which, most in (limits or {}).items():
                resource.setrlimit(which, (most, most))
        words = [str(word) for word in (MILLRACE, command, '--json', *options)]
        # The run's own bucket may have left its keys in the environment.
        env = {'AWS_ACCESS_KEY_ID': None, 'AWS_SECRET_ACCESS_KEY': None, **(env or {})}
        env = clean_environment(HOME='/nonexistent', AWS_EC2_METADATA_DISABLED='true', **env)
        done = subprocess.run(words, env={name: value for name, value in env.items() if value is not None},
                              capture_output=True, text=True, timeout=limit(120), check=False, preexec_fn=restrict)
        assert done.stdout.startswith('{'), done.stderr
        self.code, self.report, self.log = done.returncode, json.loads(done.stdout), done.stderr
        self.parts = {part['part']: part for part in self.report['parts']}
        assert self.report['ok'] == (self.code == 0) and self.code in (0, 1)

    def __getitem__(self, part):
        return self.parts[part]

    def results(self):
        return {name: part['result'] for name, part in self.parts.items()}

    def bad(self, part, text, advice):
        """That part failed, says so, and says what to do."""
        line = self[part]
        assert self.code == 1 and line['result'] == 'failed', line
        assert text.lower() in line['text'].lower() and advice.lower() in line['advice'].lower(), line


@pytest.fixture(scope='module')
def s3():
    with S3Server() as server:
        yield server


@pytest.fixture
def bucket():
    return f'setup-{uuid.uuid4().hex[:12]}'


def rows(path):
    with sqlite3.connect(path) as db:
        return {table: db.execute(f'SELECT count(*) FROM {table}').fetchone()[0] for table in ('setting', 'job', 'chunk', 'file')}


# ---- a folder and SQLite ----

def test_setup_of_a_folder_is_done_once(tmp_path):
    data = tmp_path / 'data'
    first = Outcome('setup', '--data', data)
    assert first.results() == {'database': 'changed', 'folder': 'changed'}
    again = Outcome('setup', '--data', data)
    assert again.results() == {'database': 'ok', 'folder': 'ok'}
    text = subprocess.run([MILLRACE, 'setup', '--data', data], capture_output=True, text=True, check=True).stdout
    assert 'nothing to do' in text and 'changed' not in text


def test_doctor_finds_a_folder_healthy_and_leaves_nothing(tmp_path):
    data = tmp_path / 'data'
    Outcome('setup', '--data', data)
    before = rows(data / 'millrace.db')
    o = Outcome('doctor', '--data', data)
    assert o.code == 0, o.parts
    assert {part for part, result in o.results().items() if result == 'skipped'} == {'store rules', 'store clock', 'database hints'}
    for part in ('bus', 'tasks', 'sandbox', 'codecs', 'speech', 'disk', 'database', 'database write', 'database claim',
                 'store write', 'store url', 'store multipart', 'store delete'):
        assert o[part]['result'] == 'ok' and o[part]['ms'] >= 0
    assert rows(data / 'millrace.db') == before
    assert [path for path in files_below(data / 'store') if '.millrace' not in path.parts] == []


def test_doctor_before_setup_makes_nothing(tmp_path):
    o = Outcome('doctor', '--data', tmp_path / 'data')
    o.bad('database', 'no database', 'millrace setup')
    o.bad('store', 'no folder', 'millrace setup')
    assert o['store write']['result'] == 'skipped' and not (tmp_path / 'data').exists()


def test_doctor_reads_a_servers_configuration(tmp_path):
    (tmp_path / 'millrace.conf').write_text(f'data = {tmp_path}/data\nlisten = 127.0.0.1:1\nhttp-threads = 4\n')
    Outcome('setup', '--config', tmp_path / 'millrace.conf')
    assert Outcome('doctor', '--config', tmp_path / 'millrace.conf').code == 0


def test_doctor_says_what_is_wrong_with_a_file_or_folder(tmp_path):
    data = tmp_path / 'data'
    Outcome('setup', '--data', data)
    (data / 'millrace.db').write_text('this is no database, whatever it is called\n' * 100)
    for name in ('millrace.db-wal', 'millrace.db-shm'):
        (data / name).unlink(missing_ok=True)
    shutil.rmtree(data / 'store')
    (data / 'store').write_text('a file')
    o = Outcome('doctor', '--data', data)
    o.bad('database', 'not a database', 'something else')
    assert o['store']['result'] == 'failed' and 'store' in o['store']['text']


# ---- S3 ----

@needs_s3
def test_setup_of_a_bucket_keeps_what_others_set(s3, bucket, tmp_path):
    store = ('--data', tmp_path, '--store', s3.url(bucket))
    o = Outcome('doctor', *store, env=s3.env)
    o.bad('store', 'NoSuchBucket', 'millrace setup')
    assert Outcome('setup', *store, env=s3.env).results() == dict.fromkeys(('database', 'bucket', 'cors', 'lifecycle'), 'changed')
    assert set(Outcome('setup', *store, env=s3.env).results().values()) == {'ok'}

    rules = s3.client.get_bucket_lifecycle_configuration(Bucket=bucket)['Rules']
    days = {rule['Filter']['Prefix']: rule['Expiration']['Days'] for rule in rules if 'Expiration' in rule}
    assert days == {'narrations/': 1, 'parts/': 1, 'streams/': 1, 'downloads/': 7, 'conversions/': 7, 'speech/': 30}
    aborts = [rule for rule in rules if 'AbortIncompleteMultipartUpload' in rule]
    assert [rule['AbortIncompleteMultipartUpload']['DaysAfterInitiation'] for rule in aborts] == [1]

    # Somebody else's, and one of ours that somebody changed.
    theirs = {'ID': 'theirs', 'Filter': {'Prefix': 'logs/'}, 'Status': 'Enabled', 'Expiration': {'Days': 3}}
    ours = [rule for rule in rules if rule['ID'] != 'millrace-parts']
    s3.client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={'Rules': [theirs, *ours]})
    cors = {'ID': 'page', 'AllowedOrigins': ['https://other.example'], 'AllowedMethods': ['DELETE']}
    s3.client.put_bucket_cors(Bucket=bucket, CORSConfiguration={'CORSRules': [cors]})
    warned = Outcome('doctor', *store, env=s3.env)
    assert warned.code == 0 and warned['store rules']['result'] == 'warning' and 'setup' in warned['store rules']['advice']
    o = Outcome('setup', *store, env=s3.env)
    assert o.results() == {'database': 'ok', 'bucket': 'ok', 'cors': 'changed', 'lifecycle': 'changed'}
    assert '1 of others' in o['lifecycle']['text']
    after = s3.client.get_bucket_lifecycle_configuration(Bucket=bucket)['Rules']
    assert theirs in after and len(after) == len(rules) + 1
    assert {rule['ID'] for rule in s3.client.get_bucket_cors(Bucket=bucket)['CORSRules']} == {'page', 'millrace-cors'}
    assert set(Outcome('setup', *store, env=s3.env).results().values()) == {'ok'}

    # Another installation in the same bucket, with pages of its own.
    other = ('--data', tmp_path, '--store', s3.url(bucket, 'other'), '--cors-origin', 'https://media.example')
    assert Outcome('setup', *other, env=s3.env)['cors']['result'] == 'changed'
    assert set(Outcome('setup', *other, env=s3.env).results().values()) == {'ok'}
    assert set(Outcome('setup', *store, env=s3.env).results().values()) == {'ok'}

    o = Outcome('doctor', *store, env=s3.env)
    assert o.code == 0 and {part for part, result in o.results().items() if result != 'ok'} <= {'database hints', 'disk', *MACHINE}
    assert 'Contents' not in s3.client.list_objects_v2(Bucket=bucket)
    assert 'Uploads' not in s3.client.list_multipart_uploads(Bucket=bucket)


@needs_s3
def test_doctor_says_what_is_wrong_with_a_bucket(s3, bucket, tmp_path):
    s3.client.create_bucket(Bucket=bucket)
    Outcome('setup', '--data', tmp_path)

    def doctor(store, **env):
        return Outcome('doctor', '--data', tmp_path, '--store', store, env={**s3.env, **env})
    doctor(s3.url(bucket), AWS_SECRET_ACCESS_KEY='wrong').bad('store', 'SignatureDoesNotMatch', 'AWS_SECRET_ACCESS_KEY')
    doctor(s3.url(bucket), AWS_ACCESS_KEY_ID='wrong').bad('store', 'InvalidAccessKeyId', 'AWS_ACCESS_KEY_ID')
    o = doctor(s3.url(bucket, port=reserve_port()))
    o.bad('store', 'connect', 'endpoint')
    assert o['database claim']['result'] == 'ok'
    without = Outcome('doctor', '--data', tmp_path, '--store', s3.url(bucket))
    without.bad('store', 'credentials', 'AWS_ACCESS_KEY_ID')
    o = doctor(s3.url(bucket, public_url=f'http://127.0.0.1:{s3.port}/{bucket}'))
    o.bad('store url', 'public URL answers 403', 'everybody')
    assert o['store delete']['result'] == 'ok'
    assert 'Contents' not in s3.client.list_objects_v2(Bucket=bucket)


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers as AWS does where the region is another."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        body = (b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'"
                b'</Message></Error>')
        self.send_response(400)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET

    def log_message(self, *_):
        pass


def test_the_wrong_region_is_named(tmp_path):
    Outcome('setup', '--data', tmp_path)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store = url(server.server_port, 'films')
    keys = {'AWS_ACCESS_KEY_ID': 'a', 'AWS_SECRET_ACCESS_KEY': 'b'}
    for command, part in (('doctor', 'store'), ('setup', 'bucket')):
        Outcome(command, '--data', tmp_path, '--store', store, env=keys).bad(part, "expecting 'eu-west-1'", 'region=')
    server.shutdown()
    server.server_close()


# ---- PostgreSQL ----

@needs_postgres
def test_setup_and_doctor_on_postgresql(tmp_path):
    with postgres.Postgres() as pg:
        base = pg.url.rsplit('/', 1)[0]
        options = ('--store', f'file:{tmp_path}/store', '--data', tmp_path)
        Outcome('setup', *options, '--database', f'{base}/nowhere').bad('database', 'does not exist', 'createdb')
        Outcome('doctor', *options, '--database', pg.url).bad('database', 'no tables', 'millrace setup')
        o = Outcome('setup', *options, '--database', pg.url)
        assert o['database']['result'] == 'changed'
        assert set(Outcome('setup', *options, '--database', pg.url).results().values()) == {'ok'}
        o = Outcome('doctor', *options, '--database', pg.url)
        assert o.code == 0 and o['database hints']['result'] == 'ok'
        assert pg.sql('SELECT (SELECT count(*) FROM setting) + (SELECT count(*) FROM job)') == [('0',)]
        who = pg.url.replace('millrace@', 'stranger:s3cret@')
        o = Outcome('doctor', *options, '--database', who)
        o.bad('database', 'role "stranger" does not exist', 'createuser')
        assert 's3cret' not in json.dumps(o.report) + o.log
        pg.stop()
        Outcome('doctor', *options, '--database', pg.url).bad('database', 'refused', 'running')


@pytest.mark.soak
@needs_s3
@needs_postgres
def test_soak_doctor_waits_for_nobody(s3, bucket, tmp_path):
    """Servers that take connections and answer nothing: they are given up, and the rest is tried."""
    Outcome('setup', '--data', tmp_path, '--store', s3.url(bucket), env=s3.env)
    with postgres.Postgres() as pg:
        Outcome('setup', '--data', tmp_path, '--database', pg.url)
        os.kill(pg.process.pid, signal.SIGSTOP)
        s3.pause()
        try:
            o = Outcome('doctor', '--data', tmp_path, '--store', s3.url(bucket), '--database', pg.url, env=s3.env)
        finally:
            s3.resume()
            os.kill(pg.process.pid, signal.SIGCONT)
    for part in ('database', 'store'):
        assert o[part]['result'] == 'failed' and o[part]['advice'], o[part]
    assert o['sandbox']['result'] == 'ok'


# ---- the bus, tasks, speech, the machine ----

def test_doctor_hears_what_goes_through_redis(tmp_path):
    data = tmp_path / 'data'
    Outcome('setup', '--data', data)
    with Redis(tmp_path / 'redis', tls=True, password='s3cret') as redis:
        assert Outcome('doctor', '--data', data, '--bus', redis.url)['bus']['result'] == 'ok'
        wrong = redis.url.replace('s3cret', 'wr0ng')
        o = Outcome('doctor', '--data', data, '--bus', wrong)
        o.bad('bus', 'WRONGPASS', 'password')
        assert 'wr0ng' not in json.dumps(o.report) + o.log
        Outcome('doctor', '--data', data, '--bus', redis.url.split('?')[0]).bad('bus', 'certificate', 'ca=')
        redis.stop()
        o = Outcome('doctor', '--data', data, '--bus', redis.url)
    o.bad('bus', 'refused', 'is Redis running')
    assert o['sandbox']['result'] == 'ok'


def test_doctor_has_a_sentence_spoken(tmp_path):
    data = tmp_path / 'data'
    Outcome('setup', '--data', data)
    with Endpoint(key='right') as endpoint:
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()

        def doctor(key, path='v1'):
            speech = f'openai+{endpoint.url.rsplit("/", 1)[0]}/{path}?model=m&format=wav'
            return Outcome('doctor', '--data', data, '--speech', speech, env={'MILLRACE_SPEECH_API_KEY': key})
        assert doctor('right')['speech']['result'] == 'ok'
        o = doctor('wr0ng-key')
        o.bad('speech', '401', 'MILLRACE_SPEECH_API_KEY')
        assert 'wr0ng-key' not in json.dumps(o.report) + o.log
        doctor('right', 'v7').bad('speech', '400', 'model')
        endpoint.shutdown()
    nowhere = f'openai+http://127.0.0.1:{reserve_port()}/v1?model=m'
    Outcome('doctor', '--data', data, '--speech', nowhere).bad('speech', 'connect', 'nothing listens')
    assert not (data / 'store' / 'speech').exists()


def test_doctor_without_tasks_and_with_little_of_everything(tmp_path):
    data = tmp_path / 'data'
    Outcome('setup', '--data', data)
    o = Outcome('doctor', '--data', data, '--task', tmp_path / 'nowhere')
    o.bad('tasks', 'cannot be executed', '--task')
    assert o['sandbox']['result'] == 'skipped' and o['speech']['result'] == 'failed' and o['store delete']['result'] == 'ok'
    o = Outcome('doctor', '--data', data, '--task', '/bin/false')
    assert o['tasks']['result'] == 'failed' and o['descriptors']['result'] in ('ok', 'warning')
    o = Outcome('doctor', '--data', data, limits={resource.RLIMIT_NOFILE: 256})
    assert o['descriptors']['result'] == 'warning' and 'nofile' in o['descriptors']['advice']
