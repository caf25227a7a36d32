/* A sink with a copy: see sink_copy.h. In the server process, on the threads of both. */
#include "live/sink_copy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct copy_sink {
	struct sink sink; /* first */
	struct sink *to, *copy;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned open; /* protected by lock: streams of the copy that aren't closed */
};

struct copy_stream {
	struct sink_stream stream; /* first */
	struct sink_stream_opts opts;
	struct sink_stream *to, *copy;
	char *name;
	bool behind;	  /* of the caller's thread: it has been said */
	atomic_uint left; /* of the two, those that aren't closed */
};

static struct copy_sink *sink_of(const struct copy_stream *st)
{
	return (struct copy_sink *)st->stream.sink;
}

static void let_go(struct copy_stream *st)
{
	if (atomic_fetch_sub(&st->left, 1) > 1)
		return;
	free(st->name);
	free(st);
}

/* ---- what the first sink says ---- */

static void on_stored(void *ctx, uint64_t sequence, const char *number)
{
	struct copy_stream *st = ctx;
	st->opts.stored(st->opts.ctx, sequence, number);
}

static void on_failed(void *ctx, const struct err *why)
{
	struct copy_stream *st = ctx;
	st->opts.failed(st->opts.ctx, why);
}

static void on_closed(void *ctx)
{
	struct copy_stream *st = ctx;
	const struct sink_stream_opts o = st->opts;
	let_go(st);
	o.closed(o.ctx);
}

/* ---- what the copy says ---- */

static void on_copied(void *ctx, uint64_t sequence, const char *number)
{
	(void)ctx;
	(void)sequence;
	(void)number;
}

static void on_copy_failed(void *ctx, const struct err *why)
{
	struct copy_stream *st = ctx;
	log_warn("copy_failed", LOG_S("stream", st->name), LOG_E(why));
}

static void on_copy_closed(void *ctx)
{
	struct copy_stream *st = ctx;
	struct copy_sink *c = sink_of(st);
	let_go(st);
	(void)pthread_mutex_lock(&c->lock);
	if (--c->open == 0)
		(void)pthread_cond_broadcast(&c->idle);
	(void)pthread_mutex_unlock(&c->lock);
}

/* ---- the interface ---- */

static struct sink_stream *copy_open(struct sink *s, const struct sink_stream_opts *o)
{
	struct copy_sink *c = (struct copy_sink *)s;
	struct copy_stream *st = mr_calloc(1, sizeof(*st));
	struct sink_stream_opts to = { .name = o->name, .user = o->user, .ctx = st }, copy = to;
	st->stream.sink = s;
	st->opts = *o;
	st->name = mr_strdup(o->name);
	atomic_store(&st->left, 2);
	(void)pthread_mutex_lock(&c->lock);
	c->open++;
	(void)pthread_mutex_unlock(&c->lock);
	to.stored = on_stored;
	to.failed = on_failed;
	to.closed = on_closed;
	copy.stored = on_copied;
	copy.failed = on_copy_failed;
	copy.closed = on_copy_closed;
	st->to = sink_open(c->to, &to);
	st->copy = sink_open(c->copy, &copy);
	return &st->stream;
}

static bool copy_append(struct sink_stream *stream, const struct sink_fragment *f)
{
	struct copy_stream *st = (struct copy_stream *)stream;
	const size_t bytes = f->count * sizeof(*f->take_samples);
	struct sink_fragment copy = *f;
	copy.recording = 0;
	copy.last_chunk = -1;
	copy.take_samples = mr_calloc(1, bytes);
	memcpy(copy.take_samples, f->take_samples, bytes);
	const bool ok = sink_append(st->to, f);
	const bool copied = ok && sink_append(st->copy, &copy);
	if (!copied)
		free(copy.take_samples);
	if (ok && !copied && !st->behind)
		log_warn("copy_behind", LOG_S("stream", st->name));
	st->behind = ok && !copied;
	return ok;
}

static void copy_close(struct sink_stream *stream)
{
	struct copy_stream *st = (struct copy_stream *)stream;
	struct sink_stream *to = st->to, *copy = st->copy; /* it may go with the first */
	sink_close(to);
	sink_close(copy);
}

static void copy_interrupt(struct sink *s)
{
	struct copy_sink *c = (struct copy_sink *)s;
	sink_interrupt(c->to);
	sink_interrupt(c->copy);
}

static void copy_free(struct sink *s)
{
	struct copy_sink *c = (struct copy_sink *)s;
	(void)pthread_mutex_lock(&c->lock);
	while (c->open) /* the last fragments of sessions that are over already */
		(void)pthread_cond_wait(&c->idle, &c->lock);
	(void)pthread_mutex_unlock(&c->lock);
	sink_free(c->to);
	sink_free(c->copy);
	(void)pthread_mutex_destroy(&c->lock);
	(void)pthread_cond_destroy(&c->idle);
	free(c);
}

struct sink *sink_copy_new(struct sink *take_to, struct sink *take_copy)
{
	struct copy_sink *c = mr_calloc(1, sizeof(*c));
	c->sink = (struct sink){ .refuses_short = take_to->refuses_short,
				 .keeps_place = take_to->keeps_place,
				 .open = copy_open,
				 .append = copy_append,
				 .close = copy_close,
				 .interrupt = copy_interrupt,
				 .free = copy_free };
	c->to = take_to;
	c->copy = take_copy;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->idle, NULL);
	return &c->sink;
}
