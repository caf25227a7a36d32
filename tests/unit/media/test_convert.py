"""media_convert() and media_join() over real files: chunks against a single run, lengths to the sample, what other programs say of
the files. Meson runs it with CONVERT_TOOL set."""
import array
import hashlib
import json
import math
import os
import shutil
import struct
import subprocess

import pytest

TOOL = os.environ.get('CONVERT_TOOL', 'build-dev/tests/unit/media/convert_tool')
SECONDS = 6
RATE = 44100
TOTAL = SECONDS * RATE + 377  # no multiple of any frame


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, timeout=60, **kw)


def ffmpeg(*args):
    p = run('ffmpeg', '-nostdin', '-v', 'warning', '-y', '-bitexact', *args)
    return p.stdout


IGNORED = ('Estimating duration from bitrate', 'Guessed Channel', 'timescale not set')  # of every ADTS, WAV, M4A with a cover


def silently(*args):
    """ffmpeg's output; it must have nothing to say about the file."""
    p = run('ffmpeg', '-nostdin', '-v', 'warning', *args)
    said = [x for x in p.stderr.decode().splitlines() if not any(i in x for i in IGNORED)]
    assert not said, said
    return p.stdout


def pcm(path, fmt='s16le', *args):
    return silently('-i', path, *args, '-map', '0:a', '-f', fmt, '-')


def floats(path, *args):
    return array.array('f', pcm(path, 'f32le', *args))


def probe(path):
    return json.loads(run('ffprobe', '-v', 'error', '-of', 'json', '-show_format', '-show_streams', path).stdout)


def convert(source, out, ok=True, **kw):
    kw.setdefault('rate', RATE)
    kw.setdefault('channels', 2)
    kw.setdefault('total', TOTAL)
    p = subprocess.run([TOOL, str(source), str(out), *[f'{k}={v}' for k, v in kw.items()]], capture_output=True, text=True)
    assert p.returncode == (0 if ok else 1), p.stdout + p.stderr
    return json.loads(p.stdout.splitlines()[-1])


def need(program):
    if not shutil.which(program):
        pytest.skip(f'{program} is not installed')


CODED = {
    'mp3': {'bitrate': 128000}, 'aac': {'bitrate': 128000}, 'm4a': {'bitrate': 128000}, 'ogg': {'quality': 5},
    'opus': {'bitrate': 96000, 'rate': 48000, 'total': TOTAL * 160 // 147}, 'flac': {'sample': 's16'}, 'wav': {'sample': 's16'},
}
GRID = {'mp3': 1152, 'aac': 1024, 'm4a': 1024, 'flac': 4096, 'wav': 1}


def grid_chunks(fmt, *frames):
    return ','.join(str(f * GRID[fmt] * (1 if fmt != 'wav' else 1009)) for f in (0, *frames))


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('convert')


@pytest.fixture(scope='session')
def song(folder):
    """Noise and tones that come and go: there is something at every joint, and the two channels differ."""
    path = folder / 'song.wav'
    if not path.exists():
        ffmpeg('-f', 'lavfi', '-i', f'anoisesrc=r={RATE}:d=7:a=0.1:seed=3,lowpass=f=6000', '-f', 'lavfi', '-i',
               f"aevalsrc='0.4*sin(2*PI*(300+200*sin(t))*t)*(0.6+0.4*sin(9*t))|0.3*sin(2*PI*440*t)':s={RATE}:d=7",
               '-filter_complex', f'[0][1]amix=inputs=2:normalize=0,aformat=channel_layouts=stereo,atrim=end_sample={TOTAL}',
               '-c:a', 'pcm_s16le', path)
    return path


@pytest.fixture(scope='session')
def fine(folder, song):
    """The same with 24 bits."""
    path = folder / 'fine.wav'
    ffmpeg('-i', song, '-af', 'volume=0.71', '-c:a', 'pcm_s24le', path)
    return path


# ---- Chunks ----

@pytest.mark.parametrize('fmt', ['wav', 'mp3', 'flac'])
def test_chunks_are_a_single_run(song, tmp_path, fmt):
    one, many, again, forwards = (tmp_path / f'{n}.{fmt}' for n in ('one', 'many', 'again', 'forwards'))
    r = convert(song, one, format=fmt, **CODED[fmt])
    assert r['samples'] == TOTAL and r['bytes'] == one.stat().st_size
    parts = grid_chunks(fmt, 13, 40, 61)
    made = convert(song, many, format=fmt, chunks=parts, order='reverse', **CODED[fmt])
    assert sum(c['samples'] for c in made['chunks']) == TOTAL
    assert [c['end'] for c in made['chunks']] == [True, False, False, False]
    convert(song, again, format=fmt, chunks=parts, **CODED[fmt])
    convert(song, forwards, format=fmt, chunks=parts, sequential=1, **CODED[fmt])
    assert one.read_bytes() == many.read_bytes() == again.read_bytes() == forwards.read_bytes()


@pytest.mark.parametrize('coding', [{'bitrate': 320000}, {'bitrate': 64000}, {'quality': 2}, {'quality': 9},
                                    {'bitrate': 64000, 'rate': 22050, 'total': TOTAL // 2}, {'bitrate': 192000, 'rate': 48000}])
def test_every_mp3_joins_as_if_it_were_one(song, tmp_path, coding):
    one, many = tmp_path / 'one.mp3', tmp_path / 'many.mp3'
    r = convert(song, one, format='mp3', **coding)
    grid = 576 if coding.get('rate', RATE) < 32000 else 1152
    convert(song, many, format='mp3', chunks=f'0,{70 * grid},{111 * grid},{160 * grid}', **coding)
    assert one.read_bytes() == many.read_bytes()
    assert len(pcm(many)) == 4 * r['samples']


def test_mp3_frames_are_those_of_ffmpeg(song, tmp_path):
    ours, theirs = tmp_path / 'ours.mp3', tmp_path / 'theirs.mp3'
    r = convert(song, ours, format='mp3', chunks=grid_chunks('mp3', 50, 120), bitrate=128000)
    ffmpeg('-i', song, '-c:a', 'libmp3lame', '-b:a', '128k', '-reservoir', '0', '-sample_fmt', 'fltp', theirs)
    body = r['bytes'] - r['head']
    assert ours.read_bytes()[-body:] == theirs.read_bytes()[-body:]


def db(signal, noise):
    s, n = sum(x * x for x in signal), sum(x * x for x in noise)
    return 10 * math.log10(s / n) if n else 200


@pytest.mark.parametrize('fmt', ['aac', 'm4a'])
def test_aac_joints_are_as_clean_as_the_rest(song, tmp_path, fmt):
    one, many = tmp_path / f'one.{fmt}', tmp_path / f'many.{fmt}'
    convert(song, one, format=fmt, bitrate=128000)
    convert(song, many, format=fmt, bitrate=128000, chunks=grid_chunks(fmt, 60, 120, 180))
    again = tmp_path / f'again.{fmt}'
    convert(song, again, format=fmt, bitrate=128000, chunks=grid_chunks(fmt, 60, 120, 180), order='reverse')
    assert many.read_bytes() == again.read_bytes()
    want, single, chunked = floats(song), floats(one), floats(many)
    around, worse = 2048, []
    for joint in (60, 120, 180):
        a, b = 2 * (joint * 1024 - around), 2 * (joint * 1024 + around)
        noise = [[w - g for w, g in zip(want[a:b], got[a:b])] for got in (single, chunked)]
        worse.append(db(want[a:b], noise[0]) - db(want[a:b], noise[1]))
    # The rate control's memory of what came before makes them differ in both directions.
    assert sum(worse) / len(worse) < 1 and max(worse) < 3, worse


def test_the_source_may_be_shorter_or_longer_than_planned(song, tmp_path):
    for fmt in GRID:
        ends = set()
        for total, chunks in ((TOTAL, (60,)), (2 * TOTAL, (60, 300, 400)), (TOTAL // 2, (60,))):
            out = tmp_path / f'{total}.{fmt}'
            made = convert(song, out, format=fmt, chunks=grid_chunks(fmt, *chunks), **{**CODED[fmt], 'total': total})
            assert made['samples'] == TOTAL
            if len(chunks) == 3 and fmt != 'wav':
                assert made['chunks'][-1]['parts'] == 0 and made['chunks'][-1]['end']
            ends.add(hashlib.sha256(out.read_bytes()).hexdigest())
        assert len(ends) == 1


def test_joint_at_the_very_end(song, tmp_path):
    """The source ends on a chunk's boundary, or a little before or behind it: what the encoder holds back isn't lost."""
    for off in (-1200, -1, 0, 1, 500):
        made = convert(song, tmp_path / 'a.mp3', format='mp3', bitrate=128000, end=100 * 1152 + off, chunks=f'0,{100 * 1152}')
        whole = convert(song, tmp_path / 'b.mp3', format='mp3', bitrate=128000, end=100 * 1152 + off)
        assert made['samples'] == whole['samples'] == 100 * 1152 + off
        assert (tmp_path / 'a.mp3').read_bytes() == (tmp_path / 'b.mp3').read_bytes()


# ---- Samples ----

@pytest.mark.parametrize('sample', ['s16', 's24', 'f32'])
def test_wav_is_bit_exact(song, fine, tmp_path, sample):
    for source in (song, fine):
        if sample == 's16' and source == fine:
            continue
        out = tmp_path / f'{source.stem}-{sample}.wav'
        convert(source, out, format='wav', sample=sample, chunks='0,50000,100001')
        assert floats(out) == floats(source)
        bits = {'s16': 2, 's24': 3, 'f32': 4}[sample]
        riff, size = struct.unpack('<4sI', out.read_bytes()[:8])
        assert riff == b'RIFF' and size == out.stat().st_size - 8
        assert probe(out)['streams'][0]['duration_ts'] == TOTAL
        assert out.stat().st_size - TOTAL * 2 * bits in range(44, 120)


def test_flac_is_bit_exact_and_its_digest_true(song, fine, tmp_path):
    need('flac')
    for source, sample, raw in ((song, 's16', 's16le'), (fine, 's24', 's24le')):
        out = tmp_path / f'{sample}.flac'
        convert(source, out, format='flac', sample=sample, chunks=grid_chunks('flac', 9, 30))
        run('flac', '-t', '-s', '--warnings-as-errors', out)
        want = pcm(source, raw)
        assert pcm(out, raw) == want
        info = out.read_bytes()[8:42]
        assert info[18:] == hashlib.md5(want).digest()
        assert int.from_bytes(info[10:18], 'big') & (1 << 36) - 1 == TOTAL


def test_fewer_bits_are_dithered_the_same_wherever_chunks_are(fine, tmp_path):
    convert(fine, tmp_path / 'one.wav', format='wav', sample='s16')
    convert(fine, tmp_path / 'many.wav', format='wav', sample='s16', chunks='0,31,100000,131071')
    assert (tmp_path / 'one.wav').read_bytes() == (tmp_path / 'many.wav').read_bytes()
    want, got = floats(fine), floats(tmp_path / 'one.wav')
    error = [(g - w) * 32768 for w, g in zip(want, got)]
    mean, power = sum(error) / len(error), sum(x * x for x in error) / len(error)
    assert abs(mean) < 0.01 and 0.22 < power < 0.28  # a quarter: triangular dither and rounding
    assert max(abs(x) for x in error) <= 1.51


def test_other_rates_are_as_ffmpeg_resamples(song, tmp_path):
    for rate in (48000, 22050):
        out = tmp_path / f'{rate}.wav'
        total = (2 * TOTAL * rate + RATE) // (2 * RATE)
        made = convert(song, out, format='wav', sample='f32', rate=rate, total=total, chunks=f'0,{rate},{2 * rate + 1}')
        assert made['samples'] == total
        want, got = floats(song, '-ar', str(rate)), floats(out)
        n = min(len(want), len(got))
        assert abs(len(want) - len(got)) <= 4
        assert max(abs(a - b) for a, b in zip(want[400:n - 400], got[400:n - 400])) < 1e-4


def test_gain_and_loudness(song, tmp_path):
    before = convert(song, tmp_path / 'x', measure=1, format='wav', sample='f32')
    assert before['samples'] == TOTAL and before['has_loudness']
    convert(song, tmp_path / 'quiet.wav', format='wav', sample='f32', gain=-1250)
    after = convert(tmp_path / 'quiet.wav', tmp_path / 'x', measure=1, format='wav', sample='f32')
    assert abs(before['integrated'] - after['integrated'] - 12500) < 60
    assert abs(before['true_peak'] - after['true_peak'] - 12500) < 20
    # what it says is measured without the gain that is asked for, and only what is wanted of it
    assert convert(song, tmp_path / 'x', measure=1, format='wav', sample='f32', gain=-1250) == before
    assert convert(song, tmp_path / 'x', measure=1, format='wav', sample='f32', start=100, end=20100)['samples'] == 20000


@pytest.mark.parametrize('fmt', list(CODED))
def test_trims_are_exact_to_the_sample(song, tmp_path, fmt):
    if fmt == 'opus':
        start, end = 10007, 133337
    else:
        start, end = 10009, 150001
    out = tmp_path / f'cut.{fmt}'
    chunks = {'chunks': grid_chunks(fmt, 20, 33)} if fmt in GRID else {}
    made = convert(song, out, format=fmt, start=start, end=end, **chunks, **CODED[fmt])
    assert made['samples'] == end - start
    got = floats(out)
    if fmt in ('aac', 'm4a'):  # a decoder may give the last frame whole
        assert end - start <= len(got) // 2 < end - start + 1024
    else:
        assert len(got) // 2 == end - start
    want = floats(song, '-ar', str(CODED[fmt].get('rate', RATE)))[2 * start:2 * end]
    noise = [w - g for w, g in zip(want[4096:], got[4096:len(want)])]
    assert db(want[4096:], noise) > (8 if fmt in ('opus', 'aac', 'm4a') else 10)
    if fmt in ('wav', 'flac'):
        assert got == want


def test_start_behind_the_end(song, tmp_path):
    assert convert(song, tmp_path / 'x.mp3', ok=False, format='mp3', bitrate=128000, start=2 * TOTAL)['error'] == 'EMPTY_MEDIA'


# ---- Lengths ----

@pytest.mark.parametrize('fmt', ['mp3', 'm4a', 'ogg', 'opus', 'flac'])
def test_as_many_samples_come_back_as_went_in(song, tmp_path, fmt):
    """There and back again: the delay of the encoder, the filling of the last frame and the resampler's are all accounted for."""
    out, back = tmp_path / f'there.{fmt}', tmp_path / 'back.wav'
    coding = CODED[fmt]
    made = convert(song, out, format=fmt, **coding)
    assert made['samples'] == coding.get('total', TOTAL) or abs(made['samples'] - coding.get('total', TOTAL)) <= 1
    if fmt != 'm4a':
        assert len(pcm(out)) == 4 * made['samples']
    stream = probe(out)['streams'][0]
    origin = round(float(stream['start_time']) * 1e9) if fmt == 'mp3' else 0
    rate = coding.get('rate', RATE)
    again = convert(out, back, format='wav', sample='s16', rate=rate, total=made['samples'], origin_ns=origin,
                    chunks=f'0,{rate},{3 * rate + 5}')
    assert again['samples'] == made['samples']
    if fmt == 'm4a':
        assert stream['duration_ts'] == TOTAL and float(stream['start_time']) == 0
    want, got = floats(song, '-ar', str(rate)), floats(back)
    n = min(len(want), len(got))
    assert db(want[:n], [w - g for w, g in zip(want[:n], got[:n])]) > 8  # in step


@pytest.mark.parametrize('how', ['cbr', 'vbr', 'reservoir', 'low rate', 'tagged', 'kinds'])
def test_chunks_of_an_mp3_begin_where_it_says(song, tmp_path, how):
    """Places are found by walking over its frames, or libav's way where they don't follow on one another: the same samples."""
    source = tmp_path / 'x.mp3'
    words = {'vbr': ['-q:a', '4'], 'reservoir': ['-b:a', '64k', '-reservoir', '1'], 'low rate': ['-ar', '22050', '-b:a', '48k']}
    ffmpeg('-i', song, '-c:a', 'libmp3lame', *words.get(how, ['-b:a', '128k']), '-write_id3v1', '1' if how == 'tagged' else '0',
           '-metadata', 'title=' + 'x' * 3000, source)
    if how == 'kinds':
        whole = source.read_bytes()
        between = whole.index(b'\xff\xfb', len(whole) // 2)
        ffmpeg('-i', song, '-t', '1', '-ar', '22050', '-c:a', 'libmp3lame', '-write_xing', '0', '-id3v2_version', '0',
               tmp_path / 'other.mp3')
        source.write_bytes(whole[:between] + (tmp_path / 'other.mp3').read_bytes() + whole[between:])
    start = round(float(probe(source)['streams'][0]['start_time']) * 1e9)
    rate = 22050 if how == 'low rate' else RATE
    asked = {'format': 'wav', 'sample': 's16', 'origin_ns': start, 'rate': rate, 'total': TOTAL * rate // RATE}
    convert(source, tmp_path / 'one.wav', **asked)
    convert(source, tmp_path / 'many.wav', chunks=f'0,{rate},{5 * rate // 2 + 1},{9 * rate // 2},{11 * rate // 2}', order='reverse',
            **asked)
    assert (tmp_path / 'one.wav').read_bytes() == (tmp_path / 'many.wav').read_bytes()


def test_mp3_to_wav_is_what_ffmpeg_decodes(song, tmp_path):
    convert(song, tmp_path / 'x.mp3', format='mp3', bitrate=192000)
    start = probe(tmp_path / 'x.mp3')['streams'][0]['start_time']
    convert(tmp_path / 'x.mp3', tmp_path / 'x.wav', format='wav', sample='s16', origin_ns=round(float(start) * 1e9))
    assert pcm(tmp_path / 'x.wav') == pcm(tmp_path / 'x.mp3')


# ---- What others say ----

def test_validators(song, tmp_path):
    for program in ('mp3val', 'opusinfo', 'ogginfo'):
        need(program)
    for fmt, coding in CODED.items():
        for more in ({}, {'channels': 1}):
            out = tmp_path / f'x.{fmt}'
            convert(song, out, format=fmt, **coding, **more)
            p = run('ffprobe', '-v', 'warning', '-show_packets', '-show_format', out)
            assert fmt == 'aac' or not p.stderr, p.stderr
            silently('-i', out, '-f', 'null', '-')
    for name, coding in (('cbr', {'bitrate': 128000}), ('vbr', {'quality': 3})):
        convert(song, tmp_path / f'{name}.mp3', format='mp3', **coding)
        said = run('mp3val', tmp_path / f'{name}.mp3').stdout.decode()
        assert [x for x in said.splitlines() if 'WARNING' in x and 'No supported tags' not in x] == []
        assert ('Xing' in said) == (name == 'vbr')
    convert(song, tmp_path / 'x.opus', format='opus', **CODED['opus'])
    convert(song, tmp_path / 'x.ogg', format='ogg', **CODED['ogg'])
    for program, name in (('opusinfo', 'x.opus'), ('ogginfo', 'x.ogg')):
        p = run(program, tmp_path / name)
        assert b'WARNING' not in p.stdout + p.stderr, p.stdout


def test_the_moov_comes_first_and_is_true(song, tmp_path):
    out = tmp_path / 'x.m4a'
    convert(song, out, format='m4a', bitrate=128000, chunks=grid_chunks('m4a', 60))
    data, at, order = out.read_bytes(), 0, []
    while at < len(data):
        size, kind = struct.unpack('>I4s', data[at:at + 8])
        order.append(kind)
        at += size
    assert at == len(data) and order == [b'ftyp', b'moov', b'mdat']


def test_lame_info(song, tmp_path):
    out = tmp_path / 'x.mp3'
    made = convert(song, out, format='mp3', quality=4, chunks=grid_chunks('mp3', 50, 120))
    data = out.read_bytes()
    at = data.index(b'Xing')
    flags, frames, size = struct.unpack('>III', data[at + 4:at + 16])
    assert flags == 15 and size == len(data)
    toc = data[at + 16:at + 116]
    assert list(toc) == sorted(toc) and toc[99] > 240
    lame = data[at + 120:at + 156]
    delay, padding = lame[21] << 4 | lame[22] >> 4, (lame[22] & 15) << 8 | lame[23]
    assert frames * 1152 - delay - padding == made['samples'] == TOTAL

    def crc16(chunk):
        crc = 0
        for byte in chunk:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0xa001 if crc & 1 else 0)
        return crc
    assert struct.unpack('>HH', lame[32:36]) == (crc16(data[made['head']:]), crc16(data[:at + 154]))


# ---- Tags ----

@pytest.fixture(scope='session')
def tagged(folder, song):
    path = folder / 'tagged.flac'
    ffmpeg('-i', song, '-f', 'lavfi', '-i', 'color=red:s=64x48:d=0.04', '-map', '0', '-map', '1', '-frames:v', '1', '-c:v', 'png',
           '-disposition:v', 'attached_pic', '-c:a', 'flac', '-metadata', 'title=Ein Lied – für alle', '-metadata',
           'artist=Wer',
           '-metadata', 'album=Ganz', '-metadata', 'date=2021', '-metadata', 'track=3/9', '-metadata', 'genre=Jazz', '-metadata',
           'encoder=Nobody', '-metadata', 'replaygain_track_gain=-3 dB', path)
    return path


@pytest.mark.parametrize('fmt', [f for f in CODED if f != 'aac'])
def test_tags_and_cover(tagged, tmp_path, fmt):
    out = tmp_path / f'x.{fmt}'
    chunks = {'chunks': grid_chunks(fmt, 30)} if fmt in GRID else {}
    made = convert(tagged, out, format=fmt, tags=1, **chunks, **CODED[fmt])
    assert made['bytes'] == out.stat().st_size
    info = probe(out)
    sound = next(s for s in info['streams'] if s['codec_type'] == 'audio')
    tags = {k.lower(): v for k, v in {**sound.get('tags', {}), **info['format'].get('tags', {})}.items()}
    assert {k: tags.get(k) for k in ('title', 'artist', 'album', 'genre')} == {
        'title': 'Ein Lied – für alle', 'artist': 'Wer', 'album': 'Ganz', 'genre': 'Jazz'}
    assert tags['date'].startswith('2021') and tags['track'] in ('3/9', '3') and 'Nobody' not in tags.values()
    assert ('replaygain_track_gain' in tags) == (fmt not in ('wav', 'm4a'))
    if fmt != 'wav':
        pictures = [s for s in info['streams'] if s['codec_type'] == 'video']
        assert [(p['codec_name'], p['width'], p['height'], p['disposition']['attached_pic']) for p in pictures] == \
            [('png', 64, 48, 1)]
    plain = tmp_path / f'plain.{fmt}'
    convert(tagged, plain, format=fmt, tags=0, **chunks, **CODED[fmt])
    assert pcm(plain) == pcm(out)
    assert b'Ein Lied' not in plain.read_bytes()
    convert(tagged, out, format=fmt, tags=1, gain=-100, **chunks, **CODED[fmt])
    assert b'replaygain' not in out.read_bytes().lower()


# ---- Channels ----

@pytest.mark.parametrize('fmt', ['wav', 'flac', 'ogg', 'opus', 'm4a', 'aac'])
def test_every_speaker_stays_itself(folder, tmp_path, fmt):
    for channels, layout in ((6, '5.1'), (8, '7.1'), (3, '3.0'), (4, 'quad'), (5, '5.0')):
        if (fmt, channels) in (('aac', 4), ('opus', 5)):
            continue  # convert_channels() says what they get
        source = folder / f'{layout}.wav'
        tones = '|'.join(f'0.2*sin(2*PI*{200 + 100 * c}*t)*gte(t\\,{c * 0.2})*lt(t\\,{c * 0.2 + 0.2})' for c in range(channels))
        if not source.exists():
            ffmpeg('-f', 'lavfi', '-i', f"aevalsrc='{tones}':s=48000:d=2:c={layout}", source)
        out = tmp_path / f'{layout}.{fmt}'
        coding = {k: v for k, v in CODED[fmt].items() if k not in ('rate', 'total')}
        if 'bitrate' in coding:
            coding['bitrate'] = 96000 * channels
        convert(source, out, format=fmt, channels=channels, rate=48000, total=96000, **coding)
        got = floats(out)
        assert probe(out)['streams'][0]['channels'] == channels
        for c in range(channels):
            a, b = int(48000 * (c * 0.2 + 0.05)), int(48000 * (c * 0.2 + 0.15))
            power = [sum(x * x for x in got[a * channels + k:b * channels:channels]) for k in range(channels)]
            lfe = channels in (6, 8) and c == 3  # encoders cut it off at 120 Hz
            assert lfe or (power.index(max(power)) == c and power[c] > 20), (layout, c, power)


def test_six_into_two_does_not_clip(tmp_path):
    source = tmp_path / 'loud.wav'
    ffmpeg('-f', 'lavfi', '-i', "aevalsrc='" + '|'.join(['sin(2*PI*220*t)'] * 6) + "':s=48000:d=1:c=5.1", '-c:a',
           'pcm_f32le', source)
    convert(source, tmp_path / 'x.wav', format='wav', sample='f32', rate=48000, total=48000)
    loudest = max(abs(x) for x in floats(tmp_path / 'x.wav'))
    assert 0.95 < loudest < 1


# ---- Hostile and broken ----

def float_wav(path, samples):
    data = array.array('f', samples).tobytes()
    form = struct.pack('<IHHIIHH', 16, 3, 1, 44100, 176400, 4, 32)
    path.write_bytes(b'RIFF' + struct.pack('<I', 36 + len(data)) + b'WAVEfmt ' + form + b'data' + struct.pack('<I', len(data)) +
                     data)


@pytest.mark.parametrize('fmt', list(CODED))
def test_samples_that_are_no_numbers(tmp_path, fmt):
    bad = [float('nan'), float('inf'), -float('inf'), 3e38, -1e30, 1e-42]
    float_wav(tmp_path / 'bad.wav', [bad[i % 6] if i % 50 < 6 else math.sin(i / 20) for i in range(30000)])
    rate = CODED[fmt].get('rate', RATE)
    made = convert(tmp_path / 'bad.wav', tmp_path / f'x.{fmt}', format=fmt, channels=1,
                   **{**CODED[fmt], 'total': round(30000 * rate / RATE)})
    assert made['samples'] == round(30000 * rate / RATE)
    assert all(math.isfinite(x) for x in floats(tmp_path / f'x.{fmt}'))
    convert(tmp_path / 'bad.wav', tmp_path / 'x.wav', format='wav', sample='f32', channels=1, total=30000)
    assert all(math.isfinite(x) and abs(x) <= 65536 for x in floats(tmp_path / 'x.wav'))


def test_a_cut_source_gives_what_it_has(song, tmp_path):
    convert(song, tmp_path / 'x.flac', format='flac', sample='s16')
    whole = (tmp_path / 'x.flac').read_bytes()
    (tmp_path / 'cut.flac').write_bytes(whole[:len(whole) * 2 // 3])
    made = convert(tmp_path / 'cut.flac', tmp_path / 'x.mp3', format='mp3', bitrate=128000,
                   chunks=grid_chunks('mp3', 60, 120, 180))
    assert TOTAL / 2 < made['samples'] < TOTAL * 0.8
    assert len(pcm(tmp_path / 'x.mp3')) == 4 * made['samples']


def test_a_store_that_is_away_is_no_damage(song, tmp_path):
    size = song.stat().st_size
    for at in (10, size // 3, size - 10):
        assert convert(song, tmp_path / 'x.mp3', ok=False, format='mp3', bitrate=128000, fail_at=at)['error'] == 'UNAVAILABLE'


def test_a_damaged_part_is_found(song, tmp_path):
    made = convert(song, tmp_path / 'x.flac', ok=False, format='flac', sample='s16', damage=1)
    assert made['error'] == 'DAMAGED_INDEX'
    assert not (tmp_path / 'x.flac').exists()


def test_what_an_encoder_refuses_is_said(song, tmp_path):
    assert convert(song, tmp_path / 'x.ogg', ok=False, format='ogg', bitrate=5000)['error'] == 'UNSUPPORTED_PARAMETERS'
