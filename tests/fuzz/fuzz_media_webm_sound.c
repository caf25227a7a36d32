/* libFuzzer target: a live sound session. The first byte is the size of the pieces; whole or in pieces the same samples
 * come, at rising positions, and a session taken up from its last mark's state can be fed, too. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "media/webm_sound.h"

struct told {
	uint64_t hash;
	int64_t end;
	uint8_t state[LIVE_STATE_MAX_BYTES];
	size_t state_len;
	uint64_t mark;
	size_t len; /* of the input */
	bool skipped;
};

static int on_pcm(void *ctx, int64_t first, const int16_t *samples, uint32_t count, uint32_t concealed, bool restart,
		  struct err *e)
{
	struct told *t = ctx;
	(void)restart;
	(void)e;
	if (first < t->end || count == 0 || concealed > count)
		abort();
	t->end = first + count;
	t->hash = (t->hash ^ (uint64_t)first) * 0x100000001b3;
	for (uint32_t i = 0; i < count; i++)
		t->hash = (t->hash ^ (uint16_t)samples[i]) * 0x100000001b3;
	return 0;
}

static int on_mark(void *ctx, uint64_t offset, const uint8_t *state, size_t len, struct err *e)
{
	struct told *t = ctx;
	(void)e;
	if (len > sizeof(t->state) || offset > t->len || offset < t->mark)
		abort();
	memcpy(t->state, state, len);
	t->state_len = len;
	t->mark = offset;
	return 0;
}

static int feed(struct told *t, const struct told *from, const uint8_t *data, size_t len, size_t piece)
{
	const struct webm_sound_sink sink = { .ctx = t, .pcm = on_pcm, .mark = on_mark };
	struct webm_sound *s;
	struct err e;
	t->len = len;
	if (webm_sound_new(&sink, from ? from->state : NULL, from ? from->state_len : 0, false, &s, &e) < 0)
		abort(); /* it was our own state */
	int r = 0;
	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = webm_sound_feed(s, data + at, len - at < piece ? len - at : piece, &e);
	struct webm_sound_losses losses;
	t->skipped = webm_sound_take_losses(s, &losses) && losses.skipped_bytes;
	webm_sound_free(s);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return -1;
	struct told whole = { 0 }, pieces = { 0 }, again = { 0 };
	const int r = feed(&whole, NULL, data + 1, len - 1, len);
	if (feed(&pieces, NULL, data + 1, len - 1, data[0] + 1u) != r || whole.hash != pieces.hash || whole.mark != pieces.mark)
		abort();
	if (whole.state_len) {
		again.end = 0;
		(void)feed(&again, &whole, data + 1 + whole.mark, len - 1 - whole.mark, len);
		/* What is damaged may be searched from another place on. */
		if (r == 0 && again.end && !again.skipped && again.end != whole.end)
			abort();
	}
	return 0;
}
