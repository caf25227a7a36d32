"""Narrations through the server: a script over music becomes a stream that plays while it grows, the same bytes every time."""
import array
import itertools
import re
import subprocess
import urllib.parse

import pytest

import hls
import narration
import sound
from client import Client, error_of
from server import wait_for
from test_openapi_answers import check
from test_presign import ID, SECRET, sign

OPTIONS = ('--workers', '2')


@pytest.fixture(scope='module')
def music(module_server, tmp_path_factory):
    return Client(module_server.url).upload(narration.music(tmp_path_factory.mktemp('music') / 'music.mp3'))['file_id']


def samples(ts):
    done = subprocess.run(['ffmpeg', '-v', 'warning', '-nostdin', '-i', '-', '-f', 's16le', '-ac', '1', '-'], input=ts, check=True,
                          capture_output=True)
    assert done.stderr == b'', done.stderr
    return len(done.stdout) // 2


def test_a_script_over_music_is_a_stream(client, music, tmp_path):
    began = narration.start(client, music_file_id=music, min_seconds=31)
    check(began, 'Job')
    assert began['kind'] == 'narration' and began['streaming']['enabled'] and began['streaming']['segments_total'] is None
    assert re.fullmatch('[0-9a-f]{64}', began['tts_cache_key'])
    job = client.complete(began['job_id'])
    check(job, 'Job')
    media, _ = narration.playlist(client, job)
    assert media.ended and media.target == 5
    assert abs(media.duration - job['duration']) < 0.01 and job['duration'] >= 31
    assert job['streaming']['segments_total'] == len(media.segments) == 7
    assert job['tts_cache_key'] == began['tts_cache_key'] and job['generation_attempt'] == 1
    whole = b''.join(narration.segments(client, job))
    assert samples(whole) == round(job['duration'] * 48000)
    assert not hls.ffmpeg_says(job['streaming']['playlist_url'])
    (tmp_path / 'whole.ts').write_bytes(whole)
    said = subprocess.run(['ffmpeg', '-nostdin', '-hide_banner', '-i', tmp_path / 'whole.ts', '-af', 'ebur128=peak=true', '-f',
                           'null', '-'], capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex('Summary:'):]
    assert float(re.search(r'Peak:\s+(-?[\d.]+) dBFS', summary)[1]) <= -1
    assert abs(float(re.search(r'I:\s+(-?[\d.]+) LUFS', summary)[1]) + 16) <= 1


def test_it_is_the_same_when_made_again_and_speech_comes_from_the_store(client, server, music):
    first = client.complete(narration.start(client, music_file_id=music)['job_id'])
    spoken = server.store.keys('speech/')
    again = client.complete(narration.start(client, music_file_id=music)['job_id'])
    assert narration.segments(client, first) == narration.segments(client, again)
    assert first['tts_cache_key'] == again['tts_cache_key']
    assert server.store.keys('speech/') == spoken


def test_without_music_and_with_another_voice(client):
    job = client.complete(narration.start(client, 'One. Two.', voice='kal', fade_seconds=0)['job_id'])
    assert job['file_id'] is None and job['params']['voice'] == 'kal' and job['params']['music_file_id'] is None
    assert samples(b''.join(narration.segments(client, job))) == round(job['duration'] * 48000)


def test_a_playlist_only_grows_and_lists_what_can_be_fetched(client, music):
    script = ' '.join(f'This is sentence number {i}, and it takes a while to say.' for i in range(40))
    job = narration.start(client, script, music_file_id=music)
    job = client.follow(job['job_id'], lambda j: j['streaming']['segments_completed'] > 0)
    before, _ = narration.playlist(client, job)
    for _ in itertools.repeat(None):
        now = hls.Media(hls.fetch_text(client.session, job['streaming']['playlist_url']))
        now.check_growth(before)
        before = now
        if now.ended:
            break
    job = client.complete(job['job_id'])
    assert len(narration.segments(client, job)) == len(before.segments) > 10


@pytest.mark.parametrize('params, code, says', [
    ({}, 'MISSING_FIELD', 'script'), ({'script': ''}, 'SCRIPT_EMPTY', 'script'), ({'script': ' \n '}, 'SCRIPT_EMPTY', 'script'),
    ({'script': 'Hi. [pause x]'}, 'SCRIPT_INVALID', 'line 1'), ({'script': 'Hi.', 'voice': 'nobody'}, 'UNKNOWN_VOICE', 'slt'),
    ({'script': 'Hi.', 'music_file_id': 'x'}, None, 'music_file_id'), ({'script': 'Hi.', 'fade_seconds': 61}, None, 'fade_seconds'),
    ({'script': 'Hi.', 'duck': 3}, None, 'duck'), ({'script': 'Hi.', 'tempo': 3}, None, 'tempo'),
    ({'script': 'Hi.', 'min_seconds': -1}, None, 'min_seconds')])
def test_bad_parameters_are_named(client, params, code, says):
    answer = client.post('/api/jobs', json={'kind': 'narration', 'params': params})
    assert says in error_of(answer, 400, code)['message']


def test_music_must_be_the_callers_and_have_sound(client, server, music, sample, tmp_path):
    other = Client(server.url, user='other')
    body = {'kind': 'narration', 'params': {'script': 'Hi.', 'music_file_id': music}}
    error_of(other.post('/api/jobs', json=body), 404, 'NOT_FOUND')
    silent = tmp_path / 'silent.mp4'
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', sample, '-t', '2', '-an', '-c', 'copy', silent], check=True)
    body['params']['music_file_id'] = client.upload(silent)['file_id']
    error_of(client.post('/api/jobs', json=body), 422, 'NO_AUDIO')
    error_of(client.post('/api/jobs', json={**body, 'file_id': music}), 400)


def test_it_does_not_wait_for_a_chunk(make_server, tmp_path):
    """The only worker has a chunk that doesn't end: whoever wants to listen isn't kept waiting."""
    s = make_server('--workers', '1', '--analyze', 'off')
    client = Client(s.url)
    with sound.endless_chunk(s, client, tmp_path):
        client.complete(narration.start(client)['job_id'])


def test_it_can_be_canceled_and_deleted(client, server, music):
    script = ' '.join(f'This is sentence number {i}, and nobody waits for it.' for i in range(600))   # it isn't done before that
    job = narration.start(client, script, music_file_id=music)
    client.follow(job['job_id'], lambda j: j['streaming']['segments_completed'] > 1)
    assert client.good(client.delete(f'/api/jobs/{job["job_id"]}'), 200)['status'] == 'canceled'
    assert client.delete(f'/api/jobs/{job["job_id"]}').status_code == 204
    error_of(client.get(f'/api/jobs/{job["job_id"]}'), 404)


def test_the_voice_alone_is_kept_beside_the_stream(client, server, music, tmp_path):
    job = client.complete(narration.start(client, 'One. [pause 2s] Two.', music_file_id=music, min_seconds=15)['job_id'])
    voice = server.store.read(f'narrations/local/{job["job_id"]}/voice.mp3')
    done = subprocess.run(['ffmpeg', '-v', 'error', '-i', '-', '-f', 'f32le', '-ac', '1', '-'], input=voice, check=True,
                          capture_output=True)
    assert done.stderr == b'', done.stderr
    sound = array.array('f', done.stdout)
    loud = [max(map(abs, sound[i:i + 4800])) > 0.02 for i in range(0, len(sound) - 4800, 4800)]
    spans = [(key, len(list(run))) for key, run in itertools.groupby(loud)]
    assert [key for key, _ in spans][:4] == [False, True, False, True], 'the beginning, a word, the pause, a word'
    assert abs(spans[2][1] - 20) <= 5, 'the pause of two seconds'
    again = client.complete(narration.start(client, 'One. [pause 2s] Two.', music_file_id=music, min_seconds=15)['job_id'])
    assert server.store.read(f'narrations/local/{again["job_id"]}/voice.mp3') == voice


def test_who_begins_at_the_playlists_last_moment_plays_all_of_it(client, make_server):
    """One signing time in all lines of a playback; they outlive the playlist's own URL; every status request has a fresh one."""
    server = make_server('--access-key', f'{ID}:{SECRET}')
    client = Client(server.url)
    job = client.complete(narration.start(client, 'One. Two. [pause 6s] Three.')['job_id'])

    def begun():
        """On a machine that is busy elsewhere it may have expired already."""
        url = sign(server, 'GET', f'{job["job_id"]}/playlist.m3u8', bucket='hls', expires=2)
        answer = client.get(url)
        return answer.status_code == 200 and (url, answer.text)
    url, text = wait_for(begun, 'the playlist is fetched')
    lines = [urllib.parse.urljoin(url, uri) for _, uri in hls.Media(text).segments]
    times = {urllib.parse.parse_qs(urllib.parse.urlsplit(line).query)['X-Amz-Date'][0] for line in (url, *lines)}
    assert len(lines) > 1 and len(times) == 1, 'one signing time'
    wait_for(lambda: client.get(url).status_code == 403, 'the playlist expires', every=0.2)
    for line in lines:
        hls.fetch_object(client.session, line)
    before = job['streaming']['playlist_url']
    fresh = wait_for(lambda: (now := client.job(job['job_id'])['streaming']['playlist_url']) != before and now, 'a fresh address')
    assert len(hls.Media(hls.fetch_text(client.session, fresh)).segments) == len(lines)
