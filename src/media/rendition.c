/* Packets to segments: see rendition.h. */
#include "media/rendition.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "media/averror.h"
#include "media/segment_fmp4.h"
#include "media/segment_ts.h"
#include "media/video_encode.h"

void rendition_init(struct rendition *r, const struct ladder_spec *spec, const struct media_io *io, const struct timeline *timeline,
		    uint32_t number, bool audio)
{
	*r = (struct rendition){ .spec = spec, .io = io, .timeline = timeline, .number = number, .audio = audio };
}

static bool same_headers(const AVCodecParameters *par, const AVCodecContext *enc)
{
	return par->extradata_size == enc->extradata_size &&
	       (par->extradata_size == 0 || memcmp(par->extradata, enc->extradata, (size_t)par->extradata_size) == 0);
}

int rendition_encoder(struct rendition *r, const AVCodecContext *enc, struct err *e)
{
	if (r->par)
		return same_headers(r->par, enc) ? 0 : err_set(e, ERR_INTERNAL, "an encoder's headers changed between runs");
	if (enc->has_b_frames > VIDEO_REORDER_FRAMES)
		return err_set(e, ERR_INTERNAL, "the encoder reorders by %d frames", enc->has_b_frames);
	AVCodecParameters *par = avcodec_parameters_alloc();
	int rc = par ? avcodec_parameters_from_context(par, enc) : AVERROR(ENOMEM);
	if (rc < 0) {
		avcodec_parameters_free(&par);
		return averror_internal(e, rc, "read the encoder's parameters");
	}
	r->par = par;
	return 0;
}

int rendition_parameters(struct rendition *r, const AVCodecParameters *from, struct err *e)
{
	AVCodecParameters *par = avcodec_parameters_alloc();
	int rc = par ? avcodec_parameters_copy(par, from) : AVERROR(ENOMEM);
	if (rc < 0) {
		avcodec_parameters_free(&par);
		return averror_internal(e, rc, "copy a stream's parameters");
	}
	r->par = par;
	return 0;
}

static AVRational time_base(const struct rendition *r)
{
	return av_make_q(1, r->audio ? (int)r->spec->audio_rate : (int)VIDEO_TIMESCALE);
}

static int codec_string(const struct rendition *r, char *out, size_t out_size, struct err *e)
{
	if (r->audio) {
		(void)snprintf(out, out_size, "mp4a.40.2");
		return 0;
	}
	const AVCodecParameters *par = r->par;
	if (par->extradata_size > 0)
		return video_codec_string(par->codec_id, par->extradata, (size_t)par->extradata_size, out, out_size, e);
	return video_codec_string(par->codec_id, r->packets[0]->data, (size_t)r->packets[0]->size, out, out_size, e);
}

static int announce(struct rendition *r, struct err *e)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, TASK_OBJECT_MAX_BYTES);
	struct task_object head = { .kind = TASK_OBJECT_INIT, .rendition = r->number };
	int rc = codec_string(r, head.codecs, sizeof(head.codecs), e);
	if (rc == 0 && r->spec->container == CONTAINER_FMP4)
		rc = segment_fmp4_init(r->par, time_base(r), &out, e);
	if (rc < 0)
		return rc;
	head.size_bytes = out.len;
	r->announced = true;
	return r->io->object(r->io->ctx, &head, out.data, e);
}

static void drop_packets(struct rendition *r)
{
	for (size_t i = 0; i < r->count; i++)
		av_packet_free(&r->packets[i]);
	r->count = 0;
	r->bytes = 0;
}

static int write_segment(struct rendition *r, struct err *e)
{
	struct segment_input in = {
		.par = r->par,
		.time_base = time_base(r),
		.index = r->timeline->first + r->segment,
		.packets = r->packets,
		.count = r->count,
		.lead_ticks = ladder_lead_ticks(r->spec),
		.reorder_frames = r->spec->reorder_frames,
	};
	const int64_t unit = r->audio ? AAC_FRAME_SAMPLES : 1;
	timeline_bounds(r->timeline, r->segment, r->audio, &in.start, &in.end);
	in.start *= unit;
	in.end *= unit;
	struct task_object head = { .kind = TASK_OBJECT_SEGMENT,
				    .rendition = r->number,
				    .index = in.index,
				    .start_ticks = in.start,
				    .duration_ticks = in.end - in.start };
	if (in.packets[0]->pts != in.start)
		return err_set(e, ERR_INTERNAL, "segment %u of rendition %u begins at %lld, not at its boundary %lld", in.index,
			       r->number, (long long)in.packets[0]->pts, (long long)in.start);
	_cleanup_buf_ struct buf out;
	buf_init(&out, TASK_OBJECT_MAX_BYTES);
	struct iframes f;
	int rc = r->spec->container == CONTAINER_FMP4 ? segment_fmp4_write(&in, &out, &f, e)
						      : segment_ts_write(&in, &out, &f, e);
	if (rc < 0)
		return rc;
	if (!r->audio && f.count == 0)
		return err_set(e, ERR_INTERNAL, "segment %u of rendition %u has no I-frame", in.index, r->number);
	head.iframe_count = f.count;
	memcpy(head.iframes, f.found, sizeof(head.iframes));
	head.size_bytes = out.len;
	return r->io->object(r->io->ctx, &head, out.data, e);
}

int rendition_flush(struct rendition *r, struct err *e)
{
	if (r->count == 0)
		return 0;
	int rc = r->announced ? 0 : announce(r, e);
	if (rc == 0)
		rc = write_segment(r, e);
	if (rc == 0)
		r->complete = r->segment + 1;
	drop_packets(r);
	return rc;
}

static void append(struct rendition *r, AVPacket *packet)
{
	if (r->count == r->capacity) {
		r->capacity = r->capacity ? r->capacity * 2 : 256;
		r->packets = mr_reallocarray(r->packets, r->capacity, sizeof(AVPacket *));
	}
	r->packets[r->count++] = packet;
	r->bytes += (uint64_t)packet->size;
}

int rendition_packet(void *ctx, AVPacket *take_packet, struct err *e)
{
	struct rendition *r = ctx;
	AVPacket *packet = take_packet;
	uint32_t segment = r->audio ? timeline_segment_of_frame(r->timeline, packet->pts / AAC_FRAME_SAMPLES)
				    : timeline_segment(r->timeline, packet->pts);
	int rc = r->count > 0 && segment != r->segment ? rendition_flush(r, e) : 0;
	if (rc < 0 || r->timeline->first + segment < r->spec->resume_segment) {
		av_packet_free(&packet);
		if (rc == 0)
			r->complete = segment;
		return rc;
	}
	r->segment = segment;
	append(r, packet);
	if (r->bytes > TASK_OBJECT_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "a segment is larger than %llu bytes", TASK_OBJECT_MAX_BYTES);
	return 0;
}

void rendition_release(struct rendition *r)
{
	drop_packets(r);
	free(r->packets);
	r->packets = NULL;
	avcodec_parameters_free(&r->par);
}
