/* One of libavcodec's encoders for a conversion: opened as the specification says, fed with samples in frames of its size. Runs
 * in the task; one thread.
 *
 *   struct encode_codec c;
 *   if (encode_codec_open(&c, job, packet_sink, ctx, e) < 0) ...
 *   if (encode_codec_samples(&c, planes, count, e) < 0) ...
 *   if (encode_codec_finish(&c, e) < 0) ...                    // the last, shorter frame, and all packets
 *   encode_codec_release(&c);                                  // in any case
 *
 * Packets have time stamps in output samples; the first one's is job->from minus the encoder's delay
 * (c.encoder->initial_padding).
 */
#pragma once

#include <libavcodec/avcodec.h>

#include "media/encode.h"
#include "media/sample_store.h"
#include "media/video_encode.h"

struct encode_codec {
	AVCodecContext *encoder;
	AVFrame *frame;
	encoder_sink *sink;
	void *ctx;
	struct sample_store store;
	int64_t next; /* the frame's first sample */
	int fill;
	bool any; /* sample */
	float planes[AUDIO_CHANNELS_MAX][8192];
};

/* ERR_UNSUPPORTED/UNSUPPORTED_PARAMETERS where the encoder refuses rate, channels and bit rate together. */
int encode_codec_open(struct encode_codec *c, const struct encode_job *job, encoder_sink *sink, void *ctx,
		      struct err *e) MR_MUST_USE;
int encode_codec_samples(struct encode_codec *c, const float *const *planes, int count, struct err *e) MR_MUST_USE;
int encode_codec_finish(struct encode_codec *c, struct err *e) MR_MUST_USE;
void encode_codec_release(struct encode_codec *c);
/* The encoder alone, as a join needs it for a header. The caller frees it. */
int encode_codec_encoder(const struct convert_spec *spec, AVCodecContext **ret, struct err *e) MR_MUST_USE;
