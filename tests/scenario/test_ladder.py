"""A film becomes a ladder that plays while it is being made: growth, lock-step, what other programs say, cancel and delete."""
import itertools
import subprocess
import threading
import time
import urllib.parse
from xml.etree import ElementTree

import pytest
import requests

from client import Client, Watch, error_of
from hls import (Media, Presentation, average_bps, complaints, fetch_object, fetch_text, ffmpeg_says, ffprobe, idr_times, name_of,
                 peak_bps)
from make_media import media
from server import hold, limit, wait_for

pytestmark = pytest.mark.long
FRAME = 1 / 25
AAC_FRAME = 1024 / 48000
PAUSE = 0.2   # of a player between two looks: the encoders need the processors, too


class Observer:
    """A player that never gives up: polls every playlist by the URLs of the first visit, and fetches all that they list."""

    def __init__(self, url):
        self.session = requests.Session()
        self.first = Presentation(url, self.session)
        self.latest = dict(self.first.playlists)
        self.iframes = dict(self.first.iframes)
        self.fetched = set()
        self.rounds = 0
        self.fetch_new()

    def fetch_new(self):
        for url, playlist in self.latest.items():
            for uri in playlist.uris():
                absolute = urllib.parse.urljoin(url, uri)
                if absolute not in self.fetched:
                    fetch_object(self.session, absolute)
                    self.fetched.add(absolute)

    def poll(self):
        """One round. Lock-step: counts read one after the other never fall, from the first playlist round to the first again."""
        counts = []
        urls = list(self.latest)
        for url in [*urls, urls[0]]:
            new = Media(fetch_text(self.session, url))
            new.check()
            new.check_growth(self.latest[url])
            self.latest[url] = new
            counts.append(len(new.segments))
        assert counts == sorted(counts), f'renditions are not in lock-step: {counts}'
        for url, before in self.iframes.items():
            self.iframes[url] = Media(fetch_text(self.session, url))
            self.iframes[url].check()
            self.iframes[url].check_growth(before)
        self.fetch_new()
        self.rounds += 1

    @property
    def ended(self):
        return all(playlist.ended for playlist in self.latest.values())


@pytest.fixture(scope='module')
def film(module_server, sample):
    """The sample's whole ladder, watched from its first moment to its end: (client, file, job, observer)."""
    c = Client(module_server.url)
    file = c.upload(sample, 'multipart')
    assert file['probe']['duration'] == pytest.approx(30, abs=0.05)
    job = c.start_job(file['file_id'])
    assert job['status'] == 'pending' and job['streaming']['playlist_url'] is None and job['progress']['percent'] == 0
    watch = Watch()
    job = c.follow(job['job_id'], lambda j: j['streaming']['playlist_url'], watch)
    assert job['status'] == 'streaming' and job['streaming']['segments_completed'] < job['streaming']['segments_total']
    observer = Observer(job['streaming']['playlist_url'])
    assert not observer.ended and len(next(iter(observer.latest.values())).segments) < job['streaming']['segments_total']
    while watch.note(c.job(job['job_id']))['status'] == 'streaming':
        observer.poll()
        time.sleep(PAUSE)
    job = c.complete(job['job_id'], watch)
    observer.poll()
    assert watch.statuses[-2:] == ['streaming', 'completed']
    return c, file, job, observer


@pytest.fixture(scope='module')
def whole(film):
    return Presentation(film[2]['streaming']['playlist_url']).load()


def test_plays_while_it_is_made(film):
    _, _, job, observer = film
    assert observer.rounds >= 3, 'the stream was polled while it grew'
    assert observer.ended
    versions = {len(p.segments) for p in observer.latest.values()}
    assert versions == {job['streaming']['segments_total']}
    assert len(observer.first.master.variants) == 4
    assert [v['RESOLUTION'] for v, _ in observer.first.master.variants] == ['1280x720', '854x480', '640x360', '426x240']


def test_declared_caps_hold_while_it_grows(film, whole):
    """BANDWIDTH of the first master must not be exceeded by what came later."""
    for attributes, uri in film[3].first.master.variants:
        name = name_of(uri).split('/')[0]
        target = whole.named()[name].target
        assert peak_bps(whole.sizes(name), target) + peak_bps(whole.sizes('audio'), target) <= int(attributes['BANDWIDTH'])


def test_other_parsers_have_no_complaint(film, server):
    found, summary = complaints(film[2]['streaming']['playlist_url'], '--ended')
    assert found == []
    assert summary['variants'] == 5 and len(summary['playlists']) == 5 and len(summary['iframes']) == 4


def test_ffmpeg_decodes_without_a_word(film, whole, server):
    assert ffmpeg_says(film[2]['streaming']['playlist_url']) == ''
    for url in whole.playlists:
        assert ffmpeg_says(url) == ''


def test_stored_playlists_play_from_a_plain_folder(film, whole, server, tmp_path):
    folder = server.store.copy(f'hls/local/{film[2]["job_id"]}', tmp_path)
    found, _ = complaints(folder, '--ended')
    assert found == []
    assert ffmpeg_says(folder / 'master.m3u8') == ''
    for name, playlist in whole.named().items():
        stored = Media((folder / name / 'playlist.m3u8').read_text())
        assert [s for s, _ in stored.segments] == [s for s, _ in playlist.segments] and stored.ended
        assert all('/' not in uri and '?' not in uri for uri in stored.uris())


def test_durations_add_up(film, whole):
    for name, playlist in whole.named().items():
        frame = AAC_FRAME if name == 'audio' else FRAME
        assert playlist.duration == pytest.approx(film[1]['probe']['duration'], abs=frame + 1e-6), name
    ends_of = {}
    for name, playlist in whole.named().items():
        ends_of[name] = list(itertools.accumulate(seconds for seconds, _ in playlist.segments))
    for i, ends in enumerate(zip(*ends_of.values())):
        assert max(ends) - min(ends) <= FRAME + AAC_FRAME, f'segment {i} of all renditions ends at {ends}'


def test_master_tells_what_is_there(film, whole):
    sound = whole.master.sounds
    assert len(sound) == 1 and sound[0]['TYPE'] == 'AUDIO' and sound[0]['DEFAULT'] == 'YES' and sound[0]['CHANNELS'] == '2'
    assert sound[0]['NAME'] and sound[0]['AUTOSELECT'] == 'YES'
    bandwidths = []
    for attributes, uri in whole.master.variants:
        name = name_of(uri).split('/')[0]
        stream = ffprobe(whole.stream(name), '-show_streams')['streams'][0]
        assert attributes['RESOLUTION'] == f'{stream["width"]}x{stream["height"]}'
        assert min(stream['width'], stream['height']) == int(name[:-1])
        profile = {'High': 100, 'Main': 77, 'Constrained Baseline': 66}[stream['profile']]
        video, audio = attributes['CODECS'].split(',')
        assert video.startswith(f'avc1.{profile:02X}') and video.endswith(f'{stream["level"]:02X}') and audio == 'mp4a.40.2'
        assert float(attributes['FRAME-RATE']) == 25 and attributes['AUDIO'] == sound[0]['GROUP-ID']
        target = whole.named()[name].target
        peak = peak_bps(whole.sizes(name), target) + peak_bps(whole.sizes('audio'), target)
        average = average_bps(whole.sizes(name)) + average_bps(whole.sizes('audio'))
        for seconds, size in whole.sizes(name):
            assert seconds < 0.5 * target or 8 * size / seconds <= int(attributes['BANDWIDTH'])
        assert int(attributes['BANDWIDTH']) == pytest.approx(peak, rel=0.01)
        assert int(attributes['AVERAGE-BANDWIDTH']) == pytest.approx(average, rel=0.01)
        bandwidths.append(int(attributes['BANDWIDTH']))
    assert bandwidths == sorted(bandwidths, reverse=True)


def test_a_thin_connection_has_the_sound(whole):
    (attributes, uri), = whole.master.sound_only
    assert attributes['CODECS'] == 'mp4a.40.2' and attributes['AUDIO'] == whole.master.sounds[0]['GROUP-ID']
    assert uri == whole.master.sounds[0]['URI']
    assert int(attributes['BANDWIDTH']) <= 192000
    assert int(attributes['BANDWIDTH']) == pytest.approx(peak_bps(whole.sizes('audio'), whole.named()['audio'].target), rel=0.01)


def test_dash_manifest_is_the_same_stream(film, whole, server, tmp_path):
    """Signed from the front and relative in the store: the same film, as ffmpeg's reader of DASH sees it."""
    url = film[0].job(film[2]['job_id'])['streaming']['dash_url']
    answer = whole.session.get(url)
    assert answer.status_code == 200 and answer.headers['Content-Type'] == 'application/dash+xml'
    stored = server.store.copy(f'hls/local/{film[2]["job_id"]}', tmp_path) / 'manifest.mpd'
    names, space = [], '{urn:mpeg:dash:schema:mpd:2011}'
    for text in (answer.content, stored.read_bytes()):
        root = ElementTree.fromstring(text)
        names.append([name_of(e.get('media') or e.get('sourceURL')) for tag in ('SegmentURL', 'Initialization')
                      for e in root.iter(space + tag)])
        for one in root.iter(space + 'Representation'):
            rendition = whole.named()[one.get('id')]
            times = [s for s in one.iter(space + 'S')]
            ticks = sum(int(s.get('d')) * (1 + int(s.get('r', 0))) for s in times)
            scale = int(one.find(space + 'SegmentList').get('timescale'))
            assert ticks / scale == pytest.approx(rendition.duration, abs=1e-3)
            start = ffprobe(whole.stream(one.get('id'), count=1), '-show_entries', 'packet=pts')['packets'][0]['pts']
            assert int(times[0].get('t')) == start == int(one.find(space + 'SegmentList').get('presentationTimeOffset'))
    assert names[0] == names[1] and sorted(names[0]) == sorted(whole.objects)
    for source in (url, stored):
        assert ffmpeg_says(source) == ''


def test_iframes_are_single_pictures(film, whole):
    """Each rung has its list, which grew with the others; each entry is one picture, and BANDWIDTH is measured."""
    assert film[3].iframes.keys() == film[3].first.iframes.keys() and len(whole.iframes) == len(whole.rungs())
    for attributes, (url, media) in zip(whole.master.iframes, whole.iframes.items()):
        name = name_of(url).split('/')[0]
        variant = next(a for a, uri in whole.master.variants if name_of(uri).split('/')[0] == name)
        assert attributes['CODECS'] == variant['CODECS'].split(',')[0]
        assert [attributes[a] for a in ('RESOLUTION', 'VIDEO-RANGE')] == [variant['RESOLUTION'], 'SDR'] == [
            variant['RESOLUTION'], variant['VIDEO-RANGE']]
        assert media.ended and media.target == whole.named()[name].target
        assert media.duration == pytest.approx(whole.named()[name].duration, abs=1e-3)
        starts = itertools.accumulate((seconds for seconds, _ in media.segments), initial=0)
        times = idr_times(whole.stream(name))
        assert list(starts)[:-1] == pytest.approx([t - times[0] for t in times], abs=1e-3)
        sizes = [(seconds, size) for (seconds, _), (_, size) in zip(media.segments, media.ranges)]
        assert int(attributes['BANDWIDTH']) == pytest.approx(peak_bps(sizes, media.target), rel=0.01)
        assert int(attributes['AVERAGE-BANDWIDTH']) == pytest.approx(average_bps(sizes), rel=0.01)
        init = whole.stream(name, count=0)
        for (_, uri), (offset, size) in zip(media.segments[:3], media.ranges):
            answer = whole.session.get(urllib.parse.urljoin(url, uri), headers={'Range': f'bytes={offset}-{offset + size - 1}'})
            assert answer.status_code == 206 and len(answer.content) == size
            shown = subprocess.run(['ffprobe', '-v', 'fatal', '-show_entries', 'frame=pict_type', '-of', 'csv=p=0', '-'],
                                   input=init + answer.content, capture_output=True, timeout=limit(60), check=True)
            assert shown.stdout.split()[0].strip(b',') == b'I' and len(shown.stdout.split()) == 1


def check_idr(presentation, name):
    times = idr_times(presentation.stream(name))
    origin, at = times[0], 0.0
    for i, (seconds, _) in enumerate(presentation.named()[name].segments):
        assert any(abs(t - origin - at) < 0.002 for t in times), f'{name}: segment {i} begins at {at} without an IDR'
        own = idr_times(presentation.stream(name, i, 1))
        assert len(own) >= 1
        at += seconds
    gaps = [b - a for a, b in zip(times, times[1:] + [origin + at])]
    assert max(gaps) <= 2 + FRAME + 1e-6, f'{name}: {max(gaps)} s without an IDR'


def test_idr_at_every_segment_and_every_two_seconds(whole):
    for name in whole.rungs():
        check_idr(whole, name)


def test_pictures_and_sound_are_all_there(whole):
    for name in whole.rungs():
        packets = ffprobe(whole.stream(name), '-count_packets', '-show_entries', 'stream=nb_read_packets')['streams'][0]
        assert int(packets['nb_read_packets']) == 750
    sound = [p['pts'] for p in ffprobe(whole.stream('audio'), '-show_entries', 'packet=pts')['packets']]
    assert sound == [sound[0] + 1024 * i for i in range(len(sound))], 'the sound has no hole and no overlap'
    picture = ffprobe(whole.stream(whole.rungs()[0]), '-show_entries', 'stream=start_time')['streams'][0]
    assert abs(float(picture['start_time']) - sound[0] * AAC_FRAME / 1024) < 0.001, 'picture and sound begin together'
    assert len(sound) == round(whole.named()['audio'].duration / AAC_FRAME)


def test_a_finished_stream_stays_as_it_was(film, server):
    """The same signed URL gives the same lines; a fresh one has fresh signatures of the same objects."""
    c, _, job, observer = film
    observer.poll()
    fresh = wait_for(lambda: (u := c.job(job['job_id'])['streaming']['playlist_url']) != observer.first.url and u, 'a fresh URL')
    new, old = Presentation(fresh), observer
    for (old_url, old_list), (new_url, new_list) in zip(old.latest.items(), new.playlists.items()):
        assert name_of(old_url) == name_of(new_url) and old_url != new_url
        assert [s for s, _ in old_list.segments] == [s for s, _ in new_list.segments]
        for old_uri, new_uri in zip(old_list.uris(), new_list.uris()):
            assert old_uri.split('?')[0] == new_uri.split('?')[0] and old_uri != new_uri
    date = urllib.parse.parse_qs(urllib.parse.urlsplit(fresh).query)['X-Amz-Date']
    for playlist in new.playlists.values():
        for uri in playlist.uris():
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(uri).query)
            assert query['X-Amz-Date'] == date, 'every line is signed at the time of the playlist'


def test_playlists_need_their_signature(film, server):
    url = film[2]['streaming']['playlist_url']
    error_of(requests.get(url.split('?')[0]), 403)
    error_of(requests.get(url[:-1] + ('0' if url[-1] != '0' else '1')), 403, 'SignatureDoesNotMatch')
    error_of(requests.get(url.replace('X-Amz-Expires=', 'X-Amz-Expires=1')), 403)
    error_of(requests.get(url.replace('master.m3u8', '720p/playlist.m3u8')), 403, 'SignatureDoesNotMatch')


@pytest.mark.threads
def test_transport_streams(client):
    """Container ts: counters and timestamps run on over segments that come one after another."""
    file_id = client.upload(media('moov-at-end.mp4'))['file_id']
    job = client.run_job(file_id, container='ts', segment_seconds=2, rungs=['360p', '240p'])
    p = Presentation(job['streaming']['playlist_url']).load()
    assert all(name_of(uri).endswith('.ts') for m in p.playlists.values() for _, uri in m.segments)
    for name in p.named():
        counters = {}
        data = p.stream(name)
        assert len(data) % 188 == 0
        for at in range(0, len(data), 188):
            assert data[at] == 0x47
            pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
            if data[at + 3] & 0x10:
                counter = data[at + 3] & 0x0F
                assert counter == (counters.get(pid, counter - 1) + 1) % 16, f'{name}: continuity of PID {pid} at {at}'
                counters[pid] = counter
        for i in range(len(p.named()[name].segments)):
            assert (p.stream(name, i, 1)[1] & 0x1F, p.stream(name, i, 1)[2]) == (0, 0), 'a segment begins with its PAT'
        assert ffmpeg_says('-', data=data) == '', name
    for name in p.rungs():
        check_idr(p, name)
    assert complaints(job['streaming']['playlist_url'], '--ended')[0] == []
    assert ffmpeg_says(job['streaming']['playlist_url']) == ''


@pytest.mark.threads
def test_cancel_in_the_middle(client, server, sample, deleted):
    job = client.start_job(client.upload(sample)['file_id'], rungs=['480p', '240p'])
    path = f'/api/jobs/{job["job_id"]}'
    url = client.follow(job['job_id'], lambda j: j['streaming']['playlist_url'])['streaming']['playlist_url']
    hold(server.tasks())   # it isn't done before it is canceled
    with client.events(path + '/events') as stream:
        answer = client.delete(path)
        assert answer.status_code == 200 and answer.json()['status'] == 'canceled'
        for event, _, data in stream:
            if event == 'job' and data['status'] == 'canceled':
                break
    wait_for(lambda: not server.tasks(), 'the tasks of a canceled job end')
    now = client.job(job['job_id'])
    assert now['status'] == 'canceled' and now['finished_at'] and now['streaming']['playlist_url'] is None
    error_of(client.post(path + '/retry'), 409)
    assert client.delete(path).status_code == 204
    error_of(client.get(path), 404)
    error_of(requests.get(url), 404)
    deleted.append(f'hls/local/{job["job_id"]}')


@pytest.fixture(scope='module')
def deleted():
    return []   # folders of deleted jobs: all have gone at last, see the end


def test_delete_takes_the_objects(client, server, deleted):
    file = client.upload(media('silent.mp4'))
    job = client.run_job(file['file_id'], rungs=['144p'])
    path = f'hls/local/{job["job_id"]}'
    assert server.store.below(path)
    assert client.delete(f'/api/jobs/{job["job_id"]}').status_code == 204
    error_of(client.get(f'/api/jobs/{job["job_id"]}'), 404)
    assert job['job_id'] not in [j['job_id'] for j in client.jobs()]
    deleted.append(path)
    error_of(requests.get(job['streaming']['playlist_url']), 404)
    source = server.store.one('uploads/local/' + file['file_id'])
    assert client.delete(f'/api/files/{file["file_id"]}').status_code == 204
    assert not source.exists()


def test_a_file_in_use_stays(client, sample):
    file = client.upload(sample)
    job = client.start_job(file['file_id'], rungs=['240p'])
    error_of(client.delete(f'/api/files/{file["file_id"]}'), 409, 'FILE_IN_USE')
    client.delete(f'/api/jobs/{job["job_id"]}')
    wait_for(lambda: client.delete(f'/api/files/{file["file_id"]}').status_code == 204, 'the file of a canceled job can go')


def read_until(stream, test):
    seen = []
    for event in stream:
        seen.append(event)
        if test(*event):
            return seen
    raise AssertionError(f'the stream ended after {len(seen)} events')


@pytest.mark.threads
def test_events(client, sample):
    """Every segment is told once and in order, progress never falls, and a reconnect gets what it missed."""
    job = client.start_job(client.upload(sample)['file_id'], rungs=['360p', '240p'], segment_seconds=2)
    path = f'/api/jobs/{job["job_id"]}/events'
    all_of_mine = client.events('/api/events')
    result = {}

    def watch_all():
        result['all'] = read_until(all_of_mine, lambda e, i, d: e == 'job' and d['job_id'] == job['job_id']
                                   and d['status'] == 'completed')
    thread = threading.Thread(target=watch_all)
    thread.start()
    with client.events(path) as stream:
        first = read_until(stream, lambda e, i, d: e == 'segment' and d['index'] >= 1)
    ids = [i for _, i, _ in first if i]
    assert ids, 'events have ids'
    client.follow(job['job_id'], lambda j: j['streaming']['segments_completed'] >= 5)
    with client.events(path, last_id=ids[-1]) as stream:
        rest = read_until(stream, lambda e, i, d: e == 'job' and d['status'] == 'completed')
    thread.join()
    watch = Watch()
    for event, _, data in [*first, *rest]:
        if event == 'job':
            assert data['job_id'] == job['job_id']
            watch.note(data)
    # The browser resumes behind the last id it saw: what came after that without one is told again.
    told = [d['index'] for e, _, d in first if e == 'segment']
    later = [d['index'] for e, _, d in rest if e == 'segment']
    total = watch.job['streaming']['segments_total']
    assert told == list(range(told[0], told[-1] + 1)) and told[0] == 0
    assert later == list(range(later[0], total)) and later[0] <= told[-1] + 1
    assert all(d['segments_completed'] > d['index'] for e, _, d in [*first, *rest] if e == 'segment')
    mine = [d for e, _, d in result['all'] if e == 'job' and d['job_id'] == job['job_id']]
    assert len(mine) >= 3 and [d['status'] for d in mine][-1] == 'completed'
    assert {'segment', 'job'} <= {e for e, _, _ in result['all']}


def test_deletions_are_events(make_server):
    """Told once, in order, to their owner alone; a reconnect learns of what it missed, a newcomer of nothing old."""
    server = make_server('--workers', '0')
    client, stranger = (Client(server.url, user=name) for name in ('ann', 'bob'))
    file_id = client.upload(media('sound-8k-mono.wav'))['file_id']
    first, second, third, kept = (client.start_job(file_id)['job_id'] for _ in range(4))

    def delete(job_id):
        assert [client.delete(f'/api/jobs/{job_id}').status_code for _ in range(2)] == [200, 204]

    with stranger.events('/api/events') as theirs:
        with client.events('/api/events') as mine, client.events(f'/api/jobs/{first}/events') as own:
            delete(first)
            seen = read_until(mine, lambda e, i, d: e == 'deleted')
            assert seen[-1][2] == {'job_id': first} and seen[-1][1]
            assert [d for e, _, d in own if e == 'deleted'] == [{'job_id': first}]   # and then the stream ends
        delete(second)
        client.start_job(file_id)
        delete(third)
        with client.events('/api/events', last_id=seen[-1][1]) as again:
            missed = read_until(again, lambda e, i, d: e == 'deleted' and d['job_id'] == third)
        assert [d['job_id'] for e, _, d in missed if e == 'deleted'] == [second, third]
        assert [int(i) for _, i, _ in missed if i] == sorted({int(i) for _, i, _ in missed if i})
        with client.events('/api/events') as fresh:
            delete(kept)
            now = read_until(fresh, lambda e, i, d: e == 'deleted')
        assert [d['job_id'] for e, _, d in now if e == 'deleted'] == [kept]
        job = stranger.start_job(stranger.upload(media('sound-8k-mono.wav'))['file_id'])['job_id']
        assert {d['job_id'] for _, _, d in read_until(theirs, lambda e, i, d: e == 'job')} == {job}


def test_events_of_a_finished_job_tell_its_state(client, film):
    with client.events(f'/api/jobs/{film[2]["job_id"]}/events') as stream:
        event, event_id, data = next(e for e in stream if e[0] != ':')
    assert event == 'job' and event_id and data['status'] == 'completed'


def test_objects_carry_no_foreign_files(film, whole, server):
    """What the playlists name is what lies in the store, and nothing else."""
    there = server.store.digests(f'hls/local/{film[2]["job_id"]}').keys()
    playlists = {f'{name}/playlist.m3u8' for name in whole.named()} | {'master.m3u8'}
    playlists |= {f'{name}/iframes.m3u8' for name in whole.rungs()} | {'manifest.mpd'}
    assert there == set(whole.objects) | playlists


def test_objects_of_deleted_jobs_go(server, deleted):
    """The janitor's work, so within its round. Last in this file, for there are deletions before it to wait for."""
    wait_for(lambda: not any(map(server.store.below, deleted)), 'objects of deleted jobs are gone', seconds=180)
