"""Recordings of browsers' own, blob by blob as they came, over the WebSocket and back through GetMedia: the sound that ffmpeg hears
in the whole recording."""
import asyncio

import pytest

from live_sound import ACCESS, same_sound, through_get_media
from server import ROOT
from speaker import Speaker, pcm

HERE = ROOT / 'tests' / 'captures'
SHARED = ROOT.parent / 'shared' / 'captures'


def blobs_here(name):
    data, at, blobs = (HERE / f'{name}.webm').read_bytes(), 0, []
    for size in map(int, (HERE / f'{name}.sizes').read_text(encoding='ascii').split()):
        blobs.append(data[at:at + size])
        at += size
    assert at == len(data)
    return blobs


def send(server, blobs, binary):
    async def run():
        async with Speaker(server.url, 'browser', query='?session_id=browser') as s:
            for blob in blobs:
                await (s.ws.send(blob) if binary else s.chunk(blob))
            end = await s.stop()
            assert end['chunkIndex'] == len(blobs) - 1 and s.gaps == []
    asyncio.run(run())


def test_a_capture_is_heard_again(make_server, tmp_path):
    server = make_server('--workers', '0', *ACCESS)
    send(server, blobs_here('firefox'), binary=False)
    same_sound(pcm(HERE / 'firefox.webm'), through_get_media(server, 'session-browser', tmp_path))


@pytest.mark.soak
@pytest.mark.parametrize('binary', [False, True])
@pytest.mark.parametrize('capture', sorted(p for p in SHARED.glob('*') if p.is_dir()), ids=lambda p: p.name)
def test_all_captures_soak(make_server, tmp_path, capture, binary):
    server = make_server('--workers', '0', *ACCESS)
    send(server, [p.read_bytes() for p in sorted(capture.glob('chunk-*.bin'))], binary)
    same_sound(pcm(capture / 'all.webm'), through_get_media(server, 'session-browser', tmp_path))
