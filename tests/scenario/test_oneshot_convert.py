"""millrace convert: a file, standard input and output, what is refused, interruptions; what exit codes say."""
import contextlib
import os
import signal
import struct
import subprocess
import threading
import time

import pytest

import sound
from make_media import media
from server import MILLRACE, SANITIZER, SOAK, children, clean_environment, files_below, limit, memory, run, wait_for

LONG_SECONDS = 130   # as CD audio 23 MB: more than is kept of a pipe (16 MiB)


@pytest.fixture(scope='module')
def long(tmp_path_factory):
    return sound.make(tmp_path_factory.mktemp('long') / 'long.wav', LONG_SECONDS)


def piped(*words, source, out=subprocess.PIPE, cwd=None):
    """Standard input is a pipe, whatever the size of `source` (bytes, or an iterator of them)."""
    p = subprocess.Popen([str(MILLRACE), 'convert', *map(str, words)], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE,
                         env=clean_environment(), cwd=cwd)

    def feed():
        try:
            for block in [source] if isinstance(source, bytes) else source:
                p.stdin.write(block)
            p.stdin.close()
        except BrokenPipeError:
            pass
    feeder = threading.Thread(target=feed)
    feeder.start()
    said = p.stdout.read() if p.stdout else b'', p.stderr.read()
    feeder.join()
    return p.wait(timeout=limit(60)), *said


def test_exit_codes(tmp_path, long):
    out = tmp_path / 'out.mp3'
    for words, code, said in [((), 2, 'IN and OUT'), ((long, tmp_path / 'out.xyz'), 2, 'format'),
                              ((tmp_path / 'missing', out), 1, 'missing'), ((media('silent.mp4'), out), 1, 'no sound'),
                              ((long, out, '--bitrate', '1'), 2, 'bitrate'), ((long, out, '--end', '1', '--quiet'), 0, ''),
                              ((long, out), 2, 'there already'), ((long, out, '--end', '1', '--force'), 0, '100%')]:
        done = run('convert', *words)
        assert done.returncode == code and said in done.stderr, (words, done)
    assert [p.name for p in tmp_path.iterdir()] == ['out.mp3']


@pytest.mark.parametrize('name', ['sound.mp3', 'moov-at-end.mp4', 'sound.wav'])
def test_a_short_pipe_is_as_good_as_a_file(tmp_path, name):
    source = media(name)
    assert run('convert', source, tmp_path / 'file.wav', '--quiet', '--normalize', '-20').returncode == 0
    code, out, said = piped('-', '-', '--format', 'wav', '--quiet', '--normalize', '-20', source=source.read_bytes())
    assert code == 0 and not said and out == (tmp_path / 'file.wav').read_bytes()


@pytest.mark.parametrize('fmt', ['mp3', 'flac', 'wav'])
def test_a_long_pipe_is_read_once(tmp_path, long, fmt):
    """One encoder from start to end makes the bytes that chunks made."""
    words = '--quiet', '--sample-rate', '22050', '--channels', '1'
    assert run('convert', long, tmp_path / f'file.{fmt}', *words).returncode == 0
    code, _, said = piped('-', tmp_path / f'pipe.{fmt}', *words, source=long.read_bytes())
    assert code == 0, said
    assert (tmp_path / f'pipe.{fmt}').read_bytes() == (tmp_path / f'file.{fmt}').read_bytes()


@pytest.fixture(scope='module')
def tagged(tmp_path_factory, long):
    """Long enough for several chunks; an odd number of samples, and of a tag's letters."""
    path = tmp_path_factory.mktemp('tagged') / 'tagged.mp3'
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', long, '-t', '129.99', '-metadata', 'title=Größe', '-metadata',
                    'artist=odd', '-b:a', '96k', path], check=True)
    return path


@pytest.mark.parametrize('params', [{}, {'bits': 24, 'channels': 1, 'start': 0.5, 'end': 128.0001},
                                    {'bits': 32, 'sample_rate': 8000}])
def test_a_wav_in_place_is_what_parts_make(client, tmp_path, tagged, params):
    """A server's chunks leave parts, those of one that stands alone write into the file itself."""
    job = client.run_convert(client.upload(tagged)['file_id'], format='wav', **params)
    words = [w for name, value in params.items() for w in (f'--{name.replace("_", "-")}', value)]
    assert run('convert', tagged, tmp_path / 'out.wav', '--quiet', *words).returncode == 0
    assert (tmp_path / 'out.wav').read_bytes() == client.fetch(job)
    assert [f.name for f in files_below(tmp_path)] == ['out.wav']
    assert sound.probe(tmp_path / 'out.wav')['format']['tags']['artist'] == 'odd'


@pytest.mark.parametrize('fmt', ['wav', 'mp3'])
def test_a_task_that_is_killed_is_made_good(tmp_path, tagged, fmt):
    """What it had written is written again. (By the time that something lies there it is no probe.)"""
    (tmp_path / 'work').mkdir()
    assert run('convert', tagged, tmp_path / f'expected.{fmt}', '--quiet').returncode == 0
    killed = []
    while not killed:
        p = subprocess.Popen([str(MILLRACE), 'convert', str(tagged), f'out.{fmt}', '--quiet', '--force'], cwd=tmp_path / 'work',
                             env=clean_environment(), stderr=subprocess.PIPE)
        while not killed and p.poll() is None:
            begun = any(f.name != f'out.{fmt}' or 'store' in f.parts for f in files_below(tmp_path / 'work'))
            for task in [t for z in children(p.pid) for t in children(z)] if begun else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(task, signal.SIGKILL)
                    killed.append(task)
        assert p.wait(timeout=limit(60)) == 0, p.stderr.read()
    assert (tmp_path / 'work' / f'out.{fmt}').read_bytes() == (tmp_path / f'expected.{fmt}').read_bytes()


def endless(seconds):
    """A WAV whose header doesn't know how much follows, as programs write it into a pipe."""
    yield b'RIFF\xff\xff\xff\xffWAVEfmt ' + struct.pack('<IHHIIHH', 16, 1, 2, 48000, 192000, 4, 16) + b'data\xff\xff\xff\xff'
    for _ in range(seconds):
        yield bytes(192000)


def test_nothing_of_a_pipe_is_put_anywhere(tmp_path):
    """Of 77 MB nothing lies on the disk but what is made of them, and memory holds no more than the beginning."""
    p = subprocess.Popen([str(MILLRACE), 'convert', '-', 'out.wav', '--quiet', '--sample-rate', '8000', '--channels', '1'],
                         stdin=subprocess.PIPE, env=clean_environment(), cwd=tmp_path)
    most = 0
    for i, block in enumerate(endless(400)):
        p.stdin.write(block)
        if i % 50 == 0:
            with contextlib.suppress(FileNotFoundError):   # one is renamed meanwhile
                most = max(most, sum(f.stat().st_size for f in files_below(tmp_path)))
    peak = memory(p.pid, 'VmHWM')
    p.stdin.close()
    assert p.wait(timeout=limit(60)) == 0
    assert most <= 400 * 16000 and (SANITIZER or peak < 64 << 20)
    assert [f.name for f in files_below(tmp_path)] == ['out.wav'] and sound.samples(tmp_path / 'out.wav') == 400 * 8000


def test_what_a_long_pipe_cannot_give(tmp_path, long):
    data = media('moov-at-end.mp4').read_bytes()
    moov = data.rindex(b'moov') - 4
    far = data[:moov] + struct.pack('>I', 17 << 20) + b'free' + bytes((17 << 20) - 8) + data[moov:]
    (tmp_path / 'far.mp4').write_bytes(far)
    assert run('convert', tmp_path / 'far.mp4', tmp_path / 'file.wav', '--quiet').returncode == 0
    code, _, said = piped('-', 'far.wav', source=far, cwd=tmp_path)
    assert code == 1 and b'give it as a file' in said
    code, _, said = piped('-', 'n.wav', '--normalize', '-20', source=long.read_bytes(), cwd=tmp_path)
    assert code == 1 and b'--normalize' in said
    code, _, said = piped('-', 'e.wav', source=b'', cwd=tmp_path)
    assert code == 1 and b'empty' in said
    assert sorted(f.name for f in tmp_path.iterdir()) == ['far.mp4', 'file.wav']


@pytest.mark.parametrize('first', [100, 17 << 20])
def test_interrupted_while_a_pipe_gives_nothing(tmp_path, long, first):
    """In the probe; and in the conversion, since more was taken than is kept."""
    p = subprocess.Popen([str(MILLRACE), 'convert', '-', 'out.mp3', '--quiet'], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=clean_environment(), cwd=tmp_path)
    p.stdin.write(long.read_bytes()[:first])
    p.stdin.flush()
    wait_for(lambda: list(tmp_path.iterdir()), 'it has begun')
    p.send_signal(signal.SIGTERM)
    assert p.wait(timeout=limit(60)) == 130
    assert b'interrupted' in p.stderr.read() and not list(tmp_path.iterdir())


@pytest.mark.skipif(not SOAK, reason='it waits for a lease to run out: MILLRACE_SOAK=1')
def test_a_stalling_pipe_loses_no_claim(tmp_path, long):
    """It stands still for longer than a lease lasts; nobody else begins it a second time."""
    data = long.read_bytes()

    def stalling():
        yield data[:18 << 20]
        time.sleep(17)
        yield data[18 << 20:]
    code, _, said = piped('-', 'out.wav', '--sample-rate', '8000', source=stalling(), cwd=tmp_path)
    assert code == 0, said
    assert sound.samples(tmp_path / 'out.wav') == LONG_SECONDS * 8000


def test_standard_output_that_closes(tmp_path, long):
    r, w = os.pipe()
    os.close(r)
    with os.fdopen(w, 'wb') as out:
        done = subprocess.run([str(MILLRACE), 'convert', str(long), '-', '--format', 'flac', '--end', '5', '--quiet'], stdout=out,
                              stderr=subprocess.PIPE, env=clean_environment(TMPDIR=str(tmp_path)), check=False)
    assert done.returncode == 1 and b'write' in done.stderr and not list(tmp_path.iterdir())


@contextlib.contextmanager
def unread(folder, source, fmt):
    """A conversion to a pipe of which one byte has been read: all chunks are made by then, and what is left doesn't fit into it."""
    p = subprocess.Popen([str(MILLRACE), 'convert', str(source), '-', '--format', fmt, '--quiet'], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=clean_environment(TMPDIR=str(folder)), bufsize=0)
    try:
        yield p, p.stdout.read(1)
    finally:
        p.kill()
        p.wait()


@pytest.mark.parametrize('fmt', ['wav', 'mp3'])
def test_to_a_pipe_the_parts_are_joined_directly(tmp_path, tagged, fmt):
    """No file is made of them first; a slow reader gets every byte."""
    assert run('convert', tagged, tmp_path / f'file.{fmt}', '--quiet').returncode == 0
    (tmp_path / 'work').mkdir()
    with unread(tmp_path / 'work', tagged, fmt) as (p, first):
        made = files_below(tmp_path / 'work')
        whole = (tmp_path / f'file.{fmt}').stat().st_size
        assert len(made) > 2 and max(f.stat().st_size for f in made) < whole * 0.9
        assert first + p.stdout.read() == (tmp_path / f'file.{fmt}').read_bytes()
        assert p.wait(timeout=limit(60)) == 0 and not p.stderr.read()
    assert not list((tmp_path / 'work').iterdir())


def test_a_reader_that_goes_away_in_the_middle(tmp_path, tagged):
    with unread(tmp_path, tagged, 'wav') as (p, _):
        p.stdout.close()
        assert p.wait(timeout=limit(60)) == 1
        assert b'write the output: Broken pipe' in p.stderr.read()
    assert [f.name for f in files_below(tmp_path)] == []


def test_interrupted_while_nobody_reads(tmp_path, tagged):
    with unread(tmp_path, tagged, 'wav') as (p, _):
        p.send_signal(signal.SIGINT)
        assert p.wait(timeout=limit(60)) == 130
    assert [f.name for f in files_below(tmp_path)] == []


@pytest.mark.skipif(not SOAK, reason='it waits for a lease to run out: MILLRACE_SOAK=1')
def test_a_stalling_reader_gets_each_byte_once(tmp_path, tagged):
    assert run('convert', tagged, tmp_path / 'file.wav', '--quiet').returncode == 0
    with unread(tmp_path, tagged, 'wav') as (p, first):
        time.sleep(17)
        assert first + p.stdout.read() == (tmp_path / 'file.wav').read_bytes()


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
def test_standard_output_on_a_full_disk(tmp_path, tagged):
    with open('/dev/full', 'wb') as full:
        done = subprocess.run([str(MILLRACE), 'convert', str(tagged), '-', '--format', 'mp3', '--quiet'], stdout=full,
                              stderr=subprocess.PIPE, env=clean_environment(TMPDIR=str(tmp_path)), timeout=limit(60), check=False)
    assert done.returncode == 1 and b'No space left' in done.stderr and not list(tmp_path.iterdir())
