"""The page's listening half: a live session heard in Chromium, from the list and by a link."""
import json
import os
import subprocess
import threading

import requests

from server import ROOT, limit, wait_for
from speaker import recording
from test_listen import playlist_url, speak

OPTIONS = ('--workers', '0')
SCRIPT = ROOT / 'tests' / 'browser' / 'hear.js'


def hear(address, seconds, *more):
    command = ['node', SCRIPT, address, str(seconds), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit(180), check=False, cwd=SCRIPT.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_browser_listens(make_server, tmp_path):
    server = make_server(*OPTIONS)
    chunks = recording(tmp_path, 150)   # both browsers have come by then
    enough = threading.Event()
    speaker = threading.Thread(target=speak, args=(server, 'radio', chunks, 0.28, None, enough), daemon=True)
    speaker.start()
    wait_for(lambda: requests.get(playlist_url(server, 'session-radio')).status_code == 200, 'there is something to listen to')
    link = requests.post(f'{server.url}/api/streams/session-radio/link', json={}).json()
    by_list = hear(f'{server.url}/#/live', 4, 'session-radio', *filter(None, [os.environ.get('MILLRACE_PICTURES')]))
    by_link = hear(link['page_url'], 2)
    enough.set()
    speaker.join()
    for page in (by_list, by_link):
        assert page['troubles'] == [] and page['reconnects'] == 0 and page['state'] == 'playing'
        assert page['name'] == 'session-radio' and page['level'] > 20
        assert 0 < page['behind'] < 30
    assert by_list['seconds'] >= 4 and by_link['seconds'] >= 2
