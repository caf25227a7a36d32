#!/usr/bin/env bash
# A build folder that is set up and up to date: tools/setup.sh DIR [meson options]...
# Does nothing but compile when the folder is there already; a folder of a failed setup is set up anew. CC counts at the
# first setup only.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
shift
if [ ! -f "$dir/build.ninja" ]; then
	meson setup "$dir" "$@"
fi
ninja -C "$dir"
