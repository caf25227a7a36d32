"""Listeners of a narration that is still being spoken, at the pace of its sound: none ever waits for a segment, one of them is a
browser. With 1, 10 and 50 of them at once."""
import json
import shutil
import subprocess
import threading
import time
import urllib.parse

import pytest

import hls
import narration
from client import Client
from server import ROOT, Server, limit
from speech_server import Endpoint

SCRIPT = ' '.join(f'This is the sentence number {i} of a narration that many listen to.' for i in range(16))


class Listener(threading.Thread):
    """A player's requests: the playlist again and again, each segment as it is listed; sound runs from the first segment on."""

    def __init__(self, url, job_id):
        super().__init__(daemon=True)
        self.client, self.job_id = Client(url), job_id
        self.began = self.first_s = self.ended = None
        self.stalls, self.spare, self.slowest, self.bytes, self.error = 0, [], 0.0, 0, None

    def run(self):
        try:
            self.listen()
        except BaseException as e:  # pylint: disable=broad-except
            self.error = e

    def timed(self, fetch, url):
        at = time.monotonic()
        got = fetch(self.client.session, url)
        self.slowest = max(self.slowest, time.monotonic() - at)
        return got

    def listen(self):
        asked = time.monotonic()
        job = self.client.follow(self.job_id, lambda j: j['streaming']['playlist_url'], every=0.1)
        url, there, buffered = job['streaming']['playlist_url'], 0, 0.0
        while not self.ended:
            media = hls.Media(self.timed(hls.fetch_text, url))
            for seconds, uri in media.segments[there:]:
                self.bytes += len(self.timed(hls.fetch_object, urllib.parse.urljoin(url, uri)))
                now = time.monotonic()
                if self.began is None:
                    self.began, self.first_s, self.status = now, now - asked, self.client.job(self.job_id)['status']
                else:
                    self.spare.append(self.began + buffered - now)
                    if self.spare[-1] < 0:
                        self.stalls += 1
                        self.began -= self.spare[-1]
                buffered += seconds
            there, self.ended = len(media.segments), media.ended
            if not self.ended:
                time.sleep(1)
        time.sleep(max(0, self.began + buffered - time.monotonic()))


@pytest.mark.soak
@pytest.mark.alone
@pytest.mark.parametrize('count', [1, 10, 50])
def test_soak_listeners(tmp_path, count):
    endpoint = Endpoint(slow=1.2)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    speech = f'openai+{endpoint.url}?format=wav&concurrency=1'
    with Server(tmp_path / 'server', '--speech', speech) as server:
        client = Client(server.url)
        music = client.upload(narration.music(tmp_path / 'music.mp3'))['file_id']
        job = narration.start(client, SCRIPT, music_file_id=music)
        browser = shutil.which('chromium') and subprocess.Popen(
            ['node', ROOT / 'tests' / 'browser' / 'listen.js', server.url, job['job_id']], stdout=subprocess.PIPE, text=True)
        listeners = [Listener(server.url, job['job_id']) for _ in range(count - bool(browser))]
        for listener in listeners:
            listener.start()
        for listener in listeners:
            listener.join(limit(150))
        told = json.loads(browser.communicate(timeout=limit(150))[0]) if browser else None
        job = Client(server.url).complete(job['job_id'])
    endpoint.shutdown()
    assert not [x.error for x in listeners if x.error], [x.error for x in listeners if x.error]
    if told:
        print(f'\n{count}: browser {told}')
        assert told['status'] == 'streaming', 'it plays before the job is complete'
        assert abs(told['played'] - job['duration']) < 0.2 and not told['troubles'], told
    if listeners:
        print(f'{len(listeners)} listeners of {job["duration"]:.0f} s: first segment {max(x.first_s for x in listeners):.2f} s,'
              f' slowest answer {max(x.slowest for x in listeners) * 1000:.0f} ms, least to spare'
              f' {min(min(x.spare) for x in listeners):.2f} s, stalls {sum(x.stalls for x in listeners)}')
    assert all(x.status == 'streaming' and x.ended and len({x.bytes for x in listeners}) == 1 for x in listeners)
