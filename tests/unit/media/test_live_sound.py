"""Live sound from real browsers' recordings: the speech that was spoken to them comes out, whatever the pieces, as ffmpeg's own
decoder hears it; chunks that are missing or come twice cost or add nothing but themselves."""
import array
import math
import operator
import os
import pathlib
import shutil
import subprocess

import pytest

TOOL = os.environ['LIVE_SOUND_TOOL']
ROOT = pathlib.Path(__file__).parents[3]
KEPT = ROOT / 'tests' / 'captures'
SHARED = ROOT.parent / 'shared' / 'captures'  # longer ones, where they are
RATE = 16000
TEXT = ("The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It's easy to tell the depth of a "
        'well. These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of lemons makes fine punch. '
        'The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage. Four hours of steady work faced '
        'us. A large size in stockings is hard to sell.\n')


def blobs(path):
    data, at = path.read_bytes(), 0
    for size in map(int, path.with_suffix('.sizes').read_text().split()):
        yield data[at:at + size]
        at += size


def recordings():
    found = {p.stem: list(blobs(p)) for p in sorted(KEPT.glob('*.webm'))}
    for folder in sorted(SHARED.glob('*/')) if SHARED.is_dir() else []:
        found[folder.name] = [p.read_bytes() for p in sorted(folder.glob('chunk-*.bin'))]
    return found


RECORDINGS = recordings()


def decode(tmp_path, pieces, size=1 << 20):
    """(samples, what the tool says: samples, in gaps, concealed, restarts, marks)"""
    names = []
    for n, piece in enumerate(pieces):
        names.append(tmp_path / f'{n:04}.bin')
        names[-1].write_bytes(piece)
    done = subprocess.run([TOOL, str(size), *names], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return array.array('h', done.stdout), [int(n) for n in done.stderr.split()]


def by_ffmpeg(data, *options):
    return array.array('h', subprocess.run(
        ['ffmpeg', '-v', 'error', *options, '-i', '-', '-ac', '1', '-ar', str(RATE), '-f', 's16le', '-'],
        input=data, capture_output=True, check=True).stdout)


def correlation(a, b, step=1):
    a, b = a[:min(len(a), len(b)):step], b[:min(len(a), len(b)):step]
    power = sum(map(operator.mul, a, a)) * sum(map(operator.mul, b, b))
    return sum(map(operator.mul, a, b)) / math.sqrt(power or 1)


def aligned(heard, source, furthest):
    """The best correlation, `heard` being up to so many samples late in the source or early."""
    shift = max(range(-furthest, furthest, 4),
                key=lambda n: correlation(heard[max(0, -n):][:60000], source[max(0, n):][:60000], 3))
    return max(correlation(heard[max(0, -n):], source[max(0, n):]) for n in range(shift - 4, shift + 5))


@pytest.mark.parametrize('name', RECORDINGS)
def test_it_is_what_another_decoder_hears(name, tmp_path):
    heard, (samples, gaps, concealed, restarts, _) = decode(tmp_path, RECORDINGS[name])
    assert (gaps, concealed, restarts) == (0, 0, 1)
    assert samples == len(heard)
    # ffmpeg reckons with the times of packets, which jump: it is asked for the packets one behind the other
    other = by_ffmpeg(b''.join(RECORDINGS[name]))
    assert abs(len(heard) - len(other)) <= 0.06 * RATE
    start = slice(0, int(0.9 * RATE)) if len(heard) != len(other) else slice(None)
    assert aligned(heard[start], other[start], 4) > 0.99


@pytest.mark.skipif(not shutil.which('flite'), reason='flite is not installed')
def test_the_speech_comes_back(tmp_path):
    """The beginning of what was said into Chromium's microphone, by the voice that said it."""
    (tmp_path / 'text').write_text(TEXT)
    subprocess.run(['flite', '-voice', 'slt', '-f', tmp_path / 'text', '-o', tmp_path / 'said.wav'], check=True)
    said = by_ffmpeg((tmp_path / 'said.wav').read_bytes())
    heard, _ = decode(tmp_path, RECORDINGS['chromium-100ms'])
    assert abs(len(heard) - 166 * 0.06 * RATE) <= 0.06 * RATE  # its packets
    spoken = 9 * RATE
    assert aligned(heard[:spoken], said[:spoken], 400) >= 0.95


@pytest.mark.parametrize('size', [1, 2, 13, 997])
def test_pieces_make_no_difference(size, tmp_path):
    whole = {}
    for name in ('chromium-pause', 'firefox'):
        whole[name], _ = decode(tmp_path, RECORDINGS[name])
        pieces, _ = decode(tmp_path, RECORDINGS[name], size)
        assert pieces == whole[name]


@pytest.mark.parametrize('name', ['chromium-100ms', 'chromium-pause', 'firefox'])
def test_a_missing_chunk_costs_itself(name, tmp_path):
    """Nobody says that one is missing: at most it and the frame cut by its front and end are lost, and what follows is in its
    place or (where browsers' own clocks waver as much) 200 ms before."""
    all_of_it, _ = decode(tmp_path, RECORDINGS[name])
    some = list(RECORDINGS[name])
    del some[len(some) // 2]
    heard, (samples, *_) = decode(tmp_path, some)
    assert len(all_of_it) - 0.2 * RATE <= samples <= len(all_of_it) + 100
    before = int(len(all_of_it) * 0.45)
    assert heard[:before] == all_of_it[:before]
    end = RATE
    assert correlation(heard[-end:], all_of_it[-end:]) > 0.99


@pytest.mark.parametrize('name, which', [('chromium-pause', 7), ('firefox', 5)])  # Firefox: no cluster begins in it
def test_a_chunk_that_comes_twice_adds_nothing(name, which, tmp_path):
    once, _ = decode(tmp_path, RECORDINGS[name])
    twice = list(RECORDINGS[name])
    twice.insert(which + 1, twice[which])
    heard, (samples, gaps, _, restarts, _) = decode(tmp_path, twice)
    assert (gaps, restarts) == (0, 1)
    assert abs(samples - len(once)) <= 0.2 * RATE


def test_a_second_recording_follows_on_the_first(tmp_path):
    pieces = RECORDINGS['chromium-pause'] + RECORDINGS['firefox'] + RECORDINGS['chromium-pause']
    lengths = [len(decode(tmp_path, RECORDINGS[n])[0]) for n in ('chromium-pause', 'firefox', 'chromium-pause')]
    _, (samples, gaps, concealed, restarts, _) = decode(tmp_path, pieces)
    assert (samples, gaps, concealed, restarts) == (sum(lengths), 0, 0, 3)


def test_what_is_no_recording_is_refused(tmp_path):
    (tmp_path / 'noise').write_bytes(b'no recording at all ' * 4000)
    done = subprocess.run([TOOL, '1000', tmp_path / 'noise'], capture_output=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith(b'NOT_WEBM')
    made = subprocess.run(['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'sine=d=1', '-c:a', 'libvorbis', '-f', 'webm', '-'],
                          capture_output=True, check=True).stdout
    (tmp_path / 'vorbis').write_bytes(made)
    done = subprocess.run([TOOL, '1000', tmp_path / 'vorbis'], capture_output=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith(b'UNSUPPORTED_CODEC')


@pytest.mark.parametrize('options', [
    (), ('-f', 'matroska'), ('-cluster_time_limit', '200'), ('-b:a', '16k', '-frame_duration', '20'),
    ('-application', 'lowdelay', '-frame_duration', '2.5')])
def test_what_other_muxers_write(options, tmp_path):
    """Known sizes, SeekHead, Cues, Void, BlockGroups with padding at the end."""
    said = subprocess.run(['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'sine=f=440:d=3:r=48000', '-c:a', 'libopus',
                           *options, *(() if '-f' in options else ('-f', 'webm')), tmp_path / 'made'], check=True)
    assert said.returncode == 0
    heard, (samples, gaps, concealed, _, _) = decode(tmp_path, [(tmp_path / 'made').read_bytes()], 100)
    assert (gaps, concealed) == (0, 0)
    assert abs(samples - 3 * RATE) <= 2
    assert correlation(heard, by_ffmpeg((tmp_path / 'made').read_bytes())) > 0.99
