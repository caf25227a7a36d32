/* Cues to WebVTT segments: see subtitle_cues.h. */
#include "media/subtitle_cues.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define TICKS_PER_MS 90
/* A day that is shown for a hundred is a damaged time stamp, and would overflow ticks. */
#define TIME_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

/* Counted whether it is held or not. */
static bool has_room(struct subtitle_cues *c, int64_t start_ms, size_t len)
{
	const int64_t second = start_ms / 1000;
	__typeof__(&c->seconds[0]) s = &c->seconds[second % SUBTITLE_SECONDS];
	if (second > s->second) {
		s->second = second;
		s->cues = s->bytes = 0;
	}
	if (second < s->second || s->cues == SUBTITLE_SECOND_CUES || len > SUBTITLE_SECOND_BYTES - s->bytes)
		return false;
	s->cues++;
	s->bytes += (uint32_t)len;
	return true;
}

void subtitle_cues_add(struct subtitle_cues *c, int64_t start_ms, int64_t end_ms, const char *text, size_t len)
{
	if (start_ms < 0)
		start_ms = 0;
	if (end_ms <= start_ms || end_ms > TIME_MAX_MS || !has_room(c, start_ms, len) || start_ms * TICKS_PER_MS < c->from_ticks)
		return;
	if (c->count == c->capacity) {
		c->capacity = c->capacity ? c->capacity * 2 : 16;
		c->items = mr_reallocarray(c->items, c->capacity, sizeof(*c->items));
	}
	char *copy = mr_calloc(len + 1, 1);
	memcpy(copy, text, len);
	c->items[c->count++] = (struct subtitle_cue){ start_ms, end_ms, c->added++, copy, len };
}

static int compare(const void *a, const void *b)
{
	const struct subtitle_cue *x = a, *y = b;
	if (x->start_ms != y->start_ms)
		return x->start_ms < y->start_ms ? -1 : 1;
	if (x->end_ms != y->end_ms)
		return x->end_ms < y->end_ms ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static bool same(const struct subtitle_cue *x, const struct subtitle_cue *y)
{
	return x->start_ms == y->start_ms && x->end_ms == y->end_ms && x->len == y->len &&
	       memcmp(x->text, y->text, x->len) == 0;
}

static void put_time(struct buf *out, int64_t ms)
{
	buf_printf(out, "%02" PRId64 ":%02d:%02d.%03d", ms / 3600000, (int)(ms / 60000 % 60), (int)(ms / 1000 % 60),
		   (int)(ms % 1000));
}

void subtitle_cues_write(struct subtitle_cues *c, int64_t start, int64_t end, int64_t earliest, int64_t map_ticks,
			 struct buf *out)
{
	const struct subtitle_cue *last = NULL;
	if (c->count)
		qsort(c->items, c->count, sizeof(*c->items), compare);
	buf_printf(out, "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:%" PRId64 ",LOCAL:00:00:00.000\n\n", map_ticks);
	for (size_t i = 0; i < c->count; i++) {
		const struct subtitle_cue *q = &c->items[i];
		int64_t from = q->start_ms * TICKS_PER_MS, to = q->end_ms * TICKS_PER_MS;
		/* Typeset scripts draw a text several times, one above the other. */
		if (from >= end || to <= start || from < earliest || (last && same(last, q)))
			continue;
		last = q;
		put_time(out, q->start_ms);
		buf_puts(out, " --> ");
		put_time(out, q->end_ms);
		buf_puts(out, "\n");
		buf_append(out, q->text, q->len);
		buf_puts(out, "\n\n");
	}
}

void subtitle_cues_drop(struct subtitle_cues *c, int64_t ticks)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->count; i++) {
		if (c->items[i].end_ms * TICKS_PER_MS > ticks && c->items[i].start_ms * TICKS_PER_MS >= c->from_ticks) {
			c->items[kept++] = c->items[i];
			continue;
		}
		free(c->items[i].text);
	}
	c->count = kept;
}

void subtitle_cues_release(struct subtitle_cues *c)
{
	subtitle_cues_drop(c, INT64_MAX);
	free(c->items);
	*c = (struct subtitle_cues){ 0 };
}
