/* One rendition of a chunk on its way out: collects an encoder's packets until a segment is complete, has it muxed
 * and hands it over. Holds the packets of one segment at most. Runs in the task; one thread, a rung's its own.
 *
 *   struct rendition r;
 *   rendition_init(&r, spec, io, &timeline, 0, false);
 *   rendition_encoder(&r, enc, e);              // at the start of each run
 *   encoder_send(enc, frame, rendition_packet, &r, e);
 *   rendition_flush(&r, e);                     // after the last packet of a run
 *   rendition_release(&r);
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "media/media_io.h"
#include "media/timeline.h"

struct rendition {
	const struct ladder_spec *spec;
	const struct media_io *io;
	const struct timeline *timeline;
	uint32_t number;
	bool audio;
	bool announced; /* the init object is out */
	AVCodecParameters *par;
	AVPacket **packets; /* of `segment`, in decoding order */
	size_t count, capacity;
	uint64_t bytes;
	uint32_t segment;  /* the chunk's; valid while count > 0 */
	uint32_t complete; /* the chunk's segments below this one are done */
};

/* Everything is borrowed and must outlive the rendition. */
void rendition_init(struct rendition *r, const struct ladder_spec *spec, const struct media_io *io, const struct timeline *timeline,
		    uint32_t number, bool audio);
/* Takes the parameters from an opened encoder. ERR_INTERNAL if a later encoder's headers differ from the first's. */
int rendition_encoder(struct rendition *r, const AVCodecContext *enc, struct err *e) MR_MUST_USE;
/* Takes the parameters of a stream that is not encoded here (media/video_copy.h). */
int rendition_parameters(struct rendition *r, const AVCodecParameters *from, struct err *e) MR_MUST_USE;
/* An encoder_sink (media/video_encode.h) with ctx = the rendition: takes the packet; its pts are in 1/90000 s or in
 * samples. A packet of the next segment completes the one before. Packets of segments below spec->resume_segment are
 * dropped. */
int rendition_packet(void *ctx, AVPacket *take_packet, struct err *e);
/* Completes the segment in hand. */
int rendition_flush(struct rendition *r, struct err *e) MR_MUST_USE;
void rendition_release(struct rendition *r);
