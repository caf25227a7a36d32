#!/usr/bin/env bash
# Makes pictures of every view of the page, on a desk and on a phone, light and dark: tools/screenshots.sh [FOLDER]
#
# Serves build/millrace over a folder of its own with media made for it, and drives Chromium (tests/browser/screenshots.js). The
# pictures go to FOLDER, build/screenshots by default. Called by make screenshots, which has built what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
out=$(realpath -m -- "${1:-$build/screenshots}")
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server" && wait "$server"; } || true; rm -rf -- "$work"' EXIT

film() { # NAME SECONDS PITCH PICTURE
	ffmpeg -v error -y -f lavfi -i "$4" -f lavfi -i "sine=frequency=$3,volume=0.3" -t "$2" \
		-pix_fmt yuv420p -c:v libx264 -preset veryfast -g 48 -c:a aac "$work/$1"
}

sound() { # NAME SOURCE [FILTER]
	ffmpeg -v error -y -f lavfi -i "$2" -af "${3:-anull}" "$work/$1"
}

echo "screenshots: making media"
water='n=4:c0=0x0a2327:c1=0x0b6872:c2=0x58c4cc:c3=0xf2dfb0:speed=0.012'
film 'Morning at the weir.mp4' 40 196 "gradients=size=960x540:rate=24:duration=40:$water"
film 'Wheel study.mkv' 8 262 'mandelbrot=size=640x360:rate=24:start_scale=0.6:end_scale=0.05:end_pts=192'
film 'Colour chart.mov' 8 330 'testsrc2=size=640x360:rate=25'
sound 'Song of the stream.flac' "aevalsrc='0.5*sin(2*PI*220*t)*(0.2+0.8*abs(sin(0.9*t)))*(0.4+0.6*abs(sin(5.1*t)))':d=100"
sound 'Interview.wav' 'anoisesrc=c=pink:a=0.25:d=45' 'tremolo=f=0.2:d=0.7'

"$build/millrace" serve --data "$work/data" --listen 127.0.0.1:0 --analyze on 2> "$work/server.log" &
server=$!
for _ in $(seq 100); do
	url=$(sed -n 's/.*event=listening.* url=\([^ ]*\).*/\1/p' "$work/server.log")
	[ -z "$url" ] || break
	sleep 0.1
done
[ -n "$url" ] || { cat "$work/server.log" >&2; exit 1; }

mkdir -p "$out"
MILLRACE_URL=$url MILLRACE_MEDIA=$work node tests/browser/screenshots.js "$out"
