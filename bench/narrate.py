"""Narrations: three minutes of script over ten minutes of MP3, spoken by flite on both sides.

The other side is what one would write: flite makes the voice, then one ffmpeg command loops, ducks and mixes the music and
writes the same segments. It measures no loudness and looks for no true peaks.
"""
import statistics
import time
import urllib.parse

import media
from measure import Failed, run
from servers import Millrace, fetch

FIRST_ROUNDS = 20
MUSIC_SECONDS = 600
SENTENCE = 'This is sentence number {} of the {} story, and the road is quiet.'
SENTENCES = 40   # slt: three minutes
# A story's name makes its sentences new to the cache; all are as long to say as one another.
NAMES = ('amber', 'apple', 'autumn', 'barley', 'berry', 'candle', 'canyon', 'cedar', 'clover', 'copper', 'coral', 'cotton',
         'desert', 'ember', 'feather', 'forest', 'garden', 'ginger', 'harbor', 'harvest', 'hazel', 'honey', 'island', 'ivory',
         'lantern', 'lemon')
SETTLE = 0.25    # seconds, from one round's end to the next one's beginning
MIX = ('[0:a]volume=-14dB,afade=t=in:d=4[m];[1:a]adelay=4000:all=1,apad=pad_dur=4,asplit[v][key];'
       '[m][key]sidechaincompress=threshold=0.02:ratio=4:attack=300:release=900[ducked];'
       '[ducked][v]amix=inputs=2:duration=shortest:normalize=0,alimiter=limit=0.89[out]')


def script(name, sentences=SENTENCES):
    return ' '.join(SENTENCE.format(i, name) for i in range(sentences))


def narrate(m, music, text):
    return m.post('/api/jobs', {'kind': 'narration', 'params': {'script': text, 'music_file_id': music}})['job_id']


def first_segment(m, music, text):
    """Seconds from the request until the first segment has been fetched; the job is canceled then."""
    began = time.monotonic()
    job_id = narrate(m, music, text)
    url = m.wait(job_id, lambda j: j['streaming']['playlist_url'], every=0.002)['streaming']['playlist_url']
    status, body = fetch(url)
    first = [line for line in body.decode().splitlines() if line and not line.startswith('#')][:1]
    if status != 200 or not first or fetch(urllib.parse.urljoin(url, first[0]))[0] != 200:
        raise Failed(f'no first segment: HTTP {status}')
    took = time.monotonic() - began
    m.cancel(job_id)
    time.sleep(SETTLE)
    return took


def voice_of(folder, text):
    """The whole voice by flite, and how long that took."""
    (folder / 'script.txt').write_text(text)
    return run(['flite', '-voice', 'slt', '-f', folder / 'script.txt', '-o', folder / 'voice.wav'])


def mix_command(music, folder, search=()):
    """As one would type it; `search`: Millrace's way of looking for AAC's quantizers."""
    return ['ffmpeg', '-nostdin', '-v', 'error', '-y', '-stream_loop', '-1', '-i', music, '-i', folder / 'voice.wav',
            '-filter_complex', MIX, '-map', '[out]', '-ar', '48000', '-ac', '2', '-c:a', 'aac', *search,
            '-b:a', '128k', '-f', 'hls', '-hls_time', '5', '-hls_playlist_type', 'event',
            '-hls_segment_filename', folder / 'segment_%03d.ts', folder / 'playlist.m3u8']


def first(bench, m, music_path, music):
    """POST to first segment: nothing cached, cached speech, and the ffmpeg CLI's first file when all speech exists"""
    rounds = 3 if bench.quick else FIRST_ROUNDS
    folder = bench.fresh('narrate-first')
    fresh, cached, theirs = [], [], []
    kept = script('kept')
    voice_of(folder, kept)
    m.complete(narrate(m, music, kept))
    for number in range(rounds):
        fresh.append(first_segment(m, music, script(NAMES[number])))
        cached.append(first_segment(m, music, kept))
        for old in folder.glob('segment_*.ts'):
            old.unlink()
        theirs.append(run(mix_command(music_path, folder), until=(folder / 'segment_001.ts').exists, stop=True).first)
    for what, values, bar in (('nothing cached', fresh, '≤ 0.200'), ('speech cached', cached, '≤ 0.120'),
                              ('ffmpeg alone, all speech there', theirs, '')):
        bench.table.figure(f'narration, POST to first segment, {what}',
                           f'{statistics.median(values):.3f} s ({min(values):.3f}–{max(values):.3f}), {rounds} times', bar)


def whole(bench, m, music_path, music):
    """POST to completed, against flite and then ffmpeg; then the MP3"""
    ours, theirs, alike, mp3 = [], [], [], []
    for number in range(bench.rounds):
        text = script(f'old {NAMES[number % len(NAMES)]}')
        for side in bench.order(number):
            if side == 'ours':
                began = time.monotonic()
                job_id = narrate(m, music, text)
                m.complete(job_id)
                ours.append(time.monotonic() - began)
                began = time.monotonic()
                status, body = 202, b''
                while status == 202:
                    status, body = fetch(f'{m.url}/api/jobs/{job_id}/download', 'POST', b'{}')
                if status != 200:
                    raise Failed(f'HTTP {status}: {body[:500]}')
                mp3.append(time.monotonic() - began)
            else:
                folder = bench.fresh('narrate-whole')
                voice = voice_of(folder, text).wall
                theirs.append(voice + run(mix_command(music_path, folder)).wall)
                alike.append(voice + run(mix_command(music_path, folder, ('-aac_coder', 'fast'))).wall)
    bench.table.pair('narrate', 'three minutes, complete', 's', ours, theirs, '≤ 0.6', against='flite, then ffmpeg')
    bench.table.pair('narrate', 'the same, both with the quick AAC search', 's', ours, alike, '', against='flite, then ffmpeg')
    bench.table.figure('narration, its MP3 on demand', f'{statistics.median(mp3):.2f} s ({min(mp3):.2f}–{max(mp3):.2f})', '≤ 1')


def narration(bench):
    """narrations: first segment, three minutes complete, MP3 on demand"""
    song = media.song(bench.work, MUSIC_SECONDS // 10 if bench.quick else MUSIC_SECONDS)
    music_path = media.ffmpeg(bench.work / f'{song.stem}.mp3', '-i', song, '-c:a', 'libmp3lame', '-b:a', '192k')
    with Millrace(bench.build, bench.fresh('narrate'), '--log-level', 'info') as m:
        music = m.upload(music_path)['file_id']
        end = time.monotonic() + 60
        while m.get(f'/api/files/{music}')['analysis']['status'] == 'pending' and time.monotonic() < end:
            time.sleep(0.1)
        first(bench, m, music_path, music)
        whole(bench, m, music_path, music)
