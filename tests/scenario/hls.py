"""Reading HLS as a test does: playlists into values, a whole presentation into memory, and what other programs make of it.

    p = Presentation(job['streaming']['playlist_url'])      # fetches master and media playlists
    p.load()                                                # and everything they list
    complaints(url_or_folder)                               # of hls-parser, m3u8-parser and mux.js
    ffmpeg_says(url)                                        # '' when it decodes without a word

Parsing is deliberately strict and small: a line that it doesn't know is an error.
"""
import dataclasses
import json
import re
import subprocess
import urllib.parse

import requests

from server import ROOT, limit

TYPE = 'application/vnd.apple.mpegurl'
VALIDATE = ROOT / 'tests' / 'browser' / 'validate.js'
# Draft rfc8216bis, 4.4.3.1: a segment's rounded duration is at most the target's.
FLAGS = {'#EXTM3U', '#EXT-X-INDEPENDENT-SEGMENTS', '#EXT-X-I-FRAMES-ONLY', '#EXT-X-ENDLIST'}
VALUES = {'#EXT-X-VERSION', '#EXT-X-TARGETDURATION', '#EXT-X-MEDIA-SEQUENCE', '#EXT-X-PLAYLIST-TYPE', '#EXT-X-START', '#EXT-X-MAP'}


def attributes(text):
    pairs = re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)(?:,|$)', text)
    assert ','.join(f'{k}={v}' for k, v in pairs) == text, text
    return {k: v.strip('"') for k, v in pairs}


def name_of(url):
    """The key's tail that names an object: 720p/segment_003.m4s."""
    return '/'.join(urllib.parse.urlsplit(url).path.split('/')[-2:])


@dataclasses.dataclass
class Media:
    """A media playlist."""
    text: str
    tags: dict = dataclasses.field(default_factory=dict)
    segments: list = dataclasses.field(default_factory=list)     # (seconds, uri)
    ranges: list = dataclasses.field(default_factory=list)       # of an I-frame list: (offset, size) of each segment
    ended: bool = False

    def __post_init__(self):
        lines = self.text.split('\n')
        assert lines[0] == '#EXTM3U' and lines[-1] == '', self.text[:200]
        seconds = None
        for line in lines[1:-1]:
            tag, _, value = line.partition(':')
            assert not self.ended, 'something follows EXT-X-ENDLIST'
            if tag == '#EXTINF':
                assert seconds is None
                seconds = float(value.split(',')[0])
            elif tag == '#EXT-X-BYTERANGE':
                size, offset = value.split('@')
                self.ranges.append((int(offset), int(size)))
                assert len(self.ranges) == len(self.segments) + 1
            elif not line.startswith('#'):
                assert line and seconds is not None, f'{line!r} has no EXTINF'
                self.segments.append((seconds, line))
                seconds = None
            else:
                assert tag in VALUES or line in FLAGS, f'unexpected line {line!r}'
                assert tag not in self.tags, f'{tag} twice'
                assert not self.segments or tag == '#EXT-X-ENDLIST', f'{tag} behind a segment'
                self.tags[tag] = value
                self.ended = tag == '#EXT-X-ENDLIST'
        assert seconds is None

    @property
    def target(self):
        return int(self.tags['#EXT-X-TARGETDURATION'])

    @property
    def iframes_only(self):
        return '#EXT-X-I-FRAMES-ONLY' in self.tags

    @property
    def map_uri(self):
        return attributes(self.tags['#EXT-X-MAP'])['URI'] if '#EXT-X-MAP' in self.tags else None

    @property
    def duration(self):
        return sum(seconds for seconds, _ in self.segments)

    @property
    def constants(self):
        return {tag: value for tag, value in self.tags.items() if tag != '#EXT-X-ENDLIST'}

    def uris(self):
        return ([self.map_uri] if self.map_uri else []) + [uri for _, uri in self.segments]

    def check(self):
        assert self.target > 0 and self.segments
        for seconds, uri in self.segments:
            assert seconds > 0 and int(seconds + 0.5) <= self.target, (seconds, uri)
        version = int(self.tags['#EXT-X-VERSION'])
        lowest = (5 if self.map_uri else 4) if self.iframes_only else (6 if self.map_uri else 3)
        assert version == lowest, 'the lowest version that has its tags'
        assert len(self.ranges) == (len(self.segments) if self.iframes_only else 0)
        assert int(self.tags.get('#EXT-X-MEDIA-SEQUENCE', 0)) == 0
        assert self.tags['#EXT-X-PLAYLIST-TYPE'] == 'EVENT'
        assert '#EXT-X-INDEPENDENT-SEGMENTS' in self.tags
        if not self.iframes_only:
            assert float(attributes(self.tags['#EXT-X-START'])['TIME-OFFSET']) == 0

    def check_growth(self, before):
        """bis 6.2.1: append only, constants constant."""
        assert self.constants == before.constants
        assert self.segments[:len(before.segments)] == before.segments, 'a line that was there has changed'
        assert not (before.ended and self.text != before.text), 'it changed after EXT-X-ENDLIST'


@dataclasses.dataclass
class Master:
    text: str
    variants: list = dataclasses.field(default_factory=list)     # (attributes, uri)
    sound_only: list = dataclasses.field(default_factory=list)   # of a film, for thin connections: (attributes, uri)
    sounds: list = dataclasses.field(default_factory=list)       # attributes of EXT-X-MEDIA with TYPE=AUDIO
    subtitles: list = dataclasses.field(default_factory=list)    # and with TYPE=SUBTITLES
    iframes: list = dataclasses.field(default_factory=list)      # attributes of EXT-X-I-FRAME-STREAM-INF

    def __post_init__(self):
        lines = self.text.split('\n')
        assert lines[0] == '#EXTM3U' and lines[-1] == ''
        pending = None
        for line in lines[1:-1]:
            tag, _, value = line.partition(':')
            if pending is not None:
                assert line and not line.startswith('#'), f'a URI is due, not {line!r}'
                self.variants.append((pending, line))
                pending = None
            elif tag == '#EXT-X-STREAM-INF':
                pending = attributes(value)
            elif tag == '#EXT-X-MEDIA':
                media = attributes(value)
                {'AUDIO': self.sounds, 'SUBTITLES': self.subtitles}[media['TYPE']].append(media)
            elif tag == '#EXT-X-I-FRAME-STREAM-INF':
                self.iframes.append(attributes(value))
            else:
                assert tag == '#EXT-X-VERSION' or line == '#EXT-X-INDEPENDENT-SEGMENTS', f'unexpected line {line!r}'
        assert pending is None and self.variants
        if any('RESOLUTION' in variant for variant, _ in self.variants):
            self.sound_only = [v for v in self.variants if 'RESOLUTION' not in v[0]]
            self.variants = [v for v in self.variants if 'RESOLUTION' in v[0]]

    def uris(self):
        return [uri for _, uri in self.variants] + [m['URI'] for m in self.sounds + self.subtitles if 'URI' in m]


def fetch_text(session, url):
    response = session.get(url, timeout=limit(30))
    assert response.status_code == 200, f'HTTP {response.status_code} for {url}: {response.text[:300]}'
    assert response.headers['Content-Type'].split(';')[0] == TYPE
    assert response.headers['Cache-Control'] == 'no-store'
    return response.content.decode('utf-8')


def fetch_object(session, url):
    response = session.get(url, timeout=limit(30))
    assert response.status_code == 200, f'HTTP {response.status_code} for {url}: {response.text[:300]}'
    assert len(response.content) == int(response.headers['Content-Length']) > 0
    return response.content


class Presentation:
    """One version of a stream, as a player sees it at that moment."""

    def __init__(self, url, session=None):
        self.url = url
        self.session = session or requests.Session()
        self.session.trust_env = False
        self.master = Master(fetch_text(self.session, url))
        self.playlists = {}
        for uri in self.master.uris():
            self.playlists[urllib.parse.urljoin(url, uri)] = None
        for playlist_url in self.playlists:
            self.playlists[playlist_url] = Media(fetch_text(self.session, playlist_url))
            self.playlists[playlist_url].check()
        self.iframes = {}
        for variant in self.master.iframes:
            iframes_url = urllib.parse.urljoin(url, variant['URI'])
            self.iframes[iframes_url] = Media(fetch_text(self.session, iframes_url))
            self.iframes[iframes_url].check()
        self.objects = {}

    def named(self):
        """{'720p': Media, …, 'audio': Media}"""
        return {name_of(url).split('/')[0]: media for url, media in self.playlists.items()}

    def rungs(self):
        return [name for name in self.named() if not name.startswith(('audio', 'subs'))]

    def load(self):
        for url, media in self.playlists.items():
            for uri in media.uris():
                absolute = urllib.parse.urljoin(url, uri)
                self.objects.setdefault(name_of(absolute), None)
                if self.objects[name_of(absolute)] is None:
                    self.objects[name_of(absolute)] = fetch_object(self.session, absolute)
        return self

    def stream(self, name, first=0, count=None):
        """Bytes of one rendition as a player would put them together."""
        media = self.named()[name]
        names = [f'{name}/{name_of(uri).split("/")[1]}' for uri in media.uris()]
        init, segments = (names[:1], names[1:]) if media.map_uri else ([], names)
        segments = segments[first:None if count is None else first + count]
        return b''.join(self.objects[n] for n in init + segments)

    def sizes(self, name):
        """[(seconds, bytes)] of a rendition's segments."""
        return [(seconds, len(self.objects[f'{name}/{name_of(uri).split("/")[1]}']))
                for seconds, uri in self.named()[name].segments]


def peak_bps(sizes, target):
    """The measured peak: over every run of segments that lasts 0.5 to 1.5 target durations (Apple's authoring 9.13)."""
    rates = []
    for first in range(len(sizes)):
        seconds = total = 0
        for length, size in sizes[first:]:
            seconds, total = seconds + length, total + size
            if seconds > 1.5 * target:
                break
            if seconds >= 0.5 * target:
                rates.append(8 * total / seconds)
    # A whole that is shorter than that has no other run than itself.
    return max(rates) if rates else average_bps(sizes)


def average_bps(sizes):
    return 8 * sum(size for _, size in sizes) / sum(seconds for seconds, _ in sizes)


def ffmpeg_says(source, *options, data=None):
    """What ffmpeg has to say while it decodes all of it: nothing, if it is right. The output keeps the input's time base: in
    one of its own guess, two pictures of a variable frame rate may fall on the same tick."""
    command = ['ffmpeg', '-v', 'warning', '-nostdin' if data is None else '-y', '-xerror', '-i', str(source),
               '-map', '0:v?', '-map', '0:a?', *options, '-enc_time_base', '-1', '-f', 'null', '-']
    return complaint_of(subprocess.run(command, capture_output=True, input=data, timeout=limit(120), check=False))


def complaint_of(done):
    """Of an ffmpeg that has ended. Its HLS reader knows no subtitles, and says so of each."""
    lines = done.stderr.decode(errors='replace').splitlines(keepends=True)
    text = ''.join(line for line in lines if "Can't support the subtitle(uri: " not in line)
    return text if text or done.returncode == 0 else f'exit {done.returncode}'


def ffprobe(data, *options):
    done = subprocess.run(['ffprobe', '-v', 'error', '-of', 'json', *options, '-'], input=data, capture_output=True,
                          timeout=limit(120), check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode(errors='replace')
    return json.loads(done.stdout)


def idr_times(data, codec='h264'):
    """Seconds at which a stream's pictures are IDR pictures, by their NAL units (H.264: type 5; HEVC: 19 and 20)."""
    types = {'h264': '5', 'hevc': '19-20'}[codec]
    done = subprocess.run(['ffmpeg', '-v', 'error', '-i', '-', '-map', '0:v', '-c', 'copy', '-copyts', '-bsf:v',
                           f'{codec}_mp4toannexb,filter_units=pass_types={types}', '-f', 'framecrc', '-'],
                          input=data, capture_output=True, timeout=limit(60), check=False)
    assert done.returncode == 0, done.stderr.decode(errors='replace')
    text = done.stdout.decode()
    base = [int(n) for n in re.search(r'#tb 0: (\d+)/(\d+)', text).groups()]
    rows = [line.split(',') for line in text.splitlines() if not line.startswith('#')]
    return [int(row[2]) * base[0] / base[1] for row in rows]


def complaints(root, *options):
    """What tests/browser/validate.js finds wrong, and its summary."""
    summary, = summaries([root], *options)
    return summary['complaints'], summary


def summaries(roots, *options):
    """Of several streams at once, since starting node takes longer than looking."""
    done = subprocess.run(['node', VALIDATE, *options, *map(str, roots)], capture_output=True, text=True,
                          timeout=limit(60 + 5 * len(roots)), check=False, cwd=VALIDATE.parent)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(roots), done.stdout + done.stderr
    assert (done.returncode == 0) == (not any(summary['complaints'] for summary in found))
    return found
