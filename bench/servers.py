"""The servers of the benchmarks: millrace in a folder of its own, and nginx with a configuration of its own.

    with Millrace(folder, '--workers', '1') as m: file_id = m.upload(path)['file_id']; job = m.post('/api/jobs', {...})
    with Nginx(folder) as n: n.root, n.url

Both listen on a free port of 127.0.0.1 and are stopped, or else killed, when the block ends.
"""
import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import pathlib
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from measure import Failed, environment

KEY_ID, SECRET = 'BENCHMARK', 'benchmark-secret-benchmark-secret'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def fetch(url, method='GET', body=None, headers=None):
    """(status, body); answers of 400 and above are no exceptions."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


class Server:
    """A process that answers on self.url when it is ready."""
    ready_path = '/'

    def __init__(self):
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.process = None

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        self.log = (self.folder / 'server.log').open('ab')
        command = [str(c) for c in self.command()]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment())
        end = time.monotonic() + 20
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise Failed(f'{self.command()[0]} does not start: {self.said()[-2000:]}')
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def ready(self):
        try:
            return fetch(self.url + self.ready_path)[0] < 500
        except (urllib.error.URLError, ConnectionError, http.client.HTTPException):
            return False

    def said(self):
        return (self.folder / 'server.log').read_text(errors='replace')

    @property
    def pid(self):
        return self.process.pid


class Millrace(Server):
    ready_path = '/readyz'

    def __init__(self, build, folder, *options):
        super().__init__()
        self.build, self.folder = build, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.options = options

    def command(self):
        return [self.build / 'millrace', 'serve', '--data', self.folder / 'data', '--listen', f'127.0.0.1:{self.port}',
                '--access-key', f'{KEY_ID}:{SECRET}:local', *self.options]

    @staticmethod
    def good(status, body, wanted):
        if status != wanted:
            raise Failed(f'HTTP {status}: {body[:1000]}')
        return json.loads(body) if body else None

    def get(self, path):
        return self.good(*fetch(self.url + path), 200)

    def post(self, path, value):
        return self.good(*fetch(self.url + path, 'POST', json.dumps(value).encode(), {'Content-Type': 'application/json'}), 202)

    def upload(self, path, user='local'):
        with path.open('rb') as f:
            body = f.read()
        return self.good(*fetch(f'{self.url}/api/files?filename={path.name}&user_id={user}', 'POST', body,
                                {'Content-Type': 'application/octet-stream'}), 201)

    def start(self, file_id, **params):
        return self.post('/api/jobs', {'kind': 'ladder', 'file_id': file_id, 'params': params})['job_id']

    def convert(self, file_id, user='local', **params):
        return self.post(f'/api/jobs?user_id={user}', {'kind': 'convert', 'file_id': file_id, 'params': params})['job_id']

    def job(self, job_id, user='local'):
        return self.get(f'/api/jobs/{job_id}?user_id={user}')

    def cancel(self, job_id, user='local'):
        fetch(f'{self.url}/api/jobs/{job_id}?user_id={user}', 'DELETE')

    def wait(self, job_id, until, every=0.01, seconds=600, user='local'):
        end = time.monotonic() + seconds
        while True:
            job = self.job(job_id, user)
            if until(job):
                return job
            if job['status'] in ('completed', 'failed', 'canceled') or time.monotonic() > end:
                raise Failed(f'the job is {job["status"]}: {job["error"]}')
            time.sleep(every)

    def complete(self, job_id, user='local'):
        return self.wait(job_id, lambda j: j['status'] == 'completed', user=user)

    def spec(self, job_id):
        """What the job's encoders are told, from the database: the other side of a comparison gets the same."""
        with contextlib.closing(sqlite3.connect(f'file:{self.folder}/data/millrace.db?mode=ro', uri=True)) as db:
            return json.loads(db.execute('SELECT spec_json FROM job WHERE id = ?', (job_id,)).fetchone()[0])

    def presign(self, method, key):
        """AWS Signature Version 4 in the query, path style, bucket `media`."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
        scope = f'{now[:8]}/us-east-1/s3/aws4_request'
        path = '/media/' + urllib.parse.quote(key)
        query = urllib.parse.urlencode(sorted({
            'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Credential': f'{KEY_ID}/{scope}', 'X-Amz-Date': now,
            'X-Amz-Expires': '3600', 'X-Amz-SignedHeaders': 'host'}.items()), quote_via=urllib.parse.quote, safe='')
        canonical = f'{method}\n{path}\n{query}\nhost:127.0.0.1:{self.port}\n\nhost\nUNSIGNED-PAYLOAD'
        key_bytes = ('AWS4' + SECRET).encode()
        for part in scope.split('/'):
            key_bytes = hmac.digest(key_bytes, part.encode(), 'sha256')
        text = f'AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}'
        return f'{self.url}{path}?{query}&X-Amz-Signature={hmac.digest(key_bytes, text.encode(), "sha256").hex()}'


# sendfile, no access log, connections that are never closed for their number of requests, one worker a core; uploads by WebDAV.
NGINX = '''daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 100000000;
	default_type application/octet-stream;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	server {{
		listen 127.0.0.1:{port};
		root {folder}/root;
		client_max_body_size 0;
		location /upload/ {{ dav_methods PUT; create_full_put_path on; }}
	}}
}}
'''


class Nginx(Server):
    def __init__(self, folder):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.root = self.folder / 'root'
        (self.root / 'upload').mkdir(parents=True, exist_ok=True)
        # When the master is root its workers are somebody else, who must get in here and write uploads.
        for path in (self.folder, self.root, self.root / 'upload'):
            path.chmod(0o777)
        (self.folder / 'nginx.conf').write_text(NGINX.format(folder=self.folder, port=self.port))

    def command(self):
        user = ['-g', 'user root;'] if pathlib.Path('/proc/self').owner() == 'root' else []
        return ['/usr/sbin/nginx', '-p', self.folder, '-e', self.folder / 'error.log', '-c', self.folder / 'nginx.conf', *user]
