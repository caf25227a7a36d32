"""A millrace server of a test's own: started on a port of its own over a folder of its own, stopped, killed, started again.

    with Server(tmp_path, '--workers', '1') as s:
        requests.get(s.url + '/healthz')
        s.kill(); s.start()                  # the same folder, the same port

What it guarantees: start() returns when /readyz answers, or fails with the log; stop() insists on exit code 0, on a log without
a sanitizer's report, and on no process left behind. Every time limit is multiplied by $MILLRACE_TEST_TIMEOUT_SCALE.
"""
import contextlib
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time

import backends
import postgres
import requests
from ports import reserve_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('MILLRACE_BUILD') or ROOT / 'build').absolute()
MILLRACE = BUILD / 'millrace'
SCALE = float(os.environ.get('MILLRACE_TEST_TIMEOUT_SCALE', '1'))
SANITIZER = os.environ.get('MILLRACE_SANITIZER', '')
COVERAGE = bool(os.environ.get('MILLRACE_COVERAGE'))
SOAK = bool(os.environ.get('MILLRACE_SOAK'))
REPORT = re.compile(r'ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed')


def limit(seconds):
    return seconds * SCALE


def wait_for(condition, what, seconds=60.0, every=0.02):
    """Calls `condition` until it gives something true, and returns that; fails the test after a time, which no machine needs."""
    end = time.monotonic() + limit(seconds)
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f'not within {limit(seconds):.0f} s: {what}'
        time.sleep(every)


def files_below(folder):
    """Every file there, sorted; somebody may be removing files and folders at the same time, over which Path.rglob stumbles."""
    return sorted(pathlib.Path(path) / name for path, _, names in os.walk(folder) for name in names)


def clean_environment(**more):
    """The test's own MILLRACE_… variables would be options of the server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith('MILLRACE_')}
    return {**kept, **more}


def process_stat(pid):
    """proc(5): the name, and the fields from the third on; or None when there is no such process."""
    try:
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.index('(') + 1:text.rindex(')')], text[text.rindex(')') + 2:].split()


def process_state(pid):
    """(name, state, parent), or None."""
    stat = process_stat(pid)
    return stat and (stat[0], stat[1][0], int(stat[1][1]))


def alive(pid):
    state = process_state(pid)
    return bool(state) and state[1] not in 'ZX'


def started(pid):
    """The process that has this number now, as nobody else ever has: numbers are given again. None: there is none."""
    stat = process_stat(pid)
    return stat and (pid, stat[1][19])


def children(pid):
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            state = process_state(int(entry))
            if state and state[2] == pid and state[1] not in 'ZX':
                found.append(int(entry))
    return sorted(found)


def hold(pids):
    """SIGSTOP: whoever looks, late as that may be, finds these in the middle of their work. Who is killed ends all the same. Gives
    those that were there."""
    held = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            held.append(pid)
    return held


def let_go(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def memory(pid, field='VmRSS'):
    """Bytes, of /proc/PID/status."""
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(field + ':'):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


class Running:
    """A process for the length of a with: stopped properly unless something failed, closed in any case."""

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self.process and kind is None:
                self.stop()
        finally:
            self.close()


class Server(Running):
    live = []   # those whose logs a failing test shows

    def __init__(self, folder, *options, env=None):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / 'data'
        self.log_path = self.folder / 'server.log'
        self.options = [str(o) for o in options]
        if '--data' in self.options:
            self.data = pathlib.Path(self.options[self.options.index('--data') + 1])
        self.backends = None   # options: what it stands on
        self.env = env or {}
        self.port = 0
        self.process = None
        self.helpers = set()   # zygotes and tasks seen: none may outlive its server

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}'

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        # Analyses would change what tests count and wait for; those that are about them switch them on.
        analyze = () if '--analyze' in self.options else ('--analyze', 'off')
        self.stands_on()
        return [MILLRACE, 'serve', '--data', self.data, '--listen', f'127.0.0.1:{self.port}', *self.backends, *analyze,
                *self.options]

    def stands_on(self):
        """Its options of the run's services, the same for each of its starts; those that the test gives say otherwise."""
        if self.backends is None:
            self.backends = backends.options(self.data, self.options)
        return self.backends

    def _url(self, option, default):
        words = [*self.stands_on(), *self.options]
        return words[words.index(option) + 1] if option in words else default

    def database_url(self):
        return self._url('--database', f'sqlite:{self.data}/millrace.db')

    def store_url(self):
        return self._url('--store', f'file:{self.data}/store')

    @property
    def store(self):
        """What it has stored."""
        import store_view   # which stands on s3_server.py, which needs this
        return store_view.of(self.store_url())

    def rows(self, query):
        """What is in its database: numbers and texts."""
        url = self.database_url()
        if url.startswith('sqlite:'):
            with contextlib.closing(sqlite3.connect(f'file:{url.removeprefix("sqlite:")}?mode=ro', uri=True)) as db:
                return db.execute(query).fetchall()
        return [tuple(int(v) if re.fullmatch(r'-?\d+', v) else v for v in row) for row in postgres.sql(url, query)]

    def start(self):
        assert self.process is None, 'it runs already'
        assert MILLRACE.exists(), f'{MILLRACE} has not been built'
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.port and '--listen' not in self.options:
            self.port = reserve_port()
        seen = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open('ab') as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                            env=clean_environment(**self.env))
        if self not in Server.live:
            Server.live.append(self)
        try:
            self.port = self.port or wait_for(lambda: self._port(seen), 'the server tells its port')
            wait_for(self._ready, 'the server is ready')
        except BaseException:
            self.close()
            raise
        self.note_helpers()
        return self

    def _running(self):
        assert self.process.poll() is None, f'the server ended with {self.process.returncode}:\n{self.log()[-4000:]}'

    def _port(self, seen):
        self._running()
        told = re.search(rb'listening.*?url"?[=:]"?http://[^/\s"]*:(\d+)', self.log_path.read_bytes()[seen:])
        return int(told[1]) if told else 0

    def _ready(self):
        self._running()
        try:
            return requests.get(self.url + '/readyz', timeout=limit(30)).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def log(self):
        return self.log_path.read_text(errors='replace') if self.log_path.exists() else ''

    def zygotes(self):
        return [pid for pid in children(self.pid) if (process_state(pid) or ('',))[0].startswith('millrace-task')]

    def tasks(self):
        return [task for zygote in self.zygotes() for task in children(zygote)]

    def note_helpers(self):
        self.helpers |= set(filter(None, map(started, [*self.zygotes(), *self.tasks()])))

    def helpers_left(self):
        return [pid for pid, since in self.helpers if alive(pid) and started(pid) == (pid, since)]

    def memory(self, field='VmRSS'):
        return memory(self.pid, field)

    def kill(self):
        """kill -9, as the machine's end would be."""
        self.note_helpers()
        self.process.kill()
        self.process.wait()
        self.process = None
        wait_for(lambda: not self.helpers_left(), 'zygote and tasks end with a killed server')

    def kill_part(self, kind):
        """kill -9 of the server (which is started again), its zygote, or one of its tasks. False: there was nobody to kill."""
        if kind == 'server':
            self.kill()
            self.start()
            return True
        for pid in {'zygote': self.zygotes, 'task': self.tasks}[kind]()[:1]:
            try:
                os.kill(pid, signal.SIGKILL)
                return True
            except ProcessLookupError:
                pass
        return False

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def stop(self, seconds=60.0):
        """SIGTERM and a clean end."""
        self.note_helpers()
        self.process.terminate()
        code = self.process.wait(limit(seconds))
        self.process = None
        assert code == 0, f'the server ended with {code} on SIGTERM'
        self.check_log()
        wait_for(lambda: not self.helpers_left(), 'zygote and tasks end with their server')

    def check_log(self):
        report = REPORT.search(self.log())
        assert not report, self.log()[report.start():report.start() + 4000]

    def close(self):
        """Leaves nothing behind, whatever happened."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def rigged(rig, *ends):
    """What stands around a server (`rig.server`) that tests kill and start again: it ends cleanly behind the last of them, and is
    gone whatever happened, as is what `ends` shut down."""
    try:
        yield rig
        rig.server.stop()
    finally:
        rig.server.close()
        Server.live.remove(rig.server)
        for end in ends:
            end()


def run(*words, timeout=60.0, check=None, **more):
    """One command of millrace: its CompletedProcess, texts captured."""
    more.setdefault('env', clean_environment())
    done = subprocess.run([MILLRACE, *map(str, words)], capture_output=True, text=True, timeout=limit(timeout), check=False, **more)
    if check is not None:
        assert done.returncode == check, f'exit {done.returncode}: {done.stdout[-2000:]}{done.stderr[-4000:]}'
    report = REPORT.search(done.stderr)
    assert not report, done.stderr
    return done
