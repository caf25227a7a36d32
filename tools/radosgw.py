#!/usr/bin/python3
"""An S3 server for development and tests: Ceph's radosgw over one object store, on loopback.

    tools/radosgw.py start FOLDER PORT MONITOR-PORT    # in the background, over the folder's objects: made where there are none
    tools/radosgw.py stop FOLDER                       # they stay
    tools/radosgw.py status FOLDER                     # exit code 0: it runs

    with Radosgw(folder, port, mon_port, in_memory=2 << 30) as s3:    # a test's own: some two seconds, 140 MB
        s3.stop_gateway(); s3.start_gateway()                         # an outage; s3.pause(), s3.resume(): it hangs

Its one user has the keys KEY and SECRET, and signatures are checked. Ceph won't run as root: its processes are nobody's then. Needs
Debian's radosgw, ceph-mon, ceph-osd and ceph-common.
"""
import base64
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

KEY, SECRET = 'AKTEST', 'SK/test+odd=1'
KMS_KEY = 'test-key'   # for what is put with aws:kms: the gateway's own, known to everybody
PARTS = ('mon.a', 'osd.0', 'client.rgw')   # in the order of their start
PROGRAMS = ('radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph', 'monmaptool')
ON_DISK_BYTES = 20 << 30
PR_SET_PDEATHSIG = 1
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
osd max object name len = 2048
osd max object namespace len = 256
[mon]
paxos propose interval = 0.05
paxos min wait = 0.01
mon tick interval = 1
mon data = {r}/mon.a
mon data avail crit = 0
mon data avail warn = 0
[osd]
osd data = {r}/osd.0
{objects}
osd memory target = 939524096
osd op num shards = 1
osd op num threads per shard = 1
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{rgw}
rgw data = {r}/client.rgw
rgw dns name = localhost
rgw thread pool size = 32
rgw num rados handles = 1
rgw enable gc threads = true
rgw gc obj min wait = 1
rgw gc processor period = 5
rgw enable quota threads = false
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = {kms}
"""


def available():
    return all(map(shutil.which, PROGRAMS))


def uuid():
    return pathlib.Path('/proc/sys/kernel/random/uuid').read_text().strip()


class Radosgw:
    def __init__(self, folder, port, mon_port, in_memory=0, seconds=60):
        """Objects are in memory, so many bytes of them, or else in the folder. `seconds`: what a step may take."""
        self.folder = pathlib.Path(folder).absolute()
        self.port, self.mon_port, self.in_memory, self.seconds = port, mon_port, in_memory, seconds
        self.processes = {}
        self.user = pwd.getpwnam('nobody') if os.getuid() == 0 else None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()
        self.processes.clear()

    def start(self):
        made = (self.folder / 'made').exists()
        try:
            if not made:
                self._make()
            for name in PARTS[:2]:
                self._spawn(name)
            self.start_gateway()
            if not made:
                self._run('radosgw-admin', *self._conf(), '-n', 'client.admin', 'user', 'create', '--uid=t', '--display-name=t',
                          '--max-buckets=100000', f'--access-key={KEY}', f'--secret-key={SECRET}')
                (self.folder / 'made').touch()
        except BaseException:
            self.__exit__()
            raise
        return self

    def pause(self):
        """It takes connections and answers nothing, until resume()."""
        self.processes['client.rgw'].send_signal(signal.SIGSTOP)

    def resume(self):
        self.processes['client.rgw'].send_signal(signal.SIGCONT)

    def stop_gateway(self):
        """Connections are refused, until start_gateway(); the objects stay."""
        self.processes['client.rgw'].kill()
        self.processes.pop('client.rgw').wait()

    def start_gateway(self):
        gateway = self._spawn('client.rgw')
        end = time.monotonic() + self.seconds
        while not answers(self.port):
            if gateway.poll() is not None or time.monotonic() > end:
                raise RuntimeError(self._out('client.rgw'))
            time.sleep(0.02)

    def _conf(self):
        return '-c', self.folder / 'ceph.conf'

    def _out(self, name):
        return (self.folder / f'{name}.out').read_text(errors='replace')[-4000:]

    def _own(self):
        if self.user:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)
        if self.in_memory:   # it ends with whose it is, whatever becomes of that
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def _popen(self, words, name):
        with (self.folder / f'{name}.out').open('ab') as out:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd='/',
                                    start_new_session=not self.in_memory, preexec_fn=self._own,
                                    env={'PATH': os.environ['PATH'], 'HOME': str(self.folder)})

    def _run(self, *words):
        if self._popen(words, 'setup').wait(self.seconds) != 0:
            raise RuntimeError(self._out('setup'))

    def _spawn(self, name):
        kind, _, which = name.partition('.')
        words = ['radosgw', '-n', name] if kind == 'client' else [f'ceph-{kind}', '-i', which]
        self.processes[name] = process = self._popen([*words, *self._conf(), '-f'], name)
        (self.folder / f'{name}.pid').write_text(str(process.pid))
        return process

    def _make(self):
        """Monitor's map, keys, an object store's folder; what an attempt before left is removed."""
        r, fsid, osd = self.folder, uuid(), uuid()
        shutil.rmtree(r, ignore_errors=True)
        for part in PARTS:
            (r / part).mkdir(parents=True)
        objects = (f'osd objectstore = memstore\nmemstore device bytes = {self.in_memory}' if self.in_memory else
                   f'osd objectstore = bluestore\nbluestore block create = true\nbluestore block size = {ON_DISK_BYTES}')
        (r / 'ceph.conf').write_text(CONFIGURATION.format(fsid=fsid, r=r, mon=self.mon_port, rgw=self.port, objects=objects,
                                                              kms=f'{KMS_KEY}={base64.b64encode(bytes(32)).decode()}'))
        if self.user:
            for path in (r, *r.iterdir()):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self._run('monmaptool', '--create', '--clobber', '--fsid', fsid, '--addv', 'a', f'[v2:127.0.0.1:{self.mon_port}]',
                  r / 'monmap')
        self._run('ceph-authtool', '--create-keyring', r / 'keyring', '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *')
        for name in ('client.admin', 'client.rgw', 'osd.0'):
            caps = [word for daemon in ('mon', 'osd', 'mgr') for word in ('--cap', daemon, 'allow *')]
            self._run('ceph-authtool', r / 'keyring', '--gen-key', '-n', name, *caps)
        self._run('ceph-mon', *self._conf(), '--mkfs', '-i', 'a', '--monmap', r / 'monmap', '--keyring', r / 'keyring')
        mon = self._spawn('mon.a')
        self._run('ceph', *self._conf(), '--connect-timeout', '60', 'osd', 'new', osd)
        self._run('ceph-osd', *self._conf(), '-i', '0', '--mkfs', '--osd-uuid', osd)
        mon.terminate()   # start() starts it
        mon.wait()


def answers(port):
    try:
        socket.create_connection(('127.0.0.1', port), 1).close()
        return True
    except OSError:
        return False


def lives(pid):
    """What has ended has no working directory, even while nobody has asked for its exit code."""
    return pathlib.Path(f'/proc/{pid}/cwd').exists()


def running(folder):
    """{part: pid} of those that run over the folder."""
    found = {}
    for name in PARTS:
        try:
            pid = int((pathlib.Path(folder) / f'{name}.pid').read_text())
            if lives(pid) and pathlib.Path(f'/proc/{pid}/comm').read_text().startswith(('ceph-', 'radosgw')):
                found[name] = pid
        except (OSError, ValueError):
            pass
    return found


def stop(folder):
    """One after the other, the gateway first; each writes down what it has."""
    for pid in reversed(running(folder).values()):
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 30
        while lives(pid):
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def main(words):
    if words[:1] == ['start'] and len(words) == 4:
        if len(running(words[1])) != len(PARTS):
            stop(words[1])
            Radosgw(words[1], int(words[2]), int(words[3])).start()
        return 0
    if words[:1] == ['stop'] and len(words) == 2:
        stop(words[1])
        return 0
    if words[:1] == ['status'] and len(words) == 2:
        return 0 if len(running(words[1])) == len(PARTS) else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
