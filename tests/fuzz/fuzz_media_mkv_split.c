/* libFuzzer target: the body of a PutMedia. The first byte is the size of the pieces; whole or in pieces the same events
 * come, in an order that makes sense. */
#include <stdlib.h>

#include "fuzz.h"
#include "media/mkv_split.h"

struct told {
	uint64_t hash, bytes;
	bool open;
	int64_t last_ms;
};

static void mix(struct told *t, uint64_t v)
{
	t->hash = (t->hash ^ v) * 0x100000001b3;
}

static int on_event(void *ctx, const struct live_event *v, const void *bytes, size_t len, struct err *e)
{
	struct told *t = ctx;
	(void)e;
	const bool within = v->kind == LIVE_FRAGMENT_DATA || v->kind == LIVE_FRAGMENT_TAG || v->kind == LIVE_FRAGMENT_END;
	if (within != t->open)
		abort();
	if (v->kind == LIVE_FRAGMENT_BEGIN) {
		t->open = true;
		t->bytes = 0;
		if (v->fragment.timecode_ms < t->last_ms)
			abort();
		t->last_ms = v->fragment.timecode_ms;
	}
	if (v->kind == LIVE_FRAGMENT_DATA)
		t->bytes += len;
	else
		mix(t, (uint64_t)v->kind);
	if (v->kind == LIVE_FRAGMENT_END) {
		t->open = false;
		if (v->fragment.size_bytes != t->bytes)
			abort();
		mix(t, (uint64_t)v->fragment.duration_ms);
	}
	for (size_t i = 0; i < len; i++)
		mix(t, ((const uint8_t *)bytes)[i]);
	return 0;
}

static int feed(struct told *t, const uint8_t *data, size_t len, size_t piece, uint32_t *ret_id)
{
	const struct mkv_split_sink sink = { .ctx = t, .event = on_event };
	struct mkv_split *s = mkv_split_new(&sink);
	struct err e;
	int64_t refused_ms;
	int r = 0;
	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = mkv_split_feed(s, data + at, len - at < piece ? len - at : piece, &e);
	if (r == 0)
		r = mkv_split_finish(s, &e);
	*ret_id = mkv_split_refusal(s, &refused_ms);
	if ((r < 0) != (*ret_id != 0))
		abort();
	mkv_split_free(s);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return -1;
	struct told whole = { 0 }, pieces = { 0 };
	uint32_t id, id_of_pieces;
	const int r = feed(&whole, data + 1, len - 1, len, &id);
	if (feed(&pieces, data + 1, len - 1, data[0] + 1u, &id_of_pieces) != r || id != id_of_pieces)
		abort();
	if (r == 0 && whole.hash != pieces.hash) /* after a refusal the last piece may not have been given on */
		abort();
	return 0;
}
