"""Rules that a compiler doesn't check: banned calls, machine paths, leftover marks, file heads, length, width."""
import re

import pytest

import tree

# A word of why stands in docs/CONTRIBUTING.md. strtok_r, gmtime_r and so on are other words and not meant.
BANNED = ('strcpy stpcpy strcat strncat strncpy sprintf vsprintf gets atoi atol atoll atof strtok tmpnam tempnam mktemp alloca '
          'gmtime localtime asctime ctime strerror system popen rand srand').split()
BANNED_CALL = re.compile(r'\b(' + '|'.join(BANNED) + r')\s*\(')
MARK = re.compile(r'\b(' + '|'.join(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK']) + r')\b')
# Folders of a developer's machine.
MACHINE_PATH = re.compile(r'(?<![\w./-])/(' + '|'.join(['ho' + 'me', 'ro' + 'ot', 'wo' + 'rk', 'Us' + 'ers']) + r')/\w')

MAX_LINES = 600
MAX_COLUMNS = 132  # the goal is 120: a sentence or a table may run a little over
C = ('.c', '.h')
CODE = C + ('.py', '.sh', '.ts', '.js', '.mjs', '.css', '.html', '.sql')


def problems(paths, pattern, prepare=lambda text: text):
    found = []
    for path in paths:
        text = prepare(path.read_text(errors='replace'))
        found += [f'{tree.where(path, text, m.start())}: {m.group().strip()}' for m in pattern.finditer(text)]
    return found


def test_no_banned_call():
    assert problems(tree.files(*C, below=('src/', 'tests/')), BANNED_CALL, tree.code_of) == []


@pytest.mark.parametrize('line, caught', [
    ('strcpy(a, b);', True), ('x = atoi (s);', True), ('/* strcpy(a, b) */', False), ('log("sprintf(");', False),
    ('snprintf(a, n, "x");', False), ('strtok_r(a, b, &c);', False), ('my_system(x);', False), ("c = '\"'; gets(s); // \"", True),
])
def test_the_ban_sees_calls_and_only_calls(line, caught):
    assert bool(BANNED_CALL.search(tree.code_of(line))) == caught


# What sscanf does with a number that is too large is undefined: a width keeps it from reading one.
NUMBER_WITHOUT_WIDTH = re.compile(r'%(?:[hljzt]*[dioux]|"\s*SCN)')


def scans(text):
    """The arguments of each sscanf, up to the statement's end or block's begin, strings and all."""
    code = tree.code_of(text)
    return [text[m.start():re.compile('[;{]').search(code, m.start()).start()] for m in re.finditer(r'\bsscanf\s*\(', code)]


def test_scanned_numbers_have_a_width():
    assert [(p.name, s) for p in tree.files('.c', below=('src/',)) for s in scans(p.read_text())
            if NUMBER_WITHOUT_WIDTH.search(s)] == []


@pytest.mark.parametrize('line, caught', [
    ('sscanf(s, "%d", &i);', True), ('sscanf(s, "%9d:%llu", &i, &u);', True), ('sscanf(s, "%" SCNd64, &i);', True),
    ('sscanf(s, "%18" SCNd64 "%n", &i, &n);', False), ('sscanf(s, "%2d;%*u %3[a-z]%n", &i, t, &n);', False),
])
def test_the_width_is_seen(line, caught):
    assert any(NUMBER_WITHOUT_WIDTH.search(s) for s in scans(line)) == caught


def test_no_leftover_marks():
    assert problems(tree.files(*CODE), MARK) == []


def test_no_path_of_a_machine():
    text_files = [p for p in tree.files() if p.name != 'package-lock.json' and b'\0' not in p.read_bytes()[:4096]]
    assert problems(text_files, MACHINE_PATH) == []


def test_lock_files_name_no_download_address():
    """Packages come from whatever registry the machine is set to; the lock pins name, version and digest."""
    assert problems([p for p in tree.files('.json') if p.name == 'package-lock.json'], re.compile(r'"resolved"')) == []


def test_c_files_say_at_their_head_what_they_are_for():
    assert [str(p) for p in tree.files(*C, below=('src/', 'tests/')) if not p.read_text().startswith('/*')] == []


def test_no_file_is_too_long():
    long = {p.relative_to(tree.ROOT).as_posix(): n for p in tree.files(*CODE)
            if (n := p.read_text(errors='replace').count('\n')) > MAX_LINES}
    assert long == {}


def test_lines_fit():
    """A tab counts eight columns. Published test vectors are as long as they are."""
    wide = []
    for path in (p for p in tree.files(*C, '.py', '.sh') if not p.stem.endswith('_vectors')):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            columns = len(line.expandtabs(8))
            if columns > MAX_COLUMNS:
                wide.append(f'{path.relative_to(tree.ROOT)}:{number}: {columns} columns')
    assert wide == []
