"""Long MP4s of which only a part of the index is read: what libav says must not change, nor any segment. Meson runs it with
WINDOW_TOOL and LADDER_TOOL set."""
import json
import os
import pathlib
import struct
import subprocess

import pytest
from ladder_case import Source, bytes_of, ffmpeg

TOOL = os.environ.get('WINDOW_TOOL', 'build-dev/tests/unit/media/window_tool')
ROOT = pathlib.Path(__file__).resolve().parents[3]
SHARED = pathlib.Path(os.environ.get('MILLRACE_SHARED_MEDIA') or ROOT.parent / 'shared' / 'media')
CLIP = ('-f', 'lavfi', '-i', 'testsrc2=s=64x48:r={r}:d=20')
NOISE = ('-f', 'lavfi', '-i', 'anoisesrc=r=48000:d=20:a=0.1:seed=3')
X264 = ('-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '50', '-pix_fmt', 'yuv420p', '-threads', '1')
AAC = ('-c:a', 'aac', '-b:a', '32k', '-aac_pns', '0')


@pytest.fixture(scope='session')
def make(tmp_path_factory):
    """Makes a file once: make('name.mp4', *ffmpeg arguments)."""
    folder = tmp_path_factory.mktemp('media')

    def made(name, *args):
        path = folder / name
        if not path.exists():
            ffmpeg(*args, path)
        return path
    return made


@pytest.fixture(scope='session')
def clip(make):
    return make('clip.mp4', *[a.format(r=25) for a in CLIP], *NOISE, *X264, *AAC)


@pytest.fixture(scope='session')
def film(make, clip):
    """Three minutes, without encoding them."""
    return make('film.mp4', '-stream_loop', '8', '-i', clip, '-c', 'copy')


def window(path, video, audio, start=90, end=96, to=126):
    """What the tool says of a range in seconds; None is the beginning or the end."""
    def ms(seconds):
        return -1 if seconds is None else round(seconds * 1000)
    p = subprocess.run([TOOL, path, str(video), str(audio), *[str(ms(t)) for t in (start, end, to)]], capture_output=True)
    assert p.returncode in (0, 1), p.stderr.decode()[-3000:]
    return json.loads(p.stdout)


def assert_same(path, video=0, audio=1, ranges=((90, 96, 126), (None, 6, 36), (150, None, None))):
    for r in ranges:
        said = window(path, video, audio, *r)
        assert said.get('packets', 0) > 100, (path.name, r, said)


def test_every_part_of_a_film(film):
    assert_same(film, ranges=[(t, t + 4, t + 20) for t in range(0, 180, 13)] + [(175, 179.9, 200), (170, 400, 500)])


VARIANTS = {
    'moov-first.mp4': ('-i', '{film}', '-c', 'copy', '-movflags', '+faststart'),
    'moov-last.mov': ('-i', '{film}', '-c', 'copy', '-timecode', '01:00:00:00'),
    'negative.mp4': ('-i', '{film}', '-c', 'copy', '-movflags', '+negative_cts_offsets'),
    'no-edits.mp4': ('-i', '{film}', '-c', 'copy', '-use_editlist', '0'),
    'cut.mp4': ('-ss', '5.3', '-i', '{film}', '-c', 'copy'),
    'cut-in-sound.mp4': ('-ss', '3', '-i', '{film}', '-i', '{film}', '-map', '0:v', '-map', '1:a', '-c', 'copy'),
    'late-sound.mp4': ('-i', '{film}', '-itsoffset', '1.5', '-i', '{film}', '-map', '0:v', '-map', '1:a', '-c', 'copy'),
    'late-picture.mp4': ('-i', '{film}', '-itsoffset', '2.5', '-i', '{film}', '-map', '1:v', '-map', '0:a', '-c', 'copy'),
    'six-tracks.mp4': ('-i', '{film}', *['-map', '0:a', '-map', '0:v'] * 3, '-c', 'copy'),
    'picture.mp4': ('-i', '{film}', '-an', '-c', 'copy'),
    'sound.m4a': ('-i', '{film}', '-vn', '-c', 'copy'),
    'subtitles.mp4': ('-i', '{film}', '-i', '{srt}', '-c', 'copy', '-c:s', 'mov_text'),
    'fine-clock.mp4': ('-i', '{film}', '-c', 'copy', '-video_track_timescale', '10000000'),
    'tagged.m4v': ('-i', '{film}', '-c', 'copy', '-metadata', 'title=Flour', '-metadata', 'comment=' + 'x' * 5000),
    'mp3.mp4': ('-i', '{film}', '-c:v', 'copy', '-c:a', 'libmp3lame'),
    'opus.mp4': ('-i', '{film}', '-c:v', 'copy', '-c:a', 'libopus'),
    'stills.mp4': ('-i', '{film}', '-c:v', 'mjpeg', '-c:a', 'copy'),
    'mpeg4.mp4': ('-i', '{film}', '-c:v', 'mpeg4', '-bf', '2', '-c:a', 'copy'),
    'irregular.mp4': ('-i', '{film}', '-vf', "select='not(mod(n,4))+gt(mod(n,97),60)'", '-fps_mode', 'vfr', *X264, '-c:a', 'copy'),
    'one-group.mp4': ('-i', '{film}', *X264, '-g', '100000', '-keyint_min', '100000', '-sc_threshold', '0', '-c:a', 'copy'),
    'slides.mp4': ('-i', '{film}', '-vf', 'fps=1/7', *X264, '-c:a', 'copy'),
}


@pytest.mark.parametrize('name', VARIANTS)
def test_a_part_is_what_the_whole_says(make, film, tmp_path, name):
    srt = tmp_path / 'lines.srt'
    times = [f'00:{i // 60:02}:{i % 60:02}' for i in range(180)]
    srt.write_text(''.join(f'{i + 1}\n{t},000 --> {t},900\nline {i}\n\n' for i, t in enumerate(times)))
    path = make(name, *[a.format(film=film, srt=srt) for a in VARIANTS[name]])
    streams = {'picture.mp4': (0, -1), 'sound.m4a': (-1, 0), 'six-tracks.mp4': (3, 4)}
    assert_same(path, *streams.get(name, (0, 1)))


def test_sixty_frames_a_second(make):
    fast = make('fast.mp4', *[a.format(r=60) for a in CLIP], *NOISE, *X264, *AAC)
    assert_same(make('sixty.mp4', '-stream_loop', '8', '-i', fast, '-c', 'copy'))


def boxes(data, at, end):
    while at < end:
        size, kind = struct.unpack_from('>I4s', data, at)
        yield kind, at, at + size
        at += size


def moved(data, by):
    """The moov of `data` with chunk offsets of 64 bits, each larger by `by`."""
    def rewrite(start, end):
        out = b''
        for kind, at, until in boxes(data, start, end):
            body = data[at + 8:until]
            if kind in (b'trak', b'mdia', b'minf', b'stbl'):
                body = rewrite(at + 8, until)
            elif kind == b'stco':
                places = struct.unpack(f'>{(len(body) - 8) // 4}I', body[8:])
                kind, body = b'co64', body[:8] + struct.pack(f'>{len(places)}Q', *[p + by for p in places])
            out += struct.pack('>I4s', len(body) + 8, kind) + body
        return out
    (start, end), = [(at, end) for kind, at, end in boxes(data, 0, len(data)) if kind == b'moov']
    body = rewrite(start + 8, end)
    return struct.pack('>I4s', len(body) + 8, b'moov') + body


def test_beyond_four_gigabytes(film, tmp_path):
    """A hole of 5 GB before the media."""
    data, hole = film.read_bytes(), 5 << 30
    tops = {kind: (at, end) for kind, at, end in boxes(data, 0, len(data))}
    path = tmp_path / 'huge.mp4'
    at, end = tops[b'mdat']
    with open(path, 'wb') as f:
        f.write(data[:at] + struct.pack('>I4sQ', 1, b'free', hole))
        f.seek(hole - 16, os.SEEK_CUR)
        f.write(data[at:end] + moved(data, hole))
    assert_same(path)


@pytest.mark.parametrize('name,args,why', [
    ('fragments.mp4', ('-c', 'copy', '-movflags', '+frag_keyframe+empty_moov'), None),
    ('pcm.mov', ('-c:v', 'copy', '-c:a', 'pcm_s16le'), 'in frames'),
    ('film.mkv', ('-c', 'copy'), None),
    ('film.ts', ('-c', 'copy'), None),
    ('much-later.mp4', ('-itsoffset', '30', '-i', '{film}', '-map', '0:v', '-map', '1:a', '-c', 'copy'), 'begins late'),
])
def test_what_is_not_plain_is_read_whole(make, film, name, args, why):
    said = window(make(name, '-i', film, *[a.format(film=film) for a in args]), 0, 1)
    assert said.get('unsupported') and (why or '') in said['unsupported'], said


@pytest.mark.skipif(not SHARED.is_dir(), reason='no ../shared/media')
def test_shared_files_are_the_same_or_read_whole():
    seen = {'packets': 0, 'unsupported': 0}
    for path in sorted(SHARED.glob('*.mp4')):
        kinds = subprocess.run(['ffprobe', '-v', 'quiet', '-show_entries', 'stream=index,codec_type', '-of', 'csv=p=0', path],
                               capture_output=True).stdout.decode().split()
        video, audio = (next((int(k.split(',')[0]) for k in kinds if k.endswith(kind)), -1) for kind in ('video', 'audio'))
        for r in ((None, 1, 3), (2, 3, 4), (14, 15, 16), (3, None, None)):
            said = window(path, video, audio, *r)
            assert 'differs' not in said or said['differs'] == 'opening', (path.name, r, said)
            for k in seen:
                seen[k] += k in said
    assert min(seen.values()) > 0, seen


@pytest.fixture(scope='session')
def long_film(make, clip):
    """Seven minutes: the index is large enough."""
    return make('long.mp4', '-stream_loop', '20', '-i', clip, '-c', 'copy')


def test_what_is_held_does_not_follow_the_length(film, long_film):
    short, long = window(film, 0, 1), window(long_film, 0, 1)
    assert long['whole_entries'] > 2 * short['whole_entries']
    assert abs(long['entries'] - short['entries']) <= 2 and long['entries'] < long['whole_entries'] / 4


# ---- Whole chunks ----


def read_whole(path, folder):
    """The same file with a box that nobody knows at its end: libav passes over it, the window doesn't want it."""
    copy = folder / f'whole-{path.name}'
    copy.write_bytes(path.read_bytes() + struct.pack('>I4s', 8, b'zzzz'))
    return copy


def in_order(objects):
    """Renditions don't wait for one another."""
    return sorted(objects, key=lambda o: (o['rendition'], o['object'], o.get('index', 0)))


def in_both_ways(source, tmp_path, first, count):
    path = source.path
    part = source.chunk(tmp_path / f'part{first}', first=first, count=count)
    source.path = read_whole(path, tmp_path)
    whole = source.chunk(tmp_path / f'whole{first}', first=first, count=count)
    source.path = path
    assert part.error is None and part.result == whole.result, (part.result, whole.result)
    assert in_order(part.objects) == in_order(whole.objects)
    assert bytes_of(tmp_path / f'part{first}') == bytes_of(tmp_path / f'whole{first}')
    return part, whole


def test_segments_are_the_same_bytes(long_film, tmp_path):
    s = Source(long_film, segment_seconds=4, rungs=1)
    for first, count in ((0, 2), (50, 2), (s.count - 2, 2)):
        part, whole = in_both_ways(s, tmp_path, first, count)
        assert len(part.objects) == 2 * (count + 1) and part.progress == whole.progress
        assert part.read[0] != whole.read[0], 'the index was read whole'


def test_a_damaged_stretch_longer_than_what_was_opened(make, clip, tmp_path):
    """Four minutes of pictures that can't be decoded: a chunk that begins before them finds its end behind them, as it would with
    all of the index. What it has made by then it doesn't hand over again."""
    silent = make('silent.mp4', '-stream_loop', '119', '-i', clip, '-an', '-c', 'copy')
    data = bytearray(silent.read_bytes())
    (at, end), = [(at, end) for kind, at, end in boxes(data, 0, len(data)) if kind == b'mdat']
    minute = (end - at) // 40
    data[at + 5 * minute:at + 9 * minute] = b'\xff' * (4 * minute)
    s = Source(silent, segment_seconds=4, rungs=1, audio=False)  # of the original, which can be probed
    s.path = tmp_path / 'damaged.mp4'
    s.path.write_bytes(data)
    part, whole = in_both_ways(s, tmp_path, 5 * 60 // 4 - 3, 4)
    assert part.result['decode_errors'] > 5000 and part.result['next_segment'] == 5 * 60 // 4 + 1
    assert part.progress == sorted(part.progress) and part.read[-1] > 1.4 * whole.read[-1], 'it was not made twice'
