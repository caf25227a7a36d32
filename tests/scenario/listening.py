"""A listener: what live.m3u8 lists, held against the rules of a window that slides, and the sound of it.

    ear = Ear(server.url + '/api/streams/session-x/live.m3u8')
    while not ear.look().ended: ...
    ear.samples()                       # what was heard, at 16 kHz
"""
import array
import dataclasses
import datetime
import subprocess
import urllib.parse

import requests

from server import limit
from speaker import FFMPEG, RATE, likeness

TYPE = 'application/vnd.apple.mpegurl'
FRAME_S = 1024 / 48000
HEAD = {'#EXT-X-VERSION', '#EXT-X-TARGETDURATION', '#EXT-X-MEDIA-SEQUENCE', '#EXT-X-DISCONTINUITY-SEQUENCE', '#EXT-X-PLAYLIST-TYPE'}


@dataclasses.dataclass(frozen=True)
class Segment:
    sequence: int
    discontinuity: int
    seconds: float
    date: float         # of the producer's clock, seconds since 1970
    uri: str


class Playlist:
    def __init__(self, text):
        lines = text.split('\n')
        assert lines[0] == '#EXTM3U' and lines[-1] == '', text
        self.text, self.head, self.segments, self.ended = text, {}, [], False
        seconds = date = None
        broken = 0
        for line in lines[1:-1]:
            tag, _, value = line.partition(':')
            assert not self.ended
            if tag == '#EXTINF':
                seconds = float(value.rstrip(','))
            elif tag == '#EXT-X-PROGRAM-DATE-TIME':
                date = datetime.datetime.fromisoformat(value.replace('Z', '+00:00')).timestamp()
            elif line == '#EXT-X-DISCONTINUITY':
                broken += 1
            elif line == '#EXT-X-ENDLIST':
                self.ended = True
            elif line == '#EXT-X-INDEPENDENT-SEGMENTS' or tag in HEAD:
                assert not self.segments
                self.head[tag] = value
            else:
                assert not line.startswith('#'), line
                self.segments.append(Segment(self.number('SEQUENCE') + len(self.segments),
                                             self.number('DISCONTINUITY-SEQUENCE') + broken, seconds, date, line))
                assert round(seconds + 1e-9) <= int(self.head['#EXT-X-TARGETDURATION']) and seconds >= 0.1
                seconds = date = None
        assert self.segments and self.head['#EXT-X-VERSION'] == '3'
        for a, b in zip(self.segments, self.segments[1:]):
            if a.discontinuity == b.discontinuity:
                assert abs(a.date + a.seconds - b.date) < 0.002, 'a date that doesn\'t follow'

    def number(self, name):
        name = 'MEDIA-SEQUENCE' if name == 'SEQUENCE' else name
        return int(self.head.get(f'#EXT-X-{name}', 0))


class Ear:
    def __init__(self, url, **session):
        self.url = url
        self.session = requests.Session()
        self.session.headers.update(session.get('headers', {}))
        self.seen, self.bytes, self.last = {}, {}, None

    def look(self):
        """The playlist now; None: there is nothing yet. Everything that it lists can be fetched, and is."""
        answer = self.session.get(self.url, timeout=limit(30))
        if answer.status_code == 404 and answer.json()['error']['code'] == 'NOTHING_YET':
            return None
        assert answer.status_code == 200, answer.text
        assert answer.headers['Content-Type'] == TYPE and answer.headers['Cache-Control'] == 'no-store'
        now = Playlist(answer.text)
        if self.last:
            assert now.number('SEQUENCE') >= self.last.number('SEQUENCE'), 'the media sequence went back'
            assert now.number('DISCONTINUITY-SEQUENCE') >= self.last.number('DISCONTINUITY-SEQUENCE')
            assert not self.last.ended or now.text == self.last.text
        for segment in now.segments:
            before = self.seen.setdefault(segment.sequence, segment)
            assert before == segment, f'a segment has changed: {before} {segment}'
            if segment.sequence not in self.bytes:
                self.bytes[segment.sequence] = self.fetch(segment)
        self.last = now
        return now

    def fetch(self, segment):
        url = urllib.parse.urljoin(self.url, segment.uri)
        answer = self.session.get(url, timeout=limit(30))
        assert answer.status_code == 200, answer.text
        assert answer.headers['Content-Type'] == 'audio/aac' and answer.content[:3] == b'ID3'
        return answer.content

    def samples(self):
        """Of all segments that were listed, in their order."""
        assert sorted(self.bytes) == list(range(min(self.bytes), max(self.bytes) + 1)), 'a segment was missed'
        return decode(b''.join(frames(self.bytes[n]) for n in sorted(self.bytes)))

    @property
    def seconds(self):
        return sum(s.seconds for s in self.seen.values())


def frames(segment):
    """Its ADTS frames, without the ID3 tag."""
    size = segment[6] << 21 | segment[7] << 14 | segment[8] << 7 | segment[9]
    return segment[10 + size:]


def timestamp(segment):
    """The 90 kHz clock of its first frame."""
    at = segment.index(b'com.apple.streaming.transportStreamTimestamp\0') + 45
    return int.from_bytes(segment[at:at + 8], 'big')


def decode(data, form='aac'):
    done = subprocess.run([*FFMPEG, '-f', form, '-i', '-', '-ac', '1', '-ar', str(RATE), '-f', 's16le', '-'], input=data,
                          check=True, capture_output=True, timeout=limit(60))
    assert not done.stderr, done.stderr
    sound = array.array('h')
    sound.frombytes(done.stdout)
    return sound


def alike(said, heard, reach=RATE // 10):
    """(correlation, by how many samples `heard` is late): the best of those at which it is moved by up to `reach`."""
    def at(lag, every):
        first, last = max(0, -lag), min(len(said), len(heard) - lag)
        return likeness(said[first:last:every], heard[first + lag:last + lag:every])
    said, heard = said.tolist(), heard.tolist()
    coarse = max(range(-reach, reach + 1, 2), key=lambda lag: at(lag, 61))
    best = max(range(coarse - 3, coarse + 4), key=lambda lag: at(lag, 5))
    return at(best, 1), best
