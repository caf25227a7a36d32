"""Each header compiles alone, twice over, with both compilers and without a warning: no luck of include order."""
import concurrent.futures
import shutil
import subprocess

import pytest

import tree

WARNINGS = ['-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Wsign-conversion', '-Wstrict-prototypes', '-Werror']


def compile_alone(compiler, header):
    name = header.relative_to(tree.ROOT / 'src')
    text = f'#include "{name}"\n#include "{name}"\n'
    done = subprocess.run([compiler, '-std=gnu17', '-D_GNU_SOURCE', *WARNINGS, '-fsyntax-only', '-I', tree.ROOT / 'src',
                           '-x', 'c', '-'], input=text, capture_output=True, text=True, check=False)
    return f'{name}: {done.stderr}' if done.returncode else None


@pytest.mark.parametrize('compiler', ['gcc', 'clang'])
def test_each_header_compiles_alone(compiler):
    assert shutil.which(compiler), f'{compiler} is not installed: make deps'
    headers = tree.files('.h', below=('src/',))
    assert headers
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failed = [r for r in pool.map(lambda h: compile_alone(compiler, h), headers) if r]
    assert not failed, '\n'.join(failed)


def test_a_header_that_needs_another_is_caught(tmp_path, monkeypatch):
    (tmp_path / 'src').mkdir()
    (tmp_path / 'src' / 'needy.h').write_text('#pragma once\nsize_t length(const char *s);\n')
    monkeypatch.setattr(tree, 'ROOT', tmp_path)
    assert 'size_t' in compile_alone('gcc', tmp_path / 'src' / 'needy.h')
