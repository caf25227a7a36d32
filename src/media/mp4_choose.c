/* Which samples of a track a time range needs, and which chunks of the file they lie in: see mp4_track.h.
 *
 * Kept are the track's beginning, for what libav finds out there, and the samples from the last sync sample before the range to
 * past its end. The step from one to the other is written as the duration of the last sample before it.
 */
#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "base/mem.h"
#include "media/mp4_track.h"

#define NS_PER_SECOND 1000000000
/* A step that libav takes for a time, not for a negative number in disguise. */
#define STEP_MAX 0x7fffffffu
#define SAMPLES_MAX (1u << 30)
/* Without a sync sample for so long there is no gain in leaving anything out. */
#define KEPT_MAX (1u << 18)
/* Fewer ticks than this is no frame of a codec. */
#define CODED_STEP_MIN 16

/* The first sample at or behind a time: what a pass over the steps is to find. */
struct search {
	int64_t time;
	uint32_t found; /* UINT32_MAX: none yet */
};

/* Rounded down; times beyond any film are as good as infinite. */
static int64_t rescale(int64_t value, int64_t to, int64_t from)
{
	const __int128 limit = (__int128)1 << 60;
	__int128 v = (__int128)value * to / from;
	return (int64_t)(v > limit ? limit : v < -limit ? -limit : v);
}

/* The media's time at the presentation's zero. */
static int64_t media_zero(const struct mp4_track *t, const struct mp4_range *range)
{
	return t->edit_start - rescale(t->empty_edit, t->timescale, range->movie_timescale);
}

static int64_t to_media(const struct mp4_track *t, const struct mp4_range *range, int64_t ns)
{
	if (ns == INT64_MIN || ns == INT64_MAX)
		return ns;
	return rescale(ns, t->timescale, NS_PER_SECOND) + media_zero(t, range);
}

/* ---- Times of samples ---- */

static void set_mark(struct mp4_track *t, struct mp4_mark m)
{
	if (m.row % t->mark_stride)
		return;
	if (t->mark_count == MP4_MARKS_MAX) {
		t->mark_count /= 2;
		for (uint32_t i = 0; i < t->mark_count; i++)
			t->marks[i] = t->marks[2 * i];
		t->mark_stride *= 2;
		if (m.row % t->mark_stride)
			return;
	}
	t->marks[t->mark_count++] = m;
}

struct mp4_mark mp4_track_mark(const struct mp4_track *t, uint32_t sample)
{
	struct mp4_mark best = { 0 };
	for (uint32_t i = 0; i < t->mark_count && t->marks[i].sample <= sample; i++)
		best = t->marks[i];
	return best;
}

static void search_run(struct search *s, const struct mp4_mark *at, uint32_t count, uint32_t step)
{
	if (s->found != UINT32_MAX)
		return;
	if (at->dts >= s->time) {
		s->found = at->sample;
	} else if (step) {
		const uint64_t behind = ((uint64_t)(s->time - at->dts) + step - 1) / step;
		if (behind < count)
			s->found = at->sample + (uint32_t)behind;
	}
}

/* Goes through all steps once. */
static int survey(struct mp4_reader *r, struct mp4_track *t, struct search *searches, int search_count, struct err *e)
{
	struct mp4_mark at = { 0 };
	t->mark_stride = 1;
	for (; at.row < t->steps.count; at.row++) {
		const uint8_t *p;
		int rc = mp4_table_row(r, &t->steps, at.row, &p, e);
		if (rc < 0)
			return rc;
		const uint32_t count = mp4_get32(p), step = mp4_get32(p + 4);
		if (count == 0 || count > SAMPLES_MAX - at.sample || step > STEP_MAX)
			return err_set(e, ERR_UNSUPPORTED, "%u samples in steps of %u", count, step);
		set_mark(t, at);
		for (int i = 0; i < search_count; i++)
			search_run(&searches[i], &at, count, step);
		if (at.row == 0)
			t->first_step = step;
		t->last_step_count = count;
		at.sample += count;
		at.dts += (int64_t)count * step;
	}
	t->samples = at.sample;
	t->step_rows = at.row;
	t->duration = at.dts;
	for (int i = 0; i < search_count; i++)
		if (searches[i].found == UINT32_MAX)
			searches[i].found = t->samples;
	return 0;
}

int mp4_track_dts(struct mp4_reader *r, const struct mp4_track *t, uint32_t sample, int64_t *ret, struct err *e)
{
	if (sample >= t->samples) {
		*ret = t->duration;
		return 0;
	}
	for (struct mp4_mark at = mp4_track_mark(t, sample);; at.row++) {
		const uint8_t *p;
		int rc = mp4_table_row(r, &t->steps, at.row, &p, e);
		if (rc < 0)
			return rc;
		const uint32_t count = mp4_get32(p), step = mp4_get32(p + 4);
		if (sample - at.sample < count) {
			*ret = at.dts + (int64_t)(sample - at.sample) * step;
			return 0;
		}
		at.sample += count;
		at.dts += (int64_t)count * step;
	}
}

/* ---- The samples ---- */

int mp4_track_sync(struct mp4_reader *r, const struct mp4_track *t, uint32_t row, uint32_t *number, struct err *e)
{
	const uint8_t *p;
	int rc = mp4_table_row(r, &t->syncs, row, &p, e);
	if (rc < 0)
		return rc;
	const uint32_t found = mp4_get32(p);
	if (found <= *number || found > t->samples)
		return err_set(e, ERR_UNSUPPORTED, "sync sample %u behind %u", found, *number);
	*number = found;
	return 0;
}

/* The last sync sample at or before `sample`; the first of all if there is none. */
static int sync_before(struct mp4_reader *r, const struct mp4_track *t, uint32_t sample, uint32_t *ret, struct err *e)
{
	uint32_t best = 0, number = 0;
	if (!t->syncs.at) {
		*ret = sample;
		return 0;
	}
	for (uint32_t i = 0; i < t->syncs.count; i++) {
		int rc = mp4_track_sync(r, t, i, &number, e);
		if (rc < 0)
			return rc;
		if (number - 1 > sample)
			break;
		best = number - 1;
	}
	*ret = best;
	return 0;
}

static uint32_t at_most(uint64_t value, uint32_t limit)
{
	return value < limit ? (uint32_t)value : limit;
}

static int choose_samples(struct mp4_reader *r, struct mp4_track *t, const struct mp4_range *range, struct err *e)
{
	const int64_t from = to_media(t, range, range->from_ns);
	enum { HEAD, FROM, END, TO, SEARCHES };
	struct search s[SEARCHES] = {
		[HEAD] = { t->edit_start + (int64_t)MP4_HEAD_SECONDS * t->timescale, UINT32_MAX },
		[FROM] = { from > INT64_MIN ? from + 1 : from, UINT32_MAX },
		[END] = { to_media(t, range, range->end_ns), UINT32_MAX },
		[TO] = { to_media(t, range, range->to_ns), UINT32_MAX },
	};
	int rc = survey(r, t, s, SEARCHES, e);
	if (rc < 0)
		return rc;
	struct mp4_span head = { 0, s[HEAD].found };
	head.end = at_most(head.end > MP4_HEAD_SAMPLES ? head.end : MP4_HEAD_SAMPLES, t->samples);
	t->spans[0] = head;
	t->span_count = 1;
	if (t->wanted) {
		struct mp4_span window = { 0, at_most((uint64_t)s[END].found + MP4_TAIL_SAMPLES, t->samples) };
		window.end = window.end > s[TO].found ? window.end : s[TO].found;
		rc = sync_before(r, t, s[FROM].found ? s[FROM].found - 1 : 0, &window.first, e);
		if (rc < 0)
			return rc;
		if (window.first > head.end && window.first < window.end)
			t->spans[t->span_count++] = window;
		else if (window.end > head.end)
			t->spans[0].end = window.end;
		int64_t dts = 0;
		rc = mp4_track_dts(r, t, window.first, &dts, e);
		if (rc < 0)
			return rc;
		t->first_ns = rescale(dts - media_zero(t, range), NS_PER_SECOND, t->timescale);
	}
	for (uint32_t i = 0; i < t->span_count; i++)
		t->kept += t->spans[i].end - t->spans[i].first;
	return 0;
}

/* ---- The chunks they are in ---- */

static void keep_chunk(struct mp4_track *t, struct mp4_chunk c)
{
	if (t->chunk_count == t->chunk_room) {
		t->chunk_room = t->chunk_room ? 2 * t->chunk_room : 256; /* at most one for each sample that is kept */
		t->kept_chunks = mr_reallocarray(t->kept_chunks, t->chunk_room, sizeof(*t->kept_chunks));
	}
	t->kept_chunks[t->chunk_count++] = c;
}

/* Chunks [number, number + count) of `each` samples, from `sample` on. */
static void keep_chunks(struct mp4_track *t, uint32_t number, uint32_t count, uint32_t each, uint32_t sample)
{
	const uint32_t end = sample + count * each;
	for (uint32_t i = 0; i < t->span_count; i++) {
		const struct mp4_span *s = &t->spans[i];
		uint32_t first = s->first > sample ? s->first : sample;
		const uint32_t last = s->end < end ? s->end : end;
		while (first < last) {
			const uint32_t index = (first - sample) / each, begin = sample + index * each;
			const uint32_t until = begin + each < last ? begin + each : last;
			keep_chunk(t, (struct mp4_chunk){ number + index, first, first - begin, until - first });
			first = until;
		}
	}
}

static int choose_chunks(struct mp4_reader *r, struct mp4_track *t, struct err *e)
{
	uint32_t sample = 0;
	const uint8_t *p;
	int rc = mp4_table_row(r, &t->chunks, 0, &p, e);
	if (rc < 0)
		return rc;
	uint32_t first = mp4_get32(p), each = mp4_get32(p + 4), description = mp4_get32(p + 8);
	if (first != 1)
		return err_set(e, ERR_UNSUPPORTED, "chunks that begin with number %u", first);
	for (uint32_t i = 1; i <= t->chunks.count; i++) {
		uint32_t next = t->places.count + 1, next_each = 0, next_description = 0;
		if (t->places.count == UINT32_MAX)
			return err_set(e, ERR_UNSUPPORTED, "too many chunks");
		if (i < t->chunks.count) {
			rc = mp4_table_row(r, &t->chunks, i, &p, e);
			if (rc < 0)
				return rc;
			next = mp4_get32(p);
			next_each = mp4_get32(p + 4);
			next_description = mp4_get32(p + 8);
		}
		if (description != 1 || each == 0 || next <= first || next - 1 > t->places.count ||
		    (uint64_t)(next - first) * each > t->samples - sample)
			return err_set(e, ERR_UNSUPPORTED, "chunks %u to %u of %u samples", first, next, each);
		keep_chunks(t, first - 1, next - first, each, sample);
		sample += (next - first) * each;
		first = next;
		each = next_each;
		description = next_description;
	}
	return sample == t->samples ? 0 : err_set(e, ERR_UNSUPPORTED, "%u samples in chunks, %u in time", sample, t->samples);
}

int mp4_track_bytes(struct mp4_reader *r, const struct mp4_track *t, uint32_t first, uint32_t end, uint64_t *ret, struct err *e)
{
	uint64_t sum = (uint64_t)t->sample_bytes * (end - first);
	for (uint32_t i = first; i < end && !t->sample_bytes; i++) {
		const uint8_t *p;
		int rc = mp4_table_row(r, &t->sizes, i, &p, e);
		if (rc < 0)
			return rc;
		sum += mp4_get32(p);
	}
	*ret = sum;
	return 0;
}

int mp4_track_place(struct mp4_reader *r, const struct mp4_track *t, const struct mp4_chunk *c, uint64_t *ret, struct err *e)
{
	const uint8_t *p;
	uint64_t skipped = 0, place;
	int rc = mp4_track_bytes(r, t, c->sample - c->skip, c->sample, &skipped, e);
	if (rc == 0)
		rc = mp4_table_row(r, &t->places, c->number, &p, e);
	if (rc < 0)
		return rc;
	place = t->places64 ? mp4_get64(p) : mp4_get32(p);
	if (place > INT64_MAX || skipped > INT64_MAX - place || (!t->places64 && place + skipped > UINT32_MAX))
		return err_set(e, ERR_UNSUPPORTED, "a chunk at %llu", (unsigned long long)place);
	*ret = place + skipped;
	return 0;
}

/* ---- The whole ---- */

/* Tables that libav wouldn't read sample by sample, or for which it would reckon by how many rows they have. */
static int refuse_bulk(const struct mp4_track *t, struct err *e)
{
	const bool audio = t->handler == MP4_TYPE('s', 'o', 'u', 'n');
	if ((t->step_rows == 1 && t->first_step == 1) || (audio && t->sample_bytes && t->first_step < CODED_STEP_MIN))
		return err_set(e, ERR_UNSUPPORTED, "sound that isn't coded in frames");
	if (t->kept > KEPT_MAX)
		return err_set(e, ERR_UNSUPPORTED, "%u samples are needed", t->kept);
	if (audio && t->step_rows > 3 && (uint64_t)t->step_rows * 10 > t->samples)
		return err_set(e, ERR_UNSUPPORTED, "sound in %u steps", t->step_rows);
	return 0;
}

int mp4_track_choose(struct mp4_reader *r, struct mp4_track *t, const struct mp4_range *range, struct err *e)
{
	int rc = choose_samples(r, t, range, e);
	if (rc < 0)
		return rc;
	if (t->samples != t->sizes.count)
		return err_set(e, ERR_UNSUPPORTED, "%u samples in time, %u sizes", t->samples, t->sizes.count);
	rc = refuse_bulk(t, e);
	return rc < 0 ? rc : choose_chunks(r, t, e);
}
