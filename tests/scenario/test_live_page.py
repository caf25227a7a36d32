"""The page's own recorder: Chromium's MediaRecorder with a sound file as microphone, heard again out of the stream."""
import json
import subprocess

from server import ROOT, files_below, limit, wait_for
from speaker import FFMPEG, RATE, pcm, source

OPTIONS = ('--workers', '0')
SCRIPT = ROOT / 'tests' / 'browser' / 'live.js'


def speak(server, session, wav, seconds, meanwhile=lambda: None):
    """What the page says in the end."""
    command = ['node', SCRIPT, server.url, session, wav, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as page:
        try:
            meanwhile()
            out, errors = page.communicate(timeout=limit(60 + seconds))
        finally:
            page.kill()
        assert page.returncode == 0, errors[-3000:]
        return json.loads(out)


def fragments(server):
    return files_below(server.store / 'streams') if (server.store / 'streams').exists() else []


def heard(server):
    sound = b''
    for part in fragments(server):
        sound += subprocess.run([*FFMPEG, '-i', part, '-f', 's16le', '-'], check=True, capture_output=True).stdout
    return memoryview(sound).cast('h')


def likeness(said, window):
    """The best correlation with any place of what was said: nobody knows where the recording began."""
    said, window = said.tolist(), window.tolist()

    def at(place, every):
        pairs = list(zip(said[place:place + len(window):every], window[::every]))
        xy, xx, yy = sum(p * q for p, q in pairs), sum(p * p for p, _ in pairs), sum(q * q for _, q in pairs)
        return xy / ((xx * yy) ** 0.5 or 1)
    last = len(said) - len(window)
    coarse = max(range(0, last, 3), key=lambda place: at(place, 131))
    return max(at(place, 7) for place in range(max(0, coarse - 6), min(last, coarse + 6)))


def test_a_browser_speaks(make_server, tmp_path):
    server = make_server(*OPTIONS)
    seconds, wav = 6, source(tmp_path, 12)
    page = speak(server, 'page', wav, seconds)
    assert page['troubles'] == [] and page['reconnects'] == 0
    assert page['stream'] == 'session-page' and page['waiting'] == 0
    assert page['fragments'] == len(fragments(server)) >= 3 and page['level'] > 20
    sound = heard(server)
    assert seconds - 0.3 <= len(sound) / RATE <= seconds + 3
    assert likeness(pcm(wav), sound[RATE:4 * RATE]) >= 0.95


def test_the_page_goes_on_after_the_server_was_killed(make_server, tmp_path):
    server = make_server(*OPTIONS)
    seconds, wav = 8, source(tmp_path, 12)

    def kill():
        wait_for(lambda: fragments(server), 'a fragment is stored')
        server.kill()
        server.start()

    page = speak(server, 'phoenix', wav, seconds, kill)
    assert page['reconnects'] >= 1 and page['waiting'] == 0
    sound = heard(server)
    # What had been taken and not stored was sent again; the decoder finds its way back within a chunk or two.
    assert seconds - 1 <= len(sound) / RATE <= seconds + 4
    assert likeness(pcm(wav), sound[-3 * RATE:-RATE // 2]) >= 0.95
