"""What a client of the API does: upload, start a job, follow it and notice if its progress ever falls, read events.

    c = Client(server.url)
    job = c.run_job(c.upload(path)['file_id'], rungs=['240p'])
    for event in c.events(f'/api/jobs/{job_id}/events'): ...
"""
import json
import pathlib
import time

import requests

from server import limit

RANK = {'pending': 0, 'processing': 1, 'streaming': 2, 'completed': 3, 'failed': 3, 'canceled': 3}
ENDED = {'completed', 'failed', 'canceled'}


class Watch:
    """A polling client's view of one job: percent, segments and status never fall, across restarts of the server too."""

    def __init__(self):
        self.job = None
        self.percents = []
        self.statuses = []

    def note(self, job):
        last = self.job
        if last:
            assert job['progress']['percent'] >= last['progress']['percent'], (last['progress'], job['progress'])
            assert job['streaming']['segments_completed'] >= last['streaming']['segments_completed']
            assert RANK[job['status']] >= RANK[last['status']], f'{last["status"]} → {job["status"]}'
            assert not (last['streaming']['playlist_url'] and not job['streaming']['playlist_url']), 'the stream went away'
        assert 0 <= job['progress']['percent'] <= 100
        if job['status'] != 'completed':
            assert job['progress']['percent'] < 100 or job['status'] in ENDED
        self.job = job
        self.percents.append(job['progress']['percent'])
        if not self.statuses or self.statuses[-1] != job['status']:
            self.statuses.append(job['status'])
        return job


def error_of(response, status, code=None):
    """Insists on an error of the API's shape; returns it."""
    assert response.status_code == status, f'HTTP {response.status_code}: {response.text[:500]}'
    assert response.headers['Content-Type'].split(';')[0] == 'application/json'
    body = response.json()
    assert set(body) == {'error'} and set(body['error']) == {'code', 'message', 'retriable', 'request_id'}, body
    error = body['error']
    assert isinstance(error['code'], str) and error['code']
    assert isinstance(error['message'], str) and len(error['message']) >= 5
    assert isinstance(error['retriable'], bool)
    assert error['request_id'] == response.headers['X-Request-Id']
    if code:
        assert error['code'] in ({code} if isinstance(code, str) else code), error
    return error


class Client:
    def __init__(self, url, token=None, user=None):
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.token, self.user = token, user
        if token:
            self.session.headers['Authorization'] = f'Bearer {token}'

    def call(self, method, path, **more):
        more.setdefault('timeout', limit(60))
        if self.user:
            more['params'] = {**(more.get('params') or {}), 'user_id': self.user}
        return self.session.request(method, self.url + path if path.startswith('/') else path, **more)

    def get(self, path, **more):
        return self.call('GET', path, **more)

    def post(self, path, **more):
        return self.call('POST', path, **more)

    def delete(self, path, **more):
        return self.call('DELETE', path, **more)

    def good(self, response, status):
        assert response.status_code == status, f'HTTP {response.status_code}: {response.text[:800]}'
        return response.json()

    def send(self, path, how='raw', name=None):
        """The response to an upload of a file, raw or multipart."""
        path = pathlib.Path(path)
        with path.open('rb') as f:
            if how == 'multipart':
                return self.post('/api/files', files={'file': (name or path.name, f)}, timeout=limit(120))
            # requests sends an empty file chunked, else with its length.
            return self.post('/api/files', data=f, params={'filename': name or path.name}, timeout=limit(120))

    def upload(self, path, how='raw', name=None):
        return self.good(self.send(path, how, name), 201)

    def start_job(self, file_id, headers=None, **params):
        body = {'kind': 'ladder', 'file_id': file_id}
        if params:
            body['params'] = params
        return self.good(self.post('/api/jobs', json=body, headers=headers), 202)

    def job(self, job_id):
        return self.good(self.get(f'/api/jobs/{job_id}'), 200)

    def files(self, **params):
        return self.good(self.get('/api/files', params=params), 200)['files']

    def jobs(self, **params):
        return self.good(self.get('/api/jobs', params=params), 200)['jobs']

    def follow(self, job_id, until, watch=None, seconds=180.0, every=0.03, patient=False):
        """Polls until `until(job)`; fails if the job ends otherwise. `patient`: the server may be away for a while."""
        watch = watch or Watch()
        end = time.monotonic() + limit(seconds)
        while True:
            try:
                job = watch.note(self.job(job_id))
                if until(job):
                    return job
                assert job['status'] not in ENDED, f'ended as {job["status"]}: {job["error"]}'
            except requests.ConnectionError:
                if not patient:
                    raise
            assert time.monotonic() < end, f'not within {limit(seconds):.0f} s; the job is {json.dumps(watch.job)}'
            time.sleep(every)

    def complete(self, job_id, watch=None, seconds=180.0, **more):
        job = self.follow(job_id, lambda j: j['status'] == 'completed', watch, seconds, **more)
        assert job['progress']['percent'] == 100
        assert job['streaming']['segments_total'] in (job['streaming']['segments_completed'], None)
        assert job['error'] is None and job['finished_at']
        return job

    def run_job(self, file_id, seconds=180.0, **params):
        return self.complete(self.start_job(file_id, **params)['job_id'], seconds=seconds)

    def start_convert(self, file_id, headers=None, **params):
        body = {'kind': 'convert', 'file_id': file_id, 'params': params}
        return self.good(self.post('/api/jobs', json=body, headers=headers), 202)

    def run_convert(self, file_id, seconds=180.0, **params):
        return self.complete(self.start_convert(file_id, **params)['job_id'], seconds=seconds)

    def fetch(self, job, **more):
        answer = self.get(f'/api/jobs/{job["job_id"]}/file', **more)
        assert answer.status_code == 200, answer.text
        return answer.content

    def events(self, path, last_id=None, seconds=60.0):
        return EventStream(self, path, last_id, seconds)


class EventStream:
    """Server-Sent Events: yields (event, id, data); a comment is (':', None, text). Ends with the connection."""

    def __init__(self, client, path, last_id=None, seconds=60.0):
        headers = {'Accept': 'text/event-stream'}
        if last_id is not None:
            headers['Last-Event-ID'] = last_id
        self.deadline = time.monotonic() + limit(seconds)
        self.response = client.get(path, headers=headers, stream=True, timeout=limit(seconds))
        assert self.response.status_code == 200, self.response.text
        assert self.response.headers['Content-Type'].split(';')[0] == 'text/event-stream'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.response.close()

    def lines(self):
        """As they arrive: a read that waits to fill its buffer would hold back an event."""
        pending = b''
        for piece in self.response.iter_content(chunk_size=None):
            pending += piece
            *whole, pending = pending.split(b'\n')
            yield from (line.decode().rstrip('\r') for line in whole)

    def __iter__(self):
        event = {}
        for line in self.lines():
            assert time.monotonic() < self.deadline, 'the expected event did not come'
            if line.startswith(':'):
                yield ':', None, line[1:].strip()
            elif line:
                field, _, value = line.partition(':')
                value = value.removeprefix(' ')
                event[field] = event[field] + '\n' + value if field == 'data' and field in event else value
            else:
                if 'data' in event:
                    yield event.get('event', 'message'), event.get('id'), json.loads(event['data'])
                event = {}
