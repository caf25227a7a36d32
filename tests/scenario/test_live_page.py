"""The page's own recorder: Chromium's MediaRecorder with a sound file as microphone, heard again out of the stream, through
GetMedia of boto3 and of AWS's command line."""
import base64
import json
import subprocess

import pytest

from live_sound import ACCESS, same_sound, through_get_media
from server import ROOT, limit, wait_for
from speaker import FFMPEG, RATE, likeness, pcm, source

OPTIONS = ('--workers', '0', *ACCESS)
SPEECH = ROOT.parent / 'shared' / 'captures' / 'speech-flite-30s' / 'all.webm'
SCRIPT = ROOT / 'tests' / 'browser' / 'live.js'


def speak(server, session, wav, seconds, meanwhile=lambda: None, chunks='json'):
    """What the page says in the end. It speaks for so long, and until what is done meanwhile is done."""
    command = ['node', SCRIPT, server.url, session, wav, str(seconds), chunks]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as page:
        try:
            meanwhile()
            out, errors = page.communicate('\n', timeout=limit(120 + seconds))
        finally:
            page.kill()
        assert page.returncode == 0, errors[-3000:]
        return json.loads(out)


def fragments(server):
    return server.store.below('streams')


def heard(server):
    sound = b''
    for part in fragments(server):
        sound += subprocess.run([*FFMPEG, '-i', '-', '-f', 's16le', '-'], input=part.read(), check=True, capture_output=True).stdout
    return memoryview(sound).cast('h')


def found(said, window):
    """Where in what was said a window is most alike, and how much: nobody knows where the recording began."""
    said, window = said.tolist(), window.tolist()

    def at(place, every):
        return likeness(said[place:place + len(window):every], window[::every])
    last = len(said) - len(window)
    coarse = max(range(0, last, 3), key=lambda place: at(place, 131))
    like, place = max((at(place, 7), place) for place in range(max(0, coarse - 6), min(last, coarse + 6)))
    return place, like


def speak_and_read(server, folder, wav, seconds, chunks):
    """What the recorder made, what its sound file says and what GetMedia gives are the same."""
    page = speak(server, 'page', wav, seconds, chunks=chunks)
    assert page['troubles'] == [] and page['reconnects'] == 0
    assert page['stream'] == 'session-page' and page['waiting'] == 0
    assert page['fragments'] == len(fragments(server)) >= seconds // 3
    # The first chunk says its number in either mode, as does what was recorded before the connection was there.
    assert page['sent']['text'] >= 1 and (page['sent']['binary'] > 0) == (chunks == 'binary'), page['sent']
    recording = folder / 'recording.webm'
    recording.write_bytes(base64.b64decode(page['recording']))
    made = pcm(recording)
    assert len(made) / RATE >= 0.9 * seconds          # of which a busy machine's microphone leaves out some
    same_sound(made, through_get_media(server, 'session-page', folder))
    said = pcm(wav)
    # The file begins about when the recorder does, and a phrase may come again in it.
    place, like = found(said[:13 * RATE], made[RATE:4 * RATE])
    assert like >= 0.95
    for at in range(4 * RATE, min(len(made), len(said) - place) - 3 * RATE, 6 * RATE):
        # On a busy machine the microphone that the file is leaves out a little now and then.
        begin = max(0, place + at - 3 * RATE // 2)
        where, like = found(said[begin:begin + 4 * RATE], made[at:at + 3 * RATE])
        assert like >= 0.95
        place = begin + where - at + RATE
    return page


def test_a_browser_speaks(make_server, tmp_path):
    page = speak_and_read(make_server(*OPTIONS), tmp_path, source(tmp_path, 12), 6, 'binary')
    assert page['level'] > 20


@pytest.mark.soak
@pytest.mark.skipif(not SPEECH.exists(), reason='no shared captures')
@pytest.mark.parametrize('chunks', ['json', 'binary'])
def test_a_browser_speaks_for_thirty_seconds_soak(make_server, tmp_path, chunks):
    wav = tmp_path / 'speech.wav'
    subprocess.run([*FFMPEG, '-stream_loop', '1', '-i', SPEECH, '-ar', '48000', '-ac', '1', wav], check=True)
    speak_and_read(make_server(*OPTIONS), tmp_path, wav, 30, chunks)


def test_the_page_goes_on_after_the_server_was_killed(make_server, tmp_path):
    server = make_server(*OPTIONS)
    wav = source(tmp_path, 30)

    def kill():
        wait_for(lambda: fragments(server), 'a fragment is stored')
        server.kill()
        server.start()

    page = speak(server, 'phoenix', wav, 8, kill)
    assert page['reconnects'] >= 1 and page['waiting'] == 0
    sound = heard(server)
    recording = tmp_path / 'recording.webm'
    recording.write_bytes(base64.b64decode(page['recording']))
    made = pcm(recording)
    # What had been taken and not stored was sent again; the decoder finds its way back within a chunk or two.
    assert len(made) / RATE >= 7 and abs(len(sound) - len(made)) / RATE <= 1
    end = made[-12 * RATE:]
    assert found(end, sound[-3 * RATE:-RATE // 2])[1] >= 0.95
