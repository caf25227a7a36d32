/* Encoders of a ladder's rungs: libx264, or libx265 (media/video_hevc.h); capped CRF, closed GOPs, IDRs where they are asked
 * for and nowhere else. Runs in the task; one thread each (x264 starts spec->video_threads of its own, x265 one for its
 * pictures). Same frames, same spec: same bytes.
 *
 *   AVCodecContext *enc = NULL;
 *   if (video_encoder_open(spec, 0, &color, &enc, e) < 0) ...
 *   if (encoder_send(enc, frame, sink, ctx, e) < 0) ...   // frame NULL: drain
 *   avcodec_free_context(&enc);
 */
#pragma once

#include <libavcodec/avcodec.h>

#include "base/err.h"
#include "media/video_look.h"
#include "proto/task.h"

/* Opens the encoder of a rung. fMP4 gets global headers (extradata), TS repeats them in the stream. */
int video_encoder_open(const struct ladder_spec *spec, uint32_t rung, const struct video_color *color, AVCodecContext **ret,
		       struct err *e) MR_MUST_USE;

/* Takes over the packet's reference. */
typedef int encoder_sink(void *ctx, AVPacket *packet, struct err *e);
/* Sends one frame (NULL: end of stream) and hands every packet that comes out to `sink`. For any encoder. */
int encoder_send(AVCodecContext *enc, const AVFrame *frame, encoder_sink *sink, void *ctx, struct err *e) MR_MUST_USE;

/* RFC 6381: "avc1.64001F" from an avcC record, or from the SPS in Annex B bytes (extradata or a packet); ERR_INTERNAL without
 * one. */
int video_codec_string(enum AVCodecID codec, const uint8_t *headers, size_t len, char *out, size_t out_size,
		       struct err *e) MR_MUST_USE;
