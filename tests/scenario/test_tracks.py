"""Several sounds and subtitles of one source: a rendition each, with language and name, in step with the pictures; which of them
are wanted may be asked for."""
import hashlib
import json
import re
import struct
import subprocess
import urllib.parse

import pytest

from hls import Presentation, complaints, ffmpeg_says, name_of, peak_bps
from make_media import media
from server import limit, run

LEAD = 2 * 3600            # fMP4: presentation is moved behind by two frames of 1/25 s
TS_OFFSET = 900000
DESCRIBED = 'public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound'


def pitch(data):
    """The strongest frequency in the middle of a sound, in Hz: zero crossings of a sine."""
    command = 'ffmpeg -v error -i - -ss 1 -t 1 -ac 1 -ar 48000 -f s16le -'
    done = subprocess.run(command.split(), input=data, capture_output=True, timeout=limit(60), check=True)
    samples = struct.unpack(f'<{len(done.stdout) // 2}h', done.stdout)
    return sum(a < 0 <= b for a, b in zip(samples, samples[1:])) * 48000 / len(samples)


def cues_of(p, name):
    """{segment number: [(start, end, text)]}, with the map that all segments must share."""
    out, maps = {}, set()
    for index, (_, uri) in enumerate(p.named()[name].segments):
        text = p.objects[f'{name}/{name_of(uri).split("/")[1]}'].decode()
        head, *blocks = text.rstrip('\n').split('\n\n')
        maps.add(re.fullmatch(r'WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:(\d+),LOCAL:00:00:00\.000', head).group(1))
        out[index] = [(*block.split('\n', 1)[0].split(' --> '), block.split('\n', 1)[1]) for block in blocks]
    clock, = maps
    return out, int(clock)


@pytest.fixture(scope='module')
def film(module_server):
    from client import Client
    client = Client(module_server.url)
    file = client.upload(media('tracks.mkv'))
    job = client.run_job(file['file_id'])
    url = job['streaming']['playlist_url']
    assert complaints(url, '--ended')[0] == []
    assert ffmpeg_says(url) == ''
    return file, Presentation(url).load()


def test_the_probe_tells_of_tracks(film):
    file, _ = film
    told = [{k: s.get(k) for k in ('kind', 'language', 'title', 'default', 'forced', 'commentary', 'hearing_impaired', 'decodable')}
            for s in file['probe']['streams'][1:]]
    nothing = {'title': None, 'default': False, 'forced': False, 'commentary': False, 'hearing_impaired': False, 'decodable': True}
    assert told == [
        {**nothing, 'kind': 'audio', 'language': 'ger'}, {**nothing, 'kind': 'audio', 'language': 'eng', 'default': True},
        {**nothing, 'kind': 'audio', 'language': 'eng', 'title': 'The "Maker"', 'commentary': True},
        {**nothing, 'kind': 'subtitle', 'language': 'fre', 'default': True},
        {**nothing, 'kind': 'subtitle', 'language': 'en', 'title': 'Schilder für alle', 'forced': True, 'hearing_impaired': True}]


def test_groups(film):
    """The one that the container marks comes first and is what plays unless somebody chooses."""
    _, p = film
    sounds = [{k: v for k, v in s.items() if k not in ('TYPE', 'GROUP-ID', 'URI', 'CHANNELS')} for s in p.master.sounds]
    assert sounds == [{'NAME': 'English', 'LANGUAGE': 'en', 'DEFAULT': 'YES', 'AUTOSELECT': 'YES'},
                      {'NAME': 'German', 'LANGUAGE': 'de', 'DEFAULT': 'NO', 'AUTOSELECT': 'YES'},
                      {'NAME': "The 'Maker'", 'LANGUAGE': 'en', 'DEFAULT': 'NO', 'AUTOSELECT': 'NO'}]
    texts = [{k: v for k, v in s.items() if k not in ('TYPE', 'GROUP-ID', 'URI')} for s in p.master.subtitles]
    assert texts == [{'NAME': 'French', 'LANGUAGE': 'fr', 'DEFAULT': 'NO', 'AUTOSELECT': 'YES'},
                     {'NAME': 'Schilder für alle', 'LANGUAGE': 'en', 'DEFAULT': 'NO', 'AUTOSELECT': 'YES', 'FORCED': 'YES',
                      'CHARACTERISTICS': DESCRIBED}]
    (variant, _), = p.master.variants
    assert {m['GROUP-ID'] for m in p.master.sounds} == {variant['AUDIO']}
    assert {m['GROUP-ID'] for m in p.master.subtitles} == {variant['SUBTITLES']}
    assert re.fullmatch(r'avc1\.\w+,mp4a\.40\.2', variant['CODECS'])


def test_each_sound_is_its_own(film):
    _, p = film
    names = [name_of(s['URI']).split('/')[0] for s in p.master.sounds]
    assert names == ['audio', 'audio2', 'audio3']
    assert [round(pitch(p.stream(n)), -1) for n in names] == [880, 440, 1320]


def test_lock_step(film):
    _, p = film
    named = p.named()
    assert list(named) == ['240p', 'audio', 'audio2', 'audio3', 'subs', 'subs2']
    durations = {n: [round(s, 6) for s, _ in m.segments] for n, m in named.items()}
    assert durations['audio'] == durations['audio2'] == durations['audio3']
    assert durations['subs'] == durations['subs2'] == durations['240p']
    assert len({m.target for m in named.values()}) == 1


def test_bandwidth_holds_for_every_choice(film):
    _, p = film
    target = p.named()['240p'].target
    peaks = {n: peak_bps(p.sizes(n), target) for n in p.named()}
    most = peaks['240p'] + max(peaks[n] for n in peaks if n.startswith('audio')) + max(peaks['subs'], peaks['subs2'])
    assert int(p.master.variants[0][0]['BANDWIDTH']) == pytest.approx(most, rel=0.001)


FRENCH = ['Bonjour <i>à tous</i> &amp; <b>merci</b>', 'longtemps', 'deux\nlignes --&gt;', 'fin']
ENGLISH = ['<i>Exit</i>, a &amp; b\n<b>5 &lt; 6</b>']


def seconds(text):
    return sum(float(x) * 60 ** i for i, x in enumerate(reversed(text.split(':'))))


def clock(ms):
    return f'{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}'


def expected_cues(file, path, stream, texts):
    """The packets' own times, on the presentation's axis. (A muxer has moved all tracks behind by the sound's priming.)"""
    command = f'ffprobe -v error -select_streams {stream} -show_entries packet=pts_time,duration_time -of csv=p=0'
    done = subprocess.run([*command.split(), path], capture_output=True, text=True, timeout=limit(30), check=True)
    times = [[float(x) for x in line.split(',')[:2]] for line in dict.fromkeys(done.stdout.split())]
    origin = file['probe']['start_ns'] / 1e9
    assert len(times) == len(texts)
    return [(round((t - origin) * 1000), round((t + d - origin) * 1000), text) for (t, d), text in zip(times, texts)]


def check_cues(p, name, expected, media_clock):
    cues, found = cues_of(p, name)
    assert found == media_clock
    begin = 0.0
    for index, (length, _) in enumerate(p.named()[name].segments):
        shown = [(clock(a), clock(b), text) for a, b, text in expected if a / 1000 < begin + length and b / 1000 > begin]
        assert cues[index] == shown, index
        begin += length


def test_cues(film):
    """In every segment in which they are shown, at the source's times, to the millisecond."""
    file, p = film
    path = media('tracks.mkv')
    check_cues(p, 'subs', expected_cues(file, path, 4, FRENCH), LEAD)
    check_cues(p, 'subs2', expected_cues(file, path, 5, ENGLISH), LEAD)


def test_transport_streams(client):
    file = client.upload(media('tracks.mkv'))
    job = client.run_job(file['file_id'], container='ts', segment_seconds=3)
    url = job['streaming']['playlist_url']
    assert complaints(url, '--ended')[0] == []
    p = Presentation(url).load()
    assert list(p.named()) == ['240p', 'audio', 'audio2', 'audio3', 'subs', 'subs2']
    check_cues(p, 'subs', expected_cues(file, media('tracks.mkv'), 4, FRENCH), TS_OFFSET)


def test_what_is_asked_for(client):
    file = client.upload(media('tracks.mkv'))['file_id']
    job = client.run_job(file, audio_tracks=[3, 1], subtitle_tracks=[], rungs=['240p'])
    assert job['params']['audio_tracks'] == [3, 1] and job['params']['subtitle_tracks'] == []
    p = Presentation(job['streaming']['playlist_url']).load()
    assert list(p.named()) == ['240p', 'audio', 'audio2']
    assert [s['NAME'] for s in p.master.sounds] == ["The 'Maker'", 'German']
    assert p.master.sounds[0]['DEFAULT'] == 'YES' and round(pitch(p.stream('audio')), -1) == 1320


@pytest.mark.parametrize('params, named', [
    ({'audio_tracks': [0]}, 'audio_tracks: stream 0'), ({'audio_tracks': [9]}, 'stream 9'), ({'audio_tracks': 1}, 'a list'),
    ({'audio_tracks': [1, 1]}, 'twice'), ({'subtitle_tracks': [1]}, 'subtitle_tracks: stream 1'),
    ({'subtitle_tracks': ['4']}, r'subtitle_tracks\[0\]')])
def test_what_cannot_be_asked_for(client, params, named):
    file = client.upload(media('tracks.mkv'))['file_id']
    answer = client.post('/api/jobs', json={'kind': 'ladder', 'file_id': file, 'params': params})
    assert answer.status_code == 400, answer.text
    assert re.search(named, json.dumps(answer.json())), answer.text


def test_sound_with_subtitles(tmp_path):
    """Without pictures the first sound is the variant itself; the others can be chosen instead."""
    out = tmp_path / 'out'
    run('ladder', media('tracks-sound.mka'), out, '--quiet', check=0)
    assert complaints(out, '--ended')[0] == []
    master = (out / 'master.m3u8').read_text()
    media_lines = [line for line in master.splitlines() if line.startswith('#EXT-X-MEDIA')]
    assert [re.search(r'URI="([^"]*)', line) and re.search(r'URI="([^"]*)', line).group(1) for line in media_lines] == [
        None, 'audio2/playlist.m3u8', 'audio3/playlist.m3u8', 'subs/playlist.m3u8', 'subs2/playlist.m3u8']
    assert master.rstrip().endswith('\naudio/playlist.m3u8') and 'AUDIO="audio",SUBTITLES="subs"' in master
    assert 'MPEGTS:0,' in (out / 'subs' / 'segment_000.vtt').read_text()


def test_same_bytes_read_forwards_and_in_chunks(tmp_path):
    """Of one shot and with one worker or three; and the options name tracks as the server's parameters do."""
    trees = []
    for workers in (1, 3):
        out = tmp_path / str(workers)
        run('ladder', media('tracks.mp4'), out, '--segment-seconds', '2', '--workers', workers, '--audio-tracks', '2,1',
            '--subtitle-tracks', '4', '--quiet', check=0)
        files = [p for p in out.rglob('*') if p.is_file()]
        trees.append({p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})
    assert trees[0] == trees[1] and {n.split('/')[0] for n in trees[0]} == {
        'master.m3u8', 'manifest.mpd', '240p', 'audio', 'audio2', 'subs'}


def test_subtitles_are_served_as_what_they_are(film):
    _, p = film
    url = next(u for u in p.playlists if '/subs/' in urllib.parse.urlsplit(u).path)
    first = urllib.parse.urljoin(url, p.playlists[url].segments[0][1])
    assert p.session.get(first).headers['Content-Type'].split(';')[0] == 'text/vtt'
