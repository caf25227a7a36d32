"""media_narrate() over real files: the same bytes wherever it continues, lengths to the frame, loudness and peaks as ffmpeg
measures them, no click where segments, runs or the music's ends meet. Meson runs it with NARRATE_TOOL set."""
import array
import math
import os
import pathlib
import re
import subprocess
import sys
import wave

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'media'))

from snr import joints_are_no_worse, snr_db  # noqa: E402

TOOL = os.environ.get('NARRATE_TOOL', 'build-dev/tests/unit/media/narrate_tool')
RATE = 48000
FRAME = 1024
TONE = 'aevalsrc=0.3*sin(2*PI*440*t)'
# Syllables: what a loudness meter takes for speech. Nowhere alike.
VOICE = 'aevalsrc=0.5*sin(2*PI*(140+3*t)*t)*(0.5+0.5*sin(2*PI*3*t))+0.2*sin(2*PI*900*t)*(0.5+0.5*sin(2*PI*3*t)):s=16000'


def run(*args):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, timeout=60)


def make(path, source, seconds, *options):
    run('ffmpeg', '-nostdin', '-v', 'error', '-y', '-bitexact', '-f', 'lavfi', '-i', f'{source}:d={seconds}', *options, path)
    return path


@pytest.fixture(scope='module')
def media(tmp_path_factory):
    d = tmp_path_factory.mktemp('narrate')
    make(d / 'one.wav', VOICE, 3.1)
    make(d / 'two.wav', VOICE, 2.43, '-af', 'volume=-20dB')
    make(d / 'short.wav', VOICE, 0.21)
    for name in ('mp3', 'flac', 'opus', 'aac'):
        run('ffmpeg', '-nostdin', '-v', 'error', '-y', '-i', d / 'one.wav', d / f'one.{name}')
    make(d / 'music.mp3', 'anoisesrc=c=pink:a=0.3:seed=5:r=44100', 9, '-ac', '2')
    make(d / 'tone.flac', TONE + ':s=48000', 7)
    return d


def narrate(out, music, *items, **values):
    """{segment: (start, duration)} and how many AAC frames there are."""
    out.mkdir()
    done = run(TOOL, out, music, *[f'{k}={v}' for k, v in values.items()], *items)
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert lines[-1][0] == 'end'
    return {int(i): (int(s), int(d)) for i, s, d, _ in lines[:-1]}, int(lines[-1][2])


def whole(folder):
    path = folder / 'whole.ts'
    path.write_bytes(b''.join(p.read_bytes() for p in sorted(folder.glob('segment_*.ts'))))
    return path


def left(path):
    """What a decoder that has nothing to complain of makes of the left channel."""
    done = run('ffmpeg', '-nostdin', '-v', 'warning', '-i', path, '-f', 'f32le', '-')
    assert not done.stderr, done.stderr
    return array.array('f', done.stdout)[::2]


def measured(path):
    """(integrated LUFS, true peak dBTP)"""
    said = run('ffmpeg', '-nostdin', '-hide_banner', '-i', path, '-af', 'ebur128=peak=true', '-f', 'null', '-').stderr.decode()
    summary = said[said.rindex('Summary:'):]
    return float(re.search(r'I:\s+(-?[\d.]+) LUFS', summary)[1]), float(re.search(r'Peak:\s+(-?[\d.]+) dBFS', summary)[1])


def test_the_voices_own_files_are_read_as_libavformat_reads_them(media, tmp_path):
    plain, other = tmp_path / 'plain.wav', tmp_path / 'other.wav'
    with wave.open(str(media / 'one.wav')) as sound, wave.open(str(plain), 'wb') as w:
        w.setparams(sound.getparams())
        w.writeframes(sound.readframes(sound.getnframes()))
    made = plain.read_bytes()
    assert made[36:40] == b'data', 'a header of 44 bytes'
    other.write_bytes(made[:36] + b'junk' + bytes([4, 0, 0, 0]) + b'----' + made[36:])
    assert narrate(tmp_path / 'a', '-', plain, gap=0) == narrate(tmp_path / 'b', '-', other, gap=0)
    assert whole(tmp_path / 'a').read_bytes() == whole(tmp_path / 'b').read_bytes()


def test_segments_lie_on_the_grid_and_continue_with_the_same_bytes(media, tmp_path):
    items = [media / 'music.mp3', media / 'one.wav', media / 'two.wav', 1500, media / 'short.wav']
    segments, frames = narrate(tmp_path / 'all', *items, min=47000)
    assert frames == math.ceil(47 * RATE / FRAME)
    at = 0
    for i in range(len(segments)):
        start, duration = segments[i]
        assert start == at and start == round(i * 5 * RATE / FRAME) * FRAME
        at += duration
    assert at == frames * FRAME
    assert len(left(whole(tmp_path / 'all'))) == at
    for resume in (1, 5, 6, 8):
        again, same = narrate(tmp_path / f'from{resume}', *items, min=47000, resume=resume)
        assert sorted(again) == list(range(resume, len(segments))) and same == frames
        for i in again:
            name = f'segment_{i:03}.ts'
            assert (tmp_path / f'from{resume}' / name).read_bytes() == (tmp_path / 'all' / name).read_bytes(), (resume, i)


def test_a_tiny_last_segment_is_made_longer(media, tmp_path):
    segments, _ = narrate(tmp_path / 'out', media / 'music.mp3', media / 'short.wav', min=10100)
    assert len(segments) == 3 and segments[2][1] >= RATE


@pytest.mark.parametrize('music', ['music.mp3', '-'])
def test_loudness_and_peak(media, tmp_path, music):
    voice = [media / 'one.wav', media / 'two.wav', 400, media / 'one.wav', media / 'one.mp3', media / 'two.wav', media / 'one.flac']
    narrate(tmp_path / 'out', '-' if music == '-' else media / music, *voice, lead=500, fade_in=500, fade_out=500, tail=500)
    loudness, peak = measured(whole(tmp_path / 'out'))
    assert abs(loudness + 16) <= 1, loudness
    assert peak <= -1, peak


MUSICS = {
    'short.wav': (f'{TONE}:s=44100', 0.4), 'mono8k.wav': ('anoisesrc=c=pink:a=0.1:r=8000', 3, '-ac', '1'),
    'deep96k.flac': ('anoisesrc=c=brown:a=0.9:r=96000', 4, '-ac', '2', '-sample_fmt', 's32'),
    'surround.flac': ('anoisesrc=c=pink:a=0.5:r=48000', 4, '-af', 'pan=5.1|FL=c0|FR=c0|FC=0.7*c0|LFE=c0|BL=-1*c0|BR=c0'),
    'silent.mp3': ('anullsrc=r=44100', 4), 'clipped.mp3': ('anoisesrc=c=white:a=1:r=44100', 4, '-ac', '2', '-af', 'volume=12dB'),
    'cover.mp3': ('anoisesrc=c=pink:a=0.3:r=44100', 4)}


def with_cover(path):
    bare, picture = path.with_stem('bare'), path.with_suffix('.png')
    run('ffmpeg', '-nostdin', '-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc=s=320x320', '-frames:v', 1, picture)
    path.rename(bare)
    run('ffmpeg', '-nostdin', '-v', 'error', '-y', '-i', bare, '-i', picture, '-map', 0, '-map', 1, '-c', 'copy', '-disposition:v',
        'attached_pic', path)


@pytest.mark.parametrize('name', MUSICS)
def test_whatever_the_music_is(media, tmp_path, name):
    """Loudness, peaks and length are what they should be, and there is no hole in it."""
    source, seconds, *options = MUSICS[name]
    music = make(tmp_path / name, source, seconds, *options)
    if name == 'cover.mp3':
        with_cover(music)
    words = [media / 'one.wav', media / 'two.wav', 300, media / 'one.wav']
    _, frames = narrate(tmp_path / 'out', music, *words, lead=500, fade_in=500, fade_out=500, tail=500, min=13000)
    made = whole(tmp_path / 'out')
    sound = left(made)
    assert frames == math.ceil(13 * RATE / FRAME) and len(sound) == frames * FRAME
    loudness, peak = measured(made)
    assert abs(loudness + 16) <= 1 and peak <= -1, (loudness, peak)
    heard = levels(sound, 10.5, 12)
    if name not in ('short.wav', 'silent.mp3'):  # less than a second has silence behind it, lest it buzz
        assert min(heard) > max(heard) / 5 and max(heard) > 0.003


def test_peaks_are_limited(media, tmp_path):
    """A voice that is nearly all peak."""
    make(tmp_path / 'clicks.wav', 'aevalsrc=0.9*exp(-60*mod(t\\,0.25))*sin(2*PI*3000*t):s=48000', 4)
    narrate(tmp_path / 'out', '-', tmp_path / 'clicks.wav', tmp_path / 'clicks.wav', target=-12000)
    assert measured(whole(tmp_path / 'out'))[1] <= -1


@pytest.mark.parametrize('name', ['one.mp3', 'one.flac', 'one.opus', 'one.aac'])
def test_sentences_come_in_any_format(media, tmp_path, name):
    _, frames = narrate(tmp_path / 'out', '-', media / name, lead=0, tail=0, fade_out=0, fade_in=0)
    assert 3.0 <= frames * FRAME / RATE <= 5.1  # what can't tell its padding is a little longer; one second is the least


def test_no_click_at_joints_and_where_the_music_begins_anew(media, tmp_path):
    """A tone is the sum of nothing but its past: what is left when that is taken away is what doesn't belong to it."""
    segments, _ = narrate(tmp_path / 'out', media / 'tone.flac', media / 'short.wav', min=45000, fade_in=0, fade_out=0, duck=0,
                          below=0, lead=1000, bitrate=192000)
    x = left(whole(tmp_path / 'out'))
    k = 2 * math.cos(2 * math.pi * 440 / RATE)
    rest = [abs(x[i] - k * x[i - 1] + x[i - 2]) for i in range(2, len(x))]
    blocks = [max(rest[i:i + 480]) for i in range(4 * RATE, len(rest) - RATE, 480)]
    quiet = sorted(blocks)[len(blocks) * 99 // 100]
    for start, _ in list(segments.values())[1:]:
        if start > 4 * RATE:
            assert max(rest[start - 960:start + 960]) <= 2 * quiet, start / RATE
    assert max(blocks) <= 4 * quiet  # nowhere: the music's ends are somewhere among them


def levels(x, first, last, step=0.05):
    """How loud every twentieth of a second is."""
    n = int(step * RATE)
    return [math.sqrt(sum(v * v for v in x[i:i + n]) / n) for i in range(int(first * RATE), int(last * RATE) - n, n)]


def test_silence_at_the_musics_ends_is_no_pause(media, tmp_path):
    """It plays through, again and again, as if it had been cut to what is heard; a pause within it stays."""
    noise = 'anoisesrc=c=pink:a=0.3:seed=5:r=48000'
    plain = {'fade_in': 0, 'fade_out': 0, 'duck': 0, 'below': 0, 'lead': 500}
    make(tmp_path / 'music.flac', noise, 5, '-ac', '2', '-af', 'adelay=2500:all=1,apad=pad_dur=3')
    narrate(tmp_path / 'out', tmp_path / 'music.flac', media / 'short.wav', min=15000, **plain)
    heard = levels(left(whole(tmp_path / 'out')), 1, 14)
    assert min(heard) > sorted(heard)[len(heard) // 2] / 2, 'a hole'
    make(tmp_path / 'pause.flac', noise, 6, '-ac', '2', '-af', "volume='if(between(t,2,4),0,1)':eval=frame")
    narrate(tmp_path / 'pause', tmp_path / 'pause.flac', media / 'short.wav', min=7000, **plain)
    x = left(whole(tmp_path / 'pause'))
    assert max(levels(x, 2.1, 3.9)) < 0.001 < 0.01 < min(levels(x, 4.1, 5))


@pytest.mark.parametrize('source', ['anullsrc=r=44100', "aevalsrc=0.5*between(t\\,8.9\\,8.91):s=44100"])
def test_music_of_silence_or_a_click(media, tmp_path, source):
    make(tmp_path / 'music.flac', source, 9)
    _, frames = narrate(tmp_path / 'out', tmp_path / 'music.flac', media / 'short.wav', min=10000)
    assert frames == math.ceil(10 * RATE / FRAME) and len(left(whole(tmp_path / 'out'))) == frames * FRAME


def test_joints_are_as_true_to_the_mix_as_all_else(media, tmp_path):
    """Behind a word at its beginning the mix is the music alone, a gain apart: it can be told without the mixer. Seven segments, so
    that one joint is between two runs of the encoder."""
    make(tmp_path / 'music.flac', 'anoisesrc=c=brown:a=0.5:seed=7:r=48000', 34, '-ac', '2')
    segments, _ = narrate(tmp_path / 'out', tmp_path / 'music.flac', media / 'short.wav', min=33000, lead=0, fade_in=0, fade_out=0,
                          duck=0, target=-30000, below=0)
    skip = 2 * RATE // FRAME * FRAME
    ratios = snr_db(left(tmp_path / 'music.flac')[skip:32 * RATE], left(whole(tmp_path / 'out'))[skip:32 * RATE], FRAME)
    assert sorted(ratios)[len(ratios) // 2] > 15
    joints_are_no_worse(ratios, {(start - skip) // FRAME + near for start, _ in list(segments.values())[1:] for near in (-1, 0)})


def test_music_ducks_under_speech(media, tmp_path):
    narrate(tmp_path / 'out', media / 'tone.flac', 20000, media / 'short.wav', duck=-20000, below=-6000, crossfade=500,
            fade_out=1000)
    x = left(whole(tmp_path / 'out'))

    def level(t):
        return math.sqrt(sum(v * v for v in x[int(t * RATE):int((t + 0.05) * RATE)]) / (0.05 * RATE))
    assert level(23.95 - 0.05) < level(23) / 4  # 4 s of music, 20 s of pause: down before the first word
    assert level(26.5) > level(23) / 1.3        # and back


@pytest.mark.parametrize('bad', ['text', 'empty'])
def test_what_is_no_sound_is_refused(media, tmp_path, bad):
    (tmp_path / 'bad').write_text('this is no sound\n' * 50 if bad == 'text' else '')
    (tmp_path / 'out').mkdir()
    done = subprocess.run([TOOL, tmp_path / 'out', '-', media / 'one.wav', tmp_path / 'bad'], capture_output=True, text=True)
    assert done.returncode == 1 and 'sentence 2' in done.stderr, done.stderr
