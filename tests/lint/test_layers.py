"""The layers hold, and the checker would notice if they didn't."""
import shutil

import pytest

import layers
import tree


def test_the_sources_obey():
    assert layers.check_tree(tree.ROOT / 'src') == []


def test_every_folder_of_src_is_a_layer():
    folders = {p.name for p in (tree.ROOT / 'src').iterdir() if p.is_dir()}
    assert folders <= set(layers.BELOW)


def test_the_order_has_no_cycle():
    def reach(layer, path=()):
        assert layer not in path, f'cycle: {path}'
        for below in layers.BELOW[layer]:
            reach(below, path + (layer,))
    for layer in layers.BELOW:
        reach(layer)


@pytest.mark.parametrize('path, line', [
    ('base/buf.c', '#include "os/fd.h"'),
    ('os/fd.c', '#include "proto/task.h"'),
    ('proto/channel.c', '#include "net/digest.h"'),
    ('net/sigv4.c', '#include "db/db.h"'),
    ('hls/check.c', '#include "os/fd.h"'),
    ('store/local.c', '#include "http/server.h"'),
    ('http/server.c', '#include "job/model.h"'),
    ('http/server.c', '#include "job/job.h"'),
    ('job/queue.c', '#include "worker/runner.h"'),
    ('worker/runner.c', '#include "api/jobs.h"'),
    ('worker/runner.c', '#include "media/input.h"'),
    ('api/files.c', '#include "task/main.h"'),
    ('cmd/serve.c', '#include "media/input.h"'),
    ('main.c', '#include "task/ladder.h"'),
    ('media/input.c', '#include "net/http.h"'),
    ('task/main.c', '#include "store/store.h"'),
    ('speech/speech.c', '#include "media/input.h"'),
    ('worker/speech.c', '#include "speech/flite.h"'),
    ('api/meditation.c', '#include "speech/sentence.h"'),
    ('media/mix.c', '#include "speech/script.h"'),
    ('worker/runner.c', '#include <libavformat/avformat.h>'),
    ('task/ladder.c', '#include <libavcodec/avcodec.h>'),
    ('media/scale.c', '#include <curl/curl.h>'),
    ('job/repo.c', '#include <sqlite3.h>'),
    ('api/files.c', '#include <microhttpd.h>'),
    ('store/local.c', '#include <openssl/evp.h>'),
    ('http/server.c', '#include <openssl/evp.h>'),
    ('api/session.c', '#include <cjose/cjose.h>'),
    ('task/main.c', '#include <jansson.h>'),
    ('worker/sandbox.c', '#include <seccomp.h>'),
    ('task/say.c', '#include <flite/flite.h>'),
    ('net/a.c', '  #  include "../db/db.h"'),
    ('job/a.c', '#include "extra/thing.h"'),
    ('extra/a.c', '#include "base/err.h"'),
])
def test_a_forbidden_include_is_caught(path, line):
    text = f'/* head */\n{line}\n'
    assert len(layers.check_text(path, text)) == 1


@pytest.mark.parametrize('path, line', [
    ('base/buf.c', '#include "base/err.h"'),
    ('base/buf.c', '#include <string.h>'),
    ('net/sigv4.c', '#include <openssl/hmac.h>'),
    ('http/jwt.c', '#include <openssl/evp.h>'),
    ('store/local.c', '#include "net/digest.h"'),
    ('db/sqlite.c', '#include <sqlite3.h>'),
    ('worker/publish.c', '#include "hls/playlist.h"'),
    ('task/ladder.c', '#include "media/input.h"'),
    ('media/input.c', '#include <libavformat/avformat.h>'),
    ('main.c', '#include "cmd/cmd.h"'),
    ('job/plan.c', '#include "speech/script.h"'),
    ('task/main.c', '#include "speech/flite.h"'),
    ('cmd/serve.c', '#include "api/api.h"'),
])
def test_a_permitted_include_is_not(path, line):
    assert layers.check_text(path, line + '\n') == []


def test_the_line_is_named_in_a_whole_tree(tmp_path):
    shutil.copytree(tree.ROOT / 'src' / 'base', tmp_path / 'base')
    assert layers.check_tree(tmp_path) == []
    (tmp_path / 'base' / 'bad.c').write_text('/* x */\n\n#include "api/files.h"\n')
    assert layers.check_tree(tmp_path) == [f'{tmp_path}/base/bad.c:3: includes api/files.h: api/ is not below base/']


def test_every_corpus_has_its_fuzz_target():
    """Targets are found by their names: one that is called otherwise would never be built."""
    fuzz = tree.ROOT / 'tests' / 'fuzz'
    targets = {p.stem.removeprefix('fuzz_') for p in fuzz.glob('fuzz_*_*.c')}
    assert {p.name for p in (fuzz / 'corpus').iterdir()} == targets
