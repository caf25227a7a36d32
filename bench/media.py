"""The sources of the benchmarks: made once with ffmpeg's own generators and kept in the work folder.

    film(folder)         # 20 s of 1080p at 25 frames a second with sound: texture, motion over it, a little noise, about 12 Mbit/s
    ANIMATION            # 30 s of 480p animation with 5.1 sound: the file that BENCH_ANIMATION names, or None. It stays where it is
"""
import os
import pathlib
import struct

from measure import output

NAMED = os.environ.get('BENCH_ANIMATION')
ANIMATION = pathlib.Path(NAMED) if NAMED else None

# A zoom into a fractal gives detail everywhere and motion that no block vector fits exactly; a test picture moves over it, cells
# live and die in a corner, and a little noise lies on all of it.
FILM = ('[0:v]scale=1920:1080:flags=bicubic,noise=alls=3:allf=t[zoom];'
        "[zoom][1:v]overlay=x='mod(40*t,1280)':y=60[moving];"
        "[moving][2:v]overlay=x=60:y='700-20*t',format=yuv420p[v]")


def ffmpeg(target, *words):
    """Makes `target` unless it exists; whole or not at all."""
    if not target.exists():
        partial = target.with_name('partial-' + target.name)
        output(['ffmpeg', '-nostdin', '-v', 'error', '-y', *words, partial])
        partial.rename(target)
    return target


def film(folder):
    """Encoded with x264's defaults, as most files that people upload are: keyframes are up to ten seconds apart."""
    return ffmpeg(folder / 'film-1080p-20s.mp4',
                  '-f', 'lavfi', '-i', 'mandelbrot=size=960x540:rate=25:start_scale=2.2:end_scale=0.02:end_pts=500:maxiter=120',
                  '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25',
                  '-f', 'lavfi', '-i', 'life=s=240x135:mold=10:rate=25:ratio=0.2:seed=7:death_color=0x603010:life_color=0x20c0ff,'
                  'scale=480:270:flags=bilinear',
                  '-f', 'lavfi', '-i', 'anoisesrc=c=pink:r=48000:a=0.2:seed=7,tremolo=f=3',
                  '-filter_complex', FILM, '-map', '[v]', '-map', '3:a', '-t', '20',
                  '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '21', '-c:a', 'aac', '-b:a', '128k', '-ac', '2')


def short_gops(folder, source):
    """The same encoded anew with a keyframe every two seconds and a rate that players take: its video can be copied."""
    return ffmpeg(folder / f'{source.stem}-gops.mp4', '-i', source, '-map', '0:v', '-map', '0:a',
                  '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '23', '-maxrate', '7M', '-bufsize', '7M',
                  '-pix_fmt', 'yuv420p', '-sc_threshold', '0', '-force_key_frames', 'expr:gte(t,n_forced*2)',
                  '-c:a', 'aac', '-b:a', '128k', '-ac', '2')


def song(folder, seconds=600):
    """Stereo with something to do for a psychoacoustic model: moving tones over noise."""
    left = '0.2*sin(2*PI*t*(220+110*sin(t/3)))+0.1*sin(2*PI*1760*t)*sin(2*PI*t)+0.05*random(0)'
    right = '0.2*sin(2*PI*t*(330+90*sin(t/5)))+0.1*sin(2*PI*2637*t)*sin(3*PI*t)+0.05*random(1)'
    return ffmpeg(folder / f'song-{seconds}s.wav', '-f', 'lavfi', '-i', f'aevalsrc={left}|{right}:s=48000', '-t', seconds,
                  '-c:a', 'pcm_s16le')


def repeated(folder, minutes):
    """Low-resolution film of any length with as many packets as a real one: ten minutes, and copies of them behind each other."""
    base = ffmpeg(folder / 'low-10min.mp4',
                  '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=330:sample_rate=48000',
                  '-t', '600', '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac', '-ac', '2',
                  '-movflags', '+faststart')
    if minutes == 10:
        return base
    return ffmpeg(folder / f'low-{minutes}min.mp4', '-stream_loop', minutes // 10 - 1, '-i', base, '-c', 'copy',
                  '-movflags', '+faststart')


def blip(folder):
    """The smallest job: a tenth of a second of sound."""
    return ffmpeg(folder / 'blip.wav', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', '0.1',
                  '-c:a', 'pcm_s16le')


def large_wav(folder, size):
    """A WAV of `size` bytes of silence, sparse on the disk."""
    path = folder / f'large-{size}.wav'
    if not path.exists():
        data = size - 44
        with path.open('wb') as f:
            f.write(b'RIFF' + struct.pack('<I', size - 8) + b'WAVEfmt ' + struct.pack('<IHHIIHH', 16, 1, 2, 48000, 192000, 4, 16) +
                    b'data' + struct.pack('<I', data))
            f.truncate(size)
    return path


def noise_file(folder, size):
    path = folder / f'object-{size}.bin'
    if not path.exists():
        path.write_bytes(os.urandom(size))
    return path
