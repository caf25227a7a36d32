/* The sink over the built-in stream store. Pool threads of the server process.
 *
 * A stream is in the pool at most once (`running`): the piece of work stores one fragment and submits itself again while more
 * wait. What fails in a way that a later try can help with is tried again after a short pause. */
#include "live/sink_builtin.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/fragmenter.h"
#include "live/matroska_write.h"
#include "os/pool.h"
#include "os/thread.h"

#define THREADS 192 /* they wait for the disk, and the more of them at once the fewer commits: so a slow one costs time alone */
#define RETENTION_HOURS 1
#define BACKLOG 65536 /* streams, each once */
#define PAUSE_MS 200

struct builtin {
	struct sink sink; /* first */
	struct sink_builtin_opts opts;
	struct pool *pool;
	struct buf header; /* EBML, Segment, Info, Tracks: every session's */
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool interrupted; /* protected by lock */
};

struct builtin_stream {
	struct sink_stream stream; /* first */
	struct sink_stream_opts opts;
	char name[STREAM_NAME_MAX + 1], user[USER_ID_MAX + 1];
	struct stream_writer *writer; /* the running piece's */
	pthread_mutex_t lock;
	/* protected by lock */
	struct sink_fragment waiting[SINK_WAITING_MAX];
	uint32_t count;
	bool running, closing, failed;
};

static struct builtin *sink_of(struct builtin_stream *st)
{
	return (struct builtin *)st->stream.sink;
}

/* ---- on the pool ---- */

static int open_writer(struct builtin_stream *st, struct err *e)
{
	struct builtin *b = sink_of(st);
	struct stream s = { 0 };
	if (st->writer)
		return 0;
	int r = stream_store_ensure(b->opts.store, st->user,
				    &(struct stream_new){ .name = st->name,
							  .retention_hours = b->opts.retention_hours,
							  .media_type = "audio/x-matroska" },
				    &s, e);
	if (r < 0)
		return r;
	r = stream_writer_open(b->opts.store, &s, &st->writer, e);
	stream_release(&s);
	return r;
}

static int store(struct builtin_stream *st, const struct sink_fragment *f, char ret_number[SINK_NUMBER_SIZE], struct err *e)
{
	static const struct mkv_pcm track = { .sample_rate = FRAGMENT_RATE, .channels = 1 };
	struct builtin *b = sink_of(st);
	int r = open_writer(st, e);
	if (r < 0)
		return err_wrap(e, "open stream %s", st->name);
	_cleanup_buf_ struct buf cluster;
	buf_init(&cluster, f->count * sizeof(*f->take_samples) + 65536);
	(void)mkv_write_pcm_cluster(&cluster, &track, (uint64_t)f->timecode_ms, f->take_samples, f->count);
	r = buf_finish(&cluster, e);
	if (r < 0)
		return r;
	const struct stream_fragment_new n = { .header = b->header.data,
					       .header_len = b->header.len,
					       .producer_ms = f->timecode_ms,
					       .timecode_ms = f->timecode_ms,
					       .recording = f->recording,
					       .last_chunk = f->last_chunk };
	struct stream_fragment *one = NULL;
	r = stream_fragment_begin(st->writer, &n, &one, e);
	if (r < 0)
		return r;
	(void)snprintf(ret_number, SINK_NUMBER_SIZE, "%s", stream_fragment_number(one));
	r = stream_fragment_write(one, cluster.data, cluster.len, e);
	if (r < 0) {
		stream_fragment_abort(one);
		return r;
	}
	return stream_fragment_commit(one, f->length_ms, NULL, e);
}

static bool can_be_retried(const struct err *e)
{
	return e->retriable || e->kind == ERR_IO || e->kind == ERR_NO_SPACE || e->kind == ERR_UNAVAILABLE || e->kind == ERR_BUSY ||
	       e->kind == ERR_TIMEOUT;
}

/* False: the sink is interrupted. */
static bool rest(struct builtin *b)
{
	int64_t until_ms = clock_mono_ms() + PAUSE_MS;
	(void)pthread_mutex_lock(&b->lock);
	while (!b->interrupted && cond_wait_until(&b->stop, &b->lock, until_ms)) {
	}
	bool go_on = !b->interrupted;
	(void)pthread_mutex_unlock(&b->lock);
	return go_on;
}

static void drop_waiting_locked(struct builtin_stream *st)
{
	for (uint32_t i = 0; i < st->count; i++)
		free(st->waiting[i].take_samples);
	st->count = 0;
}

static void give_up(struct builtin_stream *st, const struct err *why)
{
	(void)pthread_mutex_lock(&st->lock);
	st->failed = true;
	drop_waiting_locked(st);
	(void)pthread_mutex_unlock(&st->lock);
	st->opts.failed(st->opts.ctx, why);
}

static void store_oldest(struct builtin_stream *st)
{
	char number[SINK_NUMBER_SIZE] = "";
	struct err e = { 0 };
	/* Only this piece of work takes from the front, so the oldest stays where it is. */
	struct sink_fragment f = st->waiting[0];
	if (store(st, &f, number, &e) < 0) {
		log_warn("fragment_not_stored", LOG_S("stream", st->name), LOG_E(&e));
		if (!can_be_retried(&e) || !rest(sink_of(st)))
			give_up(st, &e);
		return;
	}
	(void)pthread_mutex_lock(&st->lock);
	st->count--;
	memmove(&st->waiting[0], &st->waiting[1], st->count * sizeof(st->waiting[0]));
	(void)pthread_mutex_unlock(&st->lock);
	free(f.take_samples);
	st->opts.stored(st->opts.ctx, f.sequence, number);
}

static void stream_end(struct builtin_stream *st)
{
	struct sink_stream_opts o = st->opts;
	stream_writer_close(st->writer);
	(void)pthread_mutex_destroy(&st->lock);
	free(st);
	o.closed(o.ctx);
}

static void run(void *arg)
{
	struct builtin_stream *st = arg;
	struct builtin *b = sink_of(st);
	(void)pthread_mutex_lock(&st->lock);
	bool any = st->count > 0;
	(void)pthread_mutex_unlock(&st->lock);
	if (any)
		store_oldest(st);
	(void)pthread_mutex_lock(&st->lock);
	bool more = st->count > 0, over = !more && st->closing;
	if (!more && !over)
		st->running = false;
	(void)pthread_mutex_unlock(&st->lock);
	if (over)
		stream_end(st);
	else if (more && pool_submit(b->pool, run, st) < 0)
		log_error("fragments_stuck", LOG_S("stream", st->name));
}

/* ---- the interface ---- */

static void start_locked(struct builtin_stream *st)
{
	if (st->running)
		return;
	st->running = pool_submit(sink_of(st)->pool, run, st) == 0;
}

static struct sink_stream *builtin_open(struct sink *s, const struct sink_stream_opts *o)
{
	struct builtin_stream *st = mr_calloc(1, sizeof(*st));
	st->stream.sink = s;
	st->opts = *o;
	(void)snprintf(st->name, sizeof(st->name), "%s", o->name);
	(void)snprintf(st->user, sizeof(st->user), "%s", o->user);
	(void)pthread_mutex_init(&st->lock, NULL);
	return &st->stream;
}

static bool builtin_append(struct sink_stream *stream, const struct sink_fragment *f)
{
	struct builtin_stream *st = (struct builtin_stream *)stream;
	(void)pthread_mutex_lock(&st->lock);
	bool ok = !st->failed && st->count < SINK_WAITING_MAX;
	if (ok) {
		st->waiting[st->count++] = *f;
		start_locked(st);
	}
	(void)pthread_mutex_unlock(&st->lock);
	return ok;
}

static void builtin_close(struct sink_stream *stream)
{
	struct builtin_stream *st = (struct builtin_stream *)stream;
	(void)pthread_mutex_lock(&st->lock);
	st->closing = true;
	start_locked(st);
	(void)pthread_mutex_unlock(&st->lock);
}

static void builtin_interrupt(struct sink *s)
{
	struct builtin *b = (struct builtin *)s;
	(void)pthread_mutex_lock(&b->lock);
	b->interrupted = true;
	(void)pthread_cond_broadcast(&b->stop);
	(void)pthread_mutex_unlock(&b->lock);
}

static void builtin_free(struct sink *s)
{
	struct builtin *b = (struct builtin *)s;
	pool_free(b->pool);
	buf_release(&b->header);
	(void)pthread_mutex_destroy(&b->lock);
	(void)pthread_cond_destroy(&b->stop);
	free(b);
}

int sink_builtin_new(const struct sink_builtin_opts *opts, struct sink **ret, struct err *e)
{
	struct builtin *b = mr_calloc(1, sizeof(*b));
	b->sink = (struct sink){ .keeps_place = true,
				 .open = builtin_open,
				 .append = builtin_append,
				 .close = builtin_close,
				 .interrupt = builtin_interrupt,
				 .free = builtin_free };
	b->opts = *opts;
	if (!b->opts.threads)
		b->opts.threads = THREADS;
	if (!b->opts.retention_hours)
		b->opts.retention_hours = RETENTION_HOURS;
	(void)pthread_mutex_init(&b->lock, NULL);
	cond_init_monotonic(&b->stop);
	buf_init(&b->header, 4096);
	(void)mkv_write_pcm_header(&b->header, &(struct mkv_pcm){ .sample_rate = FRAGMENT_RATE, .channels = 1 });
	int r = buf_finish(&b->header, e);
	if (r == 0)
		r = pool_new("sink", b->opts.threads, BACKLOG, &b->pool, e);
	if (r < 0) {
		builtin_free(&b->sink);
		return r;
	}
	*ret = &b->sink;
	return 0;
}
