"""Runs media_ladder() over real files through ladder_tool, as a planner would ask for it, and reads what comes out."""
import json
import math
import os
import subprocess
from fractions import Fraction

TOOL = os.environ.get('LADDER_TOOL', 'build-media/tests/unit/media/ladder_tool')
RUNGS = {
    'small': '{w}x{h}:230:1200000:1800000:high:30',
    'half': '{w}x{h}:240:600000:900000:main:30',
    'hevc': '{w}x{h}:260:600000:900000:main:30:hevc',
}


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, **kw)


def ffmpeg(*args):
    return run('ffmpeg', '-nostdin', '-v', 'error', '-y', *args)


def silent(*args):
    """What ffmpeg has to say about an input: nothing, if it's right. (Its null muxer would else complain of its own rounding of
    frame times to a guessed frame rate.)"""
    as_it_is = ['-enc_time_base:v', '1:90000', '-fps_mode', 'passthrough', '-f', 'null', '-']
    p = subprocess.run(['ffmpeg', '-nostdin', '-v', 'warning', *[str(a) for a in args], *as_it_is], capture_output=True)
    return p.stderr.decode() + ('' if p.returncode == 0 else f'exit {p.returncode}')


def ffprobe(path, *args):
    return json.loads(run('ffprobe', '-v', 'error', '-of', 'json', *args, path).stdout)


def first_time(path, stream):
    """When the first decoded frame of a stream is presented: unlike start_time, without an encoder's delay (Opus)."""
    entry = 'best_effort_timestamp_time'
    frames = ffprobe(path, '-select_streams', stream, '-read_intervals', '%+#8', '-show_entries', f'frame={entry}')
    times = [f.get(entry, 'N/A') for f in frames['frames']]
    return min((float(t) for t in times if t != 'N/A'), default=None)


class Source:
    """A file and the plan for it: segment boundaries on the frame grid, origin, sizes."""

    def __init__(self, path, segment_seconds=2, rungs=2, sequential=False, rotation=0, container='fmp4', video=True, audio=True,
                 channels=2, rate=48000, duration=None, last=True, hevc=False):
        self.hevc = hevc  # the last rung is
        self.path, self.container, self.sequential, self.rotation = path, container, sequential, rotation
        info = ffprobe(path, '-show_streams', '-show_format')
        streams = info['streams']
        vs = [s for s in streams if s['codec_type'] == 'video' and not s['disposition']['attached_pic']] if video else []
        au = [s for s in streams if s['codec_type'] == 'audio'] if audio else []
        self.video = vs[0]['index'] if vs else -1
        self.audio = au[0]['index'] if au else -1
        used = [s for s in vs[:1] + au[:1]]
        starts = [t for t in (first_time(path, s['index']) for s in used) if t is not None]
        self.origin_ns = round(min(starts) * 1e9) if starts else 0
        self.duration = duration if duration is not None else float(info['format']['duration'])
        self.rate, self.channels = rate, channels
        self.frame_ticks, self.fps = 3600, Fraction(25)
        self.rungs = []
        if vs:
            self.fps = Fraction(vs[0]['avg_frame_rate'] if vs[0]['avg_frame_rate'] != '0/0' else vs[0]['r_frame_rate'])
            self.frame_ticks = max(1, round(90000 / self.fps))
            w, h = vs[0]['width'], vs[0]['height']
            if rotation in (90, 270):
                w, h = h, w
            for i in range(rungs):
                self.rungs.append(((w >> i) & ~1, (h >> i) & ~1))
        self.segment_ticks = segment_seconds * 90000
        self.plan(segment_seconds)

    def plan(self, seconds):
        n = max(1, round(self.duration / seconds))
        ends = [i * seconds for i in range(n)] + [self.duration]
        per = max(1, math.ceil(seconds * self.fps)) if self.fps >= 1 else None
        self.video_ticks, self.audio_frames = [], []
        for i, t in enumerate(ends):
            ticks = round(t * 90000)
            if self.video >= 0 and i < n and per:
                ticks = round(Fraction(90000) / self.fps * per * i)
            self.video_ticks.append(ticks)
            exact = ticks * self.rate / 90000 / 1024
            self.audio_frames.append(math.ceil(exact - 0.01) if i == n else round(exact))
        while len(self.video_ticks) > 2 and (self.video_ticks[-1] - self.video_ticks[-2] < self.frame_ticks or
                                             self.audio_frames[-1] <= self.audio_frames[-2]):
            del self.video_ticks[-2], self.audio_frames[-2]
        self.count = len(self.video_ticks) - 1

    def chunk(self, out, first=0, count=None, runs=None, last=None, threads=1, resume=0, **extra):
        count = self.count - first if count is None else count
        last = first + count == self.count if last is None else last
        os.makedirs(out, exist_ok=True)
        args = {
            'container': self.container, 'video': self.video, 'origin_ns': self.origin_ns,
            'rotation': self.rotation, 'sequential': int(self.sequential), 'last': int(last), 'threads': threads,
            'frame_ticks': self.frame_ticks, 'gop_ticks': 180000, 'segment_ticks': self.segment_ticks, 'first': first,
            'runs': ','.join(map(str, runs or [first])), 'resume': resume, 'rate': self.rate,
        }
        if self.video >= 0:
            args['video_ticks'] = ','.join(map(str, self.video_ticks[first:first + count + 1]))
            kinds = ['small'] + ['half'] * (len(self.rungs) - 1)
            if self.hevc:
                kinds[-1] = 'hevc'
            args['rungs'] = ','.join(RUNGS[k].format(w=w, h=h) for k, (w, h) in zip(kinds, self.rungs))
        if self.audio >= 0:
            args['audios'] = f'{self.audio}:{self.channels}:128000'
            args['audio_frames'] = ','.join(map(str, self.audio_frames[first:first + count + 1]))
        args.update(extra)
        known = os.path.join(os.path.dirname(__file__), 'lsan.supp')
        env = dict(os.environ, ASAN_OPTIONS='detect_leaks=1', LSAN_OPTIONS=f'suppressions={known}:print_suppressions=0')
        p = subprocess.run([TOOL, str(self.path), str(out), *[f'{k}={v}' for k, v in args.items()]], capture_output=True, env=env)
        assert p.returncode in (0, 1), f'ladder_tool: {p.returncode}\n{p.stderr.decode()[-3000:]}'
        lines = [json.loads(x) for x in p.stdout.decode().splitlines()]
        return Chunk(lines, p.stderr.decode())

    @property
    def renditions(self):
        return (len(self.rungs) if self.video >= 0 else 0) + (1 if self.audio >= 0 else 0)


class Chunk:
    def __init__(self, lines, stderr):
        self.objects = [x for x in lines if 'object' in x]
        self.progress = [x['progress'] for x in lines if 'progress' in x]
        self.read = [x['bytes'] for x in lines if 'progress' in x]
        self.result = lines[-1]
        self.error = lines[-1].get('error')
        self.stderr = stderr

    def segments(self, rendition):
        return [o for o in self.objects if o['object'] == 'segment' and o['rendition'] == rendition]


def bytes_of(folder):
    return {n: open(os.path.join(folder, n), 'rb').read() for n in sorted(os.listdir(folder)) if n.endswith(('.seg', '.mp4'))}


def join(folder, rendition, out, first=None):
    """Init and segments of a rendition in one file, as a player appends them."""
    names = sorted(n for n in os.listdir(folder) if n.startswith(f'r{rendition}_') and n.endswith('.seg'))
    with open(out, 'wb') as f:
        f.write(open(os.path.join(folder, f'r{rendition}_init.mp4'), 'rb').read())
        for n in names[first or 0:]:
            f.write(open(os.path.join(folder, n), 'rb').read())
    return out
