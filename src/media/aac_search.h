/* How libavcodec's AAC encoder looks for a frame's quantizers where a stream is made in pieces. Call it before avcodec_open2.
 *
 * Of its two ways this is the quick one (aac_coder=fast), which FFmpeg's documentation calls the better one from 64 kbit/s a
 * channel on. Signal to noise at 128 kbit/s against that of its own choice, whose two loops take three times as long: film +8 dB,
 * speech +3 to +16, music +2 to +8, moving tones, clicks and pink noise ±0.3; at 64 kbit/s for both channels +0.7 to +13. Its
 * lambda, which the rate control moves from frame to frame and which `global_quality` sets the start of where
 * AV_CODEC_FLAG_QSCALE is not set, starts amid the values that it settles at (110 to 450; by itself it starts at 120).
 *
 * Against a single run, in the half second behind a joint, with an encoder started eight frames early, mean of six joints, at
 * 96, 128, 160 and 192 kbit/s: music −0.1, −0.2, +1.4, +2.4 dB; film +1.4, +0.3, +0.2, +0.3; speech +0.2, +0.5, −0.3, −0.2;
 * moving tones in noise +5.8, +2.4, +0.5, −0.9. From 120 they are −0.6 to −2.5 and −4.3 here and there. With the way that it
 * takes by itself (twoloop) the seconds behind every start are noisier, however early that is: pink noise by 3 dB, music by 2.
 */
#pragma once

#include <libavcodec/avcodec.h>

/* 0 or libavutil's error. */
int aac_search_quick(AVCodecContext *encoder);
