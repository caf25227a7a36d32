"""Conversions: against ffmpeg with the same encoder settings; by size; many at once; a short one behind long ones. Each is a
benchmark of its own, of less than three minutes.

MP3 is made without a bit reservoir on both sides, since that is the same work. The encoders and decoders are the same libraries':
what differs is what stands around them.
"""
import array
import math
import re
import statistics
import subprocess
import time

import media
from measure import Watch, run
from servers import Millrace

MIB = 2**20
SECONDS = 600
AT_ONCE = 20
LONG_SECONDS, SHORT_SECONDS = 1800, 10
ROUNDS_S = 20   # for so long at least each format is compared
MP3 = ['-c:a', 'libmp3lame', '-b:a', '192k', '-reservoir', '0']
AAC = ['-c:a', 'aac', '-aac_coder', 'fast', '-b:a', '160k']   # Millrace's settings: media/aac_search.h


def speed(bench):
    """600 s of sound: WAV to MP3 and to AAC, MP3 to WAV"""
    seconds = SECONDS // 10 if bench.quick else SECONDS
    song = media.song(bench.work, seconds)
    mp3 = media.ffmpeg(bench.work / f'song-{seconds}s.mp3', '-i', song, *MP3[:4])
    for source, name, words, bar in ((song, 'mp3', MP3, '≤ 0.6'), (song, 'aac', AAC, '≤ 0.6'), (song, 'm4a', AAC, '≤ 0.6'),
                                     (mp3, 'wav', ['-c:a', 'pcm_s16le'], '≤ 0.8')):
        used = {'ours': [], 'theirs': []}
        for number in bench.rounds_of(ROUNDS_S):
            for side in bench.order(number):
                out = bench.fresh('convert') / f'out.{name}'
                ours = [bench.build / 'millrace', 'convert', source, out, '--quiet']
                theirs = ['ffmpeg', '-nostdin', '-v', 'error', '-y', '-i', source, *words, out]
                used[side].append(run(ours if side == 'ours' else theirs))
        columns = [used['ours'], used['theirs']]
        what = f'{source.suffix[1:].upper()} to {name.upper()}'
        for unit, of, limit in (('wall', lambda u: u.wall, bar), ('CPU', lambda u: u.cpu, '')):
            bench.table.pair('convert', f'{what}, {unit}', 's', *([of(u) for u in column] for column in columns), limit)


def task_peak(m):
    """Bytes: the highest of all chunks so far."""
    return max(int(n) for n in re.findall(r'event=(?:chunk_done|job_completed) .*max_rss_kb=(\d+)', m.said())) * 1024


def sizes(bench):
    """WAV of 1, 50 and 200 MB and of three hours to MP3: time and memory"""
    wanted = [('1 MB', 10**6 // 192000), ('50 MB', 50 * 10**6 // 192000), ('200 MB', 200 * 10**6 // 192000), ('3 h', 10800)]
    for name, seconds in wanted[:2] if bench.quick else wanted:
        source = media.ffmpeg(bench.work / f'song-{seconds}s-looped.wav', '-stream_loop', seconds // 60, '-i',
                              media.song(bench.work, 60), '-t', seconds, '-c', 'copy')
        with Millrace(bench.build, bench.fresh('convert-size'), '--log-level', 'info', '--analyze', 'off') as m:
            file_id = m.upload(source)['file_id']
            began = time.monotonic()
            with Watch(m.pid) as watch:
                m.complete(m.convert(file_id, format='mp3'))
            wall = time.monotonic() - began
            peak = task_peak(m)
        bench.table.figure(f'convert, {name} ({seconds} s) to MP3',
                           f'{wall:.2f} s: {wall / seconds * 600:.2f} s for each ten minutes; a task at most {peak / MIB:.0f} MiB, '
                           f'server, zygote and tasks {watch.peak / MIB:.0f} MiB', 'time linear, memory flat')


def at_once(bench):
    """20 conversions from 20 users at once, against the same one after another"""
    song = media.song(bench.work, 60)
    together, alone = [], []
    with Millrace(bench.build, bench.fresh('convert-many'), '--log-level', 'warn', '--analyze', 'off') as m:
        files = [m.upload(song, user=f'user{i}')['file_id'] for i in range(AT_ONCE)]
        for number in range(bench.rounds):
            for side in bench.order(number):
                began = time.monotonic()
                if side == 'ours':
                    jobs = [m.convert(f, user=f'user{i}', format='mp3') for i, f in enumerate(files)]
                    for i, job in enumerate(jobs):
                        m.complete(job, user=f'user{i}')
                    together.append(time.monotonic() - began)
                else:
                    for i, f in enumerate(files):
                        m.complete(m.convert(f, user=f'user{i}', format='mp3'), user=f'user{i}')
                    alone.append(time.monotonic() - began)
    bench.table.pair('convert', f'{AT_ONCE} of 60 s at once', 's', together, alone, '≤ 1', against='one after another')


def fairness(bench):
    """10 s of sound sent behind twenty half hours, against the same alone"""
    minute = media.song(bench.work, 60)
    long = media.ffmpeg(bench.work / 'song-long.mp3', '-stream_loop', LONG_SECONDS // 60 - 1, '-i', minute, *MP3)
    short = media.song(bench.work, SHORT_SECONDS)
    behind, alone = [], []

    def once(m, file_id):
        began = time.monotonic()
        m.complete(m.convert(file_id, user='short', format='mp3'), user='short')
        return time.monotonic() - began
    with Millrace(bench.build, bench.fresh('convert-fair'), '--log-level', 'warn', '--analyze', 'off') as m:
        file_id = m.upload(short, user='short')['file_id']
        files = [m.upload(long, user=f'user{i}')['file_id'] for i in range(AT_ONCE)]
        for _ in range(bench.rounds):
            alone.append(statistics.median(once(m, file_id) for _ in range(5)))
            jobs = [m.convert(f, user=f'user{i}', format='mp3') for i, f in enumerate(files)]
            m.wait(jobs[0], lambda j: j['progress']['percent'] > 0, user='user0')
            behind.append(statistics.median(once(m, file_id) for _ in range(5)))
            for i, job in enumerate(jobs):
                m.cancel(job, user=f'user{i}')
            time.sleep(2)   # what was running ends
    bench.table.pair('convert', '10 s behind twenty half hours', 's', behind, alone, '≤ 3', against='alone')


def samples(path):
    return array.array('f', subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-f', 'f32le', '-'], check=True,
                                           capture_output=True).stdout)


def signal_to_noise(original, path):
    """dB, of the samples that both have: MP3 gives back as many as went in."""
    pairs = list(zip(original, samples(path)))
    return 10 * math.log10(sum(a * a for a, _ in pairs) / sum((a - b) ** 2 for a, b in pairs))


def quality(bench):
    """what MP3 without a bit reservoir costs"""
    song = media.song(bench.work, 10)
    original = samples(song)
    for rate in ('128k', '192k'):
        out = bench.fresh('convert') / 'ours.mp3'
        run([bench.build / 'millrace', 'convert', song, out, '--bitrate', rate, '--quiet'])
        found = [signal_to_noise(original, out)]
        for reservoir in ('0', '1'):
            theirs = out.with_name(f'reservoir-{reservoir}.mp3')
            words = [*MP3[:2], '-b:a', rate, '-reservoir', reservoir]
            run(['ffmpeg', '-nostdin', '-v', 'error', '-i', song, *words, theirs])
            found.append(signal_to_noise(original, theirs))
        bench.table.figure(f'MP3 at {rate}: signal to noise', '{:.2f} dB; ffmpeg without a reservoir {:.2f}, with it {:.2f}'
                           .format(*found), 'as ffmpeg without')


def convert(bench):
    """conversions of 600 s against ffmpeg; what MP3 without a bit reservoir costs"""
    speed(bench)
    quality(bench)
