#!/usr/bin/python3
"""Writes the files of a folder as one C file of `struct page_asset` (src/api/page_assets.h).

    tools/embed.py FOLDER OUTPUT.c

Every file of the folder (not of folders within it) becomes one asset, plain and gzipped; index.html is "/". The output
depends on the files' names and bytes alone, so that two builds of the same page give the same binary.
"""

import hashlib
import sys
import zlib
from pathlib import Path

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
BYTES_PER_LINE = 64


def gzip_bytes(data: bytes) -> bytes:
    # zlib's own gzip header carries neither a time nor a name.
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(data) + packer.flush()


def c_byte(byte: int) -> str:
    if byte in b'"\\?':  # '?' could begin a trigraph
        return "\\" + chr(byte)
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def c_string_lines(data: bytes) -> str:
    lines = []
    for start in range(0, len(data), BYTES_PER_LINE):
        lines.append('\t"' + "".join(map(c_byte, data[start : start + BYTES_PER_LINE])) + '"')
    return "\n".join(lines) or '\t""'


def c_file(folder: Path) -> str:
    files = sorted((("/" if p.name == "index.html" else f"/{p.name}"), p) for p in folder.iterdir() if p.is_file())
    if not files or files[0][0] != "/":
        raise ValueError(f"{folder} has no index.html")
    arrays, rows = [], []
    for index, (path, file) in enumerate(files):
        content_type = CONTENT_TYPES.get(file.suffix)
        if content_type is None:
            raise ValueError(f"{file}: no content type is known for '{file.suffix}'")
        plain = file.read_bytes()
        packed = gzip_bytes(plain)
        etag = hashlib.sha256(plain).hexdigest()[:16]
        arrays.append(f"static const unsigned char plain_{index}[] =\n{c_string_lines(plain)};\n")
        arrays.append(f"static const unsigned char gzip_{index}[] =\n{c_string_lines(packed)};\n")
        rows.append(
            f'\t{{ "{path}", "{content_type}", "{etag}", gzip_{index}, {len(packed)}, plain_{index}, {len(plain)} }},\n'
        )
    return (
        "/* Written by tools/embed.py; not to be edited. */\n"
        '#include "api/page_assets.h"\n\n'
        + "\n".join(arrays)
        + "\nconst struct page_asset page_assets[] = {\n"
        + "".join(rows)
        + "};\nconst size_t page_asset_count = sizeof(page_assets) / sizeof(page_assets[0]);\n"
    )


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        text = c_file(Path(sys.argv[1]))
    except (OSError, ValueError) as error:
        print(f"embed.py: {error}", file=sys.stderr)
        return 1
    Path(sys.argv[2]).write_text(text, encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
