"""A proxy to an S3 server that breaks a share of the requests.

    with S3Faults(s3.port, share=0.2) as broken:
        url = s3.url('films', port=broken.port)
    broken.counts                                      # 'requests', 'fine', and each fault by its name
"""
import random
import socket
import threading

from fault_proxy import Proxy

SLOW_DOWN = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>not now</Message></Error>'
FAULTS = ('reset', 'cut request', 'slow down', 'lost answer', 'cut answer', 'stall')


class S3Faults(Proxy):
    """An HTTP proxy that breaks a share of the requests: the connection is reset before anything is passed on, or in the middle of
    the request; 503 SlowDown; the request is carried out and its answer lost, or cut in its middle; or nothing happens for ever."""

    def __init__(self, target, share=0.2, seed=1, faults=FAULTS):
        self.share, self.faults = share, faults
        self.random = random.Random(seed)
        self.over = threading.Event()
        super().__init__(target)

    def close(self):
        self.over.set()
        super().close()

    def _choose(self):
        with self.lock:
            self.counts['requests'] += 1
            fault = self.random.choice(self.faults) if self.random.random() < self.share else ''
            self.counts[fault or 'fine'] += 1
            return fault

    def _serve(self, client):
        try:
            with client, socket.create_connection(('127.0.0.1', self.target)) as server:
                for s in (client, server):
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while self._request(client, server, self._choose):
                    pass
        except OSError:
            pass

    def _request(self, client, server, choose):
        """One request and its answer; False: the connection is over."""
        head, rest = read_head(client)
        if not head:
            return False
        fault = choose()
        length = content_length(head)
        if fault == 'reset':
            return False
        if fault == 'stall':
            self.over.wait()
            return False
        if fault == 'cut request':
            server.sendall(head)
            pass_on(client, server, rest, length // 2)
            return False
        if fault == 'slow down':
            pass_on(client, None, rest, length)
            client.sendall(b'HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\n\r\n' % len(SLOW_DOWN) + SLOW_DOWN)
            return True
        server.sendall(head)
        pass_on(client, server, rest, length)
        answer, rest = read_head(server)
        if not answer or fault == 'lost answer':
            return False
        method, status = head.split(b' ', 1)[0], int(answer.split(b' ', 2)[1])
        length = 0 if method == b'HEAD' or status in (204, 304) else content_length(answer)
        if b'transfer-encoding: chunked' in answer.lower():
            length = 1 << 62   # until the connection ends, which the server is asked for
        if fault == 'cut answer' and length > 1:
            client.sendall(answer)
            pass_on(server, client, rest, min(length, 1 << 20) // 2)
            return False
        client.sendall(answer)
        return pass_on(server, client, rest, length)


def read_head(s):
    data = b''
    while b'\r\n\r\n' not in data:
        more = s.recv(65536)
        if not more:
            return b'', b''
        data += more
    end = data.index(b'\r\n\r\n') + 4
    return data[:end], data[end:]


def content_length(head):
    for line in head.split(b'\r\n')[1:]:
        name, _, value = line.partition(b':')
        if name.strip().lower() == b'content-length':
            return int(value)
    return 0


def pass_on(source, to, begun, length):
    if to and begun:
        to.sendall(begun[:length])
    left = length - len(begun)
    while left > 0:
        data = source.recv(min(left, 262144))
        if not data:
            return False
        left -= len(data)
        if to:
            to.sendall(data)
    return True
