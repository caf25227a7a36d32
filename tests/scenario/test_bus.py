"""The bus between processes through a real Redis: what one publishes the others hear, over TLS with a CA of one's own too; while
Redis is away nothing waits, and who uses it is told once of its going and once of its coming back."""
import subprocess
import threading

import pytest

from redis_server import Redis
from server import BUILD, limit, wait_for


class Peer:
    """A process on the bus (tests/unit/bus/bus_tool.c)."""

    def __init__(self, url):
        self.process = subprocess.Popen([BUILD / 'tests/unit/bus/bus_tool', url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.lines = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip('\n'))

    def say(self, event):
        self.process.stdin.write(event + '\n')
        self.process.stdin.flush()

    def heard(self, line):
        return line in self.lines

    def wait_line(self, start, count=1):
        wait_for(lambda: sum(line.startswith(start) for line in self.lines) >= count, f'{count} times "{start}" in {self.lines}')

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(limit(60)) == 0
        self.reader.join()


@pytest.fixture
def peers():
    made = []

    def make(url):
        made.append(Peer(url))
        return made[-1]
    yield make
    for peer in made:
        peer.end()


@pytest.mark.threads
@pytest.mark.parametrize('tls,password', [(False, None), (True, 's@cret/+')])
def test_what_one_publishes_the_others_hear(tmp_path, peers, tls, password):
    with Redis(tmp_path, tls=tls, password=password) as redis:
        if password:
            redis.url = redis.url.replace(password, 's%40cret%2F%2B')
        a, b = peers(redis.url), peers(redis.url)
        other = peers(redis.url + ('&' if tls else '?') + 'prefix=other')
        for peer in a, b, other:
            peer.wait_line('connected')
        a.say('job 0193-a 12 3 45.5000 encoding a user')
        a.say('stream 0193-c')
        b.wait_line('heard stream 0193-c')
        assert b.heard('heard job 0193-a 12 3 45.5000 encoding a user')
        b.say('stream 0193-d')
        a.wait_line('heard stream 0193-d')
        assert a.lines.count('heard stream 0193-c') == 1, 'its own comes back from Redis'
        assert not any('stream' in line for line in other.lines), 'another installation heard of it'


@pytest.mark.threads
def test_redis_goes_and_comes_back(tmp_path, peers):
    with Redis(tmp_path) as redis:
        a, b = peers(redis.url), peers(redis.url)
        for peer in a, b:
            peer.wait_line('connected')
        redis.stop()
        for peer in a, b:
            peer.wait_line('away: ')
        a.say('stream 0193-lost')
        a.wait_line('heard stream 0193-lost')   # within its own process all goes on
        before = [peer.lines.count('heard work') for peer in (a, b)]
        redis.start()
        for peer, times in zip((a, b), before):
            peer.wait_line('connected', 2)
            peer.wait_line('heard work', times + 1)     # something may have been missed
        a.say('stream 0193-again')
        b.wait_line('heard stream 0193-again')
        assert not b.heard('heard stream 0193-lost')
        for peer in a, b:
            assert sum(line.startswith('away: ') for line in peer.lines) == 1, 'it is told once'


def test_redis_is_away_at_the_start(tmp_path, peers):
    redis = Redis(tmp_path)
    a = peers(redis.url)
    a.wait_line('away: ')
    with redis:
        a.wait_line('connected')


@pytest.mark.soak
def test_redis_hangs_soak(tmp_path, peers):
    with Redis(tmp_path) as redis:
        a = peers(redis.url)
        a.wait_line('connected')
        redis.pause()
        a.wait_line('away: it doesn\'t answer')
        redis.go_on()
        a.wait_line('connected', 2)


@pytest.mark.parametrize('what,says', [
    ('password', 'away: AUTH: '), ('no password', 'away: PING: NOAUTH'), ('ca', 'away: its certificate: '),
    ('name', 'away: its certificate: ')])
def test_what_is_refused(tmp_path, peers, what, says):
    with Redis(tmp_path, tls=True, password='right', certified_name='elsewhere' if what == 'name' else 'localhost') as redis:
        url = {'password': redis.url.replace('right', 'wrong'), 'no password': redis.url.replace(':right@', ''),
               'ca': redis.url.split('?')[0], 'name': redis.url}[what]
        a = peers(url)
        a.wait_line(says)
        assert 'right' not in ' '.join(a.lines)
