/* A moov made small and laid over the file: see mp4_window.h. */
#include "media/mp4_window.h"

#include <stdlib.h>
#include <string.h>

#include "media/mp4_track.h"

/* Of a box of the moov that isn't a track. */
#define COPY_MAX_BYTES (1u << 20)
/* Tracks that aren't rewritten, since they are odd or nothing but a timecode. */
#define VERBATIM_MAX_BYTES (64u << 10)
#define INDEX_MAX_BYTES (8u << 20)
#define NS_PER_SECOND 1000000000
/* Sound may begin this much before the picture that is decoded first. */
#define INTERLEAVE_NS (2 * (int64_t)NS_PER_SECOND)
/* Where one stream begins much later than the other, what libav looks at first lies further in than what is kept. */
#define LATE_SECONDS 8

struct mp4_window {
	struct mp4_box place; /* the file's moov */
	struct buf index;     /* what stands there, and the header of the free box behind it */
	uint64_t bytes_read;
	uint32_t track_count;
	struct mp4_window_stream streams[TASK_STREAMS_MAX];
	uint64_t second_at[TASK_STREAMS_MAX]; /* where the range begins in the file; 0: it isn't apart from the beginning */
	bool complete;
};

/* What is needed while it is made. */
struct maker {
	struct mp4_reader reader;
	const struct mp4_window_opts *o;
	struct mp4_window *w;
	uint32_t movie_timescale;
	uint32_t track_count;
	struct mp4_track tracks[TASK_STREAMS_MAX];
	bool verbatim[TASK_STREAMS_MAX];
};

/* ---- Finding ---- */

/* Of the boxes of a file that libav reads for a film that isn't fragmented. */
static int find_moov(struct maker *m, struct err *e)
{
	struct mp4_box box;
	struct mp4_box *found = &m->w->place;
	for (uint64_t at = 0; at < m->reader.size_bytes; at = box.end) {
		int rc = mp4_box_read(&m->reader, at, m->reader.size_bytes, &box, e);
		if (rc < 0)
			return rc;
		switch (box.type) {
		case MP4_TYPE('m', 'o', 'o', 'v'):
			if (found->end)
				return err_set(e, ERR_UNSUPPORTED, "two indices");
			*found = box;
			break;
		case MP4_TYPE('f', 't', 'y', 'p'):
		case MP4_TYPE('m', 'd', 'a', 't'):
		case MP4_TYPE('f', 'r', 'e', 'e'):
		case MP4_TYPE('s', 'k', 'i', 'p'):
		case MP4_TYPE('w', 'i', 'd', 'e'):
		case MP4_TYPE('u', 'u', 'i', 'd'):
		case MP4_TYPE('u', 'd', 't', 'a'):
			break;
		default:
			return err_set(e, ERR_UNSUPPORTED, "not an MP4, or one of another kind");
		}
	}
	const uint64_t size = found->end - found->start;
	if (!found->end || size < m->o->index_min_bytes || size > INT32_MAX)
		return err_set(e, ERR_UNSUPPORTED, "an index of %llu bytes", (unsigned long long)size);
	return 0;
}

static int parse_movie_header(struct maker *m, const struct mp4_box *box, struct err *e)
{
	const uint8_t *p;
	if (box->end - box->body < 24)
		return err_set(e, ERR_UNSUPPORTED, "a movie header of %llu bytes", (unsigned long long)(box->end - box->body));
	int rc = mp4_bytes(&m->reader, box->body, 24, 64, &p, e);
	if (rc < 0)
		return rc;
	m->movie_timescale = mp4_get32(p + (p[0] == 1 ? 20 : 12));
	if (p[0] > 1 || m->movie_timescale == 0 || m->movie_timescale > INT32_MAX)
		return err_set(e, ERR_UNSUPPORTED, "a movie header of version %u", p[0]);
	return 0;
}

static int parse_track(struct maker *m, const struct mp4_box *box, struct err *e)
{
	const uint32_t index = m->track_count;
	if (index >= TASK_STREAMS_MAX)
		return err_set(e, ERR_UNSUPPORTED, "more than %d tracks", TASK_STREAMS_MAX);
	struct mp4_track *t = &m->tracks[index];
	t->wanted = (int32_t)index == m->o->video || (m->o->audios >> index & 1);
	m->track_count++;
	int rc = mp4_track_parse(&m->reader, box, t, e);
	if (rc == -(int)ERR_UNSUPPORTED && !t->wanted && box->end - box->start <= VERBATIM_MAX_BYTES) {
		m->verbatim[index] = true;
		return 0;
	}
	if (rc == 0 && t->wanted && t->empty_edit / LATE_SECONDS > m->movie_timescale)
		return err_set(e, ERR_UNSUPPORTED, "a stream that begins late");
	return rc;
}

static int parse_moov(struct maker *m, struct err *e)
{
	struct mp4_box box;
	for (uint64_t at = m->w->place.body; at < m->w->place.end; at = box.end) {
		int rc = mp4_box_read(&m->reader, at, m->w->place.end, &box, e);
		if (rc == 0 && box.type == MP4_TYPE('m', 'v', 'h', 'd'))
			rc = parse_movie_header(m, &box, e);
		else if (rc == 0 && box.type == MP4_TYPE('t', 'r', 'a', 'k'))
			rc = m->movie_timescale ? parse_track(m, &box, e)
						: err_set(e, ERR_UNSUPPORTED, "a track before the header");
		else if (rc == 0 && (box.type == MP4_TYPE('m', 'v', 'e', 'x') || box.type == MP4_TYPE('c', 'm', 'o', 'v')))
			rc = err_set(e, ERR_UNSUPPORTED, "a film in fragments, or a compressed index");
		else if (rc == 0 && box.end - box.start > COPY_MAX_BYTES)
			rc = err_set(e, ERR_UNSUPPORTED, "a box of %llu bytes", (unsigned long long)(box.end - box.start));
		if (rc < 0)
			return rc;
	}
	if (m->o->video >= (int32_t)m->track_count || (uint64_t)m->o->audios >> m->track_count)
		return err_set(e, ERR_UNSUPPORTED, "%u tracks", m->track_count);
	return 0;
}

/* ---- Choosing ---- */

static int choose(struct maker *m, uint32_t index, int64_t from_ns, struct err *e)
{
	const struct mp4_range range = { from_ns, m->o->end_ns, m->o->to_ns, m->movie_timescale };
	struct mp4_track *t = &m->tracks[index];
	int rc = mp4_track_choose(&m->reader, t, &range, e);
	if (rc == -(int)ERR_UNSUPPORTED && !t->wanted && t->box.end - t->box.start <= VERBATIM_MAX_BYTES) {
		m->verbatim[index] = true;
		return 0;
	}
	return rc;
}

/* Video first: sound is sought at the key frame that is found for it. */
static int choose_all(struct maker *m, struct err *e)
{
	int64_t from = m->o->from_ns;
	int rc = 0;
	if (m->o->video >= 0) {
		rc = choose(m, (uint32_t)m->o->video, from, e);
		const int64_t sought = m->tracks[m->o->video].first_ns - INTERLEAVE_NS;
		from = sought < from ? sought : from;
	}
	for (uint32_t i = 0; i < m->track_count && rc == 0; i++)
		if ((int32_t)i != m->o->video && !m->verbatim[i])
			rc = choose(m, i, from, e);
	return rc;
}

/* ---- Writing ---- */

static int write_moov(struct maker *m, struct err *e)
{
	struct buf *out = &m->w->index;
	struct mp4_box box;
	uint32_t index = 0;
	const size_t begin = mp4_box_begin(out, m->w->place.type);
	for (uint64_t at = m->w->place.body; at < m->w->place.end; at = box.end) {
		int rc = mp4_box_read(&m->reader, at, m->w->place.end, &box, e);
		if (rc < 0)
			return rc;
		const bool track = box.type == MP4_TYPE('t', 'r', 'a', 'k');
		if (track && !m->verbatim[index])
			rc = mp4_track_write(&m->reader, &m->tracks[index], out, e);
		else
			rc = mp4_box_copy(&m->reader, &box, out, e);
		if (rc < 0)
			return rc;
		index += track;
	}
	mp4_box_end(out, begin);
	return buf_finish(out, e);
}

static int write_all(struct maker *m, struct err *e)
{
	const uint64_t room = m->w->place.end - m->w->place.start;
	int rc = write_moov(m, e);
	if (rc < 0)
		return rc == -(int)ERR_TOO_LARGE ? err_set(e, ERR_UNSUPPORTED, "a large index even so") : rc;
	if (room < m->w->index.len + 8)
		return err_set(e, ERR_UNSUPPORTED, "nothing to be left out");
	mp4_put32(&m->w->index, (uint32_t)(room - m->w->index.len));
	mp4_put32(&m->w->index, MP4_TYPE('f', 'r', 'e', 'e'));
	return buf_finish(&m->w->index, e);
}

/* ---- The outside ---- */

static void describe(const struct maker *m)
{
	struct mp4_window *w = m->w;
	w->track_count = m->track_count;
	w->bytes_read = m->reader.bytes_read;
	w->complete = true;
	for (uint32_t i = 0; i < m->track_count; i++) {
		const struct mp4_track *t = &m->tracks[i];
		struct mp4_window_stream *s = &w->streams[i];
		s->id = t->id;
		if (m->verbatim[i])
			continue;
		s->cut = true;
		s->timescale = t->timescale;
		s->frames = t->samples;
		s->duration = t->duration;
		if (t->step_rows == 1 || (t->step_rows == 2 && t->last_step_count == 1))
			s->constant_step = t->first_step;
		if (t->wanted) {
			w->second_at[i] = t->second_at;
			w->complete = w->complete && t->spans[t->span_count - 1].end == t->samples;
		}
	}
}

static int make(struct maker *m, struct err *e)
{
	int rc = find_moov(m, e);
	if (rc == 0)
		rc = parse_moov(m, e);
	if (rc == 0)
		rc = choose_all(m, e);
	if (rc == 0)
		rc = write_all(m, e);
	if (rc == 0)
		describe(m);
	return rc;
}

int mp4_window_new(const struct media_io *io, uint32_t input, uint64_t size_bytes, const struct mp4_window_opts *o,
		   struct mp4_window **ret, struct err *e)
{
	_cleanup_mp4_window_ struct mp4_window *w = mr_calloc(1, sizeof(*w));
	struct maker *m = mr_calloc(1, sizeof(*m));
	buf_init(&w->index, INDEX_MAX_BYTES);
	m->w = w;
	m->o = o;
	m->reader.io = io;
	m->reader.input = input;
	m->reader.size_bytes = size_bytes;
	int rc = make(m, e);
	for (uint32_t i = 0; i < m->track_count; i++)
		mp4_track_release(&m->tracks[i]);
	free(m);
	if (rc == 0)
		*ret = mr_steal(w);
	return rc;
}

void mp4_window_free(struct mp4_window **w)
{
	if (!*w)
		return;
	buf_release(&(*w)->index);
	free(*w);
	*w = NULL;
}

bool mp4_window_overlay(const struct mp4_window *w, uint64_t offset, void *buf, uint32_t *len)
{
	const struct mp4_box *p = &w->place;
	if (offset < p->start) {
		if (*len > p->start - offset)
			*len = (uint32_t)(p->start - offset);
		return false;
	}
	if (offset >= p->end)
		return false;
	const uint64_t left = p->end - offset, at = offset - p->start;
	*len = *len < left ? *len : (uint32_t)left;
	/* the free box is empty */
	const uint64_t filled = at < w->index.len ? w->index.len - at : 0;
	const uint32_t copied = filled < *len ? (uint32_t)filled : *len;
	if (copied)
		memcpy(buf, w->index.data + at, copied);
	memset((uint8_t *)buf + copied, 0, *len - copied);
	return true;
}

const struct mp4_window_stream *mp4_window_stream(const struct mp4_window *w, uint32_t index)
{
	return index < w->track_count ? &w->streams[index] : NULL;
}

bool mp4_window_holds(const struct mp4_window *w, int stream, int64_t pos, bool at_start)
{
	if (stream < 0 || (uint32_t)stream >= w->track_count || !w->second_at[stream] || pos < 0)
		return true;
	return ((uint64_t)pos < w->second_at[stream]) == at_start;
}

bool mp4_window_complete(const struct mp4_window *w)
{
	return w->complete;
}

uint64_t mp4_window_bytes_read(const struct mp4_window *w)
{
	return w->bytes_read;
}
