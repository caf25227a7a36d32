/* What a track's boxes say, and its trak box written anew: see mp4_track.h. Which samples are kept is decided in mp4_choose.c,
 * the sample tables are written in mp4_tables.c. */
#include "media/mp4_track.h"

#include <stdlib.h>

/* moov/trak/mdia/minf/stbl and one of them inside another would be five; more is nonsense. */
#define DEPTH_MAX 6
/* Larger than any description or piece of metadata should be, but for tables of samples. */
#define COPY_MAX_BYTES (1u << 20)
#define EDITS_MAX 8

static bool is_container(uint32_t type)
{
	return type == MP4_TYPE('e', 'd', 't', 's') || type == MP4_TYPE('m', 'd', 'i', 'a') ||
	       type == MP4_TYPE('m', 'i', 'n', 'f') || type == MP4_TYPE('s', 't', 'b', 'l');
}

/* ---- The boxes ---- */

/* tkhd and mdhd: two times, of four bytes or eight, are before the number that is wanted. */
static int number_after_times(struct mp4_reader *r, const struct mp4_box *box, uint32_t *ret, struct err *e)
{
	const uint8_t *p;
	if (box->end - box->body < 24)
		return err_set(e, ERR_UNSUPPORTED, "a header of %llu bytes", (unsigned long long)(box->end - box->body));
	int rc = mp4_bytes(r, box->body, 24, 24, &p, e);
	if (rc < 0)
		return rc;
	if (p[0] > 1)
		return err_set(e, ERR_UNSUPPORTED, "a header of version %u", p[0]);
	*ret = mp4_get32(p + (p[0] == 1 ? 20 : 12));
	return 0;
}

/* Taken as they are: no edits, or the whole from one time on, after any number of empty ones. */
static int parse_edits(struct mp4_reader *r, const struct mp4_box *box, struct mp4_track *t, struct err *e)
{
	const uint8_t *p;
	int rc = mp4_bytes(r, box->body, box->end > box->body ? 1 : 0, 64, &p, e);
	if (rc < 0)
		return rc;
	const bool wide = box->end > box->body && p[0] == 1;
	struct mp4_table edits;
	rc = mp4_table_find(r, box, 4, wide ? 20 : 12, &edits, e);
	if (rc < 0)
		return rc;
	if (edits.count > EDITS_MAX || edits.at + (uint64_t)edits.count * edits.row_bytes != box->end)
		return err_set(e, ERR_UNSUPPORTED, "a list of %u edits", edits.count);
	for (uint32_t i = 0; i < edits.count; i++) {
		rc = mp4_table_row(r, &edits, i, &p, e);
		if (rc < 0)
			return rc;
		const int64_t length = wide ? (int64_t)mp4_get64(p) : mp4_get32(p);
		const int64_t time = wide ? (int64_t)mp4_get64(p + 8) : (int32_t)mp4_get32(p + 4);
		const uint32_t rate = mp4_get32(p + (wide ? 16 : 8));
		if (t->edited || length < 0 || length > INT64_C(1) << 48 || time < -1 || time > INT64_C(1) << 48 || rate != 0x10000)
			return err_set(e, ERR_UNSUPPORTED, "edits that rearrange the media");
		if (time < 0) {
			t->empty_edit += length;
		} else {
			t->edit_start = time;
			t->edited = true;
		}
	}
	return t->edited || edits.count == 0 ? 0 : err_set(e, ERR_UNSUPPORTED, "nothing but empty edits");
}

static int parse_sizes(struct mp4_reader *r, const struct mp4_box *box, struct mp4_track *t, struct err *e)
{
	const uint8_t *p;
	if (box->end - box->body < 12)
		return err_set(e, ERR_UNSUPPORTED, "sizes of samples in %llu bytes", (unsigned long long)(box->end - box->body));
	int rc = mp4_bytes(r, box->body, 8, 64, &p, e);
	if (rc < 0)
		return rc;
	t->sample_bytes = mp4_get32(p + 4);
	rc = mp4_table_find(r, box, 8, t->sample_bytes ? 0 : 4, &t->sizes, e);
	t->sizes.ahead = MP4_PICK_BYTES;
	return rc;
}

/* One table of a kind: libav takes the first of some and the last of others. */
static int parse_table(struct mp4_reader *r, const struct mp4_box *box, uint32_t row_bytes, struct mp4_table *t, struct err *e)
{
	if (t->at)
		return err_set(e, ERR_UNSUPPORTED, "two tables of a kind");
	return mp4_table_find(r, box, 4, row_bytes, t, e);
}

static int parse_places(struct mp4_reader *r, const struct mp4_box *box, struct mp4_track *t, struct err *e)
{
	t->places64 = box->type == MP4_TYPE('c', 'o', '6', '4');
	int rc = parse_table(r, box, t->places64 ? 8 : 4, &t->places, e);
	t->places.ahead = MP4_PICK_BYTES;
	return rc;
}

static int parse_leaf(struct mp4_reader *r, const struct mp4_box *box, struct mp4_track *t, struct err *e)
{
	const uint8_t *p;
	struct mp4_table descriptions = { 0 };
	int rc;
	switch (box->type) {
	case MP4_TYPE('t', 'k', 'h', 'd'):
		return number_after_times(r, box, &t->id, e);
	case MP4_TYPE('m', 'd', 'h', 'd'):
		return t->timescale ? err_set(e, ERR_UNSUPPORTED, "two media headers")
				    : number_after_times(r, box, &t->timescale, e);
	case MP4_TYPE('h', 'd', 'l', 'r'):
		rc = t->handler ? 0 : mp4_bytes(r, box->body, 12, 64, &p, e);
		if (rc == 0 && !t->handler)
			t->handler = mp4_get32(p + 8);
		return rc;
	case MP4_TYPE('e', 'l', 's', 't'):
		return t->edited || t->empty_edit ? err_set(e, ERR_UNSUPPORTED, "two edit lists") : parse_edits(r, box, t, e);
	case MP4_TYPE('s', 't', 's', 'd'):
		rc = mp4_table_find(r, box, 4, 8, &descriptions, e);
		t->descriptions += descriptions.count;
		return rc;
	case MP4_TYPE('s', 't', 't', 's'):
		return parse_table(r, box, 8, &t->steps, e);
	case MP4_TYPE('c', 't', 't', 's'):
		return parse_table(r, box, 8, &t->offsets, e);
	case MP4_TYPE('s', 't', 's', 'c'):
		return parse_table(r, box, 12, &t->chunks, e);
	case MP4_TYPE('s', 't', 's', 's'):
		return parse_table(r, box, 4, &t->syncs, e);
	case MP4_TYPE('c', 'o', '6', '4'):
	case MP4_TYPE('s', 't', 'c', 'o'):
		return parse_places(r, box, t, e);
	case MP4_TYPE('s', 't', 's', 'z'):
		return t->sizes.at ? err_set(e, ERR_UNSUPPORTED, "two tables of sizes") : parse_sizes(r, box, t, e);
	default:
		return 0;
	}
}

/* Of a kind that says something of each sample and is not rewritten here: partial sync points, encryption, compact sizes. */
static int refuse_special(struct mp4_reader *r, const struct mp4_box *box, struct err *e)
{
	const uint8_t *p;
	switch (box->type) {
	case MP4_TYPE('s', 't', 'z', '2'):
	case MP4_TYPE('s', 't', 'p', 's'):
	case MP4_TYPE('s', 'a', 'i', 'z'):
	case MP4_TYPE('s', 'a', 'i', 'o'):
	case MP4_TYPE('s', 'e', 'n', 'c'):
	case MP4_TYPE('t', 'r', 'a', 'k'):
	case MP4_TYPE('m', 'd', 'a', 't'):
		return err_set(e, ERR_UNSUPPORTED, "a box of a kind that is not rewritten here");
	case MP4_TYPE('s', 'b', 'g', 'p'):
		break;
	default:
		return 0;
	}
	if (box->end - box->body < 8)
		return err_set(e, ERR_UNSUPPORTED, "a sample group without a type");
	int rc = mp4_bytes(r, box->body, 8, 64, &p, e);
	if (rc < 0)
		return rc;
	const uint32_t grouping = mp4_get32(p + 4);
	/* libav takes these as key frames; of the others it takes no notice */
	if (grouping == MP4_TYPE('r', 'a', 'p', ' ') || grouping == MP4_TYPE('s', 'y', 'n', 'c'))
		return err_set(e, ERR_UNSUPPORTED, "groups of key frames");
	return 0;
}

static int parse_children(struct mp4_reader *r, const struct mp4_box *parent, int depth, struct mp4_track *t, struct err *e)
{
	struct mp4_box box;
	if (depth > DEPTH_MAX)
		return err_set(e, ERR_UNSUPPORTED, "boxes nested too deeply");
	for (uint64_t at = parent->body; at < parent->end; at = box.end) {
		int rc = mp4_box_read(r, at, parent->end, &box, e);
		if (rc == 0)
			rc = refuse_special(r, &box, e);
		if (rc == 0)
			rc = is_container(box.type) ? parse_children(r, &box, depth + 1, t, e) : parse_leaf(r, &box, t, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int mp4_track_parse(struct mp4_reader *r, const struct mp4_box *trak, struct mp4_track *t, struct err *e)
{
	t->box = *trak;
	int rc = parse_children(r, trak, 0, t, e);
	if (rc < 0)
		return rc;
	if (t->id == 0 || t->timescale == 0 || t->timescale > INT32_MAX)
		return err_set(e, ERR_UNSUPPORTED, "a track without a number or a timescale");
	if (t->descriptions != 1)
		return err_set(e, ERR_UNSUPPORTED, "%u descriptions of samples", t->descriptions);
	if (!t->steps.count || !t->chunks.count || !t->places.count || !t->sizes.count)
		return err_set(e, ERR_UNSUPPORTED, "a track without samples");
	return 0;
}

void mp4_track_release(struct mp4_track *t)
{
	free(t->kept_chunks);
	t->kept_chunks = NULL;
}

/* ---- Written anew ---- */

static int write_children(struct mp4_reader *r, const struct mp4_box *parent, struct mp4_track *t, struct buf *out, struct err *e)
{
	struct mp4_box box;
	const size_t begin = mp4_box_begin(out, parent->type);
	for (uint64_t at = parent->body; at < parent->end; at = box.end) {
		int rc = mp4_box_read(r, at, parent->end, &box, e);
		if (rc < 0)
			return rc;
		if (is_container(box.type) && box.type != MP4_TYPE('e', 'd', 't', 's'))
			rc = write_children(r, &box, t, out, e);
		else if (parent->type == MP4_TYPE('s', 't', 'b', 'l') && box.type != MP4_TYPE('s', 't', 's', 'd'))
			rc = mp4_table_write(r, t, &box, out, e);
		else if (box.end - box.start > COPY_MAX_BYTES)
			rc = err_set(e, ERR_UNSUPPORTED, "a box of %llu bytes", (unsigned long long)(box.end - box.start));
		else
			rc = mp4_box_copy(r, &box, out, e);
		if (rc < 0)
			return rc;
	}
	mp4_box_end(out, begin);
	return 0;
}

int mp4_track_write(struct mp4_reader *r, struct mp4_track *t, struct buf *out, struct err *e)
{
	return write_children(r, &t->box, t, out, e);
}
