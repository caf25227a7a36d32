#!/usr/bin/env python3
"""Checks every #include below src/ against the order of the layers, so that the picture in docs/ARCHITECTURE.md stays true.

    python3 tests/lint/layers.py [src]      # prints file:line: why, exits 1 if there is any

Two rules. A folder includes only what stands in its row of BELOW. A foreign library is included only by the folders in its
row of LIBRARIES, so that what a process links is seen from its folders. main.c counts as cmd.
"""
import pathlib
import re
import sys

_LOW = {'base', 'os'}
_SERVICES = {'base', 'os', 'proto', 'net', 'db', 'bus'}
_POLICY = _SERVICES | {'store', 'hls'}
# What a script says is planned with in the server; of speech/ it includes this header and no other.
_SCRIPT = {'speech'}
_SCRIPT_HEADER = 'speech/script.h'

# What each folder may include besides itself. What runs in the sandbox (task, media, speech) and what runs outside of it
# share nothing but base, os and proto.
BELOW = {
    'base': set(),
    'os': {'base'},
    'proto': _LOW,
    'net': _LOW,
    'db': _LOW,
    'bus': _LOW,
    'hls': {'base'},
    'http': _SERVICES | {'store'},
    'store': _SERVICES,
    'job': _POLICY | _SCRIPT,
    'worker': _POLICY | _SCRIPT | {'job'},
    'live': _POLICY | {'http', 'job', 'worker'},
    'api': _POLICY | _SCRIPT | {'http', 'job', 'worker', 'live'},
    'cmd': _POLICY | _SCRIPT | {'http', 'job', 'worker', 'live', 'api'},
    'media': {'base', 'os', 'proto'},
    'speech': {'base', 'os', 'proto'},
    'task': {'base', 'os', 'proto', 'media', 'speech'},
}

# Which folders may include a library's headers. The first pattern that matches counts; a header that none matches is the
# C library's or the kernel's.
_JSON = {'net', 'db', 'bus', 'store', 'http', 'job', 'worker', 'live', 'api', 'cmd'}
LIBRARIES = [
    ('libav*, libsw*', r'lib(av|sw|postproc)\w*/|x264\.h|x265\.h', {'media'}),
    ('flite', r'flite', {'speech'}),
    ('libopus', r'opus(/|\.h|_)', {'media'}),
    ('libseccomp', r'seccomp\.h', {'os'}),
    ('SQLite', r'sqlite3', {'db'}),
    ('libpq', r'(postgresql/)?libpq', {'db'}),
    ('hiredis', r'hiredis/', {'bus'}),
    ('libcurl', r'curl/', {'net', 'bus'}),
    ('OpenSSL', r'openssl/', {'net', 'http', 'bus'}),
    ('cjose', r'cjose/', {'http'}),
    ('libmicrohttpd', r'microhttpd', {'http'}),
    ('http-parser', r'http_parser\.h', {'live'}),
    ('wslay', r'wslay/', {'live', 'http'}),
    ('jansson', r'jansson', _JSON),
]
# OpenSSL outside net/: tokens are checked with it, nothing else of http/ is.
_OPENSSL_IN_HTTP = re.compile(r'^jw[tk]')

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def layer_of(path):
    """The folder below src/ that a file belongs to; `path` is relative to src/."""
    parts = pathlib.PurePath(path).parts
    return 'cmd' if parts == ('main.c',) else parts[0]


def check_library(layer, path, target):
    for name, pattern, users in LIBRARIES:
        if not re.match(pattern, target):
            continue
        if layer not in users:
            return f'{name} is for {", ".join(sorted(users))} alone, not for {layer}/'
        if name == 'OpenSSL' and layer == 'http' and not _OPENSSL_IN_HTTP.match(pathlib.PurePath(path).name):
            return 'OpenSSL in http/ is for the files that check tokens (jwt*, jwk*) alone'
        return None
    return None


def check_layer(layer, target):
    folder, slash, _ = target.partition('/')
    if not slash or folder == layer:
        return None  # a generated file, or its own folder
    if folder not in BELOW:
        return f'{folder}/ is no layer'
    if folder not in BELOW[layer]:
        return f'{folder}/ is not below {layer}/'
    if folder == 'speech' and layer != 'task' and target != _SCRIPT_HEADER:
        return f'of speech/ only {_SCRIPT_HEADER} is for {layer}/'
    return None


def check_text(path, text):
    """[(line, why)] for one file's text; `path` is relative to src/."""
    layer = layer_of(path)
    if layer not in BELOW:
        return [(1, f'{layer}/ is no layer: give it a row in tests/lint/layers.py')]
    found = []
    for match in _INCLUDE.finditer(text):
        kind, target = match.groups()
        why = check_library(layer, path, target) or (check_layer(layer, target) if kind == '"' else None)
        if '..' in pathlib.PurePath(target).parts:
            why = 'includes are named from src/'
        if why:
            found.append((text.count('\n', 0, match.start()) + 1, f'includes {target}: {why}'))
    return found


def check_tree(src):
    """['file:line: why'] for every C file below `src`."""
    found = []
    for file in sorted(p for p in pathlib.Path(src).rglob('*') if p.suffix in ('.c', '.h')):
        for line, why in check_text(file.relative_to(src), file.read_text()):
            found.append(f'{file}:{line}: {why}')
    return found


if __name__ == '__main__':
    problems = check_tree(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / 'src')
    print('\n'.join(problems) if problems else 'layers: in order')
    sys.exit(bool(problems))
