/* Decoded sound to one gapless row of samples on the presentation's axis: finds each frame's exact position, fills
 * gaps with silence, trims overlaps, mixes down (as loud as it is, peaks limited) and resamples. Runs in the task; one thread.
 *
 *   struct audio_pipe_opts o = { .rate = 48000, .channels = 2, .start = first_sample, .sink = take, .ctx = x, … };
 *   struct audio_pipe *p;
 *   if (audio_pipe_new(&o, &p, e) < 0) ...
 *   audio_pipe_push(p, decoded_frame, e);
 *   audio_pipe_finish(p, end_sample, e);       // silence up to there
 *   audio_pipe_free(&p);
 *
 * Guarantees: the sink gets every sample from o.start on exactly once, in order. A sample's value depends on the
 * source's sound around it alone and not on where decoding began: resampling starts at positions where its phase is
 * zero and is warm before the first sample that counts. Before the presentation's zero there is silence.
 *
 * Positions are counted from frame to frame while the time stamps agree within 40 ms (or half a codec frame), since
 * many containers round or jitter them; else the time stamp wins. The first position after a seek is moved onto the
 * codec's frame grid where the container's time base is coarser than a sample.
 */
#pragma once

#include <libavcodec/avcodec.h>

#include "base/err.h"

#define AUDIO_CHANNELS_MAX 8

/* `planes[channel]` holds `count` samples, floats around ±1. */
typedef int audio_sink(void *ctx, const float *const *planes, int count, struct err *e);

struct audio_pipe_opts {
	int rate, channels; /* of the output; up to AUDIO_CHANNELS_MAX, in audio_layout's order */
	int64_t start;	    /* first output sample that the sink wants; may be negative */
	int64_t origin_ns;
	AVRational time_base;	 /* of the decoded frames' time stamps */
	int64_t first_pts;	 /* of the stream's first packet, or AV_NOPTS_VALUE */
	int frame_samples, codec_rate; /* the codec's constant frame size at its rate; 0: each frame's own size; -1: none */
	audio_sink *sink;
	void *ctx;
};

struct audio_pipe;
int audio_pipe_new(const struct audio_pipe_opts *opts, struct audio_pipe **ret, struct err *e) MR_MUST_USE;
int audio_pipe_push(struct audio_pipe *p, const AVFrame *frame, struct err *e) MR_MUST_USE;
/* Silence from the end of what was pushed to output sample `end`. */
int audio_pipe_finish(struct audio_pipe *p, int64_t end, struct err *e) MR_MUST_USE;
/* The next output sample that the sink will get. */
int64_t audio_pipe_position(const struct audio_pipe *p);
/* Where the latest sound ends, in 1/90000 s; INT64_MIN before any. */
int64_t audio_pipe_end_ticks(const struct audio_pipe *p);
/* The same as an output sample, to the nearest. */
int64_t audio_pipe_end_sample(const struct audio_pipe *p);
/* The speakers of so many channels: those that FLAC, Vorbis and Opus mean. AVERROR(EINVAL) for more than
 * AUDIO_CHANNELS_MAX. */
int audio_layout(int channels, AVChannelLayout *ret);
void audio_pipe_free(struct audio_pipe **p);
