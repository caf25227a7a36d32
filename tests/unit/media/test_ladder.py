"""media_ladder() over real media: chunks against single runs, joints, odd sources. Meson runs it with LADDER_TOOL set."""
import os
import random
import shutil
import subprocess

import pytest
from ladder_case import Source, bytes_of, ffmpeg, ffprobe, join, run
from ladder_check import align, check, decode_audio, lag, packets, snr_db

V25 = ('-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d={d}')
NOISE = ('-f', 'lavfi', '-i', 'anoisesrc=r=48000:d={d}:a=0.3:seed=7,lowpass=f=6000,aformat=channel_layouts=stereo')
X264 = ('-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '50', '-pix_fmt', 'yuv420p', '-threads', '1')


def inputs(*args, d=9):
    return [a.format(d=d) for a in args]


@pytest.fixture(scope='session')
def media(tmp_path_factory):
    """Makes a file once per session: media('name.mp4', *ffmpeg arguments)."""
    folder = tmp_path_factory.mktemp('media')

    def make(name, *args):
        path = folder / name
        if not path.exists():
            ffmpeg(*args, path)
        return path
    return make


@pytest.fixture(scope='session')
def film(media):
    """25 fps, B-frames, stereo sound whose decoding doesn't depend on where it began (no PNS)."""
    return media('film.mp4', *inputs(*V25, *NOISE), *X264, '-c:a', 'aac', '-aac_pns', '0')


def chunks(source, out, runs, order=None, **kw):
    """Each run as a chunk of its own, in any order; returns them joined as one."""
    made = {}
    for first in order or runs:
        later = [r for r in runs if r > first]
        end = later[0] if later else source.count
        made[first] = source.chunk(out, first=first, count=end - first, **kw)
        assert made[first].error is None, made[first].result
    whole = made[runs[0]]
    whole.objects = [o for r in runs for o in made[r].objects]
    whole.progress = []
    whole.result = made[runs[-1]].result
    return whole


@pytest.mark.parametrize('container,hevc', [('fmp4', False), ('ts', False), ('fmp4', True)])
def test_chunks_equal_a_single_run(film, tmp_path, container, hevc):
    s = Source(film, container=container, hevc=hevc)
    runs = [0, 1, 3]
    one = s.chunk(tmp_path / 'one', runs=runs)
    assert one.error is None, one.result
    pts = check(s, tmp_path / 'one', one, tmp_path)
    assert pts == [i * 3600 for i in range(225)]
    again = s.chunk(tmp_path / 'again', runs=runs)
    assert again.result == one.result
    s.sequential = True
    s.chunk(tmp_path / 'sequential', runs=runs)
    s.sequential = False
    apart = chunks(s, tmp_path / 'apart', runs, order=[3, 0, 1])
    check(s, tmp_path / 'apart', apart, tmp_path)
    want = bytes_of(tmp_path / 'one')
    assert len(want) == 3 * (s.count + 1)
    for other in ('again', 'sequential', 'apart'):
        assert bytes_of(tmp_path / other) == want, other


@pytest.mark.parametrize('hevc', [False, True])
def test_resume_gives_the_same_bytes_and_only_what_is_missing(film, tmp_path, hevc):
    s = Source(film, hevc=hevc)
    s.chunk(tmp_path / 'one', runs=[0, 1, 3])
    want = bytes_of(tmp_path / 'one')
    for sequential in (False, True):
        s.sequential = sequential
        for resume in (1, 2, 3):
            out = tmp_path / f'{sequential}{resume}'
            c = s.chunk(out, runs=[0, 1, 3], resume=resume)
            assert c.result['next_segment'] == s.count
            assert sorted({o['index'] for o in c.objects if o['object'] == 'segment'}) == list(range(resume, s.count))
            assert all(want[n] == b for n, b in bytes_of(out).items())


def test_encoder_threads_dont_change_from_run_to_run(film, tmp_path):
    s = Source(film)
    for i in 'abcd':
        c = s.chunk(tmp_path / i, count=2, threads=4)
    check(s, tmp_path / 'a', c, tmp_path)
    want = bytes_of(tmp_path / 'a')
    assert all(bytes_of(tmp_path / i) == want for i in 'bcd')
    s.chunk(tmp_path / 'one', count=1)
    init = [n for n in want if 'init' in n]
    assert len(init) == 3 and all(bytes_of(tmp_path / 'one')[n] == want[n] for n in init)


@pytest.mark.parametrize('name,args', [
    ('h.mkv', ('-c', 'copy')),
    ('h.ts', ('-c', 'copy', '-output_ts_offset', '7.5')),
    ('pcm.mov', ('-c:v', 'copy', '-c:a', 'pcm_s16le')),
    ('mono22k.mov', ('-c:v', 'copy', '-c:a', 'pcm_s16le', '-ar', '22050', '-ac', '1')),
    ('mp3.mp4', ('-c:v', 'copy', '-c:a', 'libmp3lame', '-ar', '44100')),
    ('flac.mkv', ('-c:v', 'copy', '-c:a', 'flac', '-ar', '44100')),
])
def test_other_containers_and_codecs_join_as_well(film, media, tmp_path, name, args):
    path = media(name, '-i', film, *args)
    s = Source(path, rungs=1)
    runs = [0, 1, 3]
    one = s.chunk(tmp_path / 'one', runs=runs, sequential=1)
    assert len(check(s, tmp_path / 'one', one, tmp_path)) == 225
    chunks(s, tmp_path / 'apart', runs, order=[1, 3, 0])
    assert bytes_of(tmp_path / 'apart') == bytes_of(tmp_path / 'one')


@pytest.mark.parametrize('codec', ['pcm_s16le', 'libopus', 'aac'])
def test_joints_of_sound_are_as_good_as_the_rest(film, media, tmp_path, codec):
    exact = ('-aac_pns', '0') if codec == 'aac' else ()
    path = media(f'joint-{codec}.mkv', '-i', film, '-vn', '-c:a', codec, '-b:a', '256k', *exact)
    s = Source(path)
    runs = [0, 1, 2, 3]
    whole = chunks(s, tmp_path / 'o', runs)
    check(s, tmp_path / 'o', whole, tmp_path)
    one = s.chunk(tmp_path / 'one')
    assert one.error is None
    want = decode_audio(path, 48000, 2)
    got = decode_audio(join(tmp_path / 'o', 0, tmp_path / 'o.mp4'), 48000, 2)
    single = decode_audio(join(tmp_path / 'one', 0, tmp_path / 's.mp4'), 48000, 2)
    assert len(got) == len(single) == whole.result['end_audio_frames'] * 1024 * 2
    k = lag(want, single, 2, 48000)
    assert abs(k) <= 24, 'half a millisecond is what Matroska can hide'
    ahead, behind = max(0, -k), max(0, k)
    for r in runs[1:]:
        joint = s.audio_frames[r] * 1024
        here, there = (snr_db(want[ahead * 2:], x[behind * 2:], joint - 2048, joint + 2048, 2) for x in (got, single))
        # the encoder's rate control varies by some dB; a joint that is off by a few samples has less than 3 dB in all
        assert here > 10 and here > there - 4, f'{here:.1f} dB at the joint, {there:.1f} dB without'


def test_sound_is_sample_exact(film, media, tmp_path):
    """44.1 kHz to 48 kHz: the same place, not a sample off."""
    path = media('exact.wav', '-i', film, '-ar', '44100')
    s = Source(path)
    c = s.chunk(tmp_path / 'o')
    assert c.error is None
    want = decode_audio(path, 48000, 2)
    got = decode_audio(join(tmp_path / 'o', 0, tmp_path / 'o.mp4'), 48000, 2)
    assert lag(want, got, 2, 48000) == lag(want, got, 2, 300000) == 0
    assert snr_db(want, got, 4096, 200000, 2) > 12


@pytest.mark.parametrize('rate', ['30000/1001', '24000/1001', '60', '12.5'])
@pytest.mark.parametrize('container', ['mp4', 'mkv'])
def test_frame_rates(media, tmp_path, rate, container):
    name = f'rate-{rate.replace("/", "-")}.{container}'
    path = media(name, '-f', 'lavfi', '-i', f'testsrc2=s=160x120:r={rate}:d=7', *X264)
    frames = len(packets(path))
    s = Source(path, rungs=1)
    whole = chunks(s, tmp_path / 'o', [0, 1, 2])
    pts = check(s, tmp_path / 'o', whole, tmp_path)
    assert len(pts) == frames
    end = whole.result['end_video_ticks']
    assert abs(end - frames * 90000 / s.fps) <= s.frame_ticks


def test_variable_frame_rate_is_kept(media, tmp_path):
    path = media('vfr.mkv', '-f', 'lavfi', '-i', "testsrc2=s=160x120:r=30:d=8,"
                 "select='not(mod(n\\,7))+gt(random(1)\\,0.6)*gt(mod(n\\,60)\\,3)'", *X264, '-vsync', 'vfr')
    source = sorted(int(p['pts']) * 90 for p in packets(path))
    s = Source(path, rungs=1)
    one = s.chunk(tmp_path / 'one', runs=[0, 1, 2], sequential=1)
    pts = check(s, tmp_path / 'one', one, tmp_path)
    assert pts == source, 'no frame is moved, doubled or lost'
    starts = [o['start'] for o in one.segments(0)]
    assert starts == [next(t for t in source if t >= planned) for planned in s.video_ticks[:-1]]
    assert starts != s.video_ticks[:-1]
    chunks(s, tmp_path / 'apart', [0, 1, 2], order=[2, 0, 1])
    assert bytes_of(tmp_path / 'apart') == bytes_of(tmp_path / 'one')
    s.video_ticks = starts + s.video_ticks[-1:]  # as the rows tell when a chunk is done again
    chunks(s, tmp_path / 'again', [0, 1, 2])
    assert bytes_of(tmp_path / 'again') == bytes_of(tmp_path / 'one')


@pytest.mark.parametrize('name,mode,codec', [
    ('tff.mkv', 'interleave_top,setfield=tff',
     ('-c:v', 'mpeg2video', '-flags', '+ildct+ilme', '-top', '1', '-g', '12', '-bf', '2')),
    ('bff.mp4', 'interleave_bottom,setfield=bff', (*X264, '-x264-params', 'bff=1:interlaced=1')),
])
def test_interlaced_frames_become_progressive_one_for_one(media, tmp_path, name, mode, codec):
    path = media(name, '-f', 'lavfi', '-i', f'testsrc2=s=720x480:r=50:d=7,tinterlace=mode={mode}', *codec, '-b:v', '4M')
    s = Source(path, rungs=1)
    one = s.chunk(tmp_path / 'one', runs=[0, 1, 2], sequential=1)
    assert len(check(s, tmp_path / 'one', one, tmp_path)) == 175
    chunks(s, tmp_path / 'apart', [0, 1, 2], order=[1, 2, 0])
    assert bytes_of(tmp_path / 'apart') == bytes_of(tmp_path / 'one')
    assert combed(path) == 175 and combed(join(tmp_path / 'one', 0, tmp_path / 'o.mp4')) <= 9


def combed(path):
    """Frames whose lines are of two instants, by ffmpeg's measure."""
    p = run('ffmpeg', '-nostdin', '-v', 'info', '-i', path, '-map', '0:v', '-vf', 'idet', '-f', 'null', '-')
    multi = p.stderr.decode().split('Multi frame detection:')[1].split('\n')[0]
    return sum(int(multi.split(kind)[1].split()[0]) for kind in ('TFF:', 'BFF:'))


def test_interlaced_from_the_middle_on(media, tmp_path):
    """What becomes of a frame doesn't depend on when interlacing was first seen."""
    parts = [media(n, '-f', 'lavfi', '-i', f'testsrc2=s=320x240:r=50:d=4,{f}', '-c:v', 'mpeg2video', '-b:v', '4M', '-g', '12',
                   *flags)
             for n, f, flags in (('even.ts', 'fps=25', ()),
                                 ('woven.ts', 'tinterlace=mode=interleave_top,setfield=tff', ('-flags', '+ildct+ilme')))]
    path = media('mixed.mkv', '-f', 'mpegts', '-i', f'concat:{parts[0]}|{parts[1]}|{parts[0]}', '-c', 'copy', '-fflags', '+genpts',
                 '-bsf:v', 'setts=ts=N*40')
    s = Source(path, rungs=1)
    one = s.chunk(tmp_path / 'one', runs=[0, 1, 2, 4], sequential=1)
    made = check(s, tmp_path / 'one', one, tmp_path)
    assert len(made) >= len(packets(path)) - 2, 'a decoder may want a picture at a splice'
    chunks(s, tmp_path / 'apart', [0, 1, 2, 4], order=[4, 1, 2, 0])
    assert bytes_of(tmp_path / 'apart') == bytes_of(tmp_path / 'one')


def test_rotation_and_odd_sizes(media, tmp_path):
    path = media('odd.mp4', '-f', 'lavfi', '-i', 'testsrc2=s=321x179:r=25:d=2,format=yuv444p', '-c:v', 'libx264')
    for rotation in (0, 90, 180, 270):
        s = Source(path, rungs=2, rotation=rotation)
        out = tmp_path / str(rotation)
        c = s.chunk(out)
        check(s, out, c, tmp_path)
        v = ffprobe(join(out, 0, tmp_path / 'j.mp4'), '-show_streams')['streams'][0]
        assert (v['width'], v['height']) == ((178, 320) if rotation in (90, 270) else (320, 178))
        assert (v['pix_fmt'], v['sample_aspect_ratio'], v['color_range']) == ('yuv420p', '1:1', 'tv')


@pytest.mark.parametrize('container', ['fmp4', 'ts'])
def test_sound_longer_than_picture_and_the_reverse(media, tmp_path, container):
    for name, v, a in (('long-sound.mp4', 3, 9), ('long-picture.mp4', 9, 3)):
        path = media(name, *inputs(*V25, d=v), *inputs(*NOISE, d=a), *X264, '-c:a', 'aac')
        s = Source(path, rungs=1, container=container)
        whole = chunks(s, tmp_path / name, [0, 1, 3])
        check(s, tmp_path / name, whole, tmp_path)
        assert len(whole.segments(0)) == len(whole.segments(1)) == s.count
        one = s.chunk(tmp_path / f'one-{name}', runs=[0, 1, 3], sequential=1)
        check(s, tmp_path / f'one-{name}', one, tmp_path)
        for n in ('r0_00003.seg', 'r0_00001.seg'):
            assert bytes_of(tmp_path / name)[n] == bytes_of(tmp_path / f'one-{name}')[n]


def test_a_stream_that_ended_long_ago_isnt_searched_for(media, tmp_path):
    """Each chunk stops reading soon behind its range, though its picture will never come."""
    path = media('ended.mkv', *inputs(*V25, d=1), *inputs(*NOISE, d=300), *X264, '-c:a', 'libopus')
    s = Source(path, rungs=1, channels=1)
    c = s.chunk(tmp_path / 'o', first=5, count=1, last=False)
    assert c.error is None and len(c.segments(0)) == len(c.segments(1)) == 1 and c.result['end_of_media'] == 0
    assert c.read[-1] - c.read[0] < path.stat().st_size * 0.3  # opening it has read all of it once


def test_a_late_start_is_filled(media, tmp_path):
    path = media('late.mkv', *inputs(*V25, d=6), '-itsoffset', '2.5', *inputs(*NOISE, d=4), *X264, '-c:a', 'aac')
    s = Source(path, rungs=1)
    c = s.chunk(tmp_path / 'sound')
    check(s, tmp_path / 'sound', c, tmp_path)
    sound = decode_audio(join(tmp_path / 'sound', 1, tmp_path / 'j.mp4'), 48000, 2)
    assert max(abs(x) for x in sound[:2 * 115000]) < 0.01 < max(abs(x) for x in sound[2 * 121000:2 * 130000])
    path = media('late-picture.mkv', '-itsoffset', '2.5', *inputs(*V25, d=4), '-itsoffset', '0', *inputs(*NOISE, d=6), *X264,
                 '-c:a', 'aac', '-map', '0:v', '-map', '1:a')
    s = Source(path, rungs=1)
    s.video, s.audio = 0, 1
    c = s.chunk(tmp_path / 'picture')
    pts = check(s, tmp_path / 'picture', c, tmp_path)
    assert pts[0] == 0 and pts[1] == 180000


def test_a_sparse_slideshow(media, tmp_path):
    path = media('slides.mkv', '-f', 'lavfi', '-i', 'testsrc2=s=160x120:r=1/10:d=40', *inputs(*NOISE, d=40), *X264,
                 '-c:a', 'aac', '-aac_pns', '0')
    for container in ('fmp4', 'ts'):
        s = Source(path, rungs=1, segment_seconds=4, container=container)
        s.origin_ns = 0
        s.fps, s.frame_ticks = 0, 3600
        s.plan(4)
        one = s.chunk(tmp_path / f'one{container}', runs=[0, 1, 4, 7], sequential=1)
        pts = check(s, tmp_path / f'one{container}', one, tmp_path)
        source = sorted(int(p['pts']) * 90 for p in packets(path))
        assert set(source[1:]) <= set(pts)
        on_time = [0] + [next((f for f in source if t <= f <= t + 36900), t) for t in s.video_ticks[1:-1]]
        assert [o['start'] for o in one.segments(0)] == on_time, 'one that comes within the window, or the one before again'
        assert set(pts) - set(on_time) <= set(source)
        chunks(s, tmp_path / f'apart{container}', [0, 1, 4, 7], order=[7, 4, 1, 0])
        assert bytes_of(tmp_path / f'apart{container}') == bytes_of(tmp_path / f'one{container}')


def test_silent_video_and_sound_alone(film, tmp_path):
    for kind in ('video', 'audio'):
        s = Source(film, **{'audio' if kind == 'video' else 'video': False})
        for container in ('fmp4', 'ts'):
            s.container = container
            c = s.chunk(tmp_path / f'{kind}{container}')
            check(s, tmp_path / f'{kind}{container}', c, tmp_path)
            assert c.result['next_segment'] == s.count and c.result['end_of_media'] == 1


@pytest.mark.parametrize('name,args', [
    ('surround.mkv', ('-af', 'pan=5.1|FL=c0|FR=c1|FC=c0|LFE=c1|BL=c0|BR=c1', '-c:a', 'ac3')),
    ('mono.mp3', ('-vn', '-c:a', 'libmp3lame', '-ar', '22050', '-ac', '1')),
    ('opus.webm', ('-vn', '-c:a', 'libopus')),
    ('vorbis.webm', ('-vn', '-c:a', 'libvorbis')),
    ('adts.aac', ('-vn', '-c:a', 'aac')),
    ('hires.wav', ('-vn', '-c:a', 'pcm_s24le', '-ar', '96000')),
    ('odd.wav', ('-vn', '-c:a', 'pcm_u8', '-ar', '11127', '-ac', '1')),
    ('low.ogg', ('-vn', '-c:a', 'libvorbis', '-ar', '8000', '-ac', '1')),
])
def test_sounds_of_all_kinds(film, media, tmp_path, name, args):
    path = media(name, '-i', film, '-c:v', 'copy', *args)
    mono = 'mono' in name or 'odd' in name or 'low' in name
    s = Source(path, rungs=1, sequential=name == 'vorbis.webm', channels=1 if mono else 2)
    c = s.chunk(tmp_path / 'o', runs=[0, 1, 3])
    check(s, tmp_path / 'o', c, tmp_path)
    assert abs(c.result['end_video_ticks'] - s.duration * 90000) <= 9000
    made = join(tmp_path / 'o', s.renditions - 1, tmp_path / 'j.mp4')
    want, got = decode_audio(path, 48000, 1), decode_audio(made, 48000, 1)
    want, got, behind = align(want, got, 1)
    assert behind <= 48
    assert snr_db(want, got, 48000, 96000, 1) > (4 if 'surround' in name else 11)


def test_a_truncated_file_gives_what_there_is(film, media, tmp_path):
    fast = media('fast.mp4', '-i', film, '-c', 'copy', '-movflags', 'faststart')
    cut = tmp_path / 'cut.mp4'
    cut.write_bytes(fast.read_bytes()[:fast.stat().st_size * 45 // 100])
    s = Source(cut, rungs=1)
    whole = s.chunk(tmp_path / 'one', runs=[0, 1, 2, 3])
    n = whole.result['next_segment']
    assert 0 < n < s.count and whole.result['end_of_media'] == 1
    check(s, tmp_path / 'one', whole, tmp_path)
    assert whole.segments(0)[-1]['start'] + whole.segments(0)[-1]['duration'] == whole.result['end_video_ticks']
    behind = s.chunk(tmp_path / 'behind', first=n, count=s.count - n)
    assert behind.error is None and behind.objects == []
    assert behind.result['next_segment'] == n and behind.result['end_of_media'] == 1
    assert behind.result['end_video_ticks'] == pytest.approx(whole.result['end_video_ticks'], abs=4000)


def test_longer_than_planned(film, tmp_path):
    s = Source(film, rungs=1)
    s.video_ticks, s.audio_frames, s.count = s.video_ticks[:3], s.audio_frames[:3], 2
    c = s.chunk(tmp_path / 'long', last=True)
    pts = check(s, tmp_path / 'long', c, tmp_path)
    assert len(pts) == 225 and len(c.segments(0)) == len(c.segments(1)) == 5  # 4 s planned, 4 s more, and the last second
    s = Source(film, rungs=1, duration=8.75)
    c = s.chunk(tmp_path / 'little')
    pts = check(s, tmp_path / 'little', c, tmp_path)
    assert len(pts) == 225 and len(c.segments(0)) == s.count, 'a quarter of a second joins the last segment'


def test_undecodable_is_an_error_and_damage_is_not(film, tmp_path):
    data = bytearray(film.read_bytes())
    mdat = data.index(b'mdat') + 4
    rng = random.Random(5)
    for i in range(mdat + 60000, mdat + 200000, 997):
        data[i] = rng.randrange(256)
    bad = tmp_path / 'damaged.mp4'
    bad.write_bytes(data)
    s = Source(film, rungs=1)
    s.path = bad
    for out in ('a', 'b'):
        c = s.chunk(tmp_path / out, runs=[0, 2])
        assert c.error is None
    check(s, tmp_path / 'a', c, tmp_path)
    assert bytes_of(tmp_path / 'a') == bytes_of(tmp_path / 'b')
    data[mdat:data.index(b'moov', mdat) - 4] = bytes(data.index(b'moov', mdat) - 4 - mdat)
    bad.write_bytes(data)
    c = s.chunk(tmp_path / 'c')
    assert c.error == 'UNDECODABLE' or c.result['decode_errors'] > 0


def test_a_store_that_goes_away_is_that_error(film, tmp_path):
    s = Source(film)
    c = s.chunk(tmp_path / 'o', fail_at=film.stat().st_size // 2)
    assert c.error not in (None, 'UNDECODABLE', 'DAMAGED_MEDIA'), c.result


def shared_files():
    folder = os.environ.get('MILLRACE_SHARED_MEDIA') or os.path.join(os.path.dirname(__file__), '../../../../shared/media')
    if not os.path.isdir(folder):
        return []
    return sorted(os.path.join(folder, n) for n in os.listdir(folder) if not n.endswith('.md'))


def playable(path):
    p = subprocess.run(['ffmpeg', '-nostdin', '-v', 'quiet', '-i', path, '-map', '0:a?', '-map', '0:V?', '-f', 'null', '-'],
                       capture_output=True, timeout=120)
    return p.returncode == 0


@pytest.mark.parametrize('path', shared_files(), ids=lambda p: os.path.basename(str(p)))
def test_shared_media(path, tmp_path):
    if not playable(path):
        pytest.skip('ffmpeg itself cannot decode it')
    decode = ['-i', path, '-map', '0:a?', '-map', '0:V?', '-f', 'null', '-']
    p = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-stats', *decode], capture_output=True)
    clock = p.stderr.decode().split('time=')[-1].split(' ')[0].split(':')
    if clock[0] == 'N/A' or not float(clock[2]) and not int(clock[1]):
        pytest.skip('nothing in it')
    duration = max(0.05, int(clock[0]) * 3600 + int(clock[1]) * 60 + float(clock[2]))
    s = Source(path, rungs=1, duration=duration)
    c = s.chunk(tmp_path / 'o', sequential=1)
    assert c.error is None, c.result
    check(s, tmp_path / 'o', c, tmp_path)
    shutil.rmtree(tmp_path / 'o')
