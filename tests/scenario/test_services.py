"""make services: a server runs on what it starts, by the settings that it prints; rows and objects outlive a stop."""
import pathlib
import shlex
import shutil
import subprocess
import tempfile

import pytest

from client import Client
from make_media import media
from s3_server import available
from server import ROOT, clean_environment, limit, reserve_port, wait_for


@pytest.fixture
def services():
    """Calls the script, over a folder and ports of the test's own: the variables that it tells to export."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix='millrace-services-'))   # pytest's folders are their owner's alone
    folder.chmod(0o755)
    own = {name: str(reserve_port()) for name in ('PG_PORT', 'REDIS_PORT', 'S3_PORT', 'S3_MON_PORT')}
    own['SERVICES'] = str(folder / 'services')

    def call(word):
        done = subprocess.run([ROOT / 'tools' / 'services.sh', word], env=clean_environment(**own), capture_output=True, text=True,
                              timeout=limit(120), check=True)
        return dict(word.split('=', 1) for word in shlex.split(done.stdout) if word != 'export')
    yield call
    call('stop')
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.skipif(not available() or not shutil.which('redis-server'), reason='the packages of tools/deps.sh services')
@pytest.mark.backend('sqlite', 'it brings services of its own')
@pytest.mark.backend('file', 'it brings services of its own')
@pytest.mark.backend('local', 'it brings services of its own')
def test_a_server_runs_on_them(services, make_server):
    settings = services('start')
    assert set(settings) == {'MILLRACE_DATABASE', 'MILLRACE_BUS', 'MILLRACE_STORE', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'}
    server = make_server('--workers', '1', env=settings)
    file = Client(server.url).upload(media('sound.mp3'))
    assert not list(server.data.glob('*.db'))
    wait_for(lambda: 'event=bus_connected' in server.log(), 'Redis is connected')
    server.stop()
    services('stop')
    assert services('start') == settings
    server.start()
    assert Client(server.url).files() == [file]
