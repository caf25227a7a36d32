"""What tests of conversions ask of a sound file: what it says it is, and what a decoder makes of it."""
import contextlib
import json
import os
import shutil
import signal
import subprocess

from server import wait_for

FRAMES = {'mp3': 1152, 'aac': 1024, 'm4a': 1024, 'ogg': 1024, 'opus': 960, 'flac': 4096, 'wav': 1}
CODECS = {'mp3': 'mp3', 'aac': 'aac', 'm4a': 'aac', 'ogg': 'vorbis', 'opus': 'opus', 'flac': 'flac', 'wav': 'pcm_s16le'}


def complaints(said):
    """Not that ADTS has no header that could tell its length, a WAV of one or two channels doesn't name its speakers, a cover has
    no clock, and four frames are few."""
    known = 'Estimating duration', 'Guessed Channel', 'timescale not set', 'detected only with low score'
    return [line for line in said.splitlines() if not any(words in line for words in known)]


def probe(path):
    done = subprocess.run(['ffprobe', '-v', 'warning', '-of', 'json', '-show_format', '-show_streams', path], check=True,
                          capture_output=True, text=True)
    assert not complaints(done.stderr), done.stderr
    return json.loads(done.stdout)


def samples(path, *options):
    """How many samples of one channel a decoder gives."""
    done = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:a:0', *options, '-ac', '1', '-f', 's16le',
                           '-'], check=True, capture_output=True)
    return len(done.stdout) // 2


# Each kind of file's own checker, where there is one, and what of its words is no complaint.
VALIDATORS = {'mp3': ('mp3val',), 'flac': ('flac', '-t', '-s', '-w'), 'opus': ('opusinfo',), 'ogg': ('ogginfo',)}


def validate(path):
    """The file's own checker has nothing to say against it; nor has ffprobe, reading every packet."""
    kind = path.suffix[1:]
    words = VALIDATORS.get(kind)
    if words and shutil.which(words[0]):
        done = subprocess.run([*words, path], capture_output=True, text=True)
        said = [line for line in (done.stdout + done.stderr).splitlines()
                if 'WARNING' in line and not any(word in line for word in ('No supported tags', 'Too few MPEG frames'))]
        assert done.returncode == 0 and not said, (words[0], done.stdout, done.stderr)
    done = subprocess.run(['ffprobe', '-v', 'warning', '-show_packets', path], capture_output=True, text=True)
    assert done.returncode == 0 and not complaints(done.stderr), done.stderr


def make(path, seconds, rate=44100, *options):
    """A sound that is nowhere alike."""
    source = f'aevalsrc=0.4*sin(2*PI*(200*t+40*t*t/2))+0.05*sin(3000*t)|0.4*sin(2*PI*(330*t+t*t)):s={rate}:d={seconds}'
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', source, *options, path], check=True)
    return path


@contextlib.contextmanager
def endless_chunk(server, client, folder):
    """The only worker of a server has a chunk of a conversion that doesn't end meanwhile."""
    others = set(server.tasks())
    job = client.start_convert(client.upload(make(folder / 'long.flac', 300))['file_id'], format='mp3')
    client.follow(job['job_id'], lambda j: j['progress']['percent'] > 0)
    task = wait_for(lambda: set(server.tasks()) - others, 'a chunk runs').pop()
    os.kill(task, signal.SIGSTOP)
    try:
        yield
        assert client.job(job['job_id'])['status'] == 'processing'
    finally:
        os.kill(task, signal.SIGCONT)
    client.delete(f'/api/jobs/{job["job_id"]}')
