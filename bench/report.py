"""Collects pairs of measurements and prints them as a table.

    t = Table(); t.pair('film', 'wall', 's', ours, theirs, bar='≤ 1.0')     # lists, one value a round, in the order of the rounds
    t.figure('server, idle', '12.3 MB', 'at most 20 MB')
    print(t.text())

The ratio is of Millrace's value to the other's in the same round: its median, and from the least to the greatest.
"""
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess


def short(value):
    """Three significant digits, never an exponent."""
    for limit, digits in ((10, 2), (100, 1)):
        if abs(value) < limit:
            return f'{value:.{digits}f}'
    return f'{value:,.0f}'


def spread(values):
    return f'{short(statistics.median(values))} ({short(min(values))}–{short(max(values))})'


class Table:
    def __init__(self):
        self.pairs, self.figures = [], []

    def pair(self, name, what, unit, ours, theirs, bar='', against='ffmpeg'):
        ratios = [a / b for a, b in zip(ours, theirs)]
        ratio = f'{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})'
        self.pairs.append((name, f'{what}, {unit}' if unit else what, spread(ours), against, spread(theirs), ratio, bar))

    def figure(self, name, value, bar=''):
        self.figures.append((name, value, bar))

    def text(self):
        parts = []
        if self.pairs:
            parts.append(markdown(('benchmark', 'measured', 'Millrace', 'against', 'the other', 'ratio', 'bar'), self.pairs))
        if self.figures:
            parts.append(markdown(('figure', 'value', 'bar'), self.figures))
        return '\n\n'.join(parts)


def markdown(head, rows):
    rows = [head, *rows]
    widths = [max(len(str(r[i])) for r in rows) for i in range(len(head))]
    lines = ['| ' + ' | '.join(str(c).ljust(w) for c, w in zip(r, widths)) + ' |' for r in rows]
    lines.insert(1, '|' + '|'.join('-' * (w + 2) for w in widths) + '|')
    return '\n'.join(lines)


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return f'{command[0]}: not installed'
    return ((done.stdout or '') + (done.stderr or '')).strip().split('\n')[0]


def machine():
    model = re.search(r'model name\s*: (.*)', pathlib.Path('/proc/cpuinfo').read_text())
    memory = re.search(r'MemTotal:\s*(\d+)', pathlib.Path('/proc/meminfo').read_text())
    return (f'{os.cpu_count()} cores ({model[1] if model else platform.machine()}), {int(memory[1]) / 2**20:.0f} GiB, '
            f'Linux {platform.release().split("-")[0]}')


def circumstances(build, rounds, load):
    now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC')
    commit = first_line('git', 'rev-parse', '--short', 'HEAD')
    ffmpeg = first_line('ffmpeg', '-version').split(' Copyright')[0]
    nginx = first_line('/usr/sbin/nginx', '-v').replace('nginx version: ', '')
    return (f'{now}, {machine()}, load {load:.2f} before the run, at least {rounds} rounds.\n'
            f'{first_line(str(build / "millrace"), "version")} ({commit}, {build_type(build)}), {ffmpeg}, {nginx}.')


def build_type(build):
    options = build / 'meson-info/intro-buildoptions.json'
    if not options.exists():
        return 'unknown build type'
    return next(o['value'] for o in json.loads(options.read_text()) if o['name'] == 'buildtype') + ' build'


def put_block(page, name, text):
    """Replaces what is between the page's markers of that name."""
    begin, end = f'<!-- {name}: begin -->', f'<!-- {name}: end -->'
    before, rest = page.read_text().split(begin, 1)
    after = rest.split(end, 1)[1]
    page.write_text(f'{before}{begin}\n{text}{end}{after}')


def write(page, text, partial):
    """Into docs/BENCHMARKS.md. A whole run takes the place of all that was there; some benchmarks come below the last whole run."""
    put_block(page, 'again', f'## Measured again since\n\n{text}\n' if partial else '')
    if not partial:
        put_block(page, 'results', f'{text}\n')
