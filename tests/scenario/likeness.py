"""How like its source a stream is: times of frames, colours and layout of pictures, place and loudness of sound.

    source, stream = Measured(case.path(), look), Measured(playlist_url)
    differences(source, stream)         # [] when every picture and sound is where and what it was

ffmpeg decodes both in the same way; what it has to say about the stream is kept in `said`. A picture is looked at as eight by
eight cells, which shows its colours and which way up it is; sound as 4000 samples a second, mixed to one channel.
"""
import array
import bisect
import functools
import pathlib
import re
import subprocess
import tempfile

from hls import complaint_of
from server import limit

CELLS = 8
PICTURE = CELLS * CELLS * 3
RATE = 4000
# Bounds. Frames are as near as a container's milliseconds; sound by ear.
FRAME_S, OFFSET_S, COLOR, CELL, LOUDNESS_LU = 0.002, 0.02, 2.0, 12.0, 0.5
STANDING_S = 0.4        # a picture that is shown longer may be shown again where a segment begins
SILENT_LUFS = -55


class Measured:
    def __init__(self, source, video=True, audio=True, look='', mono=False):
        """`look`: filters that a source needs before it can be compared (HDR)."""
        with tempfile.TemporaryDirectory() as folder:
            self.folder = pathlib.Path(folder)
            self.said = self.run(str(source), video, audio, look, mono)
            self.times = self.read_times() if video else []
            raw = (self.folder / 'pictures').read_bytes() if video else b''
            self.pictures = len(raw) // PICTURE
            self.cells = [sum(raw[i::PICTURE]) / max(1, self.pictures) for i in range(PICTURE)]
            self.sound = array.array('h', (self.folder / 'sound').read_bytes()) if audio else array.array('h')
            self.loudness = self.read_loudness() if audio else None

    def run(self, source, video, audio, look, mono):
        graph, maps = [], []
        if video:
            graph.append(f'[0:V:0]{look}scale={CELLS}:{CELLS}:flags=area:out_range=tv,format=yuv444p,settb=1/90000,split[v][t]')
            kept = ['-fps_mode', 'passthrough', '-enc_time_base', '1:90000']
            maps += ['-map', '[v]', *kept, '-f', 'rawvideo', self.folder / 'pictures',
                     '-map', '[t]', *kept, '-c:v', 'rawvideo', '-f', 'framecrc', self.folder / 'times']
        if audio:
            layout = 'mono' if mono else 'stereo'
            graph.append(f'[0:a:0]aformat=sample_fmts=fltp:channel_layouts={layout},asplit[x][y];'
                         f'[x]ebur128=metadata=1,ametadata=print:key=lavfi.r128.I:file={self.folder / "loudness"}[l];'
                         f'[y]aresample={RATE}:async=1:min_hard_comp=0.02:first_pts=0,'
                         'aformat=sample_fmts=s16:channel_layouts=mono[s]')
            maps += ['-map', '[l]', '-f', 'null', '-', '-map', '[s]', '-f', 's16le', self.folder / 'sound']
        return complaint_of(subprocess.run(['ffmpeg', '-v', 'warning', '-nostdin', '-i', source, '-filter_complex',
                                            ';'.join(graph), *map(str, maps)], capture_output=True, timeout=limit(120),
                                           check=False))

    def read_times(self):
        text = (self.folder / 'times').read_text()
        base = [int(n) for n in re.search(r'#tb 0: (\d+)/(\d+)', text).groups()]
        return sorted(int(line.split(',')[2]) * base[0] / base[1] for line in text.splitlines() if not line.startswith('#'))

    def read_loudness(self):
        found = re.findall(r'lavfi\.r128\.I=(\S+)', (self.folder / 'loudness').read_text())
        return float(found[-1]) if found else -70.0

    @property
    def color(self):
        """Means of Y, U and V."""
        plane = CELLS * CELLS
        return [sum(self.cells[i * plane:(i + 1) * plane]) / plane for i in range(3)]


def shift_of_pictures(source, stream):
    """By how much the stream's pictures come later; the first one may be shown earlier than it came."""
    i = min(1, len(source) - 1, len(stream) - 1)
    return stream[i] - source[i]


def wrong_times(source, stream):
    shift = shift_of_pictures(source, stream)
    source = [t + shift for t in source]
    lost = [t for t in source[1:] if not near(stream, t)]
    added = [t for t in stream[1:] if not near(source, t) and not standing(source, t)]
    return ([f'{len(lost)} pictures are lost or moved: {lost[:5]}'] if lost else []) + \
        ([f'{len(added)} pictures are doubled or moved: {added[:5]}'] if added else [])


def near(times, t):
    return any(abs(t - other) <= FRAME_S for other in neighbours(times, t))


def neighbours(times, t):
    i = bisect.bisect_left(times, t)
    return times[max(0, i - 1):i + 2]


def standing(times, t):
    later = [x for x in neighbours(times, t) if x > t]
    return not later or later[0] - t > STANDING_S


def lag_s(source, stream, start):
    """By how much the stream's sound comes later in the second from sample `start` on; None where there is none, or where it is
    too uniform to tell."""
    reach = int(0.06 * RATE)
    a = source[start:start + RATE]
    if start < reach or len(a) < RATE // 2 or sum(map(abs, a)) < 100 * len(a):
        return None

    @functools.lru_cache(None)
    def likeness(k):
        b = stream[start + k:start + k + len(a)]
        return sum(x * y for x, y in zip(a, b)) / (sum(y * y for y in b) + 1) ** 0.5

    best = max(range(-reach, reach + 1, 2), key=likeness)
    best = max(range(best - 2, best + 3), key=likeness)
    # Of a tone, every period is as good as the next.
    good = [k for k in range(-reach, reach + 1, 1) if abs(k) < abs(best) and likeness(k) > 0.97 * likeness(best)]
    return min([best, *good], key=abs) / RATE


def loudest(sound, first, last):
    """Where the loudest second between two samples begins."""
    starts = range(max(first, RATE // 10), max(first, last - RATE) + 1, RATE // 4)
    return max(starts, key=lambda s: sum(map(abs, sound[s:s + RATE])), default=first)


def wrong_sound(source, stream, shift, offset_s):
    found = []
    n = len(source.sound)
    for name, first, last in (('start', 0, min(n, 4 * RATE)), ('end', max(0, n - 4 * RATE), n)):
        lag = lag_s(source.sound, stream.sound, loudest(source.sound, first, last))
        if lag is not None and abs(lag - shift) > offset_s:
            found.append(f'sound is {1000 * (lag - shift):.1f} ms off at the {name}')
    if source.loudness > SILENT_LUFS and abs(source.loudness - stream.loudness) > LOUDNESS_LU:
        found.append(f'{stream.loudness} LUFS, not {source.loudness}')
    return found


def differences(source, stream, offset_s=OFFSET_S):
    found = []
    shift = 0.0
    if source.times:
        shift = shift_of_pictures(source.times, stream.times)
        found += wrong_times(source.times, stream.times)
        color = [b - a for a, b in zip(source.color, stream.color)]
        if max(map(abs, color)) > COLOR:
            found.append(f'colours are off by {[round(c, 2) for c in color]}')
        cell = max(abs(a - b) for a, b in zip(source.cells[:CELLS * CELLS], stream.cells))
        if cell > CELL:
            found.append(f'pictures are laid out otherwise: a cell is off by {cell:.1f}')
    return found + (wrong_sound(source, stream, shift, offset_s) if len(source.sound) else [])
