"""The page while its server is killed: bars, looked at ten times a second, never go down; a failure says why, and is mended."""
import json
import subprocess

import pytest

from client import Client
from make_media import media
from server import ROOT, limit, wait_for

SCRIPT = ROOT / 'tests' / 'browser' / 'restart.js'


class Page:
    """The browser's script, which stops where something is to happen."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(['node', SCRIPT, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def wait(self, place):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()[-3000:]
        said = json.loads(line)
        assert said['at'] == place
        return said

    def go_on(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()


@pytest.fixture
def failed(make_server):
    """A server with a job whose source couldn't be read, and the source's object, put aside."""
    server = make_server('--workers', '1')
    client = Client(server.url)
    file = client.upload(media('sound-8k-mono.wav'))['file_id']
    source = server.store.one('uploads/local/' + file)
    with source.taken():
        job = client.good(client.post('/api/jobs', json={'kind': 'convert', 'file_id': file, 'params': {'format': 'mp3'}}), 202)
        wait_for(lambda: client.job(job['job_id'])['status'] == 'failed', 'the job fails', 60)
    return server, client.job(job['job_id'])


def rising(samples, which):
    values = [sample[which] for sample in samples]
    return values == sorted(values)


def test_bars_never_go_down(failed, tmp_path):
    server, job = failed
    film = tmp_path / 'film.mp4'
    # More than is sent in a moment: what follows the film's last box is no part of it.
    box = (20 << 20).to_bytes(4, 'big') + b'free'
    film.write_bytes(media('sample.mp4').read_bytes() + box + bytes((20 << 20) - len(box)))
    page = Page(server.url, film, job['job_id'])
    try:
        for place in ('sending', 'making'):
            page.wait(place)
            server.kill()
            server.start()
            page.go_on()
        page.wait('failed')
        page.go_on()
        end = page.wait('end')
        assert page.process.wait(limit(30)) == 0
    finally:
        page.process.kill()
        page.process.communicate()
    for bar in ('upload', 'job'):
        assert len(end[bar]) >= 10
        assert rising(end[bar], 0) and rising(end[bar], 1), f'{bar}: {end[bar]}'
    assert end['job'][-1] == [100, 100.0] and end['upload'][-1][0] >= 40
    assert end['reason'] == job['error']['message'] and job['error']['message'] in end['row']
    assert not end['stillSaid']
