"""Ports for what tests start, stop and start again: nobody else has one between its end and its next start."""
import random
import socket

# Below those that the kernel gives to clients.
PORTS = range(10000, 32000)

_ports = iter(random.sample(PORTS, len(PORTS)))


def reserve_port():
    """A port that no other test's server has, in any process on this machine, until this process ends."""
    for port in _ports:
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as trial:
            try:
                mark.bind(f'\0millrace-test-port-{port}')   # an abstract name: it is taken until its socket is closed
                trial.bind(('127.0.0.1', port))
            except OSError:
                mark.close()
                continue
        mark.detach()   # nobody closes it
        return port
    raise AssertionError('all ports are taken')
