"""deploy/: what can be checked of it without the services that it is for. The tools that are missing are skipped."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / 'deploy'
BUILD = pathlib.Path(os.environ.get('MILLRACE_BUILD') or ROOT / 'build').absolute()
NAMES = re.compile(r'\bMILLRACE_[A-Z0-9_]+')


def tool(name):
    found = shutil.which(name) or shutil.which(name, path='/usr/sbin:/sbin')
    if not found:
        pytest.skip(f'{name} is not installed')
    return found


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def options():
    """MILLRACE_… of every option of serve and worker."""
    text = ''.join(subprocess.run([BUILD / 'millrace', command, '--help'], capture_output=True, text=True, check=True).stdout
                   for command in ('serve', 'worker', 'setup'))
    return {'MILLRACE_' + name.upper().replace('-', '_') for name in re.findall(r'^  --([a-z0-9-]+)', text, re.M)}


@pytest.mark.parametrize('unit', ['millrace.service', 'millrace-worker@.service'])
def test_units(tmp_path, unit):
    analyze = tool('systemd-analyze')
    text = (DEPLOY / 'systemd' / unit).read_text().replace('/usr/bin/millrace', '/bin/true')
    (tmp_path / unit).write_text(text)
    done = subprocess.run([analyze, 'verify', '--man=no', tmp_path / unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and 'nknown' not in done.stderr, done.stderr


def test_nginx(tmp_path):
    nginx, ports = tool('nginx'), {'80': free_port(), '443': free_port()}
    subprocess.run([tool('openssl'), 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                    '-subj', '/CN=media.example', '-keyout', tmp_path / 'key.pem', '-out', tmp_path / 'cert.pem'],
                   capture_output=True, check=True)
    text = (DEPLOY / 'nginx' / 'millrace.conf').read_text()
    for old, new in (('/etc/letsencrypt/live/media.example/fullchain.pem', tmp_path / 'cert.pem'),
                     ('/etc/letsencrypt/live/media.example/privkey.pem', tmp_path / 'key.pem'),
                     ('/var/cache/nginx/millrace', tmp_path / 'cache')):
        assert old in text
        text = text.replace(old, str(new))
    # It binds them, also when it only tests.
    text = re.sub(r'(listen (?:\[::\]:)?)(80|443)\b', lambda m: m[1] + str(ports[m[2]]), text)
    (tmp_path / 'nginx.conf').write_text(f'pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {text} }}')
    done = subprocess.run([nginx, '-t', '-q', '-p', tmp_path, '-c', tmp_path / 'nginx.conf'], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_yaml_and_json():
    compose = yaml.safe_load((DEPLOY / 'compose.yaml').read_text())
    app = yaml.safe_load((DEPLOY / 'app.yaml').read_text())
    assert {'setup', 'front', 'worker', 'postgres', 'redis', 'minio', 'caddy'} == set(compose['services'])
    for name in 'front', 'worker':
        service = compose['services'][name]
        assert service['read_only'] and service['cap_drop'] == ['ALL']
        assert set(service['depends_on']) <= set(compose['services'])
    assert app['jobs'][0]['kind'] == 'PRE_DEPLOY' and app['jobs'][0]['run_command'].endswith(' setup')
    assert app['services'][0]['health_check']['http_path'] == '/readyz'
    for policy in (DEPLOY / 'iam').iterdir():
        for statement in json.loads(policy.read_text())['Statement']:
            assert statement['Effect'] == 'Allow' and statement['Resource'] != '*'
            assert not any('*' in action for action in statement['Action']), policy.name


def test_settings_are_options():
    """A variable that no option reads would be ignored without a word."""
    known = options()
    for path in DEPLOY.rglob('*'):
        if path.is_file():
            assert set(NAMES.findall(path.read_text())) <= known, path


def test_the_image_has_what_the_programs_need():
    text = (DEPLOY / 'Dockerfile').read_text()
    for source in re.findall(r'^COPY (?!--from)(.+) \S+$', text, re.M):
        for name in source.split():
            assert (ROOT / name).exists(), name
    assert re.search(r'^USER \d+:\d+$', text, re.M) and 'HEALTHCHECK' in text
    listed = set(re.search(r'(?s)apt-get install -y --no-install-recommends (.*?)&&', text)[1].replace('\\', ' ').split())
    headers = [subprocess.run([tool('objdump'), '-p', BUILD / program], capture_output=True, text=True, check=True).stdout
               for program in ('millrace', 'millrace-task')]
    needed = set(re.findall(r'NEEDED\s+(\S+)', '\n'.join(headers)))
    needed = {name for name in needed if not re.match(r'lib(c|m|gcc_s|pthread|asan|ubsan|tsan)\.so|ld-linux', name)}
    owners = subprocess.run([tool('dpkg-query'), '-S', *(f'*/{name}' for name in needed)], capture_output=True, text=True,
                            check=False)
    found = {line.split(': ')[1].rsplit('/', 1)[1]: line.split(':')[0] for line in owners.stdout.splitlines() if ': ' in line}
    packages = {found[name] for name in needed if name in found}
    assert packages and packages <= listed, packages - listed


def test_prometheus_rules_name_metrics_that_there_are():
    rules = yaml.safe_load((DEPLOY / 'prometheus' / 'alerts.yml').read_text())['groups'][0]['rules']
    scrape = yaml.safe_load((DEPLOY / 'prometheus' / 'prometheus.yml').read_text())
    assert scrape['rule_files'] == ['alerts.yml'] and len({rule['alert'] for rule in rules}) == len(rules) > 5
    sources = ''.join(p.read_text() for p in (ROOT / 'src').rglob('*.c'))
    known = set(re.findall(r'METRIC_(?:COUNTER|GAUGE|HISTOGRAM)\(\s*"([a-z_]+)"', sources))
    used = {re.sub('_(count|bucket|sum)$', '', name) for rule in rules for name in re.findall(r'\bmillrace_[a-z_]+', rule['expr'])}
    assert used <= known, used - known
    # And every one is told of.
    told = (ROOT / 'docs' / 'OPERATIONS.md').read_text()
    assert [name for name in sorted(known) if f'`{name}`' not in told] == []
