"""Several sounds and subtitles in chunks: the bytes of a rendition are the same whether a source is sought or read through, and
wherever an interrupted chunk goes on."""
import subprocess

import pytest

from ladder_case import Source

CUES = [('00:00:00,500', '00:00:01,500', 'first'), ('00:00:03,000', '00:00:21,000', 'long'),
        ('00:00:07,700', '00:00:08,300', 'over'), ('00:00:15,200', '00:00:16,900', 'late'),
         ('00:00:23,000', '00:00:23,500', 'last')]
TRACKS = {'audios': '1:1:72000,2:2:128000', 'subtitles': '3,4'}
RUNS = [0, 1, 4, 8]


@pytest.fixture(scope='module', params=['mkv', 'mp4'])
def source(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp('tracks')
    srt = folder / 's.srt'
    srt.write_text(''.join(f'{i}\n{a} --> {b}\n{text}\n\n' for i, (a, b, text) in enumerate(CUES, 1)))
    path = folder / f'film.{request.param}'
    command = ('ffmpeg -v error -f lavfi -i testsrc2=s=160x120:r=25:d=24 -f lavfi -i sine=440:d=24:r=48000 '
               f'-f lavfi -i sine=660:d=24:r=44100 -i {srt} -i {srt} -map 0 -map 1 -map 2 -map 3 -map 4 '
                '-c:v libx264 -preset ultrafast -g 50 -c:a aac -aac_pns 0 -ac:a:1 2 '
               f'-c:s {"mov_text" if request.param == "mp4" else "srt"} {path}')
    subprocess.run(command.split(), check=True)
    return Source(path, segment_seconds=2, rungs=1)


def files(folder, first=0):
    """Segments of every rendition, from one on."""
    return {p.name: p.read_bytes() for p in sorted(folder.glob('*.seg')) if int(p.stem.split('_')[1]) >= first}


@pytest.fixture(scope='module')
def whole(source, tmp_path_factory):
    """Read through in one go, as a source is that can't be sought."""
    out = tmp_path_factory.mktemp('whole')
    chunk = source.chunk(out, runs=RUNS, sequential=1, **TRACKS)
    assert chunk.error is None, chunk.result
    made = files(out)
    assert {n.split('_')[0] for n in made} == {'r0', 'r1', 'r2', 'r3', 'r4'}
    assert len(made) == 5 * source.count
    return made


def test_cues_are_where_they_belong(source, whole):
    """The long one began more than ten seconds before the last run, which doesn't know of it any more."""
    assert all(whole[f'r3_{i:05}.seg'] == whole[f'r4_{i:05}.seg'] for i in range(source.count))
    found = [[line for line in whole[f'r3_{i:05}.seg'].decode().split('\n') if line in ('first', 'long', 'over', 'late', 'last')]
             for i in range(source.count)]
    assert found[0] == ['first'] and found[2][0] == 'long' and 'over' in found[3] and 'over' in found[4]
    assert 'late' in found[7] and 'late' in found[8] and found[11] == ['last'] and found[5] == found[6] == ['long'] or \
        source.path.suffix == '.mp4'   # whose subtitles never overlap: the next one ends the long one


def test_seeking_gives_the_same(source, whole, tmp_path):
    for first, end in zip(RUNS, [*RUNS[1:], source.count]):
        assert source.chunk(tmp_path, first=first, count=end - first, **TRACKS).error is None
    assert files(tmp_path) == whole


@pytest.mark.parametrize('resume', [2, 4, 6, 11])
def test_going_on_gives_the_same(source, whole, tmp_path, resume):
    source.chunk(tmp_path, runs=RUNS, sequential=1, resume=resume, **TRACKS)
    assert files(tmp_path) == {name: data for name, data in whole.items() if int(name[3:8]) >= resume}


def test_a_track_that_is_no_more_is_silent(source, tmp_path):
    """A stream that can't be decoded after all: the others are made, and so is its rendition, of silence."""
    chunk = source.chunk(tmp_path, audios='1:1:72000,3:1:72000', subtitles='4')
    assert chunk.error is None
    assert len(files(tmp_path)) == 4 * source.count
