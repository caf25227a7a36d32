/* Packets to segments, as they are: see video_copy.h. */
#include "media/video_copy.h"

#include <errno.h>
#include <libavcodec/bsf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/h264_units.h"

struct video_copy {
	const struct ladder_spec *spec;
	const struct timeline *timeline;
	struct rendition *rendition;
	AVCodecParameters *par; /* what the sets point into */
	struct h264_sets sets;
	AVBSFContext *start_codes; /* TS */
	bool begun, done;
	uint32_t segment; /* of the chunk; valid once begun */
	int64_t position, end_ticks;
	uint64_t frames;
};

static int MR_PRINTF(2, 3) refuse(struct err *e, const char *fmt, ...)
{
	char why[160];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set_code(e, ERR_MEDIA, "COPY_NOT_POSSIBLE",
			    "the source's video can't be copied: %s; with copy: never it is encoded", why);
}

/* What describes the stream in an init segment: nothing that libav guesses, so that every chunk says the same. */
static int describe(const AVCodecParameters *from, AVCodecParameters *ret)
{
	ret->codec_type = AVMEDIA_TYPE_VIDEO;
	ret->codec_id = AV_CODEC_ID_H264;
	ret->format = AV_PIX_FMT_YUV420P;
	ret->width = from->width;
	ret->height = from->height;
	ret->sample_aspect_ratio = av_make_q(1, 1);
	ret->color_range = from->color_range;
	ret->color_space = from->color_space;
	ret->color_primaries = from->color_primaries;
	ret->color_trc = from->color_trc;
	ret->chroma_location = from->chroma_location;
	ret->extradata = av_mallocz((size_t)from->extradata_size + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!ret->extradata)
		return AVERROR(ENOMEM);
	memcpy(ret->extradata, from->extradata, (size_t)from->extradata_size);
	ret->extradata_size = from->extradata_size;
	return 0;
}

static int open_start_codes(struct video_copy *c)
{
	int r = av_bsf_alloc(av_bsf_get_by_name("h264_mp4toannexb"), &c->start_codes);
	if (r >= 0)
		r = avcodec_parameters_copy(c->start_codes->par_in, c->par);
	if (r >= 0)
		c->start_codes->time_base_in = av_make_q(1, (int)VIDEO_TIMESCALE);
	return r < 0 ? r : av_bsf_init(c->start_codes);
}

static int open_rendition(struct video_copy *c, const AVCodecParameters *source, struct err *e)
{
	c->par = avcodec_parameters_alloc();
	int r = c->par ? describe(source, c->par) : AVERROR(ENOMEM);
	if (r >= 0 && c->spec->container == CONTAINER_TS)
		r = open_start_codes(c);
	if (r < 0)
		return averror_internal(e, r, "set up the copy");
	if (!h264_sets_parse(c->par->extradata, (size_t)c->par->extradata_size, &c->sets))
		return refuse(e, "it isn't H.264 with its parameter sets in the header");
	return rendition_parameters(c->rendition, c->start_codes ? c->start_codes->par_out : c->par, e);
}

int video_copy_new(const struct ladder_spec *spec, const struct timeline *timeline, const AVStream *stream,
		   struct rendition *rendition, struct video_copy **ret, struct err *e)
{
	const AVCodecParameters *par = stream ? stream->codecpar : NULL;
	if (!par || par->codec_id != AV_CODEC_ID_H264 || par->extradata_size <= 0)
		return refuse(e, "it isn't H.264 any more");
	if (par->width != (int)spec->rungs[0].width || par->height != (int)spec->rungs[0].height)
		return refuse(e, "it isn't of the rung's size");
	struct video_copy *c = mr_calloc(1, sizeof(*c));
	*c = (struct video_copy){ .spec = spec,
				  .timeline = timeline,
				  .rendition = rendition,
				  .position = INT64_MIN,
				  .end_ticks = INT64_MIN };
	int r = open_rendition(c, par, e);
	if (r < 0) {
		video_copy_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void video_copy_free(struct video_copy **c)
{
	if (!*c)
		return;
	av_bsf_free(&(*c)->start_codes);
	avcodec_parameters_free(&(*c)->par);
	free(*c);
	*c = NULL;
}

/* A copy of the packet with nothing but its picture, its time and whether it is a keyframe. */
static int hand_on(struct video_copy *c, const AVPacket *packet, int64_t ticks, struct err *e)
{
	AVPacket *p = av_packet_clone(packet);
	int r = p ? 0 : AVERROR(ENOMEM);
	if (r == 0 && c->start_codes) {
		r = av_bsf_send_packet(c->start_codes, p);
		if (r >= 0)
			r = av_bsf_receive_packet(c->start_codes, p);
	}
	if (r < 0) {
		av_packet_free(&p);
		return r == AVERROR(ENOMEM) ? averror_internal(e, r, "copy a picture") : refuse(e, "a picture is damaged");
	}
	av_packet_free_side_data(p);
	p->pts = p->dts = ticks;
	p->duration = 0;
	p->pos = -1;
	p->flags &= AV_PKT_FLAG_KEY;
	c->frames++;
	return rendition_packet(c->rendition, p, e);
}

/* What the range begins with, and each of its segments. */
static int begin_segment(struct video_copy *c, const AVPacket *p, const struct h264_unit *u, uint32_t segment, int64_t *ticks,
			 struct err *e)
{
	int64_t start, end;
	timeline_bounds(c->timeline, segment, false, &start, &end);
	const uint32_t number = c->timeline->first + segment;
	if (number == 0 && !c->begun)
		*ticks = start;
	if (*ticks != start || !(p->flags & AV_PKT_FLAG_KEY) || segment != (c->begun ? c->segment + 1 : 0))
		return refuse(e, "no keyframe is where segment %u was to begin", number);
	if (!u->idr)
		return refuse(e, "the keyframe of segment %u is no IDR picture", number);
	c->begun = true;
	c->segment = segment;
	return 0;
}

static int check(const struct video_copy *c, const AVPacket *p, struct h264_unit *ret, struct err *e)
{
	size_t size;
	if (p->flags & AV_PKT_FLAG_DISCARD)
		return refuse(e, "an edit list takes pictures away");
	if (!h264_unit_look(&c->sets, p->data, (size_t)p->size, ret) || !ret->picture)
		return refuse(e, "a picture is damaged");
	if (ret->foreign_sets || av_packet_get_side_data(p, AV_PKT_DATA_NEW_EXTRADATA, &size))
		return refuse(e, "its parameter sets change on the way");
	return 0;
}

int video_copy_packet(struct video_copy *c, const AVPacket *p, int64_t ticks, int64_t duration_ticks, struct err *e)
{
	const bool key = p->flags & AV_PKT_FLAG_KEY;
	if (ticks != INT64_MIN && ticks + duration_ticks > c->end_ticks)
		c->end_ticks = ticks + duration_ticks;
	/* pictures are whole from the range's own keyframe on: what precedes it belongs to the range before */
	if (c->done || (!c->begun && (!key || ticks < timeline_start(c->timeline))))
		return 0;
	const int64_t end = timeline_end_ticks(c->timeline);
	if (c->begun && c->timeline->end == TIMELINE_FIXED && ticks >= end) {
		c->done = key && ticks == end;
		return c->done ? 0 : refuse(e, "no keyframe is where segment %u was to begin",
					    c->timeline->first + c->timeline->count);
	}
	struct h264_unit u;
	int r = check(c, p, &u, e);
	if (r < 0)
		return r;
	if (ticks == INT64_MIN)
		return refuse(e, "a picture has no time");
	const uint32_t segment = timeline_segment(c->timeline, ticks);
	if (!c->begun || segment != c->segment)
		r = begin_segment(c, p, &u, segment, &ticks, e);
	if (r < 0)
		return r;
	c->position = ticks > c->position ? ticks : c->position;
	return hand_on(c, p, ticks, e);
}

int video_copy_finish(struct video_copy *c, struct err *e)
{
	if (c->begun ? c->segment + 1 < c->timeline->count : c->timeline->count > 0)
		return refuse(e, "the source ends before segment %u begins",
			      c->timeline->first + (c->begun ? c->segment + 1 : 0));
	return rendition_flush(c->rendition, e);
}

bool video_copy_done(const struct video_copy *c)
{
	return c->done;
}

int64_t video_copy_position(const struct video_copy *c)
{
	return c->position;
}

int64_t video_copy_end_ticks(const struct video_copy *c)
{
	return c->end_ticks;
}

uint32_t video_copy_begun(const struct video_copy *c)
{
	return c->begun ? c->segment + 1 : 0;
}

uint64_t video_copy_frames(const struct video_copy *c)
{
	return c->frames;
}
