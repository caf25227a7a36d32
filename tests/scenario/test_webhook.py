"""The webhook of fragments: signed, in order, at least once, and in nobody's way."""
import asyncio
import collections
import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest

from server import limit, run, wait_for
from speaker import Speaker, recording

SECRET = 'a webhook secret of some length'
TIMEOUT_S = 10   # src/live/hook.c


class Consumer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server_port}'
        self.heard = collections.defaultdict(list)
        self.tries, self.failing = collections.Counter(), set()
        self.slow, self.let_go = set(), threading.Event()      # these get no answer until then
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_POST(self):
        s = self.server
        body = self.rfile.read(int(self.headers['Content-Length']))
        stamp = self.headers['Millrace-Timestamp']
        good = hmac.new(SECRET.encode(), stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()
        told = json.loads(body)
        assert abs(int(stamp) - time.time()) < 60
        s.tries[told['stream']] += 1
        if told['stream'] in s.slow:
            s.let_go.wait(limit(60))
        status = 200
        if not hmac.compare_digest(self.headers['Millrace-Signature'], 'sha256=' + good):
            status = 401
        elif told['stream'] in s.failing:
            status = 500
        else:
            assert self.path == f"/hook/{told['stream']}?of={told['user_id']}"
            s.heard[told['stream']].append(told)
        self.send_response(status)
        self.send_header('Content-Length', '0')
        self.end_headers()


@pytest.fixture
def consumer():
    s = Consumer()
    yield s
    s.let_go.set()
    s.shutdown()
    s.server_close()


def talk(server, name, chunks):
    async def say():
        async with Speaker(server.url, name) as s:
            await s.say(chunks)
            await s.stop()
            return s.fragments
    return asyncio.run(say())


def numbers(fragments, key='fragmentNumber'):
    return [f[key] for f in fragments]


def is_known(server, name, fragments):
    """The server remembers that all of these were told: only of the last one, while it doesn't, may the answer be lost."""
    known = server.rows(f"SELECT h.told FROM fragment_hook h JOIN stream s ON s.id = h.stream_id WHERE s.name = 'session-{name}'")
    last = server.rows("SELECT MAX(f.number) FROM fragment f JOIN stream s ON s.id = f.stream_id"
                       f" WHERE s.name = 'session-{name}'")
    return fragments and known and known == last


def test_each_fragment_is_told_in_order_and_after_failures_and_kills(make_server, consumer, tmp_path):
    server = make_server('--workers', '0', '--fragment-webhook', consumer.url + '/hook/{stream}?of={user}',
                         env={'MILLRACE_FRAGMENT_WEBHOOK_SECRET': SECRET})
    chunks = recording(tmp_path, 6)
    consumer.failing = {'session-b'}
    said = {name: talk(server, name, chunks) for name in 'ab'}     # the hook's failing holds nobody up

    def told(name):
        return numbers(consumer.heard[f'session-{name}'], 'fragment_number') == numbers(said[name])
    wait_for(lambda: told('a'), 'the other stream is told')
    wait_for(lambda: 'webhook_again' in server.log(), 'a failure is logged')
    wait_for(lambda: is_known(server, 'a', said['a']), 'and that is kept')
    assert consumer.heard['session-b'] == []
    first = consumer.heard['session-a'][0]
    assert first['user_id'] == 'local' and 1 <= first['duration'] <= 3 and first['producer_timestamp'].endswith('Z')
    server.kill()
    consumer.failing = set()
    server.start()
    wait_for(lambda: told('b'), 'what was refused is told after a restart')
    said['b'] += talk(server, 'b', chunks)
    wait_for(lambda: told('b'), 'and what is new')
    assert told('a') and SECRET not in server.log()


def test_who_does_not_answer_holds_nobody_up(make_server, consumer, tmp_path):
    server = make_server('--workers', '0', '--fragment-webhook', consumer.url + '/hook/{stream}?of={user}',
                         env={'MILLRACE_FRAGMENT_WEBHOOK_SECRET': SECRET})
    chunks = recording(tmp_path, 6)
    consumer.slow = {'session-b'}
    said = {'b': talk(server, 'b', chunks)}
    wait_for(lambda: consumer.tries['session-b'], 'the slow one has been asked')
    asked = time.monotonic()
    said['a'] = talk(server, 'a', chunks)

    def told(name):
        return numbers(consumer.heard[f'session-{name}'], 'fragment_number')
    wait_for(lambda: told('a') == numbers(said['a']), 'the other stream is told')
    assert not told('b')
    assert consumer.tries['session-b'] == 1 or time.monotonic() - asked > TIMEOUT_S - 1, 'asked again before its time'
    server.kill()
    consumer.slow = set()
    server.start()
    wait_for(lambda: told('b') == numbers(said['b']), 'the slow one is told after a restart')
    # What was taken is known: only of the last one the answer may have been lost.
    assert told('a')[:len(said['a'])] == numbers(said['a']) and set(told('a')[len(said['a']):]) <= {told('a')[-1]}


def test_of_two_fronts_one_tells(make_server, consumer, tmp_path):
    hook = ('--workers', '0', '--fragment-webhook', consumer.url + '/hook/{stream}?of={user}')
    env = {'MILLRACE_FRAGMENT_WEBHOOK_SECRET': SECRET}
    first = make_server(*hook, env=env)
    wait_for(lambda: 'event=webhook_tells' in first.log(), 'the first tells')
    second = make_server(*hook, '--data', first.data, name='second', env=env)
    chunks = recording(tmp_path, 6)
    said = talk(first, 'a', chunks) + talk(second, 'a', chunks)

    def told():
        return numbers(consumer.heard['session-a'], 'fragment_number')
    wait_for(lambda: len(told()) >= len(said), 'all are told')
    wait_for(lambda: is_known(first, 'a', said), 'and that is kept')
    first.stop()
    wait_for(lambda: 'event=webhook_tells' in second.log(), 'the other one goes on')
    said += talk(second, 'a', chunks)
    wait_for(lambda: len(told()) >= len(said), 'and the rest')
    assert told() == numbers(said), 'each once'


def test_it_is_refused_where_it_cannot_be_signed(tmp_path):
    url, secret = ['--fragment-webhook', 'http://127.0.0.1:9/'], ['--fragment-webhook-secret', SECRET]
    for words in (url, ['--fragment-webhook', 'ftp://x/', *secret], [*url, '--fragment-webhook-secret', 'short']):
        done = run('serve', '--data', tmp_path, '--listen', '127.0.0.1:0', *words, check=2)
        assert '--fragment-webhook' in done.stderr
