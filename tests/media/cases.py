"""What becomes of each media file: it plays, or it is refused with one of these codes.

    @pytest.mark.parametrize('case', cases.ALL, ids=str)
    def test_upload(case):
        path = case.path()          # skips where a file of the shared folder is absent

MADE are made by make_media.py and always there. SHARED lie in a folder that is not part of the project, $MILLRACE_SHARED_MEDIA
or ../shared/media beside the repository: real recordings, and files that broke other programs. test_cases.py holds every
expectation against what ffmpeg itself makes of the file.
"""
import dataclasses
import os
import pathlib

import make_media

PLAYS = 'plays'

# Codes of a refusal: 415 for UNSUPPORTED_FORMAT, 422 for all others. Where libav's guess of the format decides which
# it is, both are right.
FORMAT = frozenset({'UNSUPPORTED_FORMAT'})
EMPTY = frozenset({'EMPTY_MEDIA', 'NO_MEDIA_STREAMS'})
DAMAGED = frozenset({'DAMAGED_MEDIA', 'UNDECODABLE', 'NO_MEDIA_STREAMS'})


def status_of(code):
    return 415 if code in FORMAT else 422


def shared_folder():
    return pathlib.Path(os.environ.get('MILLRACE_SHARED_MEDIA') or make_media.ROOT.parent / 'shared' / 'media')


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    expect: object          # PLAYS, or a set of codes
    seconds: float = 0      # what can be decoded, whatever the header says
    video: tuple = None     # width and height as displayed upright; None: no video (a cover is none)
    channels: int = 0       # of the source's sound; 0: silent
    why: str = ''
    shared: bool = False
    look: str = ''          # ffmpeg's filters that make its pictures what they should become; with a comma behind
    offset_s: float = 0.02  # by how much picture and sound may part, measured against ffmpeg's idea of the file
    alike: bool = True      # it can be compared at all

    def __str__(self):
        return self.name

    @property
    def plays(self):
        return self.expect == PLAYS

    def present(self):
        return not self.shared or (shared_folder() / self.name).exists()

    def path(self):
        if not self.shared:
            return make_media.media(self.name)
        if not self.present():
            import pytest
            pytest.skip(f'{self.name} is not on this machine')
        return shared_folder() / self.name


def plays(name, seconds, video=None, channels=2, why=''):
    return Case(name, PLAYS, seconds, video, channels, why)


def refused(name, codes, why=''):
    return Case(name, codes, why=why)


def looks(case, filters):
    return dataclasses.replace(case, look=filters)


def spliced(case):
    """ffmpeg joins each stream for itself and so loses the time between picture and sound; Millrace keeps it."""
    return dataclasses.replace(case, offset_s=0.05)


def alone(case):
    """ffmpeg begins to measure anew where the sound changes, or finds nothing in it to measure."""
    return dataclasses.replace(case, alike=False)


TONE_MAPPED = ('zscale=t=linear:npl=100,format=gbrpf32,zscale=p=bt709,tonemap=hable:desat=0:peak=10,'
               'zscale=t=bt709:m=bt709:r=limited,format=yuv420p,')
BT709 = 'zscale=p=bt709:t=bt709:m=bt709:r=limited,format=yuv420p,'

MADE = [
    alone(plays('chance-floats.wav', 10, None, 1, 'samples that are no numbers: an encoder could be busy with them for minutes')),
    plays('sample.mp4', 30, (1280, 720), why='the sample of make run; header first'),
    plays('sample-60s.mp4', 60, (640, 360)),
    plays('silent.mp4', 8, (640, 360), 0, 'video without sound'),
    plays('portrait.mp4', 6, (720, 1280), why='a rung is named by the shorter side'),
    plays('odd-size.mkv', 6, (428, 241), why='odd sizes, 4:4:4, lossless'),
    plays('tiny.mp4', 4, (64, 48), why='below every rung'),
    plays('vfr.mkv', 8, (640, 360), why='variable frame rate'),
    plays('surround.mp4', 6, (640, 360), 6, '5.1 becomes stereo'),
    plays('moov-at-end.mp4', 12.1, (1280, 720), why='header last'),
    plays('fragmented.mp4', 12.1, (1280, 720), why='no index'),
    plays('h264.ts', 12.1, (1280, 720), why='starts at a timestamp that is not zero'),
    plays('mpeg2.ts', 8, (720, 576)),
    plays('film-24.mp4', 8, (640, 360)),
    plays('ntsc-23976.mp4', 8, (640, 360), why='24000/1001 frames a second'),
    plays('sixty-fps.mp4', 6, (640, 360)),
    plays('vp9-opus.webm', 6, (640, 360)),
    plays('hevc-10bit.mkv', 4, (640, 360), why='10 bits a sample'),
    looks(plays('hdr-pq.mkv', 3, (640, 360), 0, why='HDR10: tone-mapped'), TONE_MAPPED),
    looks(plays('hdr-hlg.mp4', 3, (640, 360), 0, why='HLG: tone-mapped'), TONE_MAPPED),
    looks(plays('wide-gamut.mkv', 3, (640, 360), 0, why='BT.2020 with ordinary light'), BT709),
    plays('interlaced-tff.ts', 5, (720, 576), why='fields, the upper first'),
    plays('interlaced-bff.mp4', 5, (640, 480), why='fields, the lower first'),
    plays('wrap.ts', 12.1, (1280, 720), why='its clock passes 2^33'),
    spliced(plays('jump.ts', 9, (640, 360), why='two recordings one after the other, two and a half hours apart')),
    spliced(plays('jump-back.ts', 9, (640, 360), why='the later one first')),
    plays('mirrored.mp4', 8, (640, 360), 0, why='shown from right to left'),
    plays('hevc.mp4', 1, (320, 240), 0),
    alone(plays('turns-surround.ts', 6, channels=1, why='mono at 44.1 kHz, then 5.1 at 48 kHz')),
    plays('mono-44k.ts', 3, channels=1),
    plays('surround-48k.ts', 3, channels=6),
    plays('wide-sound.mkv', 4, channels=8, why='7.1 at 88.2 kHz'),
    plays('gap.mp4', 8, (640, 360), why='two seconds without sound in the middle'),
    plays('full-range.mp4', 3, (640, 360), 0, why='0 to 255 instead of 16 to 235'),
    plays('rgb.mkv', 3, (640, 360), 0),
    plays('gray.mkv', 3, (640, 360), 0),
    plays('422-10bit.mov', 3, (640, 360), 0),
    plays('anamorphic.mp4', 3, (1024, 576), 0, why='pixels that are not square'),
    plays('changing-size.ts', 6, (640, 360), 0, why='pictures of another size from the middle on'),
    plays('size-1.ts', 3, (640, 360), 0),
    plays('size-2.ts', 3, (320, 240), 0),
    plays('slow.mkv', 12, (320, 240), why='a few pictures a second, at no regular time'),
    refused('dolby-vision-5.mp4', frozenset({'UNSUPPORTED_HDR'}), 'colours that only a Dolby decoder knows'),
    refused('unknown-codec.mp4', frozenset({'UNDECODABLE'}), 'its sound alone is not what was sent'),
    refused('encrypted.mp4', frozenset({'ENCRYPTED_MEDIA'})),
    plays('part-1.ts', 4, (640, 360)),
    plays('part-2.ts', 5, (640, 360)),
    plays('subtitles.mkv', 12.1, (1280, 720), why='a text stream besides'),
    plays('rotated-90.mp4', 6, (1280, 720), why='coded upright, displayed lying'),
    plays('late-audio.mp4', 6, (640, 360), why='sound begins 1.5 s after the picture'),
    plays('short-1-frame.mp4', 0.04, (640, 360), 0, 'a single frame'),
    plays('sound.wav', 12),
    plays('sound-8k-mono.wav', 6, channels=1),
    plays('sound-24bit-96k.flac', 6),
    plays('sound.mp3', 12),
    plays('sound.flac', 12),
    plays('sound.m4a', 12),
    plays('sound.aac', 12),
    plays('sound.ogg', 12),
    plays('sound.opus', 12),
    plays('sound.webm', 12),
    plays('cover-art.mp3', 12, why='a picture is no video'),
    plays('truncated.mp4', 18, (1280, 720), why='cut off in the media: what is there plays'),
    plays('truncated.webm', 3.5, (640, 360)),
    plays('truncated.mp3', 7.2),
    refused('truncated-no-moov.mp4', DAMAGED, 'the header was in the part that is missing'),
    refused('zero-bytes.mp4', EMPTY),
    refused('one-byte.mp4', EMPTY | FORMAT | DAMAGED),
    refused('random-bytes.mp4', FORMAT | DAMAGED),
    refused('random-bytes.mp3', FORMAT | DAMAGED, 'looks like MP3 frames here and there'),
    refused('text.mp4', FORMAT, 'a letter by another name'),
    refused('text.txt', FORMAT),
    refused('subtitles.srt', FORMAT | EMPTY),
    refused('cover.png', FORMAT | EMPTY, 'a picture is no video'),
    refused('header-only.wav', EMPTY | DAMAGED, 'a WAV without a sample'),
    refused('header-only.mp4', EMPTY | DAMAGED),
]

# Several sounds and subtitles, posters: scenarios of their own look at these.
ELSEWHERE = {'tracks.mkv', 'tracks.mp4', 'tracks-sound.mka', 'tracks.srt', 'tracks.ass', 'black.mp4', 'black-intro.mp4',
             'black-intro-one-keyframe.mp4', 'gops.mp4', 'gops-faststart.mp4', 'gops-late.mp4', 'gops-negative-offsets.mp4',
             'gops-fragmented.mp4', 'gops.mkv', 'gops-cut.mp4', 'gops-mute.mp4', 'gops-b0.mp4', 'gops-pyramid.mp4', 'gops-60.mp4',
             'gops-vfr.mp4', 'gops-open.mp4', 'gops-long.mp4', 'gops-intra.mp4', 'gops-fat.mp4'}

SHARED = [dataclasses.replace(case, shared=True) for case in (
    plays('aac-16s-faststart.mp4', 16.064),
    plays('aac.adts', 3.344, channels=1),
    plays('amr-nb.amr', 4.36, channels=1),
    plays('bbb-480p-30s-5.1-moov-end.mp4', 30.016, (854, 480), 6),
    plays('bbb-mpeg2-1080p.ts', 2.513, (1920, 1080)),
    plays('bbb-vp9-opus-1s.webm', 1.008, (854, 480), 6),
    plays('camera-cars-12fps5.mp4', 30.165, (768, 432)),
    plays('flac-5.1.flac', 8.1, channels=6),
    plays('flac-96k-24bit.flac', 8.73),
    plays('flac-faulty-total.flac', 4.562, channels=1, why='the header says 1.66 s'),
    plays('flac-jpg-picture.flac', 4.989, why='a picture is no video'),
    plays('flac-no-total-samples.flac', 7.009),
    plays('frames-240p-60fps-15s.mp4', 15.536, (320, 240)),
    plays('fsdd-8k-0_jackson_0.wav', 0.644, channels=1),
    plays('fsdd-8k-7_theo_3.wav', 0.287, channels=1),
    refused('header-only-44-bytes.wav', EMPTY | DAMAGED),
    plays('jfk-24bit-44k-stereo.flac', 11),
    plays('kvs-get-media-10s.mkv', 10, (640, 360), 0, 'segments of unknown length, one after the other'),
    refused('kvs-mixed-tags.mkv', EMPTY | DAMAGED, 'MJPEG without a picture'),
    refused('kvs-tags-empty-cluster.mkv', EMPTY | DAMAGED | FORMAT),
    plays('librivox-16k-a.wav', 7.1, channels=1),
    plays('mkv-block-beyond-cluster.mkv', 0.033, (576, 432), 0, 'a single frame survives; the header says 9 s'),
    plays('mkv-h264-ac3-srt.mkv', 1.072, (1080, 720), 1),
    plays('mp3-mpeg2-24k.mp3', 3.685),
    plays('mp3-vbr-no-xing.mp3', 2.808),
    plays('mp3-with-cover-256.mp3', 4.153, why='a picture is no video'),
    refused('mp4-chunk-out-of-range.mp4', DAMAGED),
    plays('mp4-faststart.mp4', 1.089, (1080, 720), 1),
    plays('mp4-fragmented.mp4', 1.068, (1080, 720), 1, 'the header says 143165 s'),
    refused('mp4-fuzz-1136e47b781eb327.mp4', DAMAGED | FORMAT),
    refused('mp4-fuzz-23703aaa5bfe5cdd.mp4', DAMAGED | FORMAT),
    refused('mp4-fuzz-5c6884035911db9f.mp4', DAMAGED | FORMAT),
    plays('mp4-rotation-90-tiny.mp4', 0.042, (60, 100), 0, 'a single frame, turned'),
    plays('music.opus', 2.74),
    refused('not-an-mp3.mp3', FORMAT | DAMAGED),
    plays('opus.mka', 2.741),
    plays('opus.mp4', 1.004),
    plays('phone-rot90-vfr.mp4', 1.003, (288, 352), 1, 'a phone\'s clip: turned, variable frame rate'),
    plays('smallest-audio.mp4', 0.046),
    refused('smallest.mp4', EMPTY | DAMAGED, 'no track'),
    plays('speech-22050-mono.wav', 53.267, channels=1),
    plays('speech-24bit.wav', 2.745),
    plays('speech-8k-mono.wav', 9.375, channels=1),
    plays('speech-aac-moov-end.mp4', 9.009),
    plays('speech-count-22k.mp4', 22.198, channels=1),
    plays('speech-en-53s-stereo.mp3', 53.267),
    plays('speech-es-70s-mono.mp3', 70.236, channels=1),
    plays('speech-vorbis.ogg', 8.995),
    plays('speech-vorbis.webm', 9.017),
    plays('speech.adts.aac', 9.033),
    plays('speech.flac', 8.986, why='the last frame is damaged'),
    plays('vorbis.ogg', 2.741),
    plays('vp9-silent.webm', 2.736, (320, 240), 0),
    plays('wav-rf64.wav', 0.349),
    refused('webm-cues-first.webm', DAMAGED, 'VP8 without a picture'),
    refused('webm-tiny-simpleblock.webm', DAMAGED, 'VP8 without a picture'),
    refused('zero-bytes.mp3', EMPTY),
)]

ALL = MADE + SHARED


def by_name(name):
    return next(case for case in ALL if case.name == name)
