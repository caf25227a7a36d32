/* The encoders of a conversion, one file a family: samples in, bytes of the file's body out. Run in the task; one thread.
 *
 *   struct encode_range range = encode_range(spec);             // the output samples that it wants to be fed
 *   const struct encode_family *family = encode_family(spec->format);
 *   struct encode_job job = { .spec = spec, .out = &out, … };
 *   void *encoder = NULL;
 *   if (family->open(&job, &encoder, e) < 0) ...
 *   family->samples(encoder, planes, count, e)                   // an audio_sink
 *   if (family->finish(encoder, total, e) < 0) ...
 *   family->close(encoder);
 *
 * Guarantees: the bytes of a chunk depend on the samples of its range alone; chunks put together are what a single run would have
 * given. (To the byte for WAV, FLAC and MP3. AAC's rate control remembers more than a chunk's lead; there the joint is as
 * clean as the rest.)
 */
#pragma once

#include <libavformat/avformat.h>

#include "base/err.h"
#include "media/audio_pipe.h"
#include "media/convert_out.h"

struct encode_job {
	const struct convert_spec *spec;
	struct convert_out *out;
	int64_t from;	     /* the first sample that will come */
	bool dither;	     /* samples that are stored in 16 bits have more */
	AVFormatContext *source; /* whose tags are carried over by formats that have them in the body */
};

struct encode_family {
	int (*open)(const struct encode_job *job, void **ret, struct err *e);
	audio_sink *samples;
	/* All samples of the range have come; `total` as sound_feed_total's. */
	int (*finish)(void *encoder, int64_t total, struct err *e);
	void (*close)(void *encoder);
};
extern const struct encode_family encode_pcm;	  /* WAV */
extern const struct encode_family encode_packets; /* MP3, AAC, M4A, FLAC: packets one behind the other */
extern const struct encode_family encode_ogg;	  /* Vorbis, Opus: a whole stream at once */

struct encode_range {
	int64_t from, to; /* to INT64_MAX: to the end */
};
/* The chunk's own samples, and those around them that its encoder has to hear. */
struct encode_range encode_range(const struct convert_spec *spec);
const struct encode_family *encode_family(enum convert_format format);
