"""Whether a session may be opened is asked of the operator's own service, where one is named."""
import asyncio
import http.server
import threading

import pytest
import websockets

from server import wait_for
from speaker import Speaker

ANSWERS = {'open': (200, b'{"active": true}'), 'empty': (204, b''), 'text': (200, b'ok'), 'inactive': (200, b'{"active": false}'),
           'unknown': (404, b'{}'), 'forbidden': (403, b''), 'broken': (500, b''), 'busy': (429, b''), 'moved': (302, b'')}


class Service(http.server.BaseHTTPRequestHandler):
    asked = []
    release = threading.Event()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        name = self.path.split('/')[-1].split('?')[0]
        if name == 'slow':
            self.release.wait(60)
        status, body = ANSWERS.get(name, (200, b'{}'))
        self.send_response(status)
        if status == 302:
            self.send_header('Location', '/open')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def service():
    s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Service)
    s.daemon_threads = True
    threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True).start()
    yield f'http://127.0.0.1:{s.server_port}'
    Service.release.set()
    s.shutdown()
    s.server_close()


def test_the_look_up_decides(make_server, service):
    server = make_server('--workers', '0', '--live-session-url', service + '/check/{session}?by={user}')

    async def status(name):
        try:
            async with Speaker(server.url, name, query=f'?session_id={name}') as s:
                await s.hear('session')
                return 101
        except websockets.InvalidStatusCode as e:
            return e.status_code

    async def all_of_them():
        slow = asyncio.ensure_future(status('slow'))
        got = {name: await status(name) for name in ANSWERS}
        # A session that the first message names is asked for, too.
        async with Speaker(server.url, 'inactive') as s:
            await s.chunk(b'x')
            error = await s.hear('error')
            assert (error['code'], error['fatal']) == ('SESSION_REFUSED', True)
        return got, await slow
    got, slow = asyncio.run(all_of_them())
    assert got == {'open': 101, 'empty': 101, 'text': 101, 'inactive': 403, 'unknown': 403, 'forbidden': 403, 'broken': 503,
                   'busy': 503, 'moved': 403}
    assert slow == 503
    assert '/check/open?by=local' in Service.asked


def test_nobody_is_let_in_while_the_service_is_away(make_server):
    server = make_server('--workers', '0', '--live-session-url', 'http://127.0.0.1:9/{session}')

    async def run():
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            async with Speaker(server.url, 's', query='?session_id=s'):
                pass
        assert refused.value.status_code == 503
    asyncio.run(run())
    wait_for(lambda: 'LOOK_UP_FAILED' in server.log() or 'status=503' in server.log(), 'it is logged')
