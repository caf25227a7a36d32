/* The keyframes at which a video could be cut: see probe_copy.h. */
#include "media/probe_copy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/h264_units.h"
#include "media/mp4_track.h"
#include "media/source.h"
#include "media/video_look.h"

#define KEPT_APART_TICKS (VIDEO_TIMESCALE / 2) /* segments are at least a second long */
#define LOOKED_AT 16			       /* keyframes of an index */
#define SEEK_MAX_PACKETS 200		       /* up to one of them */
#define RECENT (2 * VIDEO_REORDER_MAX)

struct gop_list {
	const AVStream *st;
	struct h264_sets sets;
	const char *obstacle; /* the first that was met, or NULL */
	int64_t recent[RECENT]; /* presentation times of the packets before; a ring */
	uint32_t recent_count;
	uint64_t packets;
	int64_t latest;		 /* of all packets so far */
	int64_t key, longest;	 /* the keyframe in hand; the longest way between two */
	uint32_t reorder_frames;
	uint32_t count, room; /* keyframes that are kept */
	int64_t *times;	      /* in the stream's time base */
	uint64_t *bytes;
};

struct gop_list *gop_list_new(const AVStream *st)
{
	const AVCodecParameters *par = st->codecpar;
	struct h264_sets sets;
	if (par->codec_id != AV_CODEC_ID_H264 || par->extradata_size <= 0 ||
	    !h264_sets_parse(par->extradata, (size_t)par->extradata_size, &sets))
		return NULL;
	struct gop_list *g = mr_calloc(1, sizeof(*g));
	g->st = st;
	g->sets = sets;
	g->latest = INT64_MIN;
	return g;
}

void gop_list_free(struct gop_list **g)
{
	if (!*g)
		return;
	free((*g)->times);
	free((*g)->bytes);
	free(*g);
	*g = NULL;
}

/* How many of the packets before are shown later. */
static void note_order(struct gop_list *g, int64_t pts)
{
	uint32_t later = 0, held = g->recent_count < RECENT ? g->recent_count : RECENT;
	for (uint32_t i = 0; i < held; i++)
		later += g->recent[i] > pts;
	if (later > g->reorder_frames)
		g->reorder_frames = later;
	g->recent[g->recent_count++ % RECENT] = pts;
}

static void keep(struct gop_list *g, int64_t pts)
{
	const AVRational ticks = { 1, VIDEO_TIMESCALE };
	if (g->count && av_compare_ts(pts - g->times[g->count - 1], g->st->time_base, KEPT_APART_TICKS, ticks) < 0)
		return;
	if (g->count == COPY_KEYFRAMES_MAX) {
		g->obstacle = "it has more keyframes than are noted";
		return;
	}
	if (g->count == g->room) {
		g->room = g->room ? 2 * g->room : 256;
		g->times = mr_reallocarray(g->times, g->room, sizeof(*g->times));
		g->bytes = mr_reallocarray(g->bytes, g->room, sizeof(*g->bytes));
	}
	g->times[g->count] = pts;
	g->bytes[g->count++] = 0;
}

static void add(struct gop_list *g, int64_t pts, int size, bool key)
{
	if (g->obstacle)
		return;
	if (pts == AV_NOPTS_VALUE || size <= 0)
		g->obstacle = "it has pictures without a time or without data";
	else if (g->packets == 0 && !key)
		g->obstacle = "it doesn't begin with a keyframe";
	else if (key ? pts <= g->latest && g->packets : pts <= g->key)
		g->obstacle = "its GOPs are open: pictures behind a keyframe are shown before it";
	if (g->obstacle)
		return;
	if (key && g->packets && pts - g->key > g->longest)
		g->longest = pts - g->key;
	if (key) {
		g->key = pts;
		keep(g, pts);
	}
	note_order(g, pts);
	g->latest = pts > g->latest ? pts : g->latest;
	g->packets++;
	if (g->count)
		g->bytes[g->count - 1] += (uint64_t)size;
}

static void look(struct gop_list *g, const AVPacket *p, bool key)
{
	struct h264_unit u;
	size_t size;
	if (p->flags & AV_PKT_FLAG_DISCARD)
		g->obstacle = "an edit list begins within a GOP";
	else if (!h264_unit_look(&g->sets, p->data, (size_t)p->size, &u))
		g->obstacle = "it has damaged pictures";
	else if (u.foreign_sets || av_packet_get_side_data(p, AV_PKT_DATA_NEW_EXTRADATA, &size))
		g->obstacle = "its parameter sets change on the way";
	else if (key && !u.idr)
		g->obstacle = "it has keyframes that are no IDR pictures";
}

void gop_list_add(struct gop_list *g, const AVPacket *p)
{
	if (!g || g->obstacle)
		return;
	bool key = p->flags & AV_PKT_FLAG_KEY;
	look(g, p, key);
	add(g, p->pts, p->size, key);
}

/* ---- From an MP4's index ---- */

/* The offsets from decoding to presentation time, sample by sample (ctts), which libav doesn't tell. */
struct offsets {
	struct mp4_reader reader;
	struct mp4_track track;
	uint32_t row, left;
	int32_t value;
};

static int find_track(struct offsets *o, const struct mp4_box *moov, uint32_t id, struct err *e)
{
	struct mp4_box box;
	for (uint64_t at = moov->body; at < moov->end; at = box.end) {
		int r = mp4_box_read(&o->reader, at, moov->end, &box, e);
		if (r < 0)
			return r;
		if (box.type != MP4_TYPE('t', 'r', 'a', 'k'))
			continue;
		mp4_track_release(&o->track);
		o->track = (struct mp4_track){ 0 };
		struct err other = { 0 };
		r = mp4_track_parse(&o->reader, &box, &o->track, &other);
		if (o->track.id == id || (r < 0 && r != -(int)ERR_UNSUPPORTED))
			return r < 0 ? err_copy(e, &other) : 0;
	}
	return err_set(e, ERR_UNSUPPORTED, "no track %u", id);
}

static int find_offsets(struct offsets *o, uint32_t id, struct err *e)
{
	struct mp4_box box;
	for (uint64_t at = 0; at < o->reader.size_bytes; at = box.end) {
		int r = mp4_box_read(&o->reader, at, o->reader.size_bytes, &box, e);
		if (r < 0)
			return r;
		if (box.type == MP4_TYPE('m', 'o', 'o', 'v'))
			return find_track(o, &box, id, e);
	}
	return err_set(e, ERR_UNSUPPORTED, "no index");
}

static int next_offset(struct offsets *o, int32_t *ret, struct err *e)
{
	const uint8_t *p;
	while (o->track.offsets.count && o->left == 0) {
		int r = mp4_table_row(&o->reader, &o->track.offsets, o->row++, &p, e);
		if (r < 0)
			return r;
		o->left = mp4_get32(p);
		o->value = (int32_t)mp4_get32(p + 4);
	}
	o->left -= o->left > 0;
	*ret = o->value;
	return 0;
}

/* Reads a keyframe, to see what it is and what libav makes of its time: `told` is that but for a constant. */
static int look_at(const struct probe_copy_source *s, struct gop_list *g, const AVIndexEntry *entry, int64_t told,
		   int64_t *shift, struct err *e)
{
	AVFormatContext *f = media_input_format(s->in);
	const int64_t pos = entry->pos; /* the entry may move when libav reads */
	/* the first is the track's first; the others are sought by the time that they are shown at */
	const int64_t at = *shift == INT64_MIN ? entry->timestamp : told + *shift;
	AVPacket *p = av_packet_alloc();
	if (!p)
		return media_averror(e, AVERROR(ENOMEM), "look at a keyframe");
	int r = av_seek_frame(f, s->stream->index, at, AVSEEK_FLAG_BACKWARD);
	bool found = false;
	for (int i = 0; r >= 0 && !found && i < SEEK_MAX_PACKETS; i++) {
		av_packet_unref(p);
		r = av_read_frame(f, p);
		found = r >= 0 && p->stream_index == s->stream->index && p->pos == pos;
	}
	if (media_input_failed(s->in) || r == AVERROR(ENOMEM)) {
		av_packet_free(&p);
		return media_input_error(s->in, r, e, "look at a keyframe");
	}
	if (!found || p->pts == AV_NOPTS_VALUE || (*shift != INT64_MIN && p->pts - told != *shift))
		g->obstacle = "its index and its pictures don't agree";
	else
		*shift = p->pts - told;
	if (found && !g->obstacle)
		look(g, p, true);
	av_packet_free(&p);
	return 0;
}

struct seen_key {
	int entry;
	int64_t told;
};

/* Sixteen keyframes, spread evenly: found while all are walked, by keeping every n-th and doubling n. */
struct sample {
	struct seen_key keys[2 * LOOKED_AT];
	uint32_t count, every, met;
};

static void sample_add(struct sample *s, int entry, int64_t told)
{
	if (s->met++ % s->every)
		return;
	s->keys[s->count++] = (struct seen_key){ entry, told };
	if (s->count < MR_ARRAY_SIZE(s->keys))
		return;
	s->every *= 2;
	s->count /= 2;
	for (uint32_t i = 0; i < s->count; i++)
		s->keys[i] = s->keys[2 * i];
}

static int walk_index(const struct probe_copy_source *s, struct gop_list *g, struct offsets *o, struct err *e)
{
	struct sample sample = { .every = 1 };
	const int n = avformat_index_get_entries_count(s->stream);
	for (int i = 0; i < n && !g->obstacle; i++) {
		const AVIndexEntry *entry = avformat_index_get_entry(s->stream, i);
		int32_t offset;
		int r = next_offset(o, &offset, e);
		if (r < 0)
			return r;
		const bool key = entry->flags & AVINDEX_KEYFRAME;
		const int64_t told = entry->timestamp + offset;
		if (entry->flags & AVINDEX_DISCARD_FRAME)
			g->obstacle = "an edit list begins within a GOP";
		add(g, told, entry->size, key);
		if (key)
			sample_add(&sample, i, told);
	}
	int64_t shift = INT64_MIN;
	for (uint32_t i = 0; i < sample.count && !g->obstacle; i++) {
		const AVIndexEntry *entry = avformat_index_get_entry(s->stream, sample.keys[i].entry);
		int r = look_at(s, g, entry, sample.keys[i].told, &shift, e);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < g->count && !g->obstacle; i++)
		g->times[i] += shift;
	g->latest += shift;
	g->key += shift;
	return 0;
}

static int read_index(const struct probe_copy_source *s, struct gop_list *g, struct err *e)
{
	struct offsets *o = mr_calloc(1, sizeof(*o));
	o->reader = (struct mp4_reader){ .io = s->io, .size_bytes = s->spec->inputs[0].size_bytes };
	int r = find_offsets(o, (uint32_t)s->stream->id, e);
	if (r == 0)
		r = walk_index(s, g, o, e);
	mp4_track_release(&o->track);
	free(o);
	if (r != -(int)ERR_UNSUPPORTED)
		return r;
	assert(g);
	g->obstacle = "its index is of an unusual kind"; /* or an edit list has changed which samples there are */
	return 0;
}

/* ---- The verdict ---- */

/* What the stream's header says against it. */
static const char *header_obstacle(const struct probe_copy_source *s)
{
	const AVCodecParameters *par = s->stream->codecpar;
	const struct probe_stream *v = s->told;
	struct h264_sets sets;
	if (par->codec_id != AV_CODEC_ID_H264)
		return "it isn't H.264";
	if (par->extradata_size <= 0 || !h264_sets_parse(par->extradata, (size_t)par->extradata_size, &sets) ||
	    (par->codec_tag && par->codec_tag != MKTAG('a', 'v', 'c', '1') && par->codec_tag != MKTAG('H', '2', '6', '4')))
		return "its parameter sets aren't in the header";
	if (sets.profile_idc != 66 && sets.profile_idc != 77 && sets.profile_idc != 100)
		return "its profile is none that every player knows";
	if (par->format != AV_PIX_FMT_YUV420P)
		return "it isn't 8 bit 4:2:0 in video range";
	if (v->interlaced)
		return "it is interlaced";
	if (v->rotation_degrees || (v->sar_num && v->sar_num != v->sar_den) || v->width % 2 || v->height % 2)
		return "it is turned, its pixels aren't square or its sides are odd";
	const struct video_look look = video_look_of(s->stream);
	if (look.light != LIGHT_AS_IT_IS || look.mirrored)
		return "its colours have to be converted, or it is mirrored";
	if (!s->indexed && !s->walked)
		return "its index doesn't list every picture";
	return NULL;
}

/* Onto the presentation's axis, by the rule that the chunks' tasks have. */
static const char *set_times(const struct probe_copy_source *s, const struct gop_list *g, struct probe_copy *c)
{
	const AVRational tb = s->stream->time_base;
	c->ticks = mr_calloc(g->count, sizeof(*c->ticks));
	c->bytes = mr_calloc(g->count, sizeof(*c->bytes));
	c->count = g->count;
	for (uint32_t i = 0; i < g->count; i++) {
		c->ticks[i] = source_rescale(g->times[i], tb, s->origin_ns, VIDEO_TIMESCALE);
		c->bytes[i] = g->bytes[i] > UINT32_MAX ? UINT32_MAX : (uint32_t)g->bytes[i];
		if (c->ticks[i] < (i ? c->ticks[i - 1] + 1 : 0))
			return "its keyframes' times don't rise";
	}
	const int64_t end = av_rescale(s->duration_ns, VIDEO_TIMESCALE, 1000000000);
	const int64_t last = end - source_rescale(g->key, tb, s->origin_ns, VIDEO_TIMESCALE);
	int64_t longest = av_rescale_q(g->longest, tb, av_make_q(1, VIDEO_TIMESCALE));
	longest = last > longest ? last : longest;
	c->gop_ticks = longest > UINT32_MAX ? UINT32_MAX : (uint32_t)longest;
	c->reorder_frames = g->reorder_frames;
	return g->reorder_frames > VIDEO_REORDER_MAX ? "its decoding order is too far from its presentation order" : NULL;
}

int probe_copy_find(const struct probe_copy_source *s, struct probe_copy *ret, struct err *e)
{
	struct probe_copy c = { 0 };
	struct gop_list *own = NULL, *g = s->walked;
	const char *obstacle = header_obstacle(s);
	int r = 0;
	if (!obstacle && !g) {
		g = own = gop_list_new(s->stream);
		r = read_index(s, g, e);
	}
	assert(g || obstacle);
	if (r == 0 && !obstacle)
		obstacle = g->obstacle;
	if (r == 0 && !obstacle && g->count == 0)
		obstacle = "it has no pictures";
	if (r == 0 && !obstacle)
		obstacle = set_times(s, g, &c);
	gop_list_free(&own);
	if (r < 0)
		return r;
	if (obstacle) {
		free(c.ticks);
		free(c.bytes);
		c = (struct probe_copy){ 0 };
		(void)snprintf(c.obstacle, sizeof(c.obstacle), "%s", obstacle);
	}
	*ret = c;
	return 0;
}
