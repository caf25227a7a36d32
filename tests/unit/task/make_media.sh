#!/bin/sh
# Makes the small media files of test_real_task in the directory $1, with ffmpeg's own sources.
set -eu
cd "$1"
ff() { ffmpeg -v error -nostdin -y "$@"; }
picture="-f lavfi -i testsrc2=size=320x240:rate=25:duration=4"
tone="-f lavfi -i sine=frequency=440:sample_rate=44100:duration=4"
h264="-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p"
ff $picture $tone $h264 -c:a aac film.mp4
ff -i film.mp4 -c copy -movflags frag_keyframe+empty_moov fragmented.mp4
ff -i film.mp4 -c copy film.mkv
ff -i film.mp4 -c copy film.ts
ff -i film.mp4 -c copy film.flv
ff -i film.mp4 -c copy -encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff \
	-encryption_kid 0123456789abcdef0123456789abcdef encrypted.mp4
ff $picture $h264 silent.mp4
ff $tone -c:a libmp3lame -write_xing 0 -b:a 128k no-xing.mp3
ff $picture -frames:v 1 cover.png
ff $tone -i cover.png -map 0 -map 1 -c:a libmp3lame -c:v copy -disposition:v attached_pic cover.mp3
ff $tone tone.wav
ff $tone -c:a libvorbis tone.ogg
ff $tone tone.flac
ff $tone -c:a aac tone.aac
ff $tone -c:a libopus tone.webm
ff $tone -c:a libvorbis vorbis.mkv
ff -i film.mp4 -c copy -f mp4 -movflags +faststart faststart.mp4
# half of the samples that the index promises are missing
head -c "$(($(wc -c <faststart.mp4) / 2))" faststart.mp4 >truncated.mp4
head -c 44 tone.wav >header-only.wav
: >empty.mp4
printf '#EXTM3U\n#EXTINF:4,\n/etc/passwd\n' >playlist.m3u8
printf "ffconcat version 1.0\nfile '/etc/passwd'\n" >concat.txt
printf '1\n00:00:00,000 --> 00:00:02,000\nhello\n' >words.srt
ff -i words.srt -c:s srt words.mkv
head -c 100000 /dev/zero >zeroes.mp4
touch made
