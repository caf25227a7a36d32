"""A real S3 server on loopback: Ceph's radosgw over an object store in memory, and a proxy that breaks its connections.

    with S3Server() as s3:                             # some two seconds, 140 MB; Debian's radosgw, ceph-mon, ceph-osd, ceph-common
        s3.client.create_bucket(Bucket='films')        # boto3
        url = s3.url('films', 'prefix', region='us-east-1')    # what --store takes
        env = s3.env                                   # the credentials
        with S3Faults(s3.port, share=0.2) as broken:
            url = s3.url('films', port=broken.port)

It checks signatures for real. Ceph won't run as root: its processes are nobody's then.
"""
import collections
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

import boto3
from botocore.config import Config

from server import limit, reserve_port

KEY, SECRET = 'AKTEST', 'SKTEST'
CONFIGURATION = """[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}
ms bind ipv4 = true
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
keyring = {r}/keyring
run dir = {r}
admin socket =
log file = {r}/$name.log
pid file = {r}/$name.pid
mon cluster log file = {r}/cluster.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon osd max split count = 1000
osd max object name len = 256
osd max object namespace len = 64
[mon]
paxos propose interval = 0.05
paxos min wait = 0.01
mon tick interval = 1
mon data = {r}/mon.a
mon data avail crit = 0
mon data avail warn = 0
[osd]
osd data = {r}/osd.0
osd objectstore = memstore
memstore device bytes = {bytes}
osd memory target = 939524096
osd op num shards = 1
osd op num threads per shard = 1
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{rgw}
rgw data = {r}/rgw
rgw dns name = localhost
rgw thread pool size = 32
rgw num rados handles = 1
rgw enable gc threads = true
rgw enable quota threads = false
"""


def available():
    return all(shutil.which(name) for name in ('radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph', 'monmaptool'))


def client(port):
    return boto3.client('s3', endpoint_url=f'http://127.0.0.1:{port}', region_name='us-east-1', aws_access_key_id=KEY,
                        aws_secret_access_key=SECRET, config=Config(s3={'addressing_style': 'path'}))


def url(port, bucket, prefix='', **options):
    options = {'endpoint': f'http://127.0.0.1:{port}', **options}
    return f's3://{bucket}/{urllib.parse.quote(prefix)}?{urllib.parse.urlencode(options)}'


class S3Server:
    def __init__(self, bytes_max=2 << 30):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='millrace-s3-'))   # pytest's folders are their owner's alone
        self.bytes_max = bytes_max
        self.port = reserve_port()
        self.processes = {}
        self.env = {'AWS_ACCESS_KEY_ID': KEY, 'AWS_SECRET_ACCESS_KEY': SECRET}
        self.user = pwd.getpwnam('nobody') if os.getuid() == 0 else None

    def __enter__(self):
        try:
            return self._start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def client(self):
        return client(self.port)

    def url(self, bucket, prefix='', port=0, **options):
        return url(port or self.port, bucket, prefix, **options)

    def pause(self):
        """It takes connections and answers nothing, until resume()."""
        self.processes['rgw'].send_signal(signal.SIGSTOP)

    def resume(self):
        self.processes['rgw'].send_signal(signal.SIGCONT)

    def stop(self):
        """Connections are refused, until start(); the objects stay."""
        self.processes['rgw'].kill()
        self.processes.pop('rgw').wait()

    def start(self):
        self._spawn('rgw', 'radosgw', '-n', 'client.rgw', '-f')
        end = time.monotonic() + limit(60)
        while True:
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return
            except OSError:
                assert self.processes['rgw'].poll() is None and time.monotonic() < end, self._log('rgw')
                time.sleep(0.02)

    def _log(self, name):
        return (self.folder / f'{name}.out').read_text(errors='replace')[-4000:]

    def _own(self):
        if self.user:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)

    def _popen(self, words, out):
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd='/',
                                preexec_fn=self._own, env={'PATH': os.environ['PATH'], 'HOME': str(self.folder)})

    def _run(self, *words):
        with (self.folder / 'setup.out').open('ab') as out:
            process = self._popen(words, out)
            assert process.wait(limit(60)) == 0, self._log('setup')

    def _spawn(self, name, program, *words):
        with (self.folder / f'{name}.out').open('ab') as out:
            self.processes[name] = self._popen([program, '-c', self.folder / 'ceph.conf', *words], out)

    def _start(self):
        r = self.folder
        conf = ('-c', r / 'ceph.conf')
        for part in ('mon.a', 'osd.0', 'rgw'):
            (r / part).mkdir(parents=True)
        mon, fsid = reserve_port(), pathlib.Path('/proc/sys/kernel/random/uuid').read_text().strip()
        (r / 'ceph.conf').write_text(CONFIGURATION.format(fsid=fsid, r=r, mon=mon, rgw=self.port, bytes=self.bytes_max))
        if self.user:
            for path in (r, *r.iterdir()):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self._run('monmaptool', '--create', '--clobber', '--fsid', fsid, '--addv', 'a', f'[v2:127.0.0.1:{mon}]', r / 'monmap')
        self._run('ceph-authtool', '--create-keyring', r / 'keyring', '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *')
        for name in ('client.admin', 'client.rgw', 'osd.0'):
            caps = [word for daemon in ('mon', 'osd', 'mgr') for word in ('--cap', daemon, 'allow *')]
            self._run('ceph-authtool', r / 'keyring', '--gen-key', '-n', name, *caps)
        self._run('ceph-mon', *conf, '--mkfs', '-i', 'a', '--monmap', r / 'monmap', '--keyring', r / 'keyring')
        self._spawn('mon', 'ceph-mon', '-i', 'a', '-f')
        osd = pathlib.Path('/proc/sys/kernel/random/uuid').read_text().strip()
        self._run('ceph', *conf, '--connect-timeout', '60', 'osd', 'new', osd)
        self._run('ceph-osd', *conf, '-i', '0', '--mkfs', '--osd-uuid', osd)
        self._spawn('osd', 'ceph-osd', '-i', '0', '-f')
        self.start()
        self._run('radosgw-admin', *conf, '-n', 'client.admin', 'user', 'create', '--uid=t', '--display-name=t',
                  f'--access-key={KEY}', f'--secret-key={SECRET}')
        return self


SLOW_DOWN = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>not now</Message></Error>'
FAULTS = ('reset', 'cut request', 'slow down', 'lost answer', 'cut answer', 'stall')


class S3Faults:
    """An HTTP proxy that breaks a share of the requests: the connection is reset before anything is passed on, or in the middle of
    the request; 503 SlowDown; the request is carried out and its answer lost, or cut in its middle; or nothing happens for ever."""

    def __init__(self, target, share=0.2, seed=1, faults=FAULTS):
        self.target, self.share, self.faults = target, share, faults
        self.random = random.Random(seed)
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

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
