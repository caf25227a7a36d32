"""What the lint tests look at: the project's own files, and C text without its comments and strings."""
import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('MILLRACE_BUILD') or ROOT / 'build').absolute()

_SKIPPED = {'.git', 'node_modules', '__pycache__', '.pytest_cache', 'data', 'dist'}


def files(*suffixes, below=('',)):
    """The project's files with one of the suffixes: what git knows or would add, or, outside a repository, what is there."""
    command = ['git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    listed = subprocess.run(command, capture_output=True, check=False) if shutil.which('git') else None
    if listed and listed.returncode == 0:
        names = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b'\0') if name]
    else:
        names = [p for p in ROOT.rglob('*')
                 if not any(part in _SKIPPED or part.startswith('build') for part in p.relative_to(ROOT).parts)]
    return sorted(p for p in set(names) if p.is_file() and (not suffixes or p.suffix in suffixes) and
                  any(p.relative_to(ROOT).as_posix().startswith(b) for b in below))


_NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_of(text):
    """C text with comments, strings and characters blanked; lines keep their numbers."""
    return _NOT_CODE.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), text)


def where(path, text, position):
    return f'{path.relative_to(ROOT)}:{text.count(chr(10), 0, position) + 1}'
