"""Runs commands and counts what they take; watches the memory of processes.

    u = run(['ffmpeg', ...])            # u.wall, u.cpu in seconds, u.first: seconds until `until()` became true
    with Watch(pid) as w: ...
    w.peak                              # bytes, of the process and its descendants together

CPU seconds are the kernel's for the process and every descendant that was waited for. A command that fails ends the
benchmark.
"""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time


LIMIT = 600  # seconds, of any one command


class Failed(Exception):
    """A command of a benchmark failed, or an answer was wrong."""


class Usage:
    def __init__(self, wall, cpu, first=None):
        self.wall, self.cpu, self.first = wall, cpu, first


def environment():
    """The caller's MILLRACE_… variables would be options."""
    return {k: v for k, v in os.environ.items() if not k.startswith('MILLRACE_')}


def run(command, until=None, stop=False):
    """Runs to the end, or with `stop` only until `until()` is true, which is asked every 5 ms."""
    first = None
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                   env=environment())
        alarm = threading.Timer(LIMIT, process.send_signal, [signal.SIGKILL])
        alarm.start()
        while until and first is None and not exited(process):
            if until():
                first = time.monotonic() - began
            else:
                time.sleep(0.005)
        stopped = stop and first is not None
        if stopped:
            process.terminate()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        alarm.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if until and first is None and until():
            first = wall
        if (process.returncode != 0 and not stopped) or (until and first is None):
            said.seek(0)
            text = said.read()[-2000:].decode(errors='replace')
            raise Failed(f'{" ".join(map(str, command))}: exit {process.returncode}: {text}')
    return Usage(wall, used.ru_utime + used.ru_stime, first)


def exited(process):
    """Without reaping, which would take the resource usage along."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def output(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, env=environment(),
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f'{" ".join(map(str, command))}: exit {done.returncode}: {(done.stdout + done.stderr)[-2000:]}')
    return done.stdout + done.stderr


# ---- Memory ----

def parents():
    """Every process' parent."""
    found = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                text = pathlib.Path(f'/proc/{entry}/stat').read_text()
                found[int(entry)] = int(text[text.rindex(')') + 2:].split()[1])
    return found


def tree(root):
    """The process and all its descendants."""
    up = parents()
    found = [root]
    for pid in found:
        found += [child for child, parent in up.items() if parent == pid]
    return found


def cpu_seconds(root):
    """User and system time of a process and its descendants so far, to the clock tick."""
    ticks = 0
    for pid in tree(root):
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
        ticks += sum(int(n) for n in text[text.rindex(')') + 2:].split()[11:13])
    return ticks / os.sysconf('SC_CLK_TCK')


def status_bytes(pid, field):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(field + ':'):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def proportional_bytes(pid):
    """PSS: pages that several processes share are divided among them. Needs root for a process in a sandbox."""
    for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        if line.startswith('Pss:'):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak(pid):
    """VmHWM starts anew from what the process has now."""
    pathlib.Path(f'/proc/{pid}/clear_refs').write_text('5')


class Watch:
    """Samples the memory of a process and its descendants every 20 ms. Peaks shorter than that may be missed."""

    def __init__(self, pid):
        self.pid = pid
        self.peak = 0
        self.proportional = True
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.sample)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def one(self, pid):
        if self.proportional:
            try:
                return proportional_bytes(pid)
            except PermissionError:
                self.proportional = False
                self.peak = 0
        return status_bytes(pid, 'VmRSS')

    def sample(self):
        while not self.stop.wait(0.02):
            total = 0
            for pid in tree(self.pid):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError, KeyError):
                    total += self.one(pid)
            self.peak = max(self.peak, total)
