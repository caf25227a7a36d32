#!/usr/bin/python3
"""The benchmarks of Millrace against what a user would take instead: make bench, or bench/run.py [--only NAME]...

Every benchmark runs both sides in each round, alternating who is first, and gives the ratio's median and spread over the
rounds. Run it on a machine that does nothing else. Exit: 0 done (whatever the ratios are), 1 a benchmark could not be run.
"""
import argparse
import itertools
import os
import pathlib
import shutil
import sys
import time

import convert
import footprint
import ladders
import live
import media
import narrate
import page
import report
import serving
from measure import Failed

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs/BENCHMARKS.md'


class Bench:
    """What every benchmark gets: the build, a work folder, the number of rounds, and the table to fill."""

    def __init__(self, options):
        self.build = options.build.resolve()
        self.rounds = 1 if options.quick else options.rounds
        self.quick = options.quick
        self.full = options.full
        self.work = (options.work or self.build / 'bench').resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.table = report.Table()

    def rounds_of(self, seconds):
        """The numbers of so many rounds as were asked for, and of more until so many seconds have gone by: a few seconds on a noisy
        machine say little."""
        began = time.monotonic()
        for number in itertools.count():
            if number >= self.rounds and (self.quick or time.monotonic() - began > seconds):
                return
            yield number

    def order(self, number):
        return ('ours', 'theirs') if number % 2 == 0 else ('theirs', 'ours')

    def fresh(self, name):
        """An empty folder for a server or an output."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


def film(bench):
    """20 s of 1080p into 1080/720/480"""
    ladders.ladder(bench, 'film', media.film(bench.work), ['1080p', '720p', '480p'], '≤ 1.0')


def animation(bench):
    """30 s of 480p animation into 480/360/240, where that file is there"""
    if media.ANIMATION:
        ladders.ladder(bench, 'animation', media.ANIMATION, ['480p', '360p', '240p'], '≤ 0.85')
    else:
        bench.table.figure('animation', 'left out: BENCH_ANIMATION names no file')


def copy(bench):
    """the film and the animation with keyframes every two seconds: the first rung is copied"""
    film = media.short_gops(bench.work, media.film(bench.work))
    ladders.copied(bench, 'film, copied', film, ['1080p', '720p', '480p'], '≤ 0.6')
    if media.ANIMATION:
        animation = media.short_gops(bench.work, media.ANIMATION)
        ladders.copied(bench, 'animation, copied', animation, ['480p', '360p', '240p'], '≤ 0.6')


def audio(bench):
    """600 s of sound into an audio ladder"""
    ladders.ladder(bench, 'audio', media.song(bench.work, 60 if bench.quick else 600), None, '≤ 0.6', quality=False)


def start(bench):
    """a job's request until every rung can be played"""
    ladders.first_playable(bench, 'start', media.film(bench.work), ['1080p', '720p', '480p'])


ALL = {'film': film, 'animation': animation, 'copy': copy, 'audio': audio, 'convert': convert.convert,
       'convert-sizes': convert.sizes, 'convert-many': convert.at_once, 'convert-turns': convert.fairness,
       'narrate': narrate.narration, 'start': start, 'live': live.live, 'listening': live.listening,
       'segments': serving.serve, 'upload': serving.upload, 'queue': serving.queue, 'memory': footprint.memory, 'page': page.page}


def arguments():
    p = argparse.ArgumentParser(description='Millrace against ffmpeg and nginx.',
                                epilog='benchmarks: ' + '; '.join(f'{n}: {f.__doc__.strip().splitlines()[0]}' if f.__doc__ else n
                                                                  for n, f in ALL.items()))
    p.add_argument('--only', action='append', choices=ALL, metavar='NAME', help='this benchmark; may be repeated')
    p.add_argument('--rounds', type=int, default=3, help='of each benchmark (default: 3)')
    p.add_argument('--quick', action='store_true', help='one round, and the long sources a tenth as long')
    p.add_argument('--full', action='store_true', help='make the three-hour ladder to its end')
    p.add_argument('--write', action='store_true',
                   help='put the table into docs/BENCHMARKS.md, with --only below the last whole one')
    p.add_argument('--build', type=pathlib.Path, default=ROOT / 'build', help='build folder (default: build)')
    p.add_argument('--work', type=pathlib.Path, help='folder for media and output (default: bench in the build folder)')
    options = p.parse_args()
    if options.rounds < 1:
        p.error('--rounds: at least 1')
    if options.quick and options.write:
        p.error('--write: not what --quick measured')
    return options


def main():
    options = arguments()
    bench = Bench(options)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f'bench: the load is {load:.1f} already: the figures will be off', file=sys.stderr)
    failed = False
    for name in options.only or ALL:
        began = time.monotonic()
        try:
            ALL[name](bench)
        except (Failed, OSError) as e:   # a tool that isn't installed, too: what was measured until then isn't lost
            failed = True
            print(f'bench: {name} failed: {e}', file=sys.stderr)
        print(f'bench: {name}, {time.monotonic() - began:.0f} s', file=sys.stderr)
    text = f'{report.circumstances(bench.build, bench.rounds, load)}\n\n{bench.table.text()}'
    print(text)
    if options.write and not failed:
        report.write(PAGE, text, partial=bool(options.only))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
