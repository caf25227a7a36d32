"""Every media case: what plays becomes a valid stream that is like its source (likeness.py), what doesn't is refused with its
code, and the server lives through it all.

All cases share one server. The ladders of all files are started at once, so that every processor is busy; then each case looks at
its own.
"""

import pytest
import requests

import cases
from client import Client, error_of
from hls import Presentation, summaries
from likeness import Measured, differences
from server import limit, wait_for

pytestmark = pytest.mark.long
# One small rung for most: what a decoder does with the file counts here, not how long an encoder takes.
RUNGS = {'sample.mp4': ['240p'], 'portrait.mp4': ['240p'], 'mp4-rotation-90-tiny.mp4': None, 'tiny.mp4': None}
# A single picture may last as long as a frame of any rate; streams are told apart from their sources by no more than that.
TOLERANCE = 0.15
PRESENT = [case for case in cases.ALL if case.present()]


@pytest.fixture(scope='module')
def started(module_server):
    """{name: (response to its upload, job or None)} of all cases."""
    client = Client(module_server.url)
    result = {}
    for case in PRESENT:
        answer = client.send(case.path(), 'multipart' if len(case.name) % 2 else 'raw')
        job = None
        if answer.status_code == 201:
            params = {'segment_seconds': 2} if case.seconds < 10 else {}
            rungs = RUNGS.get(case.name, ['144p'])
            if case.video and rungs:
                params['rungs'] = rungs
            job = client.post('/api/jobs', json={'kind': 'ladder', 'file_id': answer.json()['file_id'], 'params': params})
        result[case.name] = answer, job
    return result


@pytest.mark.parametrize('case', cases.ALL, ids=str)
def test_case(case, started, client):
    case.path()
    answer, created = started[case.name]
    if not case.plays:
        check_refusal(case, answer, created, client)
        return
    assert answer.status_code == 201, f'it should play ({case.why}): {answer.text}'
    assert created.status_code == 202, created.text
    check_probe(case, answer.json()['probe'])
    job = client.complete(created.json()['job_id'], seconds=150)
    url = job['streaming']['playlist_url']
    presentation = Presentation(url)
    check_presentation(case, presentation)
    stream = measured(case, url)
    assert stream.said == ''
    if case.alike:
        assert differences(measured(case, case.path(), case.look), stream, case.offset_s) == []


def measured(case, url, look=''):
    return Measured(url, bool(case.video), bool(case.channels), look, case.channels == 1)


def check_refusal(case, answer, created, client):
    """Refused at the upload, or at the latest by a job that ends with the reason."""
    if answer.status_code == 201 and created.status_code == 202:
        job_id = created.json()['job_id']
        job = wait_for(lambda: (j := client.job(job_id))['status'] in ('failed', 'completed') and j, 'the job ends', seconds=180)
        assert job['status'] == 'failed', f'it should be refused ({case.why}), but it plays'
        assert job['error']['code'] in case.expect and len(job['error']['message']) > 5
        return
    if answer.status_code == 201:
        answer = created
    error = error_of(answer, answer.status_code, case.expect)
    assert answer.status_code == cases.status_of(error['code']) and not error['retriable']


def check_probe(case, probe):
    kinds = [s['kind'] for s in probe['streams']]
    assert (probe['best_video'] is not None and probe['best_video'] >= 0) == bool(case.video)
    assert (probe['best_audio'] is not None and probe['best_audio'] >= 0) == bool(case.channels)
    if case.channels:
        sound = next(s for s in probe['streams'] if s['index'] == probe['best_audio'])
        assert sound['channels'] == case.channels, kinds


def check_presentation(case, presentation):
    named = presentation.named()
    assert all(playlist.ended for playlist in named.values())
    assert ('audio' in named) == bool(case.channels)
    assert bool(presentation.rungs()) == bool(case.video)
    for name, playlist in named.items():
        assert playlist.duration == pytest.approx(case.seconds, abs=TOLERANCE), name
    if case.video:
        width, height = map(int, presentation.master.variants[0][0]['RESOLUTION'].split('x'))
        assert width % 2 == height % 2 == 0
        assert width <= case.video[0] + 1 and height <= case.video[1] + 1, 'never larger than the source'
        # Even sizes of a small picture can't keep the ratio exactly.
        assert width / height == pytest.approx(case.video[0] / case.video[1], abs=2.5 / min(width, height)), 'upright, in its ratio'


def test_validators_have_no_complaint(started, client):
    """Other parsers look at every stream."""
    jobs = [created.json()['job_id'] for _, created in started.values() if created is not None and created.status_code == 202]
    urls = [job['streaming']['playlist_url'] for job in map(client.job, jobs) if job['status'] == 'completed']
    assert len(urls) >= 30
    assert {s['root']: s['complaints'] for s in summaries(urls, '--ended') if s['complaints']} == {}


def test_nothing_is_left_running(started, server):
    wait_for(lambda: not server.tasks(), 'no task is left')
    assert len(server.zygotes()) == 1
    assert requests.get(server.url + '/readyz', timeout=limit(10)).status_code == 200
    assert 'TASK_CRASHED' not in server.log() and 'SIGSYS' not in server.log(), [
        line for line in server.log().splitlines() if 'CRASHED' in line or 'SIGSYS' in line]
    assert server.store.arriving() == []
    assert [o for o in server.store.below() if o.size() == 0] == []
