#!/usr/bin/python3
"""A PostgreSQL server of a test's own, in a folder of its own, gone at the end.

    tests/postgres.py COMMAND [ARGUMENT...] [-- COMMAND...]...   # each command in turn, with MILLRACE_TEST_POSTGRES=postgres://…

    with Postgres() as pg:              # in Python
        pg.url, pg.schema('name'), pg.sql('SELECT 1'); pg.stop(); pg.start()

Needs Debian's package postgresql (any version from 13). PostgreSQL refuses to run as root: then it runs as the user `postgres`, or
`nobody`. Nothing is synced to the disk, so a killed server may lose what a real one would not; a stopped one loses nothing.
Exits with the first command's code that isn't 0, or 77 (skipped) where there is no PostgreSQL.
"""
import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse

from ports import reserve_port

SKIPPED = 77
SETTINGS = {'listen_addresses': '127.0.0.1', 'fsync': 'off', 'synchronous_commit': 'off', 'full_page_writes': 'off',
            'max_connections': '300', 'shared_buffers': '32MB', 'log_min_messages': 'error', 'log_line_prefix': '%m [%p] ',
            'deadlock_timeout': '100ms', 'timezone': 'UTC'}


def programs():
    """The folder of initdb and postgres, of the newest version, or None."""
    found = [os.path.dirname(p) for p in glob.glob('/usr/lib/postgresql/*/bin/postgres')]
    newest = max(found, key=lambda p: int(re.search(r'postgresql/(\d+)', p)[1]), default=None)
    return pathlib.Path(newest) if newest else None


def unprivileged():
    """Whom it runs as: None where we are nobody special ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ('postgres', 'nobody'):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise RuntimeError('neither postgres nor nobody is a user here')


class Postgres:
    """`settings` go over SETTINGS."""

    def __init__(self, **settings):
        self.bin = programs()
        assert self.bin, 'PostgreSQL is not installed'
        self.settings = {**SETTINGS, **settings}
        self.user = unprivileged()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='millrace-postgres-', dir='/tmp'))
        self.port = 0
        self.process = None
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self._run('initdb', '-D', self.folder / 'data', '-U', 'millrace', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync')

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    @property
    def url(self):
        return f'postgres://millrace@127.0.0.1:{self.port}/postgres'

    def _as(self):
        return {'user': self.user.pw_uid, 'group': self.user.pw_gid, 'extra_groups': []} if self.user else {}

    def _run(self, program, *words):
        done = subprocess.run([self.bin / program, *map(str, words)], cwd=self.folder, capture_output=True, text=True, check=False,
                              **self._as())
        assert done.returncode == 0, f'{program}: {done.stdout[-2000:]}{done.stderr[-2000:]}'

    def start(self):
        """On the same port each time."""
        for _ in range(1 if self.port else 5):   # somebody else may take the port before it does
            port = self.port or reserve_port()
            settings = [f'-c{k}={v}' for k, v in {**self.settings, 'port': port, 'unix_socket_directories': self.folder}.items()]
            with open(self.folder / 'log', 'ab') as log:
                self.process = subprocess.Popen([self.bin / 'postgres', '-D', self.folder / 'data', *settings], cwd=self.folder,
                                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                                **self._as())
            if self._ready(port):
                self.port = port
                return self
        raise AssertionError((self.folder / 'log').read_text()[-4000:])

    def _ready(self, port):
        while self.process.poll() is None:
            done = subprocess.run([self.bin / 'pg_isready', '-q', '-h', '127.0.0.1', '-p', str(port)], check=False)
            if done.returncode == 0:
                return True
        return False

    def stop(self, how=signal.SIGINT):
        """SIGINT: connections are cut, what is committed is written down. SIGQUIT: as a crash."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def sql(self, text):
        return sql(self.url, text)

    def kill_backends(self):
        """Cuts every connection but the one that says so."""
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                 'AND pid <> pg_backend_pid()')

    def schema(self, name):
        """The URL of a schema of that name, which is made where there is none."""
        self.sql(f'CREATE SCHEMA IF NOT EXISTS "{name}"')
        return schema_url(self.url, name)

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def sql(url, text):
    """Rows as tuples of texts, by psql."""
    done = subprocess.run([programs() / 'psql', '-XAtq', '-F', '\t', '-v', 'ON_ERROR_STOP=1', url, '-c', text],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [tuple(line.split('\t')) for line in done.stdout.splitlines()]


def schema_url(url, name):
    return f'{url}?options={urllib.parse.quote(f"-csearch_path={name}")}'


def main(words):
    if not programs():
        print('PostgreSQL is not installed: skipped')
        return SKIPPED
    commands, command = [], []
    for word in [*words, '--']:
        if word == '--':
            commands += [command] if command else []
            command = []
        else:
            command.append(word)
    with Postgres() as pg:
        env = {**os.environ, 'MILLRACE_TEST_POSTGRES': pg.url}
        return next((code for code in (subprocess.call(c, env=env) for c in commands) if code), 0)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
