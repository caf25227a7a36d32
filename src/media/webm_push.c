/* WebM in pieces. Two states: parsing (the EBML walker has it), or searching for a header or cluster to go on at. Runs in the
 * sandbox, on bytes of anybody.
 *
 * Guarantees: memory is bounded by the largest block that is looked at (BLOCK_MAX_BYTES); after any damage parsing goes
 * on at the next whole cluster. Does not guarantee that what it finds is what was recorded: a chunk fed twice gives its
 * frames twice, and whoever decodes them drops by their times.
 */
#include "media/webm_push.h"

#include <string.h>

/* No sound's block is larger (120 ms at Opus' highest rate are 8 KiB). Larger elements are pictures', or damage: where
 * there is no picture, nothing is believed that is longer, as what follows would be lost in it. */
#define BLOCK_MAX_BYTES (16u << 10)
#define PICTURE_MAX_BYTES (8u << 20)
#define VOID_MAX_BYTES 4096
#define HEADER_WITHIN_BYTES (64u << 10)
/* Bytes are taken in pieces of this size: behind each damaged place the rest of a piece is copied. */
#define PIECE_BYTES 4096
#define DEFAULT_SCALE_NS 1000000
/* Offsets are counted from 1 inside: a cluster at the very front may lack its first byte, which would be before it. */
#define FIRST_OFFSET 1

static int damaged(struct err *e, const char *why)
{
	return err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "%s", why);
}

/* ---- the header ---- */

static void begin_entry(struct webm_push *w)
{
	w->entry = (struct webm_track){ .channels = 1 };
	w->entry_sound = w->entry_opus = w->entry_head = false;
}

/* RFC 7845, 5.1. Channel mapping family 0 is mono or stereo; what else there is no microphone records. */
static void read_opus_head(struct webm_push *w, const uint8_t *p, size_t len)
{
	if (len < 19 || memcmp(p, "OpusHead", 8) != 0 || (p[8] & 0xF0) || p[9] < 1 || p[9] > 2 || p[18] != 0)
		return;
	w->entry_head = true;
	w->entry.channels = p[9];
	w->entry.preskip = (uint32_t)p[10] | (uint32_t)p[11] << 8;
}

static void end_entry(struct webm_push *w)
{
	if (w->chosen || !w->entry_sound || !w->entry_opus || !w->entry_head || !w->entry.number)
		return;
	w->chosen = true;
	const uint64_t scale = w->track.scale_ns;
	w->track = w->entry;
	w->track.scale_ns = scale;
}

static int header_data(struct webm_push *w, uint32_t id, const uint8_t *p, size_t len, struct err *e)
{
	char text[16];
	uint64_t v;
	switch (id) {
	case EBML_DOCTYPE:
		ebml_text(p, len, text, sizeof(text));
		if (strcmp(text, "webm") != 0 && strcmp(text, "matroska") != 0)
			return damaged(e, "an EBML document that is no WebM");
		return 0;
	case MKV_TIMESTAMP_SCALE:
		if (!ebml_uint(p, len, &v) || v == 0 || v > 1000000000)
			return damaged(e, "an impossible timestamp scale");
		w->track.scale_ns = v;
		return 0;
	case MKV_TRACK_NUMBER:
		return ebml_uint(p, len, &w->entry.number) ? 0 : damaged(e, "an impossible track number");
	case MKV_TRACK_TYPE:
		if (!ebml_uint(p, len, &v))
			return damaged(e, "an impossible type of track");
		w->entry_sound = v == 2;
		w->has_video |= v == 1;
		return 0;
	case MKV_CODEC_ID:
		ebml_text(p, len, text, sizeof(text));
		w->entry_opus = strcmp(text, "A_OPUS") == 0;
		return 0;
	case MKV_CODEC_PRIVATE:
		read_opus_head(w, p, len);
		return 0;
	default:
		return 0;
	}
}

/* ---- blocks ---- */

/* Sizes of a block's frames but the last (RFC 9559, 10.3); the number of bytes that they take, 0 if they don't add up. */
static size_t lace_sizes(unsigned lacing, const uint8_t *p, size_t len, unsigned count, size_t sizes[WEBM_FRAMES_MAX])
{
	size_t at = 0, total = 0;
	for (unsigned i = 0; i + 1 < count; i++) {
		size_t size = 0;
		if (lacing == 1) { /* Xiph */
			do {
				if (at >= len)
					return 0;
				size += p[at];
			} while (p[at++] == 0xFF);
		} else { /* EBML: the first as it is, the others as differences */
			uint64_t v;
			const unsigned n = ebml_vint(p + at, len - at, false, &v);
			if (n == 0 || v > INT32_MAX)
				return 0;
			const int64_t bias = ((int64_t)1 << (7 * n - 1)) - 1;
			const int64_t s = i == 0 ? (int64_t)v : (int64_t)sizes[i - 1] + (int64_t)v - bias;
			if (s < 0 || s > INT32_MAX)
				return 0;
			size = (size_t)s;
			at += n;
		}
		sizes[i] = size;
		total += size;
		if (total > len)
			return 0;
	}
	if (total > len - at)
		return 0;
	sizes[count - 1] = len - at - total;
	return at;
}

static int give_frames(struct webm_push *w, const uint8_t *p, size_t len, const size_t *sizes, unsigned count, int64_t time_ns,
		       struct err *e)
{
	size_t at = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct webm_frame f = { .after_loss = w->lost, .has_time = i == 0, .time_ns = time_ns,
					     .data = p + at, .len = sizes[i],
					      .discard_ns = i + 1 == count ? w->discard_ns : 0 };
		at += sizes[i];
		w->lost = false;
		int r = at <= len ? w->sink.frame(w->sink.ctx, &f, e) : damaged(e, "a laced frame beyond its block");
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_block(struct webm_push *w, const uint8_t *p, size_t len, struct err *e)
{
	uint64_t number;
	const unsigned n = ebml_vint(p, len, false, &number);
	if (n == 0 || len < n + 3)
		return damaged(e, "a block without a head");
	if (!w->has_track || number != w->track.number)
		return 0;
	if (!w->has_cluster_time)
		return damaged(e, "a block before its cluster's time");
	const int16_t relative = (int16_t)(p[n] << 8 | p[n + 1]);
	const unsigned lacing = p[n + 2] >> 1 & 3;
	int64_t time_ns;
	if (__builtin_mul_overflow(w->cluster_ticks + relative, (int64_t)w->track.scale_ns, &time_ns))
		return damaged(e, "a time beyond all clocks");
	p += n + 3;
	len -= n + 3;
	size_t sizes[WEBM_FRAMES_MAX] = { len };
	unsigned count = 1;
	if (lacing) {
		if (len == 0 || (count = p[0] + 1u) > WEBM_FRAMES_MAX)
			return damaged(e, "a laced block of too many frames");
		p++;
		len--;
		size_t used = 0;
		if (lacing == 2) { /* all of one size */
			if (len % count)
				return damaged(e, "a laced block that doesn't divide");
			for (unsigned i = 0; i < count; i++)
				sizes[i] = len / count;
		} else if (count == 1) {
			sizes[0] = len;
		} else if ((used = lace_sizes(lacing, p, len, count, sizes)) == 0) {
			return damaged(e, "a laced block whose sizes don't add up");
		}
		p += used;
		len -= used;
	}
	return give_frames(w, p, len, sizes, count, time_ns, e);
}

/* ---- the walker's sink ---- */

static int begin_cluster(struct webm_push *w, const struct ebml_element *el, struct err *e)
{
	w->has_cluster_time = false;
	if (w->in_header) {
		w->in_header = false;
		w->has_track = w->chosen;
		w->track.has_video = w->has_video;
		if (!w->chosen)
			return err_set_code(e, ERR_UNSUPPORTED, "UNSUPPORTED_CODEC",
					    "no track of the recording is Opus with one or two channels");
		int r = w->sink.track(w->sink.ctx, &w->track, e);
		if (r < 0)
			return r;
	}
	const uint64_t offset = el->offset > FIRST_OFFSET ? el->offset - FIRST_OFFSET : 0;
	return w->has_track ? w->sink.cluster(w->sink.ctx, offset, e) : 0;
}

static void begin_header(struct webm_push *w)
{
	w->in_header = true;
	w->has_track = w->chosen = w->has_video = false;
	w->track = (struct webm_track){ .scale_ns = DEFAULT_SCALE_NS };
}

/* What a cluster may have, and how large it may be. */
static uint64_t max_in_cluster(const struct webm_push *w, uint32_t id)
{
	switch (id) {
	case MKV_BLOCK_GROUP:
	case MKV_SIMPLE_BLOCK:
		return w->track.has_video || !w->has_track ? PICTURE_MAX_BYTES : BLOCK_MAX_BYTES;
	case MKV_TIMESTAMP:
	case MKV_POSITION:
	case MKV_PREV_SIZE:
	case EBML_CRC32:
		return 8;
	case MKV_SILENT_TRACKS:
	case EBML_VOID:
		return VOID_MAX_BYTES;
	default:
		return 0;
	}
}

static int choose_in_cluster(const struct webm_push *w, const struct ebml_element *el, struct ebml_choice *ret, struct err *e)
{
	const uint64_t max = max_in_cluster(w, el->id);
	if (max == 0 || el->size > max)
		return damaged(e, "an element that no cluster has, or too large a one");
	if (el->id == MKV_BLOCK_GROUP)
		ret->enter = true;
	else if (el->id == MKV_TIMESTAMP || (el->id == MKV_SIMPLE_BLOCK && el->size <= BLOCK_MAX_BYTES))
		*ret = (struct ebml_choice){ .collect = true, .max_bytes = BLOCK_MAX_BYTES };
	return 0;
}

static int on_begin(void *ctx, const struct ebml_element *el, struct ebml_choice *ret, struct err *e)
{
	struct webm_push *w = ctx;
	const uint32_t parent = el->depth ? w->ebml.stack[el->depth - 1].id : 0;
	if (parent == MKV_CLUSTER)
		return choose_in_cluster(w, el, ret, e);
	switch (el->id) {
	case EBML_HEADER:
		begin_header(w);
		ret->enter = true;
		return 0;
	case MKV_TRACK_ENTRY:
		begin_entry(w);
		ret->enter = true;
		return 0;
	case MKV_BLOCK_GROUP:
		return damaged(e, "a block group outside a cluster");
	case MKV_SEGMENT:
	case MKV_INFO:
	case MKV_TRACKS:
		ret->enter = true;
		return 0;
	case MKV_CLUSTER:
		ret->enter = true;
		return begin_cluster(w, el, e);
	case MKV_BLOCK:
		w->discard_ns = 0;
		buf_clear(&w->block);
		*ret = (struct ebml_choice){ .collect = el->size <= BLOCK_MAX_BYTES, .max_bytes = BLOCK_MAX_BYTES };
		return 0;
	case MKV_DISCARD_PADDING:
		*ret = (struct ebml_choice){ .collect = true, .max_bytes = 9 };
		return 0;
	default:
		if (el->size > PICTURE_MAX_BYTES)
			return damaged(e, "an element too large for a recording");
		*ret = (struct ebml_choice){ .collect = w->in_header, .max_bytes = 64 };
		return 0;
	}
}

/* A group's padding comes behind its block. */
static int group_data(struct webm_push *w, uint32_t id, const uint8_t *p, size_t len, struct err *e)
{
	if (id == MKV_DISCARD_PADDING)
		return ebml_int(p, len, &w->discard_ns) ? 0 : damaged(e, "an impossible padding");
	if (id == MKV_BLOCK && !buf_append(&w->block, p, len))
		return damaged(e, "a block too large");
	return 0;
}

static int on_data(void *ctx, const struct ebml_element *el, const uint8_t *p, size_t len, struct err *e)
{
	struct webm_push *w = ctx;
	uint64_t v;
	if (w->in_header)
		return header_data(w, el->id, p, len, e);
	if (el->depth >= 3)
		return group_data(w, el->id, p, len, e);
	if (el->id == MKV_SIMPLE_BLOCK) {
		w->discard_ns = 0;
		return read_block(w, p, len, e);
	}
	if (el->id == MKV_TIMESTAMP) {
		if (!ebml_uint(p, len, &v) || v > INT64_MAX / 2)
			return damaged(e, "an impossible cluster time");
		w->has_cluster_time = true;
		w->cluster_ticks = (int64_t)v;
	}
	return 0;
}

static int on_end(void *ctx, const struct ebml_element *el, struct err *e)
{
	struct webm_push *w = ctx;
	if (el->id == MKV_TRACK_ENTRY)
		end_entry(w);
	if (el->id != MKV_BLOCK_GROUP || w->block.len == 0)
		return 0;
	int r = read_block(w, (const uint8_t *)w->block.data, w->block.len, e);
	buf_clear(&w->block);
	return r;
}

/* ---- searching ---- */

static void search(struct webm_push *w, uint64_t offset)
{
	if (!w->searching)
		w->search_from = offset;
	w->searching = w->lost = true;
	w->has_cluster_time = false;
	if (w->in_header) /* half a header is none */
		w->in_header = w->has_track = false;
	buf_clear(&w->block);
	buf_clear(&w->window);
	w->window_offset = offset;
}

/* 1: something to go on with begins at `p` (a header, or a cluster without its first byte); 0: nothing; -1: it may, if
 * more were known. */
static int match(const uint8_t *p, size_t len, bool *ret_cluster)
{
	static const uint8_t header[] = { 0x1A, 0x45, 0xDF, 0xA3 }, cluster[] = { 0x43, 0xB6, 0x75 };
	const bool is_cluster = p[0] == cluster[0];
	const uint8_t *id = is_cluster ? cluster : header;
	const size_t id_len = is_cluster ? sizeof(cluster) : sizeof(header);
	if (memcmp(p, id, len < id_len ? len : id_len) != 0)
		return 0;
	if (len <= id_len)
		return -1;
	uint64_t size;
	const unsigned n = ebml_vint(p + id_len, len - id_len, false, &size);
	if (n == 0)
		return p[id_len] == 0 ? 0 : -1;
	if (is_cluster && len == id_len + n)
		return -1;
	*ret_cluster = is_cluster;
	return is_cluster ? p[id_len + n] == MKV_TIMESTAMP : size < HEADER_WITHIN_BYTES;
}

/* Looks through the window; true: parsing goes on at its front. Else what can't be a beginning is dropped from it. */
static bool find(struct webm_push *w, bool *ret_cluster)
{
	size_t at = 0;
	int m = 0;
	const uint8_t *p = (const uint8_t *)w->window.data;
	for (; at < w->window.len; at++) {
		m = match(p + at, w->window.len - at, ret_cluster);
		if (m > 0 && *ret_cluster && !w->has_track)
			m = 0; /* of no use without a header */
		if (m != 0)
			break;
	}
	buf_consume(&w->window, at);
	w->window_offset += at;
	return m > 0;
}

/* Parsing goes on at the window's front; what is in it is moved to `work`. */
static int go_on(struct webm_push *w, bool cluster, struct err *e)
{
	static const uint8_t first = 0x1F;
	/* a cluster's first byte counts as the one before, even where it was lost */
	const uint64_t at = w->window_offset - (cluster ? 1 : 0);
	w->searching = false;
	if (at > w->search_from) {
		w->sink.skipped(w->sink.ctx, at - w->search_from);
		w->lost = true;
	}
	ebml_restart(&w->ebml, at, cluster);
	buf_clear(&w->work);
	if (!buf_append(&w->work, w->window.data, w->window.len))
		return err_set(e, ERR_INTERNAL, "no room for %zu bytes", w->window.len);
	buf_clear(&w->window);
	return cluster ? ebml_feed(&w->ebml, &first, 1, e) : 0;
}

/* Into the window with what follows a damaged place. The head that was refused is looked through again but for its first
 * byte; it may have begun before `data`. */
static int after_damage(struct webm_push *w, const uint8_t *data, size_t len, struct err *e)
{
	const size_t head_len = w->ebml.head_len ? w->ebml.head_len - 1 : 0;
	search(w, w->ebml.offset - head_len);
	if (!buf_append(&w->window, w->ebml.head + 1, head_len) || !buf_append(&w->window, data, len))
		return err_set(e, ERR_INTERNAL, "no room for %zu bytes", len);
	return 0;
}

/* What the bytes are at fault for is searched over; anything else is the caller's. */
static int parse(struct webm_push *w, const uint8_t *data, size_t len, struct err *e)
{
	struct err why = { 0 };
	const uint64_t start = w->ebml.offset;
	if (ebml_feed(&w->ebml, data, len, &why) == 0)
		return 0;
	if (strcmp(why.code, "DAMAGED_MEDIA") != 0)
		return err_copy(e, &why);
	const size_t used = (size_t)(w->ebml.offset - start);
	return after_damage(w, data + used, len - used, e);
}

static int feed_piece(struct webm_push *w, const uint8_t *data, size_t len, struct err *e)
{
	if (!w->searching) {
		int r = parse(w, data, len, e);
		if (r < 0 || !w->searching)
			return r;
	} else if (!buf_append(&w->window, data, len)) {
		return err_set(e, ERR_INTERNAL, "no room for %zu bytes", len);
	}
	bool cluster;
	while (w->searching && find(w, &cluster)) {
		int r = go_on(w, cluster, e);
		if (r == 0)
			r = parse(w, (const uint8_t *)w->work.data, w->work.len, e);
		if (r < 0)
			return r;
	}
	if (w->searching && !w->has_track && w->window_offset - w->search_from > HEADER_WITHIN_BYTES)
		return err_set_code(e, ERR_MEDIA, "NOT_WEBM", "no WebM header within %u bytes", HEADER_WITHIN_BYTES);
	return 0;
}

void webm_push_init(struct webm_push *w, const struct webm_sink *sink, const struct webm_track *known)
{
	const struct ebml_sink inner = { .ctx = w, .begin = on_begin, .data = on_data, .end = on_end };
	*w = (struct webm_push){ .sink = *sink };
	ebml_init(&w->ebml, &inner, FIRST_OFFSET);
	buf_init(&w->block, BLOCK_MAX_BYTES);
	buf_init(&w->window, PIECE_BYTES + 2 * EBML_HEAD_MAX);
	buf_init(&w->work, PIECE_BYTES + 2 * EBML_HEAD_MAX);
	if (known) {
		w->track = *known;
		w->has_track = true;
	}
	search(w, FIRST_OFFSET);
	w->lost = false; /* so far nothing is */
}

void webm_push_release(struct webm_push *w)
{
	ebml_release(&w->ebml);
	buf_release(&w->block);
	buf_release(&w->window);
	buf_release(&w->work);
}

int webm_push_feed(struct webm_push *w, const uint8_t *data, size_t len, struct err *e)
{
	int r = 0;
	for (size_t at = 0; r == 0 && at < len;) {
		const size_t n = len - at < PIECE_BYTES ? len - at : PIECE_BYTES;
		r = feed_piece(w, data + at, n, e);
		at += n;
	}
	if (!w->searching && w->window.cap) { /* rarely needed, and there are many of us */
		buf_release(&w->window);
		buf_release(&w->work);
	}
	return r;
}

void webm_push_lost(struct webm_push *w)
{
	search(w, w->searching ? w->window_offset + w->window.len : w->ebml.offset);
}
