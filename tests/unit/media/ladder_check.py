"""What every chunk's objects must satisfy, read from the bytes (boxes, transport packets) and by ffmpeg and ffprobe."""
import array
import math
import os
import re
import struct

from ladder_case import ffprobe, join, run, silent

TS_OFFSET = 900000


def boxes(data):
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from('>I4s', data, at)
        assert 8 <= size <= len(data) - at, f'box {kind} of {size} bytes at {at}'
        yield kind.decode('latin-1'), data[at + 8:at + size]
        at += size


def box(data, *path):
    for name in path:
        data = dict(boxes(data))[name]
    return data


def fragments(data):
    """Of each of a segment's fragments: sequence number, base decode time and samples (duration, composition offset)."""
    parts = list(boxes(data))
    assert [k for k, _ in parts] == ['styp'] + ['moof', 'mdat'] * (len(parts) // 2)
    return [fragment(moof) for kind, moof in parts if kind == 'moof']


def fragment(moof):
    sequence, = struct.unpack('>4xI', box(moof, 'mfhd'))
    traf = box(moof, 'traf')
    tfdt = box(traf, 'tfdt')
    base, = struct.unpack_from('>Q' if tfdt[0] else '>I', tfdt, 4)
    tfhd = box(traf, 'tfhd')
    flags, = struct.unpack_from('>I', tfhd)
    at, default_duration = 8, None
    assert flags & 0x20000, 'default-base-is-moof'
    if flags & 0x2:
        at += 4
    if flags & 0x8:
        default_duration, = struct.unpack_from('>I', tfhd, at)
    trun = box(traf, 'trun')
    version, tflags, count = trun[0], struct.unpack_from('>I', trun)[0] & 0xffffff, struct.unpack_from('>I', trun, 4)[0]
    at = 8 + (4 if tflags & 1 else 0) + (4 if tflags & 4 else 0)
    samples = []
    for _ in range(count):
        duration, offset = default_duration, 0
        if tflags & 0x100:
            duration, = struct.unpack_from('>I', trun, at)
            at += 4
        at += 4 * bool(tflags & 0x200) + 4 * bool(tflags & 0x400)
        if tflags & 0x800:
            offset, = struct.unpack_from('>i' if version else '>I', trun, at)
            at += 4
        samples.append((duration, offset))
    assert at == len(trun)
    return sequence, base, samples


def lead_of(source):
    """By how much fMP4's presentation times lie behind the plan's, in 1/90000 s (src/media/segment_times.h)."""
    return 2 * min(source.frame_ticks, 3750) if source.video >= 0 else 0


def check_fmp4(source, folder, chunk, rendition):
    """Video is decoded from each segment's planned start on and presented a lead later; sound is presented that lead later."""
    expected_start = None
    video = source.audio < 0 or rendition < source.renditions - 1
    lead = lead_of(source) if video else (lead_of(source) * source.rate + 45000) // 90000
    for o in chunk.segments(rendition):
        data = open(f'{folder}/r{rendition}_{o["index"]:05}.seg', 'rb').read()
        assert len(data) == o['size']
        parts = fragments(data)
        assert len(parts) == (len(o['iframes']) if video else 1)
        assert [part[0] for part in parts] == [o['index'] * 16 + 1 + i for i in range(len(parts))]
        base, samples = parts[0][1], [sample for part in parts for sample in part[2]]
        assert base == o['start'] + (0 if video else lead), f'tfdt {base}, planned {o["start"]}'
        for before, after in zip(parts, parts[1:]):
            assert after[1] == before[1] + sum(d for d, _ in before[2])
        assert sum(d for d, _ in samples) == o['duration']
        assert all(d > 0 for d, _ in samples)
        assert samples[0][1] == (lead if video else 0)
        assert all(offset >= 0 for _, offset in samples)
        assert expected_start in (None, o['start'])
        expected_start = o['start'] + o['duration']


def ts_packets(data):
    assert len(data) % 188 == 0
    for at in range(0, len(data), 188):
        p = data[at:at + 188]
        assert p[0] == 0x47
        yield ((p[1] & 0x1f) << 8) | p[2], p


def check_ts(folder, chunk, rendition):
    counters, pcr_last = {}, None
    for o in chunk.segments(rendition):
        first = []
        own = {}
        for pid, p in ts_packets(open(f'{folder}/r{rendition}_{o["index"]:05}.seg', 'rb').read()):
            first.append(pid)
            payload, field, cc = p[3] & 0x10, p[3] & 0x20, p[3] & 15
            if payload:
                own[pid] = own.get(pid, 0) + 1
                assert cc == (counters.get(pid, -1) + 1) & 15, f'PID {pid}: {cc} after {counters.get(pid)}'
                counters[pid] = cc
            else:
                assert cc == counters.get(pid, 15)
            if field and p[4] > 0 and p[5] & 0x10:
                b = p[6:12]
                pcr = ((b[0] << 25 | b[1] << 17 | b[2] << 9 | b[3] << 1 | b[4] >> 7) * 300 + ((b[4] & 1) << 8 | b[5]))
                assert pcr_last is None or 0 < pcr - pcr_last <= 27_000_000 * 12, 'clock references rise'
                pcr_last = pcr
        assert first[0] == 0 and first[1] not in (0, 17, 256), 'PAT and PMT first'
        assert all(n % 16 == 0 for n in own.values()), own
    assert pcr_last is not None


def packets(path, stream='0'):
    entries = ('-show_packets', '-show_entries', 'packet=pts,dts,duration,flags')
    return ffprobe(path, '-select_streams', stream, *entries)['packets']


def times(source, joined):
    """(dts, pts, is an IDR) of each packet, on the plan's timeline."""
    ps = packets(joined)
    shift = TS_OFFSET if source.container == 'ts' else lead_of(source)
    return [(int(p['dts']) - shift, int(p['pts']) - shift, 'K' in p['flags']) for p in ps]


def check_video_packets(source, folder, chunk, rendition, joined):
    ps = times(source, joined)
    assert all(a[0] < b[0] for a, b in zip(ps, ps[1:])), 'decoding times rise'
    assert all(dts <= pts for dts, pts, _ in ps)
    pts = sorted(p for _, p, _ in ps)
    assert len(set(pts)) == len(pts)
    keys = [p for _, p, key in ps if key]
    starts = [o['start'] for o in chunk.segments(rendition)]
    ends = [o['start'] + o['duration'] for o in chunk.segments(rendition)]
    assert set(starts) <= set(keys), f'segments at {starts}, IDRs at {keys}'
    assert pts[0] == starts[0] and pts[-1] < ends[-1]
    for start, end in zip(starts, ends):  # a GOP of 2 s at most, and the frame that ends it
        inside = [p for p in pts if start <= p < end]
        for a, b in zip(inside, inside[1:]):
            last_key = max(k for k in keys if k <= a)
            assert b in keys or a - last_key < 180000 + 22500, f'no IDR from {last_key} to {b}'
    return pts, keys


def check_iframes(source, folder, chunk, rendition, keys):
    """Every I-frame is noted at its time, and its range is one picture (looked at closely in the first two segments)."""
    noted = [o['start'] + ticks for o in chunk.segments(rendition) for ticks, _, _ in o['iframes']]
    assert noted == keys
    init = open(f'{folder}/r{rendition}_init.mp4', 'rb').read() if source.container == 'fmp4' else b''
    for o in chunk.segments(rendition)[:2]:
        data = open(f'{folder}/r{rendition}_{o["index"]:05}.seg', 'rb').read()
        for _, offset, size in o['iframes']:
            one = data[offset:offset + size]
            assert len(one) == size and (one[4:8] == b'moof' if init else one[:3] == b'\x47\x40\x00')
            shown = run('ffprobe', '-v', 'error', '-show_entries', 'frame=pict_type', '-of', 'csv=p=0', '-', input=init + one)
            assert re.findall(rb'[A-Z]', shown.stdout) == [b'I'], shown.stdout
            assert init or shown.stderr == b''


def check(source, folder, chunk, work):
    """All renditions of a chunk (or of all chunks together); returns the frames' times of the first rung."""
    pts = None
    for r in range(source.renditions):
        objects = chunk.segments(r)
        assert [o['index'] for o in objects] == list(range(objects[0]['index'], objects[0]['index'] + len(objects)))
        joined = join(folder, r, os.path.join(work, f'joined{r}.mp4'))
        audio = source.audio >= 0 and r == source.renditions - 1
        said = silent('-i', joined)
        assert said == '', said
        if source.container == 'fmp4':
            check_fmp4(source, folder, chunk, r)
        else:
            check_ts(folder, chunk, r)
        if not audio:
            own, keys = check_video_packets(source, folder, chunk, r, joined)
            check_iframes(source, folder, chunk, r, keys)
            assert pts is None or pts == own, 'all rungs have the same frames'
            pts = own
        elif source.container == 'fmp4':
            assert len(packets(joined)) * 1024 == sum(o['duration'] for o in objects)
    assert chunk.progress == sorted(chunk.progress)
    return pts


def decode_audio(path, rate, channels, *args):
    p = run('ffmpeg', '-nostdin', '-v', 'error', *args, '-i', path, '-vn', '-f', 'f32le', '-ac', channels, '-ar', rate, '-')
    return array.array('f', p.stdout)


def snr_db(a, b, start, end, channels):
    """How near b is to a between two samples (of each channel)."""
    signal = noise = 1e-20
    for i in range(max(0, start) * channels, min(end * channels, len(a), len(b))):
        signal += a[i] * a[i]
        noise += (a[i] - b[i]) ** 2
    return 10 * math.log10(signal / noise)


def lag(a, b, channels, at, most=80):
    """By how many samples b comes later than a, looked at from sample `at` on."""
    def shifted(k):
        x, y = a[at * channels:(at + 2000) * channels], b[(at + k) * channels:(at + k + 2000) * channels]
        return snr_db(x, y, 0, 2000, channels)
    return max(range(-most, most + 1), key=shifted)


def align(a, b, channels, at=48000):
    """Both from the same instant on; containers round their time stamps to milliseconds."""
    k = lag(a, b, channels, at)
    return a[max(0, -k) * channels:], b[max(0, k) * channels:], max(0, k)
