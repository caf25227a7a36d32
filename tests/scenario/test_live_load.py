"""Many speakers at once, in real time: nothing lost, fragments soon, little memory a session. MILLRACE_LIVE_SESSIONS and _SECONDS
change how many and how long in `make soak`; the figures are printed (pytest -s)."""
import os

import pytest

from live_load import frames, load
from speaker import recording

SESSIONS = int(os.environ.get('MILLRACE_LIVE_SESSIONS', '400'))
SECONDS = int(os.environ.get('MILLRACE_LIVE_SECONDS', '60'))


def check(figures, sessions, seconds):
    print(f'\n{figures}')
    assert not any(figures[name] for name in ('chunks_not_stored', 'gaps', 'broken', 'miscounted')), figures
    assert figures['fragments'] >= sessions * (seconds // 2 - 1)


@pytest.mark.parametrize('binary', [False, True])
def test_sessions_side_by_side_lose_nothing(make_server, tmp_path, binary):
    server = make_server('--workers', '0')
    check(load(server, frames(tmp_path, recording(tmp_path, 4), binary), 24, chunk_ms=100), 24, 4)


@pytest.mark.soak
@pytest.mark.alone
def test_many_sessions_at_once(make_server, tmp_path):
    server = make_server('--workers', '0')
    figures = load(server, frames(tmp_path, recording(tmp_path, SECONDS)), SESSIONS)
    check(figures, SESSIONS, SECONDS)
    assert figures['oldest_p99_s'] <= 2.5
    assert figures['bytes_per_session'] <= 300e3
