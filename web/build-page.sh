#!/bin/sh
# Builds the page and embeds it: build-page.sh OUTPUT.c DEPFILE (called by meson, see meson.build).
# The bundle goes beside the output, so that build directories don't disturb each other; the packages are shared and are
# installed under a lock, when they are missing or older than package-lock.json.
set -eu
output=$(realpath -m -- "$1")
deps=$(realpath -m -- "$2")
name=$1
cd "$(dirname -- "$0")"

exec 9<package-lock.json
flock 9
# npm writes this file last: packages half installed don't count.
installed=node_modules/.package-lock.json
if [ ! -f "$installed" ] || [ package-lock.json -nt "$installed" ]; then
	npm ci --no-fund --no-audit --loglevel=error
	touch -- "$installed"
fi
flock -u 9

npm run --silent build -- "$output.d"
../tools/embed.py "$output.d" "$output"
printf '%s:' "$name" > "$deps"
find "$PWD/src" "$PWD/static" -type f -printf ' %p' >> "$deps"
