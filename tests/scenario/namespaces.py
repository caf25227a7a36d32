"""Machines that share nothing but a network: each a network namespace of its own, joined to this one by a pair of interfaces. They
reach services of this one's loopback by relays.

    with Namespace() as n:
        port = n.relay(5432)                 # n.host:port is 127.0.0.1:5432 here
        subprocess.Popen([*n.prefix, 'curl', f'http://{n.host}:{port}/'])

Needs root and ip(8); REASON says why there are none.
"""
import contextlib
import os
import random
import shutil
import socket
import subprocess
import threading


def _ip(*words, check=True):
    return subprocess.run(['ip', *map(str, words)], capture_output=True, text=True, check=check)


def _reason():
    if os.geteuid() != 0 or not shutil.which('ip'):
        return 'network namespaces need root and ip(8)'
    name = f'mr-try-{os.getpid()}'
    made = _ip('netns', 'add', name, check=False)
    _ip('netns', 'del', name, check=False)
    return made.stderr.strip() if made.returncode else ''


REASON = _reason()


def _pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for s in source, target:
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_RDWR)


class Namespace:
    def __enter__(self):
        self.name = f'mr{random.randrange(16**6):06x}'
        here, there = self.name + 'a', self.name + 'b'
        net = f'10.{random.randrange(16, 240)}.{random.randrange(256)}'
        self.host, self.listeners = net + '.1', []
        self.prefix = ['ip', 'netns', 'exec', self.name]
        _ip('netns', 'add', self.name)
        try:
            _ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', self.name)
            _ip('addr', 'add', self.host + '/30', 'dev', here)
            _ip('link', 'set', here, 'up')
            _ip('-n', self.name, 'addr', 'add', net + '.2/30', 'dev', there)
            for device in there, 'lo':
                _ip('-n', self.name, 'link', 'set', device, 'up')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.close()
        _ip('netns', 'del', self.name, check=False)   # and the pair with it

    def relay(self, port):
        listener = socket.create_server((self.host, 0))
        self.listeners.append(listener)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    server = socket.create_connection(('127.0.0.1', port))
                    for pair in (client, server), (server, client):
                        threading.Thread(target=_pump, args=pair, daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]
