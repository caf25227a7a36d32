"""docs/openapi.yaml names exactly the routes of src/api/routes.c, and resolves."""
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROUTE = re.compile(r'\{ "([A-Z]+)", "([^"]+)",')
PAGE = {('GET', '/'), ('GET', '/{asset}')}


def spec():
    return yaml.safe_load((ROOT / 'docs/openapi.yaml').read_text())


def test_every_route_is_described_and_no_other():
    table = {(method, path.replace('...}', '}')) for method, path in ROUTE.findall((ROOT / 'src/api/routes.c').read_text())}
    table -= PAGE
    described = {(method.upper(), path) for path, item in spec()['paths'].items() for method in item if method != 'parameters'}
    assert len(table) > 10
    assert described == table


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == '$ref':
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_every_reference_resolves():
    whole = spec()
    found = list(references(whole))
    assert len(found) > 20
    for ref in found:
        node = whole
        for part in ref.removeprefix('#/').split('/'):
            assert part in node, ref
            node = node[part]


def test_path_parameters_are_declared():
    whole = spec()
    for path, item in whole['paths'].items():
        declared = set()
        for p in item.get('parameters', []):
            p = whole['components']['parameters'][p['$ref'].rsplit('/', 1)[1]] if '$ref' in p else p
            if p['in'] == 'path':
                declared.add(p['name'])
        assert declared == set(re.findall(r'\{(\w+)\}', path)), path
