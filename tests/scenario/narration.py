"""What tests of narrations ask for: scripts, music, and a finished stream as bytes."""
import subprocess
import urllib.parse

import hls

SCRIPT = ('Close your eyes. Breathe in, and let the day go by. There is nothing to do now.\n\n'
          '[pause 2s] Feel the weight of your hands. Listen to the wind.\n\nNow open your eyes again.')


def music(path, seconds=9):
    noise = f'anoisesrc=c=pink:a=0.3:seed=5:r=44100:d={seconds}'
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-y', '-f', 'lavfi', '-i', noise, '-ac', '2', path], check=True)
    return path


def start(client, script=SCRIPT, **params):
    return client.good(client.post('/api/jobs', json={'kind': 'narration', 'params': {'script': script, **params}}), 202)


def playlist(client, job):
    """(hls.Media, its segments' absolute URLs)"""
    url = job['streaming']['playlist_url']
    media = hls.Media(hls.fetch_text(client.session, url))
    media.check()
    return media, [urllib.parse.urljoin(url, uri) for _, uri in media.segments]


def segments(client, job):
    """The bytes of every segment that is listed."""
    return [hls.fetch_object(client.session, url) for url in playlist(client, job)[1]]
