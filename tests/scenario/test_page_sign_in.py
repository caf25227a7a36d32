"""Signing in from the page at an OpenID provider: authorization code with PKCE, as a provider checks it."""
import base64
import hashlib
import http.server
import json
import subprocess
import threading
import urllib.parse

import pytest

import tokens
from server import ROOT, limit, run
from tokens import Provider, key_set

CLIENT = 'millrace-page'


class Login(http.server.ThreadingHTTPServer):
    """Two endpoints: one that sends everybody back with a code, and one that gives a token for a code and its verifier."""

    def __init__(self, provider):
        super().__init__(('127.0.0.1', 0), Handler)
        self.provider, self.codes, self.asked = provider, {}, []
        self.url = f'http://127.0.0.1:{self.server_port}'
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.server.asked.append(query)
        code = f'code-{len(self.server.codes)}'
        self.server.codes[code] = query
        self.send_response(302)
        back = urllib.parse.urlencode({'code': code, 'state': query['state']})
        self.send_header('Location', f"{query['redirect_uri']}?{back}")
        self.end_headers()

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers['Content-Length'])).decode()))
        begun = self.server.codes.pop(form.get('code'), None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(form.get('code_verifier', '').encode()).digest()).decode().rstrip('=')
        good = (begun and begun['code_challenge'] == digest and form['redirect_uri'] == begun['redirect_uri'] and
                form['client_id'] == begun['client_id'] == CLIENT and form['grant_type'] == 'authorization_code')
        token = self.server.provider.token('alice', aud=CLIENT, nonce=begun['nonce']) if good else None
        given = {'id_token': token, 'access_token': 'opaque', 'token_type': 'Bearer'}
        body = json.dumps(given if good else {'error': 'invalid_grant'})
        self.send_response(200 if good else 400)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Access-Control-Allow-Origin', self.headers.get('Origin', ''))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def login():
    server = Login(Provider('k'))
    yield server
    server.shutdown()


def test_somebody_signs_in_at_a_provider(login, make_server, tmp_path):
    keys = tmp_path / 'keys.json'
    keys.write_text(key_set(login.provider))
    server = make_server('--workers', '0', '--jwks-file', keys, '--jwt-audience', CLIENT, '--oidc-client-id', CLIENT,
                         '--oidc-authorize-url', login.url + '/authorize', '--oidc-token-url', login.url + '/token')
    done = subprocess.run(['node', ROOT / 'tests' / 'browser' / 'sign-in.js', server.url], capture_output=True, text=True,
                          timeout=limit(120))
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    assert said['url'] == server.url + '/#/jobs', 'where somebody was'
    assert said['who'] == 'alice' and not said['pasting'] and said['refused'] == []
    assert login.url in said['policy'] and login.url + '/' not in said['policy']
    assert 'eyJ' not in said['kept'], 'no token is kept in the browser'
    asked = login.asked[0]
    assert asked['code_challenge_method'] == 'S256' and asked['response_type'] == 'code' and asked['scope'] == 'openid'
    assert len({asked['state'], asked['nonce'], asked['code_challenge']}) == 3 and len(asked['state']) >= 43
    assert 'begun somewhere else' in said['forged'] and 'stolen' not in said['after'] and login.codes == {}


HALF, WHOLE = ('--oidc-client-id', 'x'), ('--oidc-client-id', 'x', '--oidc-token-url', 'https://login.example/t')


@pytest.mark.parametrize('options, says', [
    (HALF, 'belong together'),
    ((*WHOLE, '--oidc-authorize-url', 'http://login.example/a'), 'https'),
    ((*WHOLE, '--oidc-authorize-url', 'https://e.x;script-src *'), 'https'),
])
def test_half_a_configuration_is_refused(tmp_path, options, says):
    done = run('serve', '--data', tmp_path, '--listen', '127.0.0.1:0', '--jwt-secret', tokens.SECRET, *options)
    assert done.returncode == 2 and says in done.stderr
