"""The link graph is the privilege graph: what the two executables are linked to, read from the files themselves."""
import os
import re
import subprocess

import pytest

import tree

# What the sandboxed process may name: media libraries, the sandbox, the voice, C itself, and a sanitizer's runtime.
TASK_MAY = re.compile(r'lib(avcodec|avformat|avutil|avfilter|swscale|swresample|ebur128|opus|seccomp|flite\w*|c|m|pthread|gcc_s'
                      r'|asan|ubsan|tsan|clang_rt\.\w+)[.-]|ld-linux')
# What the trusted process must not reach at all, directly or through another library.
MILLRACE_MUST_NOT = re.compile(r'lib(av(codec|format|util|filter|device)|sw(scale|resample)|postproc|x26[45]|vpx|flite)')


def executable(name):
    path = tree.BUILD / name
    if not path.exists():
        if os.environ.get('MILLRACE_BUILD'):
            pytest.fail(f'{path} is not built')
        pytest.skip(f'{path} is not built')
    return path


def needed(path):
    out = subprocess.run(['readelf', '-d', path], capture_output=True, text=True, check=True).stdout
    return re.findall(r'\(NEEDED\).*\[(.*)\]', out)


def test_millrace_reaches_no_media_library():
    path = executable('millrace')
    assert needed(path)
    assert [lib for lib in needed(path) if MILLRACE_MUST_NOT.match(lib)] == []
    whole = subprocess.run(['ldd', path], capture_output=True, text=True, check=True).stdout.split()
    assert [lib for lib in whole if MILLRACE_MUST_NOT.match(lib)] == []


def test_task_links_media_and_sandbox_alone():
    libs = needed(executable('millrace-task'))
    assert any(lib.startswith('libavformat') for lib in libs)
    assert any(lib.startswith('libseccomp') for lib in libs)
    assert [lib for lib in libs if not TASK_MAY.match(lib)] == []


@pytest.mark.parametrize('lib', ['libcurl.so.4', 'libssl.so.3', 'libcrypto.so.3', 'libsqlite3.so.0', 'libpq.so.5',
                                 'libgnutls.so.30', 'libmicrohttpd.so.12', 'libhiredis.so.0.14', 'libjansson.so.4',
                                 'libcjose.so.0'])
def test_what_the_task_must_not_link_is_recognised(lib):
    assert not TASK_MAY.match(lib)


@pytest.mark.parametrize('name', ['millrace', 'millrace-task'])
def test_hardening(name):
    path = executable(name)
    out = subprocess.run(['readelf', '-hdlW', path], capture_output=True, text=True, check=True).stdout
    assert re.search(r'Type:\s+DYN', out), 'position independent'
    assert 'GNU_RELRO' in out and re.search(r'FLAGS_1.*NOW', out), 'relocations read-only, bound at start'
    stack = re.search(r'GNU_STACK.*', out).group()
    assert 'RWE' not in stack, 'no executable stack'
