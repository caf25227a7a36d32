#!/usr/bin/env python3
"""Makes the media that tests need, with ffmpeg's own sources and flite: nothing is downloaded, nothing is in the repository.

    from make_media import media
    path = media('sample.mp4')          # made at the first call, kept in the cache folder

    /usr/bin/python3 tests/media/make_media.py            # makes all and lists them
    /usr/bin/python3 tests/media/make_media.py sample.mp4 # one, prints its path

The folder is $MILLRACE_TEST_MEDIA, or build/test-media. A file appears there whole or not at all, and of several test processes
that want the same one, one makes it and the others wait. A change of a recipe makes the file anew. What each is for stands in
cases.py.
"""
import fcntl
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEECH = ('The mill stands by the river. Water turns the wheel, and the wheel turns the stone. '
          'What goes in as grain comes out as flour, and nobody has to wait for the whole harvest.')
X264 = '-c:v libx264 -preset veryfast -crf 26 -pix_fmt yuv420p -g 50 -threads 2'
AAC = '-c:a aac -b:a 128k -ar 48000 -ac 2'


def video(seconds, size='1280x720', rate='25'):
    """A moving pattern with its own timer."""
    return f'-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds}'


def audio(seconds, speech=True, channels=2):
    """A quiet chord that slowly swells, with a voice over it."""
    tones = '0.08*sin(2*PI*220*t)*(1+0.5*sin(2*PI*0.1*t))+0.05*sin(2*PI*330*t)'
    layout = {1: 'mono', 2: 'stereo', 6: '5.1'}[channels]
    bed = f'aevalsrc=exprs={"|".join([tones] * channels)}:channel_layout={layout}:sample_rate=48000:duration={seconds}'
    if not speech:
        return ['-f', 'lavfi', '-i', bed]
    graph = (f"{bed}[bed];flite=text='{SPEECH}':voice=slt,aresample=48000,pan={layout}|"
             + '|'.join(f'c{i}=c0' for i in range(channels))
             + f',aloop=loop=-1:size=600000,atrim=duration={seconds}[voice];'
             '[bed][voice]amix=inputs=2:duration=first:normalize=0')
    return ['-f', 'lavfi', '-i', graph]


def ffmpeg(*parts):
    """A recipe: an ffmpeg command line; strings are split at spaces, lists taken as they are."""
    words = []
    for part in parts:
        words += part if isinstance(part, list) else part.split()
    return ('ffmpeg', words)


def tone(hertz, rate=48000, seconds=24):
    return f'-f lavfi -i sine=frequency={hertz}:sample_rate={rate}:duration={seconds}'


def of(source, *parts, before=''):
    """A recipe that reads another of the files."""
    return ('ffmpeg-of', source, before.split(), ffmpeg(*parts)[1])


def gops(options, rate='24', select='1', x264='', quality='-crf 28'):
    """What could be copied but for one thing or another. 13 s, so that the last segment is a short one."""
    return ffmpeg(video(13, '320x180', rate), audio(13), ['-vf', f"select='{select}'"],
                  f'-c:v libx264 -preset veryfast {quality} -pix_fmt yuv420p -threads 2', options,
                  ['-x264-params', x264] if x264 else [], AAC)


def data(function):
    return ('data', function)


def cut(source, keep):
    """The beginning of another file: a share of it, or a number of bytes."""
    return ('cut', source, keep)


def mirrored(data):
    """The picture's track is shown left to right: its matrix (ISO/IEC 14496-12, 8.3.2) begins with -1."""
    identity = bytes.fromhex('00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000')
    flipped = bytes.fromhex('ffff0000 00000000 00000000 00000000 00010000 00000000 02800000 00000000 40000000')
    at = data.index(identity, data.index(b'tkhd'))
    return data[:at] + flipped + data[at + len(flipped):]


def dolby_vision_5(data):
    """An HEVC track whose sample entry says Dolby Vision profile 5, level 1, without a base layer that others can show."""
    config = (32).to_bytes(4, 'big') + b'dvcC' + bytes([1, 0, 5 << 1, 1 << 3 | 0b101]) + bytes(20)
    at = data.index(b'hvcC') - 4
    out = bytearray(data[:at] + config + data[at:])
    for box in (b'moov', b'trak', b'mdia', b'minf', b'stbl', b'stsd', b'hev1'):
        size = out.index(box, out.index(b'moov')) - 4
        out[size:size + 4] = (int.from_bytes(out[size:size + 4], 'big') + len(config)).to_bytes(4, 'big')
    return bytes(out)


def unknown_codec(data):
    """The video track's sample entry names a codec that nobody has."""
    return data.replace(b'avc1', b'qqq9')


def riff_header_without_samples():
    chunk = b'fmt ' + (16).to_bytes(4, 'little') + bytes.fromhex('01000100803e0000007d000002001000')
    body = b'WAVE' + chunk + b'data' + (0).to_bytes(4, 'little')
    return b'RIFF' + len(body).to_bytes(4, 'little') + body


def riff_of_chance_floats():
    """Ten seconds of 32-bit floats that are any bits: not a number, infinite, far too loud."""
    samples = random.Random(3).randbytes(10 * 48000 * 4)
    chunk = b'fmt ' + (16).to_bytes(4, 'little') + bytes.fromhex('0300010080bb000000ee020004002000')
    body = b'WAVE' + chunk + b'data' + len(samples).to_bytes(4, 'little') + samples
    return b'RIFF' + len(body).to_bytes(4, 'little') + body


def text_file():
    return ''.join(f'{i}: this is a letter, not a film.\n' for i in range(200)).encode()


def subtitles():
    return ''.join(f'{i + 1}\n00:00:{2 * i:02d},000 --> 00:00:{2 * i + 1:02d},500\nline {i + 1}\n\n' for i in range(4)).encode()


def hdr(transfer, name):
    """Ordinary light (white at 100 cd/m²) as BT.2020 in another transfer, 10 bits, with the tags that say so."""
    zscale = (f'zscale=min=709:tin=709:pin=709:rin=limited:p=2020:t={transfer}:m=2020_ncl:r=limited:npl=100,'
              'format=yuv420p10')
    tags = f'-color_primaries bt2020 -color_trc {name} -colorspace bt2020nc -color_range tv'
    return ['-vf', zscale] + (f'-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le {tags} -x265-params '
                              f'log-level=error:colorprim=bt2020:transfer={name}:colormatrix=bt2020nc:'
                              'range=limited').split()


def fields(order):
    """50 pictures a second woven into 25 frames of two fields each."""
    mode = {'tff': 'interleave_top', 'bff': 'interleave_bottom'}[order]
    return ['-vf', f'tinterlace=mode={mode},setfield={order}']


def track_srt():
    cues = [('00:00:01,000', '00:00:02,500', 'Bonjour <i>à tous</i> & <b>merci</b>'),
            ('00:00:03,500', '00:00:17,250', 'longtemps'),
            ('00:00:07,900', '00:00:08,700', 'deux\nlignes --> <ici>'), ('00:00:23,100', '00:00:23,900', 'fin')]
    return ''.join(f'{i + 1}\n{start} --> {end}\n{text}\n\n' for i, (start, end, text) in enumerate(cues)).encode()


def track_ass():
    head = ('[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,20\n\n'
            '[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n')
    events = ['0:00:05.12,0:00:06.34,Default,,0,0,0,,{\\an8\\i1\\fs30}Exit{\\i0}, a & b\\N{\\b1}5 < 6{\\b0}',
              '0:00:05.12,0:00:06.34,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}']
    return (head + ''.join(f'Dialogue: 0,{e}\n' for e in events)).encode()


MP3 = '-c:a libmp3lame -b:a 128k -id3v2_version 3'
BLACK_INTRO = ('-f lavfi -i color=black:size=320x180:rate=25:duration=3 -f lavfi -i testsrc2=size=320x180:rate=25:duration=3 '
               '-filter_complex [0][1]concat')
RECIPES = {
    'sample.mp4': ffmpeg(video(30), audio(30), X264, AAC, '-movflags +faststart'),
    'sample-60s.mp4': ffmpeg(video(60, '640x360'), audio(60), X264, AAC, '-movflags +faststart'),
    'silent.mp4': ffmpeg(video(8, '640x360'), X264),
    'portrait.mp4': ffmpeg(video(6, '720x1280', '30'), audio(6), X264, AAC),
    'odd-size.mkv': ffmpeg(video(6, '640x360'), audio(6), '-vf scale=427:241 -c:v ffv1 -pix_fmt yuv444p', '-c:a libvorbis'),
    'tiny.mp4': ffmpeg(video(4, '64x48'), audio(4), X264, AAC),
    'vfr.mkv': ffmpeg(video(8, '640x360', '60'), audio(8), ['-vf', "select='not(mod(n,4))+gt(mod(n,97),60)'"],
                      '-fps_mode vfr', X264, AAC),
    'surround.mp4': ffmpeg(video(6, '640x360'), audio(6, channels=6), X264, '-af volume=0.3 -c:a aac -b:a 320k'),
    'moov-at-end.mp4': of('sample.mp4', '-c copy', before='-t 12'),
    'fragmented.mp4': of('sample.mp4', '-c copy -movflags +frag_keyframe+empty_moov', before='-t 12'),
    'h264.ts': of('sample.mp4', '-c copy', before='-t 12'),
    'mpeg2.ts': ffmpeg(video(8, '720x576'), audio(8), '-c:v mpeg2video -b:v 3M -g 12 -bf 2 -c:a mp2 -b:a 192k'),
    'film-24.mp4': ffmpeg(video(8, '640x360', '24'), audio(8), X264, AAC),
    'ntsc-23976.mp4': ffmpeg(video(8, '640x360', '24000/1001'), audio(8), X264, AAC),
    'sixty-fps.mp4': ffmpeg(video(6, '640x360', '60'), audio(6), X264, AAC),
    'vp9-opus.webm': ffmpeg(video(6, '640x360'), audio(6), '-c:v libvpx-vp9 -b:v 600k -deadline realtime -cpu-used 8 -threads 2',
                            '-c:a libopus -b:a 96k'),
    'hevc-10bit.mkv': ffmpeg(video(4, '640x360'), audio(4),
                             '-c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt yuv420p10le', AAC),
    'subtitles.mkv': of('moov-at-end.mp4', ['-i', '{subtitles.srt}'], '-map 0 -map 1 -c copy -c:s srt'),
    'subtitles.srt': data(subtitles),
    'tracks.mkv': ffmpeg(video(24, '320x240'), tone(440), tone(880, 44100), tone(1320, 48000), ['-i', '{tracks.srt}'],
                         ['-i', '{tracks.ass}'], '-map 0 -map 1 -map 2 -map 3 -map 4 -map 5', X264, '-c:a aac -b:a 64k -c:s copy',
                         '-disposition:a:0 0 -disposition:a:1 default -disposition:a:2 comment -disposition:s:0 default'
                         ' -disposition:s:1 forced+hearing_impaired',
                         '-metadata:s:a:0 language=ger -metadata:s:a:1 language=eng -metadata:s:a:2 language=eng'
                         ' -metadata:s:s:0 language=fre -metadata:s:s:1 language=en',
                         ['-metadata:s:a:2', 'title=The "Maker"', '-metadata:s:s:1', 'title=Schilder für alle']),
    'tracks.mp4': of('tracks.mkv', '-map 0 -c copy -c:s mov_text'),
    'tracks-sound.mka': of('tracks.mkv', '-map 0:a -map 0:s -c copy'),
    'tracks.srt': data(track_srt),
    'tracks.ass': data(track_ass),
    'rotated-90.mp4': of('portrait.mp4', '-c copy -metadata:s:v rotate=90'),
    'black.mp4': ffmpeg('-f lavfi -i color=black:size=320x180:rate=25:duration=3', X264),
    'black-intro.mp4': ffmpeg(BLACK_INTRO, X264),
    'black-intro-one-keyframe.mp4': ffmpeg(BLACK_INTRO, X264, '-g 1000 -sc_threshold 0'),
    'late-audio.mp4': ffmpeg(video(6, '640x360'), '-itsoffset 1.5', audio(4), X264, AAC),
    'short-1-frame.mp4': ffmpeg(video('0.04', '640x360'), X264),
    'sound.wav': ffmpeg(audio(12), '-c:a pcm_s16le -ar 44100'),
    'sound-8k-mono.wav': ffmpeg(audio(6, channels=1), '-c:a pcm_s16le -ar 8000'),
    'sound-24bit-96k.flac': ffmpeg(audio(6), '-c:a flac -ar 96000 -sample_fmt s32'),
    'sound.mp3': ffmpeg(audio(12), MP3),
    'sound.flac': of('sound.wav', '-c:a flac'),
    'sound.m4a': of('sound.wav', '-c:a aac -b:a 128k -movflags +faststart'),
    'sound.aac': of('sound.wav', '-c:a aac -b:a 128k'),
    'sound.ogg': of('sound.wav', '-c:a libvorbis'),
    'sound.opus': of('sound.wav', '-c:a libopus'),
    'sound.webm': of('sound.wav', '-c:a libopus'),
    'hdr-pq.mkv': ffmpeg(video(3, '640x360'), hdr('smpte2084', 'smpte2084')),
    'hdr-hlg.mp4': ffmpeg(video(3, '640x360'), hdr('arib-std-b67', 'arib-std-b67')),
    'wide-gamut.mkv': ffmpeg(video(3, '640x360'), hdr('2020_10', 'bt2020-10')),
    'interlaced-tff.ts': ffmpeg(video(5, '720x576', '50'), audio(5), fields('tff'),
                                '-c:v mpeg2video -flags +ildct+ilme -top 1 -b:v 5M -g 12 -bf 2 -c:a mp2'),
    'interlaced-bff.mp4': ffmpeg(video(5, '640x480', '60000/1001'), audio(5), fields('bff'),
                                 X264, ['-x264-params', 'bff=1:interlaced=1'], AAC),
    'wrap.ts': of('sample.mp4', '-c copy -output_ts_offset 95438', before='-t 12'),
    'part-1.ts': ffmpeg(video(4, '640x360'), audio(4), X264, AAC),
    'part-2.ts': ffmpeg(video(5, '640x360'), audio(5), '-vf hue=h=90', X264, AAC, '-output_ts_offset 9000'),
    'jump.ts': ('joined', 'part-1.ts', 'part-2.ts'),
    'jump-back.ts': ('joined', 'part-2.ts', 'part-1.ts'),
    'mirrored.mp4': ('edited', 'silent.mp4', mirrored.__name__),
    'hevc.mp4': ffmpeg(video(1, '320x240'), '-c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt yuv420p10le'),
    'dolby-vision-5.mp4': ('edited', 'hevc.mp4', dolby_vision_5.__name__),
    'unknown-codec.mp4': ('edited', 'late-audio.mp4', unknown_codec.__name__),
    'encrypted.mp4': ffmpeg(video(2, '320x240'), audio(2), X264, AAC, '-encryption_scheme cenc-aes-ctr',
                            '-encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8'),
    'turns-surround.ts': ('joined', 'mono-44k.ts', 'surround-48k.ts'),
    'mono-44k.ts': ffmpeg(audio(3, channels=1), '-c:a aac -ar 44100'),
    'surround-48k.ts': ffmpeg(audio(3, channels=6), '-af volume=0.3 -c:a aac -output_ts_offset 3'),
    'wide-sound.mkv': ffmpeg(audio(4, channels=6), ['-af', 'volume=0.2,pan=7.1|FL=c0|FR=c1|FC=c2|LFE=c3|BL=c4|BR=c5|SL=c0|SR=c1'],
                             '-c:a flac -ar 88200'),
    'gap.mp4': ffmpeg(video(8, '640x360'), audio(8), ['-af', "aselect='not(between(t,2,4))'"], X264, AAC),
    'full-range.mp4': ffmpeg(video(3, '640x360'), '-vf scale=out_range=pc', '-c:v libx264 -pix_fmt yuvj420p -crf 20'),
    'rgb.mkv': ffmpeg(video(3, '640x360'), '-c:v libx264rgb -crf 18 -preset veryfast'),
    'gray.mkv': ffmpeg(video(3, '640x360'), '-c:v ffv1 -pix_fmt gray'),
    '422-10bit.mov': ffmpeg(video(3, '640x360'), '-c:v prores_ks -profile:v 2'),
    'anamorphic.mp4': ffmpeg(video(3, '720x576'), '-vf setsar=64/45', X264),
    'changing-size.ts': ('joined', 'size-1.ts', 'size-2.ts'),
    'size-1.ts': ffmpeg(video(3, '640x360'), X264),
    'size-2.ts': ffmpeg(video(3, '320x240'), X264, '-output_ts_offset 3'),
    'slow.mkv': ffmpeg(video(12, '320x240', '25'), audio(12), ['-vf', "select='lt(random(1),0.12)+not(n)'"],
                       '-fps_mode vfr', X264, AAC),
    'gops.mp4': gops('-g 48 -bf 3'),
    'gops-faststart.mp4': of('gops.mp4', '-c copy -movflags +faststart'),
    'gops-late.mp4': of('gops.mp4', '-c copy -use_editlist 0'),
    'gops-negative-offsets.mp4': of('gops.mp4', '-c copy -movflags negative_cts_offsets'),
    'gops-fragmented.mp4': of('gops.mp4', '-c copy -movflags +frag_keyframe+empty_moov'),
    'gops.mkv': of('gops.mp4', '-c copy'),
    'gops-cut.mp4': of('gops.mp4', '-c copy', before='-ss 3.3'),
    'gops-mute.mp4': of('gops.mp4', '-c copy -an'),
    'gops-b0.mp4': gops('-g 40 -bf 0'),
    'gops-pyramid.mp4': gops('-g 48', x264='bframes=8:b-adapt=2:ref=5:b-pyramid=normal'),
    'gops-60.mp4': gops('-g 96 -bf 2', rate='60'),
    'gops-vfr.mp4': gops('-g 60 -bf 3 -force_key_frames expr:gte(t,n_forced*1.6) -fps_mode vfr', rate='30',
                         select="not(eq(mod(n,5),2))+between(n,100,140)"),
    'gops-open.mp4': gops('-g 48', x264='open-gop=1'),
    'gops-long.mp4': gops('-g 250 -sc_threshold 0'),
    'gops-intra.mp4': gops('-g 1'),
    'gops-fat.mp4': gops('-g 48', quality='-crf 1'),
    'cover.png': ffmpeg('-f lavfi -i testsrc2=size=300x300:rate=1:duration=1 -frames:v 1'),
    'cover-art.mp3': of('sound.mp3', ['-i', '{cover.png}'],
                        '-map 0:a -map 1:v -c copy -id3v2_version 3 -disposition:v attached_pic'),
    'truncated.mp4': cut('sample.mp4', 0.6),
    'truncated-no-moov.mp4': cut('moov-at-end.mp4', 0.6),
    'truncated.webm': cut('vp9-opus.webm', 0.6),
    'truncated.mp3': cut('sound.mp3', 0.6),
    'zero-bytes.mp4': data(lambda: b''),
    'one-byte.mp4': data(lambda: b'\0'),
    'random-bytes.mp4': data(lambda: random.Random(1).randbytes(200_000)),
    'random-bytes.mp3': data(lambda: random.Random(2).randbytes(200_000)),
    'text.mp4': data(text_file),
    'text.txt': data(text_file),
    'chance-floats.wav': data(riff_of_chance_floats),
    'header-only.wav': data(riff_header_without_samples),
    'header-only.mp4': cut('sample.mp4', 40),
}


def folder():
    return pathlib.Path(os.environ.get('MILLRACE_TEST_MEDIA') or ROOT / 'build' / 'test-media').absolute()


def fingerprint(name):
    """Changes with the file's recipe, and with those of the files that it is made from."""
    recipe = RECIPES[name]
    inner = ''.join(fingerprint(other) for other in RECIPES
                    if other != name and (other in recipe or any(f'{{{other}}}' in str(part) for part in recipe)))
    kind = repr(recipe) if recipe[0] != 'data' else hashlib.sha256(recipe[1]()).hexdigest()
    return hashlib.sha256((kind + inner).encode()).hexdigest()[:12]


def run(words, out):
    words = [str(media(w[1:-1])) if w.startswith('{') and w.endswith('}') else w for w in words]
    command = ['ffmpeg', '-v', 'error', '-nostdin', '-y', *words, '-fflags', '+bitexact', '-flags', '+bitexact', str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'{" ".join(command)}\n{done.stderr}')


def make(name, out):
    kind, *rest = RECIPES[name]
    if kind == 'data':
        out.write_bytes(rest[0]())
    elif kind == 'ffmpeg':
        run(rest[0], out)
    elif kind == 'edited':
        out.write_bytes(globals()[rest[1]](media(rest[0]).read_bytes()))
    elif kind == 'joined':
        out.write_bytes(b''.join(media(part).read_bytes() for part in rest))
    elif kind == 'ffmpeg-of':
        run([*rest[1], '-i', str(media(rest[0])), *rest[2]], out)
    else:
        whole = media(rest[0]).read_bytes()
        out.write_bytes(whole[:rest[1] if isinstance(rest[1], int) else int(len(whole) * rest[1])])


def media(name):
    """The path of one test file, made now if it is not there."""
    final = folder() / fingerprint(name) / name
    if not final.exists():
        final.parent.mkdir(parents=True, exist_ok=True)
        with (final.parent / 'lock').open('w', encoding='ascii') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not final.exists():
                make_whole(name, final)
    return final


def make_whole(name, final):
    # The same extension, since ffmpeg chooses the container by it.
    temporary = final.parent / f'making-{os.getpid()}-{name}'
    try:
        make(name, temporary)
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == '__main__':
    if not shutil.which('ffmpeg'):
        sys.exit('ffmpeg is not installed: make deps')
    for wanted in sys.argv[1:] or RECIPES:
        made = media(wanted)
        print(made if sys.argv[1:] else f'{made.stat().st_size:>10}  {made}')
