/* One track of an MP4: what its boxes say, which of its samples a time range needs, and its sample tables written anew for these
 * alone. Private to media/mp4_*.c; runs in the task.
 *
 *   struct mp4_track t = { .wanted = true };
 *   r = mp4_track_parse(reader, &trak_box, &t, e);
 *   if (r == 0)
 *           r = mp4_track_choose(reader, &t, &range, e);          // which samples are kept
 *   if (r == 0)
 *           r = mp4_track_write(reader, &t, out, e);              // the whole trak box
 *   mp4_track_release(&t);
 *
 * The tables are read in windows, each at most twice; what is held of a track is a few bytes for each sample that is kept.
 * Whatever is unusual is ERR_UNSUPPORTED. One thread.
 */
#pragma once

#include "media/mp4_boxes.h"

/* Kept of every track from its beginning (more precisely: from where its edit list begins): what libav looks at to find out
 * what the streams are, which is at most ten seconds and a hundred frames. */
#define MP4_HEAD_SECONDS 12
#define MP4_HEAD_SAMPLES 128
/* Kept behind the end of a range at least, however far apart they are: more than any decoder holds back. */
#define MP4_TAIL_SAMPLES 64

struct mp4_span {
	uint32_t first, end; /* samples */
};

/* Where in a table of time steps a sample is, so that a search needn't begin at the table's start. */
struct mp4_mark {
	uint32_t row, sample;
	int64_t dts;
};
#define MP4_MARKS_MAX 64

struct mp4_chunk {
	uint32_t number; /* from 0 */
	uint32_t sample; /* the first that is kept */
	uint32_t skip;	 /* samples of the chunk before that */
	uint32_t count;
};

struct mp4_range {
	int64_t from_ns; /* of the presentation; INT64_MIN: from the beginning */
	int64_t end_ns, to_ns; /* what is needed ends at end_ns; samples are kept up to to_ns. INT64_MAX: to the track's end */
	uint32_t movie_timescale;
};

struct mp4_track {
	bool wanted; /* else only its beginning is kept */

	/* as found */
	struct mp4_box box;
	uint32_t id, handler, timescale;
	uint32_t descriptions;
	int64_t empty_edit;  /* the presentation begins so much later, in units of the movie's timescale */
	int64_t edit_start;  /* and with this time of the media */
	bool edited;
	struct mp4_table steps, offsets, chunks, sizes, places, syncs; /* stts, ctts, stsc, stsz, stco or co64, stss */
	uint32_t sample_bytes; /* of each, if they are of one size */
	bool places64;

	/* as chosen */
	uint32_t samples, step_rows; /* of the whole track */
	uint32_t first_step;
	uint32_t last_step_count; /* rows of one: samples of the last */
	int64_t duration;
	struct mp4_mark marks[MP4_MARKS_MAX];
	uint32_t mark_count, mark_stride;
	struct mp4_span spans[2];
	uint32_t span_count;
	uint32_t kept;
	struct mp4_chunk *kept_chunks;
	uint32_t chunk_count, chunk_room;
	int64_t first_ns;    /* of the range's first sample, in the presentation */
	uint64_t second_at;  /* where the second span begins in the file; 0 with one span */
};

int mp4_track_parse(struct mp4_reader *r, const struct mp4_box *trak, struct mp4_track *t, struct err *e) MR_MUST_USE;
int mp4_track_choose(struct mp4_reader *r, struct mp4_track *t, const struct mp4_range *range, struct err *e) MR_MUST_USE;
int mp4_track_write(struct mp4_reader *r, struct mp4_track *t, struct buf *out, struct err *e) MR_MUST_USE;
void mp4_track_release(struct mp4_track *t);

/* For mp4_tables.c: the decoding time of a sample, or the track's duration for the one behind the last. */
int mp4_track_dts(struct mp4_reader *r, const struct mp4_track *t, uint32_t sample, int64_t *ret, struct err *e) MR_MUST_USE;
/* The number, from 1 as the table has it, of a row of the sync samples. *number is the row's before (0: none), which it must
 * be greater than, and becomes this one's. */
int mp4_track_sync(struct mp4_reader *r, const struct mp4_track *t, uint32_t row, uint32_t *number, struct err *e) MR_MUST_USE;
/* The last mark at or before a sample. */
struct mp4_mark mp4_track_mark(const struct mp4_track *t, uint32_t sample);
/* The bytes of samples [first, end). */
int mp4_track_bytes(struct mp4_reader *r, const struct mp4_track *t, uint32_t first, uint32_t end, uint64_t *ret,
		    struct err *e) MR_MUST_USE;
/* Where a kept chunk begins in the file (with what of it is kept). */
int mp4_track_place(struct mp4_reader *r, const struct mp4_track *t, const struct mp4_chunk *c, uint64_t *ret,
		    struct err *e) MR_MUST_USE;
/* Writes the table that stands for `box`, one of the sample tables, or nothing for those that libav can do without. */
int mp4_table_write(struct mp4_reader *r, struct mp4_track *t, const struct mp4_box *box, struct buf *out,
		    struct err *e) MR_MUST_USE;
