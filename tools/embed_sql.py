#!/usr/bin/env python3
"""Writes sql/NNNN_name.sql as a C table, so that the binary carries its migrations (src/db/driver.h: db_migrations).

    embed_sql.py OUT.c sql/0001_init.sql sql/0002_….sql …
"""
import pathlib
import re
import sys


def c_text(text):
    """The text as adjacent string literals, one a line."""
    lines = []
    for line in text.splitlines():
        escaped = ''.join(ch if ' ' <= ch <= '~' and ch not in '"\\?' else ''.join(f'\\{b:03o}' for b in ch.encode())
                          for ch in line)
        lines.append(f'\t  "{escaped}\\n"')
    return '\n'.join(lines)


def main(out, *files):
    rows = []
    for expected, file in enumerate(sorted(map(pathlib.Path, files), key=lambda p: p.name), 1):
        match = re.fullmatch(r'(\d{4})_\w+', file.stem)
        if not match or int(match[1]) != expected:
            sys.exit(f'{file}: expected {expected:04}_name.sql: migrations are numbered without a gap')
        rows.append(f'\t{{ {expected}, "{file.stem}",\n{c_text(file.read_text())} }},\n')
    pathlib.Path(out).write_text('/* Made by tools/embed_sql.py from sql/. */\n#include "db/driver.h"\n\n'
                                 f'const struct db_migration db_migrations[] = {{\n{"".join(rows)}}};\n'
                                 f'const size_t db_migration_count = {len(rows)};\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
