"""millrace narrate: a script over music without a server, into a folder or an MP3, with the server's bytes."""
import signal
import subprocess
import threading

import pytest

import hls
import narration
import sound
from client import Client
from server import MILLRACE, clean_environment, limit, wait_for
from speech_server import Endpoint


def narrate(folder, *words, text=None):
    return subprocess.run([MILLRACE, 'narrate', *words], cwd=folder, env=clean_environment(), capture_output=True, text=True,
                          input=text, timeout=limit(120))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'script.txt').write_text(narration.SCRIPT)
    narration.music(tmp_path / 'music.mp3')
    return tmp_path


def test_a_folder_that_plays_with_the_servers_bytes(folder, make_server):
    done = narrate(folder, 'script.txt', 'out', '--music', 'music.mp3', '--min-seconds', '21')
    assert done.returncode == 0 and done.stdout == 'out/playlist.m3u8\n' and '100%' in done.stderr, done
    media = hls.Media((folder / 'out/playlist.m3u8').read_text())
    media.check()
    assert media.ended and media.duration >= 21
    ours = [(folder / 'out' / uri).read_bytes() for _, uri in media.segments]
    assert not [p for p in folder.iterdir() if p.name.startswith('.')], 'the hidden folder stayed'
    client = Client(make_server().url)
    music = client.upload(folder / 'music.mp3')['file_id']
    job = client.complete(narration.start(client, music_file_id=music, min_seconds=21)['job_id'])
    assert narration.segments(client, job) == ours


def test_an_mp3_from_standard_input(folder):
    done = narrate(folder, '-', 'out.mp3', '--quiet', '--voice', 'kal', text='One. Two.')
    assert done.returncode == 0 and done.stdout == done.stderr == '', done
    assert sound.probe(folder / 'out.mp3')['format']['format_name'] == 'mp3' and sound.samples(folder / 'out.mp3') > 48000
    assert sorted(p.name for p in folder.iterdir()) == ['music.mp3', 'out.mp3', 'script.txt']
    assert narrate(folder, '-', 'out.mp3', text='One.').returncode == 2
    assert narrate(folder, '-', 'out.mp3', '--force', '--quiet', text='One.').returncode == 0


@pytest.mark.parametrize('words, says', [
    (('script.txt',), 'SCRIPT and OUT'), (('nothing.txt', 'out'), 'nothing.txt'),
    (('script.txt', 'out', '--voice', 'nobody'), 'slt'),
    (('script.txt', 'out', '--fade', 'x'), 'fade_seconds'), (('script.txt', 'out', '--min-seconds', 'nan'), 'min_seconds'),
    (('-', 'out'), 'nothing to say'), (('music.mp3', 'out'), 'at most'), (('script.txt', '.'), 'already')])
def test_wrong_usage(folder, words, says):
    done = narrate(folder, *words)
    assert done.returncode == 2 and says in done.stderr, done


def test_music_that_is_none(folder):
    done = narrate(folder, 'script.txt', 'out', '--music', 'script.txt')
    assert done.returncode == 1 and 'plain text' in done.stderr, done
    assert sorted(p.name for p in folder.iterdir()) == ['music.mp3', 'script.txt']


def test_a_voice_that_refuses_and_one_that_is_interrupted_leave_nothing(folder):
    endpoint = Endpoint(key='sk-right')
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    speech = '--speech', f'openai+{endpoint.url}'
    done = narrate(folder, 'script.txt', 'out', *speech, '--speech-api-key', 'sk-wrong')
    assert done.returncode == 1 and 'SPEECH_REFUSED: sentence 1: the endpoint answers 401' in done.stderr, done
    assert 'sk-wrong' not in done.stderr
    endpoint.key, endpoint.slow = None, 30
    command = [MILLRACE, 'narrate', 'script.txt', 'out.mp3', '--music', 'music.mp3', *speech]
    with subprocess.Popen(command, cwd=folder, env=clean_environment(), stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: endpoint.under_way, 'it is being spoken')
        process.send_signal(signal.SIGINT)
        assert process.wait(limit(60)) == 130, process.stderr.read()
    endpoint.shutdown()
    assert sorted(p.name for p in folder.iterdir()) == ['music.mp3', 'script.txt']
