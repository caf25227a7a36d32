"""A TCP proxy that breaks what goes through it, for what must survive broken connections.

    with FaultProxy(port) as proxy:                      # to 127.0.0.1:port (proxy.target); proxy.url is where clients connect
        proxy.faults = [('up', 70000), ('down', 300),    # the next connections: cut behind so many bytes of a direction,
                        ('answer', 503),                 # answered so, in the place of the server,
                        ('say', 400, 'ERROR line')]      # an acknowledgement put in behind so many bytes of the answer, then cut
        proxy.down = True                                # an outage: connections are closed at once, those that are open as well
"""
import collections
import json
import random
import select
import socket
import threading


class Proxy:
    """Takes connections on a port of its own, until it is closed; _serve(client, …) is called for each in a thread of its own,
    with what _admit(client), called in their order, gave for it. None there: the connection is refused."""

    def __init__(self, target):
        self.target = target
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.listener.close()

    def _admit(self, _client):
        return ()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            admitted = self._admit(client)
            if admitted is None:
                reset(client)
                client.close()
            else:
                threading.Thread(target=self._serve, args=(client, *admitted), daemon=True).start()


class FaultProxy(Proxy):
    """`counts`: connections, refused, and faults by name."""

    def __init__(self, port=0):
        self.faults = []
        self._down = False
        self._open = set()
        super().__init__(port)
        self.url = f'http://127.0.0.1:{self.port}'

    def close(self):
        super().close()
        self.cut_all()

    def cut_all(self):
        with self.lock:
            for s in self._open:
                reset(s)

    @property
    def down(self):
        return self._down

    @down.setter
    def down(self, value):
        self._down = value
        if value:
            self.cut_all()

    def _admit(self, _client):
        if self._down:
            self.counts['refused'] += 1
            return None
        with self.lock:
            self.counts['connections'] += 1
            return (self.faults.pop(0) if self.faults else ('',),)

    def _serve(self, client, fault):
        if fault[0] == 'answer':
            self.counts['answer'] += 1
            head(client)
            body = json.dumps({'Message': 'not now'}).encode()
            client.sendall(b'HTTP/1.1 %d Broken\r\nContent-Length: %d\r\nConnection: close\r\n\r\n' % (fault[1], len(body)) + body)
            client.close()
            return
        server = socket.create_connection(('127.0.0.1', self.target))
        with self.lock:
            self._open |= {client, server}
        try:
            self._pass(client, server, *fault)
        except OSError:
            pass
        finally:
            with self.lock:
                self._open -= {client, server}
            for s in (client, server):
                reset(s)
                s.close()

    def _pass(self, client, server, fault, after=0, line=''):
        passed = {'up': 0, 'down': 0}
        while True:
            for s in select.select([client, server], [], [])[0]:
                way, to = ('up', server) if s is client else ('down', client)
                data = s.recv(16384)
                if not data:
                    if way == 'down':
                        return
                    to.shutdown(socket.SHUT_WR)
                    continue
                if fault == way and passed[way] + len(data) >= after:
                    to.sendall(data[:after - passed[way]])
                    self.counts[fault] += 1
                    return
                passed[way] += len(data)
                to.sendall(data)
                if fault == 'say' and way == 'down' and passed[way] >= after and data.endswith(b'}\n\r\n'):
                    to.sendall(b'%x\r\n' % (len(line) + 1) + line.encode() + b'\n\r\n')
                    self.counts[fault] += 1
                    return


def head(s):
    got = b''
    while b'\r\n\r\n' not in got:
        more = s.recv(4096)
        if not more:
            return
        got += more


def reset(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def random_cuts(count, seed, up=200000, down=2500):
    """Anywhere: within the head, a header, a cluster, an answer, an acknowledgement."""
    r = random.Random(seed)
    return [('up', r.randrange(1, up)) if r.random() < 0.6 else ('down', r.randrange(1, down)) for _ in range(count)]
