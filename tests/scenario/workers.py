"""millrace worker as a process of its own, beside a server that has the same database and store.

    with Server(tmp_path, '--workers', '0') as s, Worker(s, '--workers', '1') as w: …
"""
import os
import pathlib
import re
import signal
import subprocess

from server import MILLRACE, REPORT, Running, Server, alive, children, clean_environment, limit, wait_for


class Worker(Running):
    count = 0

    def __init__(self, server, *options):
        Worker.count += 1
        self.folder = pathlib.Path(server.folder) / f'worker{Worker.count}'
        self.folder.mkdir(parents=True)
        self.log_path = self.folder / 'worker.log'
        # By which PostgreSQL knows its connections.
        self.name = f'worker-{os.getpid()}-{Worker.count}'
        backends = [f'{w}&application_name={self.name}' if w.startswith('postgres://') else w for w in server.backends]
        self.command = [MILLRACE, 'worker', '--data', server.data, *backends, '--analyze', 'off', *map(str, options)]
        self.env = clean_environment(**server.env)
        self.process = None

    def start(self):
        before = len(self.events('working'))   # of earlier starts
        with self.log_path.open('ab') as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        if self not in Server.live:
            Server.live.append(self)
        wait_for(lambda: len(self.events('working')) > before or self.process.poll() is not None, 'the worker works')
        assert self.process.poll() is None, self.log()
        return self

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        Server.live.remove(self)

    def log(self):
        return self.log_path.read_text(errors='replace') if self.log_path.exists() else ''

    def events(self, name):
        return re.findall(rf'event={name} .*', self.log())

    def tasks(self):
        return [task for zygote in children(self.process.pid) for task in children(zygote)]

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        left = [*children(self.process.pid), *self.tasks()]
        self.process.kill()
        self.process.wait()
        self.process = None
        wait_for(lambda: not any(map(alive, left)), 'zygote and tasks end with their worker')

    def stop(self):
        left = [*children(self.process.pid), *self.tasks()]
        self.process.terminate()
        code = self.process.wait(limit(60))
        self.process = None
        assert code == 0, f'the worker ended with {code} on SIGTERM'
        report = REPORT.search(self.log())
        assert not report, self.log()[report.start():report.start() + 4000]
        wait_for(lambda: not any(map(alive, left)), 'zygote and tasks end with their worker')
