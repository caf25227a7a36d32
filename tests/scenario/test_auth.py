"""Who may: tokens by secret and by key set, sessions by cookie, and on every route nothing of anybody else's."""
import re
import time

import jwt
import pytest
import requests

import tokens
from client import Client, error_of
from make_media import media
from server import ROOT, limit, run, wait_for
from tokens import Provider, hs256, key_set

OPTIONS = ('--workers', '0', '--jwt-secret', tokens.SECRET)
TUS = {'Tus-Resumable': '1.0.0'}


@pytest.fixture(scope='module')
def mine(module_server):
    """What Alice owns: her client, and ids by kind."""
    alice = Client(module_server.url, token=hs256('alice'))
    file = alice.upload(media('sound-8k-mono.wav'))['file_id']
    upload = alice.post('/api/uploads', headers={**TUS, 'Upload-Length': '9'}).headers['Location'].rsplit('/', 1)[1]
    return alice, {'file': file, 'job': alice.start_job(file)['job_id'], 'upload': upload}


@pytest.fixture
def bob(server):
    return Client(server.url, token=hs256('bob'))


# Every route that names a thing, and what it is called with. (Direct uploads need a bucket: test_direct_upload.py.)
OWNED = {('GET', '/api/files/{id}'): 'file', ('DELETE', '/api/files/{id}'): 'file',
         ('GET', '/api/files/{id}/content'): 'file',
         ('GET', '/api/files/{id}/storyboard.vtt'): 'file', ('HEAD', '/api/uploads/{id}'): 'upload',
         ('PATCH', '/api/uploads/{id}'): 'upload', ('DELETE', '/api/uploads/{id}'): 'upload', ('GET', '/api/jobs/{id}'): 'job',
         ('DELETE', '/api/jobs/{id}'): 'job', ('POST', '/api/jobs/{id}/retry'): 'job', ('GET', '/api/jobs/{id}/events'): 'job',
         ('GET', '/api/jobs/{id}/file'): 'job', ('POST', '/api/jobs/{id}/download'): 'job',
         ('GET', '/job/{id}'): 'job', ('POST', '/job/{id}/download'): 'job'}


def test_every_route_with_an_id_is_tested_here():
    text = (ROOT / 'src' / 'api' / 'routes.c').read_text()
    named = set(re.findall(r'\{\s*"([A-Z]+)",\s*"(/[^"]*\{id\}[^"]*)"', text))
    assert {(method, path) for method, path in named
            if method != 'OPTIONS' and not path.startswith('/api/direct-uploads/')} == set(OWNED)


@pytest.mark.parametrize('route', OWNED, ids=' '.join)
def test_what_is_anothers_is_not_there(mine, bob, route):
    alice, ids = mine
    method, pattern = route
    path = pattern.replace('{id}', ids[OWNED[route]])
    nowhere = pattern.replace('{id}', '01a1fd75-3c72-710f-ac67-33c73944a85f')
    answers = [(bob.call(method, p, headers=TUS), requests.request(method, alice.url + p, headers=TUS)) for p in (path, nowhere)]
    if method == 'HEAD':
        assert [(a.status_code, b.status_code) for a, b in answers] == [(404, 401)] * 2
        return
    theirs, nothing = (error_of(a, 404, 'NOT_FOUND') for a, _ in answers)
    assert theirs['message'] == nothing['message'], 'the same answer as for what is not there'
    error_of(answers[0][1], 401, 'UNAUTHORIZED')
    error_of(bob.call(method, path, headers=TUS, params={'user_id': 'alice'}), 403)
    assert alice.job(ids['job'])['status'] == 'pending'
    assert alice.get(f'/api/files/{ids["file"]}').status_code == 200
    assert alice.call('HEAD', f'/api/uploads/{ids["upload"]}', headers=TUS).status_code == 200


def test_lists_and_creation_see_ones_own_alone(mine, bob):
    alice, ids = mine
    assert bob.files() == [] and bob.jobs() == []
    error_of(bob.post('/api/jobs', json={'kind': 'ladder', 'file_id': ids['file']}), 404)
    error_of(bob.post('/api/jobs', json={'kind': 'ladder', 'file_id': ids['file'], 'user_id': 'alice'}), 403)
    error_of(bob.get('/api/jobs', params={'user_id': 'alice'}), 403)
    error_of(bob.get('/api/events', params={'user_id': 'alice'}), 403)
    error_of(bob.post('/api/files', params={'user_id': 'alice'}, data=b'x'), 403)
    assert [f['file_id'] for f in alice.files(user_id='alice')] == [ids['file']]
    assert alice.job(ids['job'])['user_id'] == 'alice'


@pytest.mark.parametrize('route', [('POST', '/api/files'), ('GET', '/api/files'), ('POST', '/api/jobs'), ('GET', '/api/jobs'),
                                   ('GET', '/api/events'), ('DELETE', '/api/session')], ids=' '.join)
def test_a_token_is_needed(server, route):
    error_of(requests.request(route[0], server.url + route[1]), 401, 'UNAUTHORIZED')
    error_of(requests.request(route[0], server.url + route[1], auth=('alice', 'secret')), 401)
    error_of(requests.request(route[0], server.url + route[1], headers={'Authorization': 'Bearer'}), 401)


def none_token(user):
    return jwt.encode(tokens.claims(user), None, algorithm='none')


@pytest.mark.parametrize('token, code', [
    ('rubbish', 'INVALID_TOKEN'), ('a.b.c', 'INVALID_TOKEN'), ('', {'INVALID_TOKEN', 'UNAUTHORIZED'}),
    (hs256('alice', secret='another secret of enough bytes, though'), 'INVALID_TOKEN'),
    (hs256('alice', exp=int(time.time()) - 120), 'TOKEN_EXPIRED'),
    (hs256('alice', exp=None), 'INVALID_TOKEN'), (hs256('alice', exp='tomorrow'), 'INVALID_TOKEN'),
    (hs256('alice', nbf=int(time.time()) + 7200), 'INVALID_TOKEN'),
    (hs256(None), 'INVALID_TOKEN'), (hs256(''), 'INVALID_TOKEN'), (hs256(7), 'INVALID_TOKEN'), (hs256('a' * 257), 'INVALID_TOKEN'),
    (hs256('a\x00b'), 'INVALID_TOKEN'), (none_token('alice'), 'INVALID_TOKEN'),
    (jwt.encode(tokens.claims('alice'), tokens.SECRET, algorithm='HS512'), 'INVALID_TOKEN'),
    (Provider('k').token('alice'), 'INVALID_TOKEN'),
    (hs256('alice')[:-3] + 'AAA', 'INVALID_TOKEN'),
], ids=range(17))
def test_bad_tokens(server, token, code):
    # By hand: a client library would leave out an empty one.
    error_of(requests.get(server.url + '/api/jobs', headers={'Authorization': f'Bearer {token}'}), 401, code)


def test_leeway(server):
    """60 seconds for clocks that disagree."""
    for good in (hs256('alice', exp=int(time.time()) - 20), hs256('alice', nbf=int(time.time()) + 20)):
        assert Client(server.url, token=good).get('/api/jobs').status_code == 200


def test_health_needs_nobody(server):
    assert requests.get(server.url + '/healthz').status_code == 200
    assert requests.get(server.url + '/readyz').status_code == 200


def test_cookie_session(server, mine):
    browser = requests.Session()
    assert browser.get(server.url + '/api/session').json() == {'authenticated': False, 'required': True, 'admin': False,
                                                               'user_id': None, 'csrf_token': None, 'sign_in': None}
    error_of(browser.post(server.url + '/api/session'), 401)
    error_of(browser.post(server.url + '/api/session', json={'token': 'rubbish'}), 401, 'INVALID_TOKEN')
    answer = browser.post(server.url + '/api/session', json={'token': hs256('alice')})
    assert answer.status_code == 201
    session = answer.json()
    assert session['user_id'] == 'alice' and session['csrf_token'] and session['expires_at'].endswith('Z')
    cookie = answer.headers['Set-Cookie']
    assert 'HttpOnly' in cookie and re.search(r'SameSite=(Strict|Lax)', cookie) and 'Path=/' in cookie
    now = browser.get(server.url + '/api/session').json()
    assert now == {'authenticated': True, 'required': True, 'admin': False, 'user_id': 'alice', 'csrf_token': session['csrf_token'],
                   'sign_in': None}

    # Reading needs the cookie alone, changing the CSRF token as well.
    _, ids = mine
    assert browser.get(f'{server.url}/api/jobs/{ids["job"]}').status_code == 200
    with browser.get(f'{server.url}/api/jobs/{ids["job"]}/events', stream=True, timeout=limit(60)) as events:
        assert events.status_code == 200
    body = {'kind': 'ladder', 'file_id': ids['file']}
    error_of(browser.post(server.url + '/api/jobs', json=body), 403, 'CSRF')
    error_of(browser.post(server.url + '/api/jobs', json=body, headers={'X-CSRF-Token': 'x' * 43}), 403, 'CSRF')
    good = {'X-CSRF-Token': session['csrf_token']}
    error_of(browser.post(server.url + '/api/jobs', json=body, headers={**good, 'Origin': 'https://evil.example'}), 403)
    made = browser.post(server.url + '/api/jobs', json=body, headers=good)
    assert made.status_code == 202 and made.json()['user_id'] == 'alice'
    error_of(browser.delete(server.url + '/api/session'), 403, 'CSRF')
    ended = browser.delete(server.url + '/api/session', headers=good)
    assert ended.status_code == 204
    error_of(browser.get(server.url + '/api/jobs'), 401)


def test_a_forged_cookie(server):
    real = requests.post(server.url + '/api/session', headers={'Authorization': f'Bearer {hs256("bob")}'})
    name, value = real.headers['Set-Cookie'].split(';')[0].split('=', 1)
    assert requests.get(server.url + '/api/jobs', cookies={name: value}).status_code == 200
    middle = len(value) // 2
    other = 'y' if value[middle] == 'x' else 'x'
    changed = value[:middle] + other + value[middle + 1:]
    for forged in (value[:-4] + 'AAAA', changed, hs256('bob'), none_token('bob'), '', 'x' * 5000):
        error_of(requests.get(server.url + '/api/jobs', cookies={name: forged}), 401)


def test_refuses_to_serve_strangers(tmp_path):
    for listen in ('0.0.0.0:0', '[::]:0', '192.0.2.1:0', 'media.example:0'):
        done = run('serve', '--data', tmp_path / 'data', '--listen', listen)
        assert done.returncode == 2 and not done.stdout
        assert re.search('authentication|token|jwt', done.stderr.lower()) and '--insecure' in done.stderr, done.stderr
        assert not (tmp_path / 'data').exists(), 'nothing is made before it is refused'


@pytest.mark.parametrize('options', [('--jwt-secret', tokens.SECRET), ('--insecure',)], ids=str)
def test_serves_strangers_when_told_how(make_server, options):
    s = make_server('--workers', '0', '--listen', '0.0.0.0:0', *options)
    assert requests.get(s.url + '/healthz').status_code == 200
    assert requests.get(s.url + '/api/jobs').status_code == (200 if '--insecure' in options else 401)


@pytest.mark.parametrize('options', [('--jwt-secret', 'short'),
                                     ('--listen', 'nonsense'), ('--listen', '127.0.0.1:99999'), ('--workers', 'many'),
                                     ('--no-such-option', 'x'), ('--access-key', 'no-colon'), ('surplus',), ('--data',)], ids=str)
def test_bad_options(tmp_path, options):
    done = run('serve', '--data', tmp_path / 'data', '--listen', '127.0.0.1:0', *options)
    assert done.returncode in (1, 2) and done.stderr.startswith('millrace serve: ') and len(done.stderr) < 1000, done.stderr


def test_key_set_file(make_server, tmp_path):
    """RS256 and ES256; a key that is taken out of the file stops to count, one that is put in counts at once."""
    rsa_key, ec_key, new_key, stranger = Provider('rsa'), Provider('ec', 'ES256'), Provider('new'), Provider('rsa')
    keys = tmp_path / 'keys.json'
    keys.write_text(key_set(rsa_key, ec_key))
    s = make_server('--workers', '0', '--jwks-file', keys, '--jwt-issuer', 'https://id.example', '--jwt-audience', 'web')
    about = {'iss': 'https://id.example', 'aud': 'web'}

    def status(token):
        return Client(s.url, token=token).get('/api/jobs').status_code
    assert status(rsa_key.token('alice', **about)) == 200
    assert status(ec_key.token('alice', **about)) == 200
    assert status(rsa_key.token('alice', iss=about['iss'], client_id='web', token_use='access')) == 200
    assert status(rsa_key.token('alice', iss=about['iss'], aud=['app', 'web'])) == 200
    for bad in ({'iss': 'https://evil.example', 'aud': 'web'}, {'iss': about['iss'], 'aud': 'other'}, {'aud': 'web'},
                {'iss': about['iss']}, {'iss': about['iss'], 'client_id': 'other', 'token_use': 'access'}):
        assert status(rsa_key.token('alice', **bad)) == 401, bad
    assert status(stranger.token('alice', **about)) == 401, 'the same key id, another key'
    # A public key is no shared secret.
    public = rsa_key.jwk()['n']
    assert status(jwt.encode(tokens.claims('alice', **about), public, algorithm='HS256', headers={'kid': 'rsa'})) == 401
    assert status(hs256('alice', **about)) == 401
    assert status(new_key.token('alice', **about)) == 401
    keys.write_text(key_set(ec_key, new_key))
    wait_for(lambda: status(new_key.token('alice', **about)) == 200, 'the new key counts')
    wait_for(lambda: status(rsa_key.token('alice', **about)) == 401, 'the old key counts no more')
    assert status(ec_key.token('alice', **about)) == 200


def test_options_by_environment_and_file(make_server, tmp_path):
    """MILLRACE_… and a configuration file are the same options; the command line wins."""
    config = tmp_path / 'millrace.conf'
    config.write_text('# comment\nworkers = 0\njwt-issuer = https://id.example\nlog-level = debug\n')
    s = make_server('--config', config, '--log-level', 'info', env={'MILLRACE_JWT_SECRET': tokens.SECRET})
    assert Client(s.url, token=hs256('alice', iss='https://id.example')).get('/api/jobs').status_code == 200
    assert Client(s.url, token=hs256('alice')).get('/api/jobs').status_code == 401
    assert 'level=debug' not in s.log() and tokens.SECRET not in s.log()
    config.write_text('nonsense = 1\n')
    done = run('serve', '--data', tmp_path / 'other', '--config', config)
    assert done.returncode == 2 and 'nonsense' in done.stderr and ':1' in done.stderr


def test_help_names_every_option():
    done = run('serve', '--help', check=0)
    for option in ('--data', '--listen', '--workers', '--access-key', '--jwt-secret', '--insecure', '--config'):
        assert option in done.stdout
    assert 'MILLRACE_' in done.stdout
