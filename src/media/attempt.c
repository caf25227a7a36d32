/* A second attempt with the whole index: see attempt.h. Runs in a sandboxed child of millrace-task. */
#include "media/attempt.h"

#include <string.h>

#include "media/source.h"

/* Passes on what is made, but not a second time. Each rendition's objects come in order, from one thread, and have counters
 * of their own; those of several renditions come as it happens. */
struct once {
	const struct media_io *io;
	uint32_t handed_over[TASK_RENDITIONS_MAX], to_skip[TASK_RENDITIONS_MAX];
	int64_t done_ticks;
	uint64_t bytes_read, bytes_before;
};

static int once_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	const struct once *o = ctx;
	return o->io->read(o->io->ctx, input, offset, buf, len, ret_len, e);
}

static int once_object(void *ctx, const struct task_object *head, const void *data, struct err *e)
{
	struct once *o = ctx;
	if (o->to_skip[head->rendition]) {
		o->to_skip[head->rendition]--;
		return 0;
	}
	int r = o->io->object(o->io->ctx, head, data, e);
	o->handed_over[head->rendition] += r == 0;
	return r;
}

static int once_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	struct once *o = ctx;
	o->done_ticks = p->done_ticks > o->done_ticks ? p->done_ticks : o->done_ticks;
	o->bytes_read = o->bytes_before + p->bytes_read;
	const struct task_progress passed = { .done_ticks = o->done_ticks, .bytes_read = o->bytes_read };
	return o->io->progress(o->io->ctx, &passed, e);
}

/* The part of a long source's index that is read first is enough but for damaged files. */
int media_attempt(const struct media_io *io, attempt_fn *make, void *ctx, struct err *e)
{
	struct once once = { .io = io };
	const struct media_io passing = { &once, once_read, once_object, once_progress };
	struct err why = { 0 };
	int r = make(ctx, &passing, false, &why);
	if (r == -(int)ERR_RANGE && strcmp(err_code(&why), SOURCE_LEFT_RANGE) == 0) {
		memcpy(once.to_skip, once.handed_over, sizeof(once.to_skip));
		once.bytes_before = once.bytes_read;
		r = make(ctx, &passing, true, &why);
	}
	return r < 0 ? err_copy(e, &why) : r;
}
