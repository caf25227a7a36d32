"""What the servers of a test run stand on, by one switch: `tests/run --backends postgres`, or $MILLRACE_TEST_DATABASE.

    backends.options(folder)      # the options of a server over this folder; the same for each of its starts

A service is started once for a run, by the process that collects the tests (or by the first that needs it), and its address handed
down in the environment; it is gone when that process ends.
"""
import atexit
import hashlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import postgres  # noqa: E402

# Words of --backends: the variable that each sets.
WORDS = {'sqlite': 'MILLRACE_TEST_DATABASE', 'postgres': 'MILLRACE_TEST_DATABASE',
         'file': 'MILLRACE_TEST_STORE', 's3': 'MILLRACE_TEST_STORE'}


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


def options(folder):
    return database(folder) + store(folder)


# ---- PostgreSQL ----

def postgres_url():
    """The run's server."""
    if 'MILLRACE_TEST_POSTGRES' not in os.environ:
        server = postgres.Postgres().start()
        atexit.register(server.remove)
        os.environ['MILLRACE_TEST_POSTGRES'] = server.url
    return os.environ['MILLRACE_TEST_POSTGRES']


def database_url(folder):
    """A server's own: a schema named after its folder, or a file in it."""
    if not has('postgres'):
        return f'sqlite:{folder}/millrace.db'
    name = 's' + hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    postgres.sql(postgres_url(), f'CREATE SCHEMA IF NOT EXISTS {name}')
    return postgres.schema_url(postgres_url(), name)


def database(folder):
    return ['--database', database_url(folder)] if has('postgres') else []


# ---- S3 ----

def s3_port():
    """The run's server; its credentials are in the environment."""
    if 'MILLRACE_TEST_S3' not in os.environ:
        import s3_server   # which stands on server.py, which stands on this
        server = s3_server.S3Server().__enter__()
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
