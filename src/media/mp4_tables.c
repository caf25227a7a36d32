/* The tables of a track's samples, written anew for those that are kept: see mp4_track.h. ISO/IEC 14496-12, section 8.6 and 8.7. */
#include <stdlib.h>

#include "media/mp4_track.h"

/* Larger ones libav takes for negative; a gap of 13 hours at 90 kHz. */
#define GAP_MAX 0xf0000000u
/* Offsets beyond this make libav throw the whole table away. */
#define OFFSET_MAX (1 << 28)
/* Kept as it is, if it isn't a table that is known. */
#define UNKNOWN_MAX_BYTES (64u << 10)

/* ---- Rows of (count, value): equal neighbours become one ---- */

struct rows {
	struct buf *out;
	size_t count_at; /* of the table's number of rows */
	uint32_t rows, count, value;
};

static struct rows rows_begin(struct buf *out)
{
	const struct rows w = { .out = out, .count_at = out->len };
	mp4_put32(out, 0);
	return w;
}

static void rows_flush(struct rows *w)
{
	if (!w->count)
		return;
	mp4_put32(w->out, w->count);
	mp4_put32(w->out, w->value);
	w->rows++;
	w->count = 0;
}

static void rows_add(struct rows *w, uint32_t count, uint32_t value)
{
	if (w->count && w->value != value)
		rows_flush(w);
	w->count += count;
	w->value = value;
}

static void rows_end(struct rows *w)
{
	rows_flush(w);
	mp4_patch32(w->out, w->count_at, w->rows);
}

/* ---- Times ---- */

/* Those of samples [first, end), with their own steps. */
static int add_steps(struct mp4_reader *r, const struct mp4_track *t, uint32_t first, uint32_t end, struct rows *w, struct err *e)
{
	for (struct mp4_mark at = mp4_track_mark(t, first); first < end; at.row++) {
		const uint8_t *p;
		int rc = mp4_table_row(r, &t->steps, at.row, &p, e);
		if (rc < 0)
			return rc;
		const uint32_t run_end = at.sample + mp4_get32(p), until = run_end < end ? run_end : end;
		if (until > first) {
			rows_add(w, until - first, mp4_get32(p + 4));
			first = until;
		}
		at.sample = run_end;
	}
	return 0;
}

/* The last sample before a gap lasts until the next that is kept, or to the end: no time stamp and no duration changes. */
static int write_steps(struct mp4_reader *r, const struct mp4_track *t, struct buf *out, struct err *e)
{
	const size_t begin = mp4_full_box_begin(out, MP4_TYPE('s', 't', 't', 's'));
	struct rows w = rows_begin(out);
	for (uint32_t i = 0; i < t->span_count; i++) {
		const struct mp4_span *s = &t->spans[i];
		const uint32_t next = i + 1 < t->span_count ? t->spans[i + 1].first : t->samples;
		int64_t last_dts = 0, next_dts = 0;
		int rc = add_steps(r, t, s->first, next == s->end ? s->end : s->end - 1, &w, e);
		if (rc == 0 && next != s->end)
			rc = mp4_track_dts(r, t, s->end - 1, &last_dts, e);
		if (rc == 0 && next != s->end)
			rc = mp4_track_dts(r, t, next, &next_dts, e);
		if (rc < 0)
			return rc;
		if (next == s->end)
			continue;
		if (next_dts - last_dts > GAP_MAX)
			return err_set(e, ERR_UNSUPPORTED, "a gap of %lld", (long long)(next_dts - last_dts));
		rows_add(&w, 1, (uint32_t)(next_dts - last_dts));
	}
	rows_end(&w);
	if (w.rows == 1 && w.value == 1)
		return err_set(e, ERR_UNSUPPORTED, "samples that look like those of uncompressed sound");
	mp4_box_end(out, begin);
	return 0;
}

static void add_clipped(const struct mp4_track *t, uint32_t sample, uint32_t count, uint32_t value, struct rows *w)
{
	for (uint32_t i = 0; i < t->span_count; i++) {
		const uint32_t first = t->spans[i].first > sample ? t->spans[i].first : sample;
		const uint32_t end = t->spans[i].end < sample + count ? t->spans[i].end : sample + count;
		if (first < end)
			rows_add(w, end - first, value);
	}
}

/* libav moves all decoding times of a track by its least offset, if that is negative; it looks at all rows but the last two.
 * So the least is written, too, behind the samples, where it belongs to none. */
static int write_offsets(struct mp4_reader *r, const struct mp4_track *t, const struct mp4_box *box, struct buf *out, struct err *e)
{
	const uint8_t *p;
	int rc = mp4_bytes(r, box->body, 4, 64, &p, e);
	if (rc < 0)
		return rc;
	const size_t begin = mp4_box_begin(out, MP4_TYPE('c', 't', 't', 's'));
	(void)buf_append(out, p, 4);
	struct rows w = rows_begin(out);
	int32_t least = 0;
	uint32_t sample = 0;
	for (uint32_t i = 0; i < t->offsets.count; i++) {
		rc = mp4_table_row(r, &t->offsets, i, &p, e);
		if (rc < 0)
			return rc;
		const uint32_t count = mp4_get32(p);
		const int32_t offset = (int32_t)mp4_get32(p + 4);
		if (count == 0 || count > t->samples - sample || offset > OFFSET_MAX || offset < -OFFSET_MAX)
			return err_set(e, ERR_UNSUPPORTED, "%u samples at an offset of %d", count, offset);
		if (i + 2 >= t->offsets.count && offset < least)
			return err_set(e, ERR_UNSUPPORTED, "the least offset at the end");
		least = offset < least ? offset : least;
		add_clipped(t, sample, count, (uint32_t)offset, &w);
		sample += count;
	}
	if (sample != t->samples)
		return err_set(e, ERR_UNSUPPORTED, "%u samples in time, %u have an offset", t->samples, sample);
	rows_flush(&w);
	for (int i = 0; i < 3 && least < 0; i++) {
		rows_add(&w, 1, i == 0 ? (uint32_t)least : 0);
		rows_flush(&w);
	}
	rows_end(&w);
	mp4_box_end(out, begin);
	return 0;
}

static int write_syncs(struct mp4_reader *r, const struct mp4_track *t, struct buf *out, struct err *e)
{
	const size_t begin = mp4_full_box_begin(out, MP4_TYPE('s', 't', 's', 's'));
	const size_t count_at = out->len;
	uint32_t count = 0, number = 0;
	mp4_put32(out, 0);
	for (uint32_t i = 0; i < t->syncs.count; i++) {
		int rc = mp4_track_sync(r, t, i, &number, e);
		if (rc < 0)
			return rc;
		uint32_t before = 0;
		for (uint32_t k = 0; k < t->span_count; k++) {
			const struct mp4_span *s = &t->spans[k];
			if (number - 1 >= s->first && number - 1 < s->end) {
				mp4_put32(out, before + (number - s->first));
				count++;
			}
			before += s->end - s->first;
		}
	}
	if (count == 0) /* an empty table has another meaning */
		return err_set(e, ERR_UNSUPPORTED, "no sync sample in the range");
	mp4_patch32(out, count_at, count);
	mp4_box_end(out, begin);
	return 0;
}

/* ---- Places and sizes ---- */

static int write_sizes(struct mp4_reader *r, const struct mp4_track *t, struct buf *out, struct err *e)
{
	const size_t begin = mp4_full_box_begin(out, MP4_TYPE('s', 't', 's', 'z'));
	mp4_put32(out, t->sample_bytes);
	mp4_put32(out, t->kept);
	for (uint32_t i = 0; i < t->span_count && !t->sample_bytes; i++)
		for (uint32_t k = t->spans[i].first; k < t->spans[i].end; k++) {
			const uint8_t *p;
			int rc = mp4_table_row(r, &t->sizes, k, &p, e);
			if (rc < 0)
				return rc;
			if (mp4_get32(p) > INT32_MAX)
				return err_set(e, ERR_UNSUPPORTED, "a sample of %u bytes", mp4_get32(p));
			(void)buf_append(out, p, 4);
		}
	mp4_box_end(out, begin);
	return 0;
}

static void write_chunks(const struct mp4_track *t, struct buf *out)
{
	const size_t begin = mp4_full_box_begin(out, MP4_TYPE('s', 't', 's', 'c'));
	const size_t count_at = out->len;
	uint32_t rows = 0;
	mp4_put32(out, 0);
	for (uint32_t i = 0; i < t->chunk_count; i++) {
		if (i > 0 && t->kept_chunks[i].count == t->kept_chunks[i - 1].count)
			continue;
		mp4_put32(out, i + 1);
		mp4_put32(out, t->kept_chunks[i].count);
		mp4_put32(out, 1);
		rows++;
	}
	mp4_patch32(out, count_at, rows);
	mp4_box_end(out, begin);
}

/* They have to rise: by its place in the file a packet's span is known. */
static int write_places(struct mp4_reader *r, struct mp4_track *t, const struct mp4_box *box, struct buf *out, struct err *e)
{
	const size_t begin = mp4_full_box_begin(out, box->type);
	uint64_t last = 0;
	mp4_put32(out, t->chunk_count);
	for (uint32_t i = 0; i < t->chunk_count; i++) {
		uint64_t place = 0;
		int rc = mp4_track_place(r, t, &t->kept_chunks[i], &place, e);
		if (rc < 0)
			return rc;
		if (i > 0 && place <= last)
			return err_set(e, ERR_UNSUPPORTED, "chunks out of order");
		last = place;
		if (t->places64)
			mp4_put64(out, place);
		else
			mp4_put32(out, (uint32_t)place);
		if (t->span_count > 1 && t->kept_chunks[i].sample == t->spans[1].first)
			t->second_at = place;
	}
	mp4_box_end(out, begin);
	return 0;
}

int mp4_table_write(struct mp4_reader *r, struct mp4_track *t, const struct mp4_box *box, struct buf *out, struct err *e)
{
	switch (box->type) {
	case MP4_TYPE('s', 't', 't', 's'):
		return write_steps(r, t, out, e);
	case MP4_TYPE('c', 't', 't', 's'):
		return t->offsets.count ? write_offsets(r, t, box, out, e) : mp4_box_copy(r, box, out, e);
	case MP4_TYPE('s', 't', 's', 's'):
		return write_syncs(r, t, out, e);
	case MP4_TYPE('s', 't', 's', 'z'):
		return write_sizes(r, t, out, e);
	case MP4_TYPE('s', 't', 's', 'c'):
		write_chunks(t, out);
		return 0;
	case MP4_TYPE('s', 't', 'c', 'o'):
	case MP4_TYPE('c', 'o', '6', '4'):
		return write_places(r, t, box, out, e);
	case MP4_TYPE('s', 'd', 't', 'p'): /* which pictures may be left out: none is */
	case MP4_TYPE('s', 'b', 'g', 'p'):
	case MP4_TYPE('s', 'g', 'p', 'd'):
	case MP4_TYPE('s', 'u', 'b', 's'):
		return 0;
	default:
		if (box->end - box->start > UNKNOWN_MAX_BYTES)
			return err_set(e, ERR_UNSUPPORTED, "a table of %llu bytes", (unsigned long long)(box->end - box->start));
		return mp4_box_copy(r, box, out, e);
	}
}
