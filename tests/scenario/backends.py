"""What the servers of a test run stand on, by one switch: `tests/run --backends postgres+s3+redis`, or, for pytest alone,
$MILLRACE_TEST_DATABASE, $MILLRACE_TEST_STORE and $MILLRACE_TEST_BUS with one of these words each.

    backends.options(folder)      # the options of a server over this folder; the same for each of its starts

A service is started once for a run, by the process that collects the tests (or by the first that needs it), and its address handed
down in the environment; it is gone when that process ends.
"""
import atexit
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import postgres  # noqa: E402

# Words of --backends: the variable that each sets.
WORDS = {'sqlite': 'MILLRACE_TEST_DATABASE', 'postgres': 'MILLRACE_TEST_DATABASE',
         'file': 'MILLRACE_TEST_STORE', 's3': 'MILLRACE_TEST_STORE',
         'local': 'MILLRACE_TEST_BUS', 'redis': 'MILLRACE_TEST_BUS'}


def choose(words):
    """As --backends says."""
    for word in words.split('+'):
        if word not in WORDS:
            raise SystemExit(f'--backends: {word} is none of {", ".join(WORDS)}')
        os.environ[WORDS[word]] = word


def has(word):
    return os.environ.get(WORDS[word]) == word


def start():
    """All that were chosen."""
    if has('postgres'):
        postgres_url()
    if has('s3'):
        s3_port()
    if has('redis'):
        redis_url()


def options(folder, given=()):
    """Without those of an option that is given already."""
    made = {'--database': database, '--store': store, '--bus': bus}
    return [word for option, make in made.items() if option not in given for word in make(folder)]


def chosen():
    """A word of each pair."""
    default = {variable: word for word, variable in reversed(WORDS.items())}   # the first of each pair
    return {os.environ.get(variable) or word for variable, word in default.items()}


# ---- PostgreSQL ----

def postgres_url():
    """The run's server."""
    if 'MILLRACE_TEST_POSTGRES' not in os.environ:
        server = postgres.Postgres().start()
        atexit.register(server.remove)
        os.environ['MILLRACE_TEST_POSTGRES'] = server.url
    return os.environ['MILLRACE_TEST_POSTGRES']


def database(folder):
    """A server's own: a schema named after its folder."""
    if not has('postgres'):
        return []
    name = 's' + hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    postgres.sql(postgres_url(), f'CREATE SCHEMA IF NOT EXISTS {name}')
    return ['--database', postgres.schema_url(postgres_url(), name)]


# ---- S3 ----

def s3_port():
    """The run's server; its credentials are in the environment."""
    if 'MILLRACE_TEST_S3' not in os.environ:
        import s3_server   # which stands on server.py, which stands on this
        server = s3_server.S3Server(bytes_max=6 << 30).__enter__()
        atexit.register(server.__exit__)
        os.environ.update(server.env, MILLRACE_TEST_S3=str(server.port))
    return int(os.environ['MILLRACE_TEST_S3'])


def bucket(folder):
    """A server's own, named after its folder."""
    import s3_server
    name = 's' + hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    s3_server.client(s3_port()).create_bucket(Bucket=name)
    return name


def store(folder):
    import s3_server
    return ['--store', s3_server.url(s3_port(), bucket(folder))] if has('s3') else []


# ---- Redis ----

def redis_url():
    """The run's server."""
    if 'MILLRACE_TEST_REDIS' not in os.environ:
        from redis_server import Redis   # which needs server.py, which needs us
        folder = tempfile.mkdtemp(prefix='millrace-redis-')
        server = Redis(folder).start()
        atexit.register(lambda: (server.stop(), shutil.rmtree(folder, ignore_errors=True)))
        os.environ['MILLRACE_TEST_REDIS'] = server.url
    return os.environ['MILLRACE_TEST_REDIS']


def bus(folder):
    if not has('redis'):
        return []
    return ['--bus', f'{redis_url()}?prefix={hashlib.sha256(str(folder).encode()).hexdigest()[:16]}']
