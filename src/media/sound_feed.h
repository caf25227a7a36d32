/* A range of the source's sound as a conversion's encoder wants it: at the output's rate, in its channels, with its gain, from
 * the trimmed start on. Opens, seeks, decodes and counts. Runs in the task; one thread.
 *
 *   struct sound_feed_opts o = { .task = task, .io = io, .from = 0, .to = INT64_MAX, .sink = take, .ctx = x };
 *   struct sound_feed *f = NULL;
 *   if (sound_feed_open(&o, &f, e) < 0) ...
 *   const AVCodecParameters *of_source = sound_feed_parameters(f);
 *   if (sound_feed_run(f, e) < 0) ...
 *   int64_t total = sound_feed_total(f);          // -1: the sound goes on behind `to`
 *   sound_feed_free(&f);
 *
 * Guarantees: the sink gets every output sample of the range once, in order, and none behind the sound's end or the trimmed
 * one; each is finite and within ±4 (for SAMPLE_F32: within ±65536); its value doesn't depend on the range asked for (see
 * audio_pipe.h).
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "base/err.h"
#include "media/audio_pipe.h"
#include "media/media_io.h"

struct sound_feed_opts {
	const struct task_spec *task; /* whose `convert` it is; borrowed, as all */
	const struct media_io *io;
	bool whole;	  /* the source is opened with all of its index */
	int64_t from, to; /* output samples; INT64_MAX: to the end */
	audio_sink *sink;
	void *ctx;
};

struct sound_feed;
/* Errors as source_open. */
int sound_feed_open(const struct sound_feed_opts *opts, struct sound_feed **ret, struct err *e) MR_MUST_USE;
/* Of the stream, as its header says. */
const AVCodecParameters *sound_feed_parameters(const struct sound_feed *f);
AVFormatContext *sound_feed_format(struct sound_feed *f);
/* Feeds the whole range. ERR_MEDIA/UNDECODABLE where the source gives not one sample. */
int sound_feed_run(struct sound_feed *f, struct err *e) MR_MUST_USE;
/* The samples of the whole output, if the end was seen; else -1. */
int64_t sound_feed_total(const struct sound_feed *f);
uint32_t sound_feed_decode_errors(const struct sound_feed *f);
void sound_feed_free(struct sound_feed **f);
