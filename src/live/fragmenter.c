/* Samples into fragments. Live threads of the server process. */
#include "live/fragmenter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SAMPLES_PER_MS (FRAGMENT_RATE / 1000)
#define FULL (FRAGMENT_MS * SAMPLES_PER_MS)
#define SHORTEST (FRAGMENT_MIN_MS * SAMPLES_PER_MS)
/* Chunks are 100 to 300 ms as a rule: a fragment that is this long would be further from two seconds with the next one. */
#define ENOUGH (FULL - 150 * SAMPLES_PER_MS)
/* A chunk that hasn't ended by then is one of the long ones. */
#define MOST (FULL + SHORTEST)
#define HOLE_FILLED (500 * SAMPLES_PER_MS)
/* What one call of fragmenter_add can complete, with room to spare: a message of the decoder is two seconds at most. */
#define DONE_MAX 8

struct fragmenter {
	bool anchored;
	int64_t anchor_ms, anchor_sample; /* that sample is at that time */
	int64_t next_sample;		  /* the end of what was added */
	int64_t end_ms;			  /* of the last complete fragment */
	int64_t lagging_ms;		  /* wall clock since when it lags; 0: it doesn't */
	int16_t pcm[MOST];
	uint32_t count;
	struct fragment_out done[DONE_MAX];
	uint32_t done_count;
};

struct fragmenter *fragmenter_new(int64_t not_before_ms)
{
	struct fragmenter *f = mr_calloc(1, sizeof(*f));
	f->end_ms = not_before_ms;
	return f;
}

void fragmenter_free(struct fragmenter *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->done_count; i++)
		free(f->done[i].samples);
	free(f);
}

uint32_t fragmenter_waiting(const struct fragmenter *f)
{
	return f->count;
}

static int64_t time_of(const struct fragmenter *f, int64_t sample)
{
	return f->anchor_ms + (sample - f->anchor_sample) / SAMPLES_PER_MS;
}

/* The first `n` samples become a fragment. */
static void cut(struct fragmenter *f, uint32_t n)
{
	int64_t first = f->next_sample - f->count;
	/* Both ends are rounded alike, so that fragments that follow on one another have no gap of a millisecond between them. */
	int64_t from_ms = time_of(f, first), to_ms = time_of(f, first + n);
	assert(f->done_count < DONE_MAX);
	struct fragment_out *out = &f->done[f->done_count++];
	*out = (struct fragment_out){ .timecode_ms = from_ms, .length_ms = (uint32_t)(to_ms - from_ms), .count = n };
	out->samples = mr_calloc(n, sizeof(*out->samples));
	memcpy(out->samples, f->pcm, n * sizeof(*out->samples));
	f->end_ms = to_ms;
	f->count -= n;
	memmove(f->pcm, f->pcm + n, f->count * sizeof(*f->pcm));
}

static void append(struct fragmenter *f, const int16_t *samples, uint32_t count)
{
	while (count) {
		uint32_t n = count < MOST - f->count ? count : MOST - f->count;
		if (samples) {
			memcpy(f->pcm + f->count, samples, n * sizeof(*samples));
			samples += n;
		} else {
			memset(f->pcm + f->count, 0, n * sizeof(*samples));
		}
		f->count += n;
		f->next_sample += n;
		count -= n;
		if (f->count == MOST)
			cut(f, FULL);
	}
}

static void anchor(struct fragmenter *f, int64_t at_ms, int64_t sample)
{
	f->anchored = true;
	f->anchor_ms = at_ms > f->end_ms ? at_ms : f->end_ms;
	f->anchor_sample = f->next_sample = sample;
}

void fragmenter_flush(struct fragmenter *f, bool fill)
{
	if (fill && f->count && f->count < SHORTEST)
		append(f, NULL, SHORTEST - f->count);
	if (f->count)
		cut(f, f->count);
}

/* Whether sound that begins at begins_ms has to be set to the wall clock's time. */
static bool lags(struct fragmenter *f, const struct fragment_pcm *p, int64_t begins_ms, int64_t now_ms)
{
	int64_t lag_ms = begins_ms - time_of(f, p->first_sample);
	if (lag_ms <= FRAGMENT_LAG_MS) {
		f->lagging_ms = 0;
		return false;
	}
	if (!f->lagging_ms)
		f->lagging_ms = now_ms;
	return p->restart || (!f->count && now_ms - f->lagging_ms >= FRAGMENT_LAG_LASTS_MS);
}

void fragmenter_add(struct fragmenter *f, const struct fragment_pcm *p, int64_t now_wall_ms)
{
	int64_t begins_ms = now_wall_ms - p->count / SAMPLES_PER_MS;
	if (!f->anchored)
		anchor(f, begins_ms, p->first_sample);
	int64_t hole = p->first_sample - f->next_sample;
	if (lags(f, p, begins_ms, now_wall_ms)) {
		fragmenter_flush(f, true);
		anchor(f, begins_ms, p->first_sample);
		f->lagging_ms = 0;
	} else if (hole > HOLE_FILLED && f->count + hole >= SHORTEST) {
		int64_t resumes_ms = time_of(f, p->first_sample);
		fragmenter_flush(f, true); /* the silence that fills it up is there in truth */
		anchor(f, resumes_ms, p->first_sample);
	} else if (hole > 0) {
		append(f, NULL, (uint32_t)hole);
	}
	append(f, p->samples, p->count);
}

void fragmenter_chunk_end(struct fragmenter *f)
{
	if (f->count >= ENOUGH)
		cut(f, f->count);
}

bool fragmenter_take(struct fragmenter *f, struct fragment_out *ret)
{
	if (!f->done_count)
		return false;
	*ret = f->done[0];
	f->done_count--;
	memmove(&f->done[0], &f->done[1], f->done_count * sizeof(f->done[0]));
	return true;
}
