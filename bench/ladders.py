"""Ladders against the one command of ffmpeg that a user would write instead: the same rungs, caps, keyframes and segments.

The command's numbers are read from the specification that Millrace's own encoders get, so that both sides always do the same
work. ffmpeg decodes once, splits, scales each rung from the source, and uses as many threads as it likes.
"""
import os
import re
import shutil
import time
import urllib.parse

from measure import Failed, output, run
from servers import Millrace, fetch

TIMESCALE = 90000
ROUNDS_S = 90   # for so long at least ladders are compared


def settings(bench, source, rungs):
    """The specification of a job that no worker takes."""
    with Millrace(bench.build, bench.fresh('settings'), '--workers', '0', '--log-level', 'warn') as m:
        return m.spec(m.start(m.upload(source)['file_id'], **({'rungs': rungs} if rungs else {})))


def rung_names(spec):
    return [f"{min(r['width'], r['height'])}p" for r in spec['rungs']]


def source_size(source):
    text = output(['ffprobe', '-v', 'error', '-select_streams', 'V:0', '-show_entries', 'stream=width,height', '-of', 'csv=p=0',
                   source])
    return tuple(int(n) for n in text.strip().split(',')[:2])


def video_words(spec, source):
    own = source_size(source)
    rungs = spec['rungs']
    graph = [f"[0:v]split={len(rungs)}" + ''.join(f'[s{i}]' for i in range(len(rungs)))]
    words, keyint = [], round(spec['gop_ticks'] / spec['frame_ticks'])
    for i, r in enumerate(rungs):
        same = (r['width'], r['height']) == own
        graph.append(f"[s{i}]{'null' if same else 'scale={width}:{height}'.format(**r)}[v{i}]")
        words += ['-map', f'[v{i}]', f'-crf:v:{i}', r['crf_x10'] / 10, f'-maxrate:v:{i}', r['maxrate_bps'],
                  f'-bufsize:v:{i}', r['bufsize_bits'], f'-profile:v:{i}', r['profile'], f'-level:v:{i}', r['level_x10']]
    return ['-filter_complex', ';'.join(graph), *words, '-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p',
            '-g', keyint, '-keyint_min', keyint, '-sc_threshold', '0']


def ffmpeg_command(spec, source, out):
    words = ['ffmpeg', '-nostdin', '-v', 'error', '-y', '-i', source]
    streams = []
    if spec['rungs']:
        words += video_words(spec, source)
        group = ',agroup:audio' if spec['audios'] else ''
        streams = [f'v:{i}{group},name:{name}' for i, name in enumerate(rung_names(spec))]
    if spec['audios']:
        if len(spec['audios']) > 1 or spec['subtitles']:
            raise Failed(f'{source}: the command that it is compared with knows one audio track and no subtitles')
        words += ['-map', '0:a:0', '-c:a', 'aac', '-aac_coder', 'fast', '-b:a', spec['audios'][0]['bitrate_bps'], '-ac',
                  spec['audios'][0]['channels'], '-ar', spec['audio_rate']]
        streams.append(('a:0,agroup:audio' if streams else 'a:0') + ',name:audio')
    return [*words, '-f', 'hls', '-hls_time', spec['segment_ticks'] / TIMESCALE, '-hls_playlist_type', 'event',
            '-hls_segment_type', 'fmp4', '-hls_flags', 'independent_segments+temp_file', '-master_pl_name', 'master.m3u8',
            '-var_stream_map', ' '.join(streams), '-hls_segment_filename', f'{out}/%v/segment_%03d.m4s',
            f'{out}/%v/playlist.m3u8']


def millrace_command(bench, spec, source, out):
    rungs = ['--rungs', ','.join(rung_names(spec))] if spec['rungs'] else []
    return [bench.build / 'millrace', 'ladder', source, out, '--quiet', *rungs]


def renditions(spec):
    return rung_names(spec) + (['audio'] if spec['audios'] else [])


def playable(out, spec):
    """Master and a playlist of every rendition that lists a segment. Both sides write a playlist after what it lists."""
    lists = [out / 'master.m3u8', *(out / name / 'playlist.m3u8' for name in renditions(spec))]
    return all(p.exists() and p.stat().st_size > 0 for p in lists)


def rendition_bytes(out, name):
    return sum(p.stat().st_size for p in (out / name).glob('*.m4s'))


def ssim(out, name, rung, source):
    """Against the source scaled bicubically, frame by frame."""
    text = output(['ffmpeg', '-nostdin', '-v', 'info', '-i', out / name / 'playlist.m3u8', '-i', source, '-filter_complex',
                   f"[1:v]scale={rung['width']}:{rung['height']}:flags=bicubic,settb=AVTB,setpts=N[r];"
                   '[0:v]settb=AVTB,setpts=N[e];[e][r]ssim', '-an', '-f', 'null', '-'])
    found = re.search(r'SSIM .*All:([0-9.]+)', text)
    if not found:
        raise Failed(f'no SSIM of {out / name}: {text[-500:]}')
    return float(found[1])


def both_sides(bench, label, spec, source, **how):
    """Runs both sides in every round, and who goes first alternates. Leaves the last round's output: (ours, theirs, folders)."""
    folders = {'ours': bench.work / f'{label}-millrace', 'theirs': bench.work / f'{label}-ffmpeg'}
    got = {'ours': [], 'theirs': []}
    for number in bench.rounds_of(ROUNDS_S):
        for side in bench.order(number):
            out = folders[side]
            shutil.rmtree(out, ignore_errors=True)
            if side == 'theirs':
                for name in renditions(spec):
                    (out / name).mkdir(parents=True)
            command = millrace_command(bench, spec, source, out) if side == 'ours' else ffmpeg_command(spec, source, out)
            got[side].append(run(command, until=lambda out=out: playable(out, spec), **how))
    return got['ours'], got['theirs'], folders


def ladder(bench, label, source, rungs, wall_bar, quality=True):
    """Wall, CPU and first playable of the one-shot command; bytes and SSIM of the last round, which are the same in all of them."""
    spec = settings(bench, source, rungs)
    ours, theirs, folders = both_sides(bench, label, spec, source)
    pair = bench.table.pair
    pair(label, 'wall', 's', [u.wall for u in ours], [u.wall for u in theirs], wall_bar)
    pair(label, 'CPU', 's', [u.cpu for u in ours], [u.cpu for u in theirs], '≤ 1.0' if quality else '')
    cores = len(os.sched_getaffinity(0))
    pair(label, 'cores busy', '%', *([100 * u.cpu / u.wall / cores for u in side] for side in (ours, theirs)),
         'ours ≥ 95')
    pair(label, 'first playable (one-shot)', 's', [u.first for u in ours], [u.first for u in theirs], '≤ 1.0' if quality else '')
    sizes = {side: {n: rendition_bytes(folders[side], n) for n in renditions(spec)} for side in folders}
    for name in renditions(spec):
        pair(label, f'{name} size', 'MB', [sizes['ours'][name] / 1e6], [sizes['theirs'][name] / 1e6], '0.95–1.05')
    for name, rung in zip(rung_names(spec), spec['rungs']):
        a, b = (ssim(folders[side], name, rung, source) for side in ('ours', 'theirs'))
        bench.table.figure(f'{label}: SSIM of {name}', f'{a:.4f}, ffmpeg {b:.4f}: {a - b:+.4f}', 'within 0.003')
    for folder in folders.values():
        shutil.rmtree(folder)


def copied(bench, label, source, rungs, wall_bar):
    """The first rung is the source's own video; the command encodes all of them."""
    spec = settings(bench, source, rungs)
    if not spec['rungs'][0]['copy']:
        raise Failed(f'{source}: not copied')
    ours, theirs, folders = both_sides(bench, label, spec, source)
    pair = bench.table.pair
    pair(label, 'wall', 's', [u.wall for u in ours], [u.wall for u in theirs], wall_bar)
    pair(label, 'CPU', 's', [u.cpu for u in ours], [u.cpu for u in theirs], wall_bar)
    pair(label, 'first playable (one-shot)', 's', [u.first for u in ours], [u.first for u in theirs], '≤ 1.0')
    for folder in folders.values():
        shutil.rmtree(folder)


def first_playable(bench, label, source, rungs):
    """From the request for the job to the answer that names the playlist, against the command's start to its first segments."""
    spec = settings(bench, source, rungs)
    ours, theirs = [], []
    out = bench.work / f'{label}-ffmpeg'
    with Millrace(bench.build, bench.fresh(label), '--log-level', 'warn') as m:
        file_id = m.upload(source)['file_id']
        for number in range(bench.rounds):
            for side in bench.order(number):
                if side == 'ours':
                    ours.append(server_first(m, file_id, rungs))
                    continue
                shutil.rmtree(out, ignore_errors=True)
                for name in renditions(spec):
                    (out / name).mkdir(parents=True)
                theirs.append(run(ffmpeg_command(spec, source, out), until=lambda: playable(out, spec), stop=True).first)
    shutil.rmtree(out)
    bench.table.pair(label, 'POST to playable', 's', ours, theirs, '≤ 1.0')


def server_first(m, file_id, rungs):
    began = time.monotonic()
    job_id = m.start(file_id, rungs=rungs)
    job = m.wait(job_id, lambda j: j['streaming']['playlist_url'], every=0.005)
    base = job['streaming']['playlist_url']
    fetch_first(base)
    took = time.monotonic() - began
    m.cancel(job_id)
    m.wait(job_id, lambda j: j['status'] == 'canceled')
    return took


def fetch_first(master_url):
    """The playlist, each it names, and the first segment and header of each: all must be there."""
    def text(url):
        status, body = fetch(url)
        if status != 200:
            raise Failed(f'HTTP {status} for {url}')
        return body

    def uris(body):
        lines = body.decode().splitlines()
        return re.findall(r'URI="([^"]+)"', body.decode()) + [line for line in lines if line and not line.startswith('#')]
    for media in uris(text(master_url)):
        media_url = urllib.parse.urljoin(master_url, media)
        for uri in uris(text(media_url))[:2]:
            text(urllib.parse.urljoin(media_url, uri))
