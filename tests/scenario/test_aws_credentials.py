"""AWS credentials from every place that AWS's own tools know, against servers that answer as STS, a container's agent and the
instance's metadata do."""
import datetime
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.parse

import pytest

from server import BUILD, REPORT

TOOL = BUILD / 'tests' / 'unit' / 'net' / 'credentials_tool'
HOUR = 3600 * 1000
NOW = int(time.time() * 1000)
OFF = {'AWS_EC2_METADATA_DISABLED': 'true'}
ROLE = 'arn:aws:iam::123456789012:role/live'


def stamp(ms):
    return datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


class Tool:
    def __init__(self, env, *words):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([TOOL, *words], stdin=pipe, stdout=pipe, stderr=pipe, text=True,
                                        env={'PATH': os.environ['PATH'], **env})

    def tell(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def ask(self, line='get'):
        self.tell(line)
        return self.process.stdout.readline().split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _, err = self.process.communicate()
        assert self.process.returncode == 0 and not REPORT.search(err), err


def once(env, *words):
    with Tool(env, *words) as t:
        return t.ask()


class Aws(http.server.ThreadingHTTPServer):
    """All three services. `status` is what it answers; each answer's key has the next number."""
    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server_port}'
        self.asked, self.status, self.expires = [], 200, NOW + HOUR
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body=''):
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def serve(self):
        s = self.server
        body = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        s.asked.append((self.command, self.path, dict(self.headers), body))
        if s.status != 200:
            return self.answer(s.status, 'secret words of the server')
        keys = {'AccessKeyId': f'ID{len(s.asked)}', 'SecretAccessKey': 'se+cret/==', 'Token': 'tok/en==',
                'Expiration': stamp(s.expires)}
        if self.command == 'PUT' and self.path == '/latest/api/token':
            good = 'X-aws-ec2-metadata-token-ttl-seconds' in self.headers
            return self.answer(200, 'session-of-imds') if good else self.answer(400)
        if self.path.startswith('/latest/'):
            if self.headers.get('X-aws-ec2-metadata-token') != 'session-of-imds':
                return self.answer(401)
            role = self.path.split('/')[-1]
            return self.answer(200, json.dumps({'Code': 'Success', **keys}) if role == 'the-role' else 'the-role')
        if self.command == 'POST':
            return self.answer(200, '<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>'
                               f"<AccessKeyId>{keys['AccessKeyId']}</AccessKeyId><SecretAccessKey>{keys['SecretAccessKey']}"
                               f"</SecretAccessKey><SessionToken>{keys['Token']}</SessionToken><Expiration>{keys['Expiration']}"
                               '</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>')
        return self.answer(200, json.dumps(keys)) if self.path == '/v2/creds?id=1' else self.answer(404)

    do_GET = do_PUT = do_POST = serve


@pytest.fixture
def aws():
    s = Aws()
    yield s
    s.shutdown()
    s.server_close()


def test_the_environment_comes_first(aws):
    env = {'AWS_ACCESS_KEY_ID': 'AKID', 'AWS_SECRET_ACCESS_KEY': 's3cret',
           'AWS_CONTAINER_CREDENTIALS_FULL_URI': aws.url + '/v2/creds?id=1'}
    assert once(env) == ['AKID', 's3cret', '-', 'never']
    assert once({**env, 'AWS_SESSION_TOKEN': 'tok'}) == ['AKID', 's3cret', 'tok', 'never']
    assert aws.asked == []
    assert once({'AWS_ACCESS_KEY_ID': 'AKID', **OFF})[:2] == ['error', 'INVALID_REQUEST']
    assert once(OFF)[:2] == ['error', 'NO_CREDENTIALS']


def test_shared_files(tmp_path):
    (tmp_path / '.aws').mkdir()
    (tmp_path / '.aws' / 'credentials').write_text(
        '# a comment\n[default]\naws_access_key_id = D\n aws_secret_access_key = nested, so of something else\n'
        'aws_secret_access_key=DS=\n'
        '[ other ]\r\naws_access_key_id=O\r\naws_secret_access_key=OS\r\naws_session_token=OT\r\n[half]\naws_access_key_id=x\n')
    (tmp_path / '.aws' / 'config').write_text('[profile mine]\nregion=x\naws_access_key_id=C\naws_secret_access_key=CS\n[default]\n'
                                              'aws_access_key_id=no\n[other2]\naws_access_key_id=C\naws_secret_access_key=CS\n')
    home = {'HOME': str(tmp_path), **OFF}
    assert once(home) == ['D', 'DS=', '-', 'never']
    assert once({**home, 'AWS_PROFILE': 'other'}) == ['O', 'OS', 'OT', 'never']
    assert once({**home, 'AWS_PROFILE': 'mine'}) == ['C', 'CS', '-', 'never']
    for bad in ('half', 'other2', 'nobody'):
        assert once({**home, 'AWS_PROFILE': bad})[:2] == ['error', 'INVALID_REQUEST']
    named = tmp_path / 'elsewhere'
    named.write_text('[default]\naws_access_key_id=E\naws_secret_access_key=ES\n')
    with Tool({**home, 'AWS_SHARED_CREDENTIALS_FILE': str(named)}) as t:
        t.tell(f'at {NOW}')
        assert t.ask()[0] == 'E'
        named.write_text('[default]\naws_access_key_id=F\naws_secret_access_key=FS\n')   # changed while the server runs
        assert t.ask()[0] == 'E' and t.ask('peek') == ['E', 'fresh']
        t.tell(f'at {NOW + 5 * 60000}')
        assert t.ask('peek') == ['E', 'due'] and t.ask()[0] == 'F'
        named.write_text('')
        t.tell(f'at {NOW + 11 * 60000}')
        assert t.ask()[0] == 'F'    # what was good stays so, while nothing better is found


def test_web_identity(aws, tmp_path):
    token = tmp_path / 'token'
    token.write_text('header.payload.signature\n')
    env = {'AWS_ENDPOINT_URL_STS': aws.url + '/', **OFF}
    direct = {**env, 'AWS_WEB_IDENTITY_TOKEN_FILE': str(token), 'AWS_ROLE_ARN': ROLE, 'AWS_ROLE_SESSION_NAME': 'me@host'}
    (tmp_path / 'config').write_text(f'[profile web]\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n')
    for e, name in ((direct, 'me@host'), ({**env, 'AWS_CONFIG_FILE': str(tmp_path / 'config'), 'AWS_PROFILE': 'web'}, 'millrace')):
        assert once(e) == [f'ID{len(aws.asked)}', 'se+cret/==', 'tok/en==', str(aws.expires // 1000 * 1000)]
        method, _, headers, body = aws.asked[-1]
        assert (method, headers['Content-Type']) == ('POST', 'application/x-www-form-urlencoded')
        assert dict(urllib.parse.parse_qsl(body)) == {
            'Action': 'AssumeRoleWithWebIdentity', 'Version': '2011-06-15', 'RoleArn': ROLE, 'RoleSessionName': name,
            'WebIdentityToken': 'header.payload.signature'}
    aws.status = 403
    refused = once(direct)
    assert refused[:2] == ['error', 'UNAUTHORIZED'] and 'secret' not in refused
    aws.status = 503
    assert once(direct)[:2] == ['error', 'UNAVAILABLE']
    token.unlink()
    assert once(direct)[:2] == ['error', 'NOT_FOUND']


def test_container(aws, tmp_path):
    token = tmp_path / 'token'
    token.write_text('Bearer from-file\n')
    full = {'AWS_CONTAINER_CREDENTIALS_FULL_URI': aws.url + '/v2/creds?id=1', **OFF}
    expires = str(aws.expires // 1000 * 1000)
    assert once(full) == ['ID1', 'se+cret/==', 'tok/en==', expires]
    assert 'Authorization' not in aws.asked[-1][2]
    once({**full, 'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'plain'})
    assert aws.asked[-1][2]['Authorization'] == 'plain'
    once({**full, 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE': str(token), 'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'plain'})
    assert aws.asked[-1][2]['Authorization'] == 'Bearer from-file'
    relative = {'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI': '/v2/creds?id=1', **OFF}
    assert once(relative, aws.url)[0] == 'ID4'
    for far in ('http://example.com/x', 'http://127.0.0.1.example.com/x', 'ftp://127.0.0.1/', 'http://127.0.0.1:1@example.com/'):
        assert once({'AWS_CONTAINER_CREDENTIALS_FULL_URI': far, **OFF})[:2] == ['error', 'INVALID_REQUEST']


def test_instance_metadata(aws):
    env = {'AWS_EC2_METADATA_SERVICE_ENDPOINT': aws.url + '/'}
    assert once(env)[:3] == ['ID3', 'se+cret/==', 'tok/en==']
    assert [a[:2] for a in aws.asked] == [('PUT', '/latest/api/token'), ('GET', '/latest/meta-data/iam/security-credentials/'),
                                          ('GET', '/latest/meta-data/iam/security-credentials/the-role')]


def test_what_expires_is_fetched_before_and_outlives_a_failure(aws):
    with Tool({'AWS_CONTAINER_CREDENTIALS_FULL_URI': aws.url + '/v2/creds?id=1', **OFF}) as t:
        t.tell(f'at {NOW}')
        assert t.ask('peek') == ['-', 'due']
        assert t.ask()[0] == t.ask()[0] == 'ID1'
        t.tell(f'at {NOW + HOUR - 6 * 60000}')
        assert t.ask('peek') == ['ID1', 'fresh']
        t.tell(f'at {NOW + HOUR - 4 * 60000}')
        assert t.ask('peek') == ['ID1', 'due']
        aws.status = 500
        assert t.ask()[0] == 'ID1' and t.ask()[0] == 'ID1' and len(aws.asked) == 2   # not asked again at once
        aws.status, aws.expires = 200, NOW + 2 * HOUR
        t.tell(f'at {NOW + HOUR - 3 * 60000}')
        assert t.ask()[0] == 'ID3'
        t.tell('reject another')
        assert t.ask()[0] == 'ID3'
        t.tell('reject ID3')
        assert t.ask('peek') == ['ID3', 'due'] and t.ask()[0] == 'ID4'
        aws.status = 500
        t.tell(f'at {NOW + 3 * HOUR}')
        assert t.ask()[:2] == ['error', 'UNAVAILABLE'] and t.ask('peek') == ['-', 'due']
