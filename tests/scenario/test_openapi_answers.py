"""What the running server answers has the shapes of docs/openapi.yaml."""
from pathlib import Path

import jsonschema
import yaml

SPEC = yaml.safe_load((Path(__file__).resolve().parents[2] / 'docs/openapi.yaml').read_text())


def check(value, name):
    jsonschema.Draft202012Validator({'$ref': f'#/components/schemas/{name}', 'components': SPEC['components']}).validate(value)


def test_files_jobs_and_lists(client, sample):
    file = client.upload(sample)
    check(file, 'File')
    for f in client.files():
        check(f, 'File')
    check(client.run_job(file['file_id'], rungs=['240p']), 'Job')
    for j in client.jobs():
        check(j, 'Job')


def test_errors_and_sessions(client):
    check(client.get('/api/jobs/nobody').json(), 'Error')
    check(client.get('/api/session').json(), 'SessionState')
