/* Matroska into fragments. Runs in the sandbox, on bytes of anybody; what the fields are is mkv_fields.c's.
 *
 * Guarantees: a fragment's bytes are its cluster's, from the first to the last, none held longer than until its time is
 * known or the piece is fed; memory is bounded by the header's and the pieces' size. Does not look into frames.
 */
#include "media/mkv_split.h"

#include <string.h>

#include "media/mkv_fields.h"

/* A level-1 element that nobody needs (attachments) may not be longer. */
#define SKIP_MAX_BYTES (16u << 20)
#define HEADER_MAX_BYTES LIVE_MESSAGE_MAX_BYTES
/* Bytes of a fragment are given on in pieces of about this. */
#define PIECE_BYTES (32u << 10)
/* Before a cluster's time nothing but small elements is taken. */
#define BEFORE_TIME_MAX_BYTES 1024

/* RFC 9559, 5.1: a Segment whose size isn't known. */
static const uint8_t segment_head[] = { 0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

struct mkv_split {
	struct mkv_split_sink sink;
	struct ebml ebml;
	uint32_t error_id;
	int64_t refused_ms; /* time of the fragment that is being read; -1: not known */
	/* the header */
	bool capturing; /* what comes belongs to it */
	bool header_open, header_told;
	struct buf header;
	struct mkv_fields fields;
	/* the fragment */
	bool in_cluster, begun; /* begun: told; it ends some time after its cluster */
	bool has_time;
	int64_t last_time_ns; /* of the cluster before; INT64_MIN: none */
	uint64_t size_bytes;
	struct buf piece;
	uint32_t tag_count;
	uint32_t early_count; /* tags before the first cluster, kept for it */
	struct live_tag early[LIVE_TAGS_MAX];
};

static int refuse(struct mkv_split *s, enum live_error_id id, struct err *e, const char *why)
{
	s->error_id = id;
	return err_set_code(e, ERR_MEDIA, "FRAGMENT_REFUSED", "%s", why);
}

static int tell(struct mkv_split *s, const struct live_event *v, const void *bytes, size_t len, struct err *e)
{
	return s->sink.event(s->sink.ctx, v, bytes, len, e);
}

/* ---- the header ---- */

static void begin_header(struct mkv_split *s)
{
	buf_clear(&s->header);
	mkv_fields_reset(&s->fields);
	s->header_open = s->capturing = true;
	s->header_told = false;
}

static int tell_header(struct mkv_split *s, struct err *e)
{
	struct live_event v = { .kind = LIVE_HEADER };
	const struct mkv_fields *f = &s->fields;
	if (!s->header_open || f->track_count == 0)
		return refuse(s, LIVE_E_MKV, e, "a cluster without a header and tracks before it");
	v.header.track_count = f->track_count;
	for (uint32_t i = 0; i < f->track_count; i++)
		v.header.tracks[i] = f->tracks[i].about;
	s->header_told = true;
	return tell(s, &v, s->header.data, s->header.len, e);
}

/* ---- fragments ---- */

static int flush_piece(struct mkv_split *s, struct err *e)
{
	const struct live_event v = { .kind = LIVE_FRAGMENT_DATA };
	if (!s->begun || s->piece.len == 0)
		return 0;
	int r = tell(s, &v, s->piece.data, s->piece.len, e);
	buf_clear(&s->piece);
	return r;
}

static int tell_tag(struct mkv_split *s, const struct live_tag *t, struct err *e)
{
	struct live_event v = { .kind = LIVE_FRAGMENT_TAG, .tag = *t };
	if (++s->tag_count > LIVE_TAGS_MAX)
		return refuse(s, LIVE_E_METADATA, e, "too many tags of one fragment");
	return tell(s, &v, NULL, 0, e);
}

static int begin_fragment(struct mkv_split *s, uint64_t ticks, struct err *e)
{
	struct live_event v = { .kind = LIVE_FRAGMENT_BEGIN };
	int64_t time_ns;
	if (ticks > INT64_MAX || __builtin_mul_overflow((int64_t)ticks, s->fields.scale_ns, &time_ns) || time_ns > INT64_MAX / 2)
		return refuse(s, LIVE_E_MKV, e, "an impossible cluster time");
	if (s->has_time)
		return refuse(s, LIVE_E_MKV, e, "a cluster with two times");
	s->refused_ms = time_ns / 1000000;
	if (time_ns <= s->last_time_ns)
		return refuse(s, LIVE_E_TIMECODE_ORDER, e, "a fragment's time isn't later than that of the one before");
	s->has_time = s->begun = true;
	s->last_time_ns = time_ns;
	s->tag_count = 0;
	mkv_fields_begin_cluster(&s->fields, time_ns);
	v.fragment.timecode_ms = time_ns / 1000000;
	int r = tell(s, &v, NULL, 0, e);
	for (uint32_t i = 0; r == 0 && i < s->early_count; i++)
		r = tell_tag(s, &s->early[i], e);
	s->early_count = 0;
	return r;
}

static int end_cluster(struct mkv_split *s, struct err *e)
{
	s->in_cluster = false;
	if (!s->has_time || !mkv_fields_all_have_frames(&s->fields))
		return refuse(s, LIVE_E_FRAMES_MISSING, e, "a fragment without a frame of each track");
	return flush_piece(s, e);
}

static int end_fragment(struct mkv_split *s, struct err *e)
{
	struct live_event v = { .kind = LIVE_FRAGMENT_END };
	if (!s->begun)
		return 0;
	v.fragment = (struct live_fragment){ .timecode_ms = s->last_time_ns / 1000000, .size_bytes = s->size_bytes,
					     .duration_ms = mkv_fields_duration_ms(&s->fields) };
	s->begun = false;
	return tell(s, &v, NULL, 0, e);
}

static int begin_cluster(struct mkv_split *s, const struct ebml_element *el, struct err *e)
{
	int r = end_fragment(s, e);
	if (r == 0 && !s->header_told)
		r = tell_header(s, e);
	if (r == 0 && el->size > LIVE_FRAGMENT_MAX_BYTES)
		r = refuse(s, LIVE_E_SIZE, e, "a fragment that is too large");
	s->in_cluster = true;
	s->has_time = false;
	s->refused_ms = -1;
	s->size_bytes = 0;
	buf_clear(&s->piece);
	return r;
}

static int take_tag(struct mkv_split *s, struct err *e)
{
	const struct live_tag *t = &s->fields.tag;
	if (strcmp(t->name, "AWS_KINESISVIDEO_END_OF_FRAGMENT") == 0)
		return end_fragment(s, e);
	if (!t->name[0] || strncmp(t->name, "AWS", 3) == 0) /* the service's own, in what it gave */
		return 0;
	if (s->fields.tag_too_long)
		return refuse(s, LIVE_E_METADATA, e, "a tag that is too long");
	if (s->begun)
		return tell_tag(s, t, e);
	if (s->early_count == LIVE_TAGS_MAX)
		return refuse(s, LIVE_E_METADATA, e, "too many tags before a fragment");
	s->early[s->early_count++] = *t;
	return 0;
}

/* ---- the walker's sink ---- */

static int on_begin(void *ctx, const struct ebml_element *el, struct ebml_choice *ret, struct err *e)
{
	struct mkv_split *s = ctx;
	int r = 0;
	switch (el->id) {
	case EBML_HEADER:
		r = end_fragment(s, e);
		begin_header(s);
		break;
	case MKV_SEGMENT:
		if (!s->header_open || !buf_append(&s->header, segment_head, sizeof(segment_head)))
			r = refuse(s, LIVE_E_MKV, e, "a segment without a header");
		break;
	case MKV_INFO:
	case MKV_TRACKS:
		if (s->header_told)
			return refuse(s, LIVE_E_MKV, e, "a header's part behind a cluster");
		s->capturing = true;
		break;
	case MKV_CLUSTER:
		r = begin_cluster(s, el, e);
		break;
	case MKV_TRACK_ENTRY:
		if (!mkv_fields_begin_track(&s->fields))
			return refuse(s, LIVE_E_TRACKS, e, "more than three tracks");
		break;
	default:
		break;
	}
	if (r < 0)
		return r;
	/* Told by elements' sizes, not by the bytes there are: these are cut anywhere. */
	if (s->in_cluster && el->id != MKV_CLUSTER && !s->has_time && s->size_bytes + el->size > BEFORE_TIME_MAX_BYTES)
		return refuse(s, LIVE_E_MKV, e, "a cluster that doesn't begin with its time");
	*ret = mkv_fields_choose(el->id, s->in_cluster);
	if (!s->in_cluster && !ret->enter && el->size > SKIP_MAX_BYTES)
		return refuse(s, LIVE_E_MKV, e, "an element that is too large");
	return 0;
}

static int on_data(void *ctx, const struct ebml_element *el, const uint8_t *p, size_t len, struct err *e)
{
	struct mkv_split *s = ctx;
	uint64_t ticks;
	if (s->in_cluster && el->id == MKV_TIMESTAMP)
		return ebml_uint(p, len, &ticks) ? begin_fragment(s, ticks, e)
						 : refuse(s, LIVE_E_MKV, e, "an impossible cluster time");
	if (s->in_cluster && !s->has_time && (el->id == MKV_SIMPLE_BLOCK || el->id == MKV_BLOCK))
		return refuse(s, LIVE_E_MKV, e, "a block before its cluster's time");
	switch (mkv_fields_take(&s->fields, el, p, len)) {
	case MKV_FIELD_OK:
		return 0;
	case MKV_FIELD_UNKNOWN_TRACK:
		return refuse(s, LIVE_E_TRACK_NUMBER, e, "a frame of a track that isn't declared");
	case MKV_FIELD_TOO_LONG:
		return refuse(s, LIVE_E_DURATION, e, "a fragment that is too long");
	case MKV_FIELD_WRONG:
		break;
	}
	return refuse(s, LIVE_E_MKV, e, "a field with an impossible value");
}

static int on_end(void *ctx, const struct ebml_element *el, struct err *e)
{
	struct mkv_split *s = ctx;
	switch (el->id) {
	case EBML_HEADER:
	case MKV_INFO:
	case MKV_TRACKS:
		s->capturing = false;
		return 0;
	case MKV_TRACK_ENTRY:
		return mkv_fields_end_track(&s->fields) ? 0 : refuse(s, LIVE_E_MKV, e, "a track without a number of its own");
	case MKV_CLUSTER:
		return end_cluster(s, e);
	case MKV_BLOCK_GROUP:
		mkv_fields_end_group(&s->fields);
		return 0;
	case MKV_SIMPLE_TAG:
		return take_tag(s, e);
	default:
		return 0;
	}
}

static int on_raw(void *ctx, const uint8_t *p, size_t len, struct err *e)
{
	struct mkv_split *s = ctx;
	if (s->capturing && (s->header.len + len > HEADER_MAX_BYTES || !buf_append(&s->header, p, len)))
		return refuse(s, LIVE_E_MKV, e, "a header that is too large");
	if (!s->in_cluster)
		return 0;
	s->size_bytes += len;
	if (s->size_bytes > LIVE_FRAGMENT_MAX_BYTES)
		return refuse(s, LIVE_E_SIZE, e, "a fragment that is too large");
	for (size_t at = 0; at < len;) {
		const size_t n = len - at < PIECE_BYTES - s->piece.len ? len - at : PIECE_BYTES - s->piece.len;
		if (!buf_append(&s->piece, p + at, n))
			return err_set(e, ERR_INTERNAL, "no room for a piece of a fragment");
		at += n;
		int r = s->piece.len == PIECE_BYTES ? flush_piece(s, e) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- life ---- */

struct mkv_split *mkv_split_new(const struct mkv_split_sink *sink)
{
	struct mkv_split *s = mr_calloc(1, sizeof(*s));
	const struct ebml_sink inner = { .ctx = s, .begin = on_begin, .data = on_data, .end = on_end, .raw = on_raw };
	s->sink = *sink;
	s->last_time_ns = INT64_MIN;
	s->refused_ms = -1;
	ebml_init(&s->ebml, &inner, 0);
	buf_init(&s->header, HEADER_MAX_BYTES);
	buf_init(&s->piece, PIECE_BYTES);
	mkv_fields_reset(&s->fields);
	return s;
}

void mkv_split_free(struct mkv_split *s)
{
	if (!s)
		return;
	ebml_release(&s->ebml);
	buf_release(&s->header);
	buf_release(&s->piece);
	free(s);
}

/* What the walker finds wrong is no Matroska. */
static int done(struct mkv_split *s, int r, struct err *why, struct err *e)
{
	if (r == 0)
		return 0;
	if (!s->error_id && strcmp(why->code, "DAMAGED_MEDIA") == 0)
		s->error_id = LIVE_E_MKV;
	return err_copy(e, why);
}

int mkv_split_feed(struct mkv_split *s, const void *data, size_t len, struct err *e)
{
	struct err why = { 0 };
	int r = ebml_feed(&s->ebml, data, len, &why);
	if (r == 0 && s->in_cluster)
		r = flush_piece(s, &why);
	return done(s, r, &why, e);
}

int mkv_split_finish(struct mkv_split *s, struct err *e)
{
	struct err why = { 0 };
	int r = ebml_finish(&s->ebml, &why);
	if (r == 0)
		r = end_fragment(s, &why);
	return done(s, r, &why, e);
}

uint32_t mkv_split_refusal(const struct mkv_split *s, int64_t *ret_timecode_ms)
{
	*ret_timecode_ms = s->refused_ms;
	return s->error_id;
}
