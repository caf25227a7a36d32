/* Subtitles in segments: see subtitle_pipe.h. */
#include "media/subtitle_pipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "media/segment_times.h"
#include "media/segment_ts.h"
#include "media/subtitle_reader.h"

struct subtitle_pipe {
	const struct ladder_spec *spec;
	const struct media_io *io;
	const struct timeline *timeline;
	struct subtitle_reader *reader;
	uint32_t run;  /* that holds `next` */
	uint32_t next; /* the chunk's segment that is made next */
	bool announced;
};

static int64_t earliest(const struct subtitle_pipe *p)
{
	const struct ladder_spec *s = p->spec;
	return p->timeline->video[s->runs[p->run] - s->first_segment] - SUBTITLE_LOOKBACK_TICKS;
}

int subtitle_pipe_new(const struct task_spec *task, const struct ladder_spec *spec, const struct media_io *io,
		      const struct timeline *timeline, struct subtitle_pipe **ret, struct err *e)
{
	struct subtitle_pipe *p = mr_calloc(1, sizeof(*p));
	p->spec = spec;
	p->io = io;
	p->timeline = timeline;
	if (spec->resume_segment > spec->first_segment)
		p->next = spec->resume_segment - spec->first_segment;
	int r = subtitle_reader_open(task, io, earliest(p), &p->reader, e);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void subtitle_pipe_free(struct subtitle_pipe **p)
{
	if (!*p)
		return;
	subtitle_reader_close(&(*p)->reader);
	free(*p);
	*p = NULL;
}

static uint32_t rendition(const struct subtitle_pipe *p, uint32_t i)
{
	return p->spec->rung_count + p->spec->audio_count + i;
}

/* No init segment, but a name for what they hold. */
static int announce(struct subtitle_pipe *p, struct err *e)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < p->spec->subtitle_count; i++) {
		struct task_object head = { .kind = TASK_OBJECT_INIT, .rendition = rendition(p, i), .codecs = "wvtt" };
		r = p->io->object(p->io->ctx, &head, NULL, e);
	}
	p->announced = true;
	return r;
}

/* Where the presentation's zero is on the media's clock. */
static int64_t map_ticks(const struct subtitle_pipe *p)
{
	return p->spec->container == CONTAINER_TS ? TS_OFFSET_TICKS : ladder_lead_ticks(p->spec);
}

static int write_segment(struct subtitle_pipe *p, uint32_t i, struct err *e)
{
	const struct timeline *t = p->timeline;
	int64_t start = t->video[p->next], end = t->video[p->next + 1];
	struct subtitle_cues *cues = subtitle_reader_cues(p->reader, i);
	_cleanup_buf_ struct buf out;
	buf_init(&out, SUBTITLE_SEGMENT_MAX_BYTES);
	subtitle_cues_write(cues, start, end, earliest(p), map_ticks(p), &out);
	cues->from_ticks = earliest(p);
	subtitle_cues_drop(cues, end);
	int r = buf_finish(&out, e);
	if (r < 0)
		return r;
	struct task_object head = { .kind = TASK_OBJECT_SEGMENT,
				    .rendition = rendition(p, i),
				    .index = t->first + p->next,
				    .start_ticks = start,
				    .duration_ticks = end - start,
				    .size_bytes = out.len };
	return p->io->object(p->io->ctx, &head, out.data, e);
}

static int make_next(struct subtitle_pipe *p, struct err *e)
{
	const struct ladder_spec *s = p->spec;
	while (p->run + 1 < s->run_count && s->runs[p->run + 1] <= s->first_segment + p->next)
		p->run++;
	int r = subtitle_reader_until(p->reader, p->timeline->video[p->next + 1], e);
	if (r == 0 && !p->announced)
		r = announce(p, e);
	for (uint32_t i = 0; r == 0 && i < s->subtitle_count; i++)
		r = write_segment(p, i, e);
	p->next++;
	return r;
}

int subtitle_pipe_advance(struct subtitle_pipe *p, int64_t ticks, struct err *e)
{
	int r = 0;
	while (r == 0 && p->next + 1 < p->timeline->count && p->timeline->video[p->next + 1] <= ticks)
		r = make_next(p, e);
	return r;
}

int subtitle_pipe_finish(struct subtitle_pipe *p, struct err *e)
{
	int r = 0;
	while (r == 0 && p->next < p->timeline->count)
		r = make_next(p, e);
	return r;
}
