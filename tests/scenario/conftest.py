"""What all scenarios share: the folder of test media, servers, and a failing test's server logs.

Marks: `threads`, scenarios that are run under TSan as well; `soak`, what is too long for every day (MILLRACE_SOAK=1); `alone`,
what measures: it comes last, and no other scenario runs meanwhile; `long`, what is begun first, since all others fit beside it;
`backend('file', 'why')`, what is about one backend's own nature, and skipped where servers stand on another (backends.py).

tests/run runs several at a time (pytest-xdist). Those of a file that share fixtures of their module stay together, in their
order; all others may run in any process at any time.
"""
import fcntl
import pathlib
import re
import sys

import pytest
import requests

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'media'))

import backends  # noqa: E402
from client import Client  # noqa: E402
from make_media import media  # noqa: E402
from server import SOAK, Server, limit  # noqa: E402

LOG_LINES = 60
POLLING = re.compile(r'event=http_request.*method=GET.*status=20[06]')


def pytest_configure(config):
    if not hasattr(config, 'workerinput'):   # those of xdist are told by the environment
        backends.start()
    config.addinivalue_line('markers', 'threads: run under ThreadSanitizer, too')
    config.addinivalue_line('markers', 'soak: only with MILLRACE_SOAK=1')
    config.addinivalue_line('markers', 'alone: nothing else runs meanwhile')
    config.addinivalue_line('markers', 'long: begun first')
    config.addinivalue_line('markers', 'backend(word, why): about the nature of one backend')


def is_alone(item):
    return item.get_closest_marker('alone') is not None


def of_module(item):
    """The fixtures that an item shares with others of its file."""
    found = item._fixtureinfo.name2fixturedefs.items()
    return {f'{item.path.stem}-{name}' for name, definitions in found if definitions[-1].scope == 'module'}


def connected(sets):
    """Those that have something in common, and what is common to them in turn, made one."""
    disjoint = []
    for one in sets:
        disjoint = [other for other in disjoint if not other & one] + [one.union(*(o for o in disjoint if o & one))]
    return disjoint


@pytest.hookimpl(tryfirst=True)   # before xdist reads the groups
def pytest_collection_modifyitems(items):
    together = connected(filter(None, map(of_module, items)))
    for item in items:
        if item.get_closest_marker('soak') and not SOAK:
            item.add_marker(pytest.mark.skip(reason='needs MILLRACE_SOAK=1'))
        for mark in item.iter_markers('backend'):
            if mark.args[0] not in backends.chosen():
                item.add_marker(pytest.mark.skip(reason=f'only on {mark.args[0]}: {mark.args[1]}'))
        if is_alone(item):
            item.add_marker(pytest.mark.xdist_group('alone'))
        elif of_module(item):
            item.add_marker(pytest.mark.xdist_group(min(next(s for s in together if s & of_module(item)))))
    items.sort(key=lambda item: (is_alone(item), item.get_closest_marker('long') is None))


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    with pathlib.Path(__file__).open('rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in Server.live:
            # Without what polling makes of it.
            lines = [line for line in server.log().splitlines() if not POLLING.search(line)]
            report.sections.append((f'log of {server.folder.name}', '\n'.join(lines[-LOG_LINES:])))


@pytest.fixture(autouse=True, scope='session')
def no_request_waits_for_ever():
    """A server that doesn't answer fails a test; it doesn't stop the suite."""
    send = requests.Session.send

    def send_with_limit(self, request, **more):
        more['timeout'] = more.get('timeout') or limit(60)
        return send(self, request, **more)
    requests.Session.send = send_with_limit
    yield
    requests.Session.send = send


@pytest.fixture
def make_server(tmp_path):
    """Starts servers of a test's own; each is stopped, and its end checked, after the test."""
    servers = []

    def make(*options, name=None, start=True, **more):
        s = Server(tmp_path / (name or f'server{len(servers)}'), *options, **more)
        servers.append(s)
        return s.start() if start else s

    yield make
    try:
        for s in servers:
            if s.process:
                s.stop()
    finally:
        for s in servers:
            s.close()
            Server.live.remove(s) if s in Server.live else None


@pytest.fixture(scope='module')
def module_server(tmp_path_factory, request):
    """One server for a module's tests; options are the module's OPTIONS."""
    with Server(tmp_path_factory.mktemp(request.module.__name__), *getattr(request.module, 'OPTIONS', ())) as s:
        yield s
    Server.live.remove(s)


@pytest.fixture
def server(module_server):
    """The module's server, which must be alive after each test."""
    yield module_server
    assert module_server.process.poll() is None, 'the server died'
    module_server.check_log()


@pytest.fixture
def client(server):
    return Client(server.url)


@pytest.fixture(scope='session')
def sample():
    return media('sample.mp4')
