/* The built-in stream store: see stream_store.h. In the server process; runs on pools.
 *
 * A fragment's object is stored first and its row committed after, fenced by the writer's epoch, which is part of its number.
 * What a crash leaves between the two is an object without a row: the next writer of the stream finds it behind the last row,
 * and removes it. */
#include "live/stream_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "live/matroska_write.h"

#define CONTENT_TYPE "video/x-matroska"
#define TAGS_MAX 1024
#define ORPHANS_MAX 64

struct stream_store {
	struct stream_store_opts o;
	pthread_mutex_t lock;
	/* protected by lock */
	struct stream_writer *writers; /* who is open: one per stream */
};

struct stream_writer {
	struct stream_store *ss;
	struct stream_writer *next;
	struct stream stream; /* id, user, name and creation alone */
	int64_t epoch;
	int64_t count; /* numbers given */
};

struct stream_fragment {
	struct stream_writer *writer;
	struct store_put *put;
	char *key;
	char number[FRAGMENT_NUMBER_SIZE];
	struct fragment row;
};

struct stream_store *stream_store_new(const struct stream_store_opts *opts)
{
	struct stream_store *ss = mr_calloc(1, sizeof(*ss));
	ss->o = *opts;
	(void)pthread_mutex_init(&ss->lock, NULL);
	return ss;
}

void stream_store_free(struct stream_store *ss)
{
	if (!ss)
		return;
	(void)pthread_mutex_destroy(&ss->lock);
	free(ss);
}

int stream_store_ensure(struct stream_store *ss, const char *user_id, const struct stream_new *n, struct stream *ret,
			struct err *e)
{
	struct err local = { 0 };
	struct err *why = e ? e : &local;
	if (!stream_name_valid(n->name))
		return err_set(why, ERR_INVALID, "a stream's name has 1 to 256 of A-Z a-z 0-9 . _ -");
	int r = repo_stream_get(ss->o.repo, NULL, n->name, ret, why);
	if (r == -ERR_NOT_FOUND)
		r = repo_stream_create(ss->o.repo, user_id, n, ret, why);
	if (r == -ERR_CONFLICT) /* another thread was quicker */
		r = repo_stream_get(ss->o.repo, NULL, n->name, ret, why);
	if (r == 0 && strcmp(ret->user_id, user_id) != 0) {
		stream_release(ret);
		return err_set(why, ERR_DENIED, "the stream %s is another user's", n->name);
	}
	return r;
}

static void tell(struct stream_store *ss, const char *stream_id)
{
	bus_publish(ss->o.bus, &(struct bus_event) { .topic = BUS_STREAM, .stream_id = stream_id });
}

/* ---- writers ---- */

static bool enlist(struct stream_store *ss, struct stream_writer *w)
{
	bool free = true;
	(void)pthread_mutex_lock(&ss->lock);
	for (const struct stream_writer *o = ss->writers; o && free; o = o->next)
		free = strcmp(o->stream.id, w->stream.id) != 0;
	if (free) {
		w->next = ss->writers;
		ss->writers = w;
	}
	(void)pthread_mutex_unlock(&ss->lock);
	return free;
}

static void delist(struct stream_store *ss, const struct stream_writer *w)
{
	(void)pthread_mutex_lock(&ss->lock);
	for (struct stream_writer **at = &ss->writers; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	(void)pthread_mutex_unlock(&ss->lock);
}

struct orphans {
	char *keys[ORPHANS_MAX];
	size_t count;
	const char *end; /* the new writer's first key */
};

static bool collect_orphan(void *ctx, const char *key, const struct store_info *info)
{
	struct orphans *o = ctx;
	(void)info;
	if (o->count == ORPHANS_MAX || strcmp(key, o->end) >= 0)
		return false;
	o->keys[o->count++] = mr_strdup(key);
	return true;
}

/* Objects that earlier writers stored and never committed. What can't be removed now goes with the next writer, or the
 * stream. */
static void remove_orphans(struct stream_store *ss, const struct stream_writer *w)
{
	struct err e = { 0 };
	struct fragment last = { .number = -1 };
	int r = repo_fragment_last(ss->o.repo, w->stream.id, &last, &e);
	_cleanup_free_ char *prefix = key_stream(w->stream.user_id, w->stream.id);
	_cleanup_free_ char *after = last.number < 0 ? NULL : key_fragment(w->stream.user_id, w->stream.id, last.number);
	_cleanup_free_ char *end = key_fragment(w->stream.user_id, w->stream.id, w->epoch * FRAGMENTS_PER_WRITER);
	struct orphans found = { .end = end };
	if (r == 0 || r == -ERR_NOT_FOUND)
		r = store_list(ss->o.store, prefix, after, ORPHANS_MAX, collect_orphan, &found, &e);
	for (size_t i = 0; i < found.count; i++) {
		if (r == 0)
			r = store_delete(ss->o.store, found.keys[i], &e);
		free(found.keys[i]);
	}
	if (r < 0)
		log_warn("stream_orphans", LOG_S("stream", w->stream.name), LOG_E(&e));
}

int stream_writer_open(struct stream_store *ss, const struct stream *s, struct stream_writer **ret, struct err *e)
{
	struct stream_writer *w = mr_calloc(1, sizeof(*w));
	w->ss = ss;
	w->stream.created_ms = s->created_ms;
	memcpy(w->stream.id, s->id, sizeof(s->id));
	memcpy(w->stream.user_id, s->user_id, sizeof(s->user_id));
	memcpy(w->stream.name, s->name, sizeof(s->name));
	if (!enlist(ss, w)) {
		free(w);
		return err_set_code(e, ERR_BUSY, "STREAM_WRITTEN", "somebody else is writing the stream");
	}
	int r = repo_stream_take(ss->o.repo, w->stream.id, &w->epoch, e);
	if (r < 0) {
		delist(ss, w);
		free(w);
		return r;
	}
	if (w->epoch > 1)
		remove_orphans(ss, w);
	tell(ss, w->stream.id);
	*ret = w;
	return 0;
}

void stream_writer_close(struct stream_writer *w)
{
	struct err e = { 0 };
	if (!w)
		return;
	/* If that fails it counts as gone a minute later. */
	if (repo_stream_leave(w->ss->o.repo, w->stream.id, w->epoch, &e) < 0)
		log_warn("stream_leave", LOG_S("stream", w->stream.name), LOG_E(&e));
	delist(w->ss, w);
	tell(w->ss, w->stream.id);
	free(w);
}

/* ---- fragments ---- */

static void timestamp_format(int64_t ms, char out[32])
{
	(void)snprintf(out, 32, "%lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000));
}

static int write_tags(struct stream_fragment *f, struct err *e)
{
	char server[32], producer[32];
	timestamp_format(f->row.server_ms, server);
	timestamp_format(f->row.producer_ms, producer);
	const struct mkv_tag tags[] = { { "AWS_KINESISVIDEO_FRAGMENT_NUMBER", f->number },
					{ "AWS_KINESISVIDEO_SERVER_TIMESTAMP", server },
					{ "AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", producer } };
	_cleanup_buf_ struct buf b;
	buf_init(&b, TAGS_MAX);
	(void)mkv_write_tags(&b, tags, MR_ARRAY_SIZE(tags));
	int r = buf_finish(&b, e);
	return r < 0 ? r : stream_fragment_write(f, b.data, b.len, e);
}

static void fragment_free(struct stream_fragment *f)
{
	free(f->key);
	free(f);
}

int stream_fragment_begin(struct stream_writer *w, const struct stream_fragment_new *n, struct stream_fragment **ret,
			  struct err *e)
{
	if (w->count == FRAGMENTS_PER_WRITER)
		return err_set(e, ERR_LOST, "the writer has given all of its numbers");
	struct stream_fragment *f = mr_calloc(1, sizeof(*f));
	f->writer = w;
	f->row = (struct fragment) { .number = w->epoch * FRAGMENTS_PER_WRITER + w->count++,
				     .producer_ms = n->producer_ms,
				     .server_ms = clock_wall_ms(),
				     .timecode_ms = n->timecode_ms,
				     .recording = n->recording,
				     .last_chunk = n->recording ? n->last_chunk : -1 };
	memcpy(f->row.stream_id, w->stream.id, sizeof(f->row.stream_id));
	fragment_number_format(&w->stream, f->row.number, f->number);
	f->key = key_fragment(w->stream.user_id, w->stream.id, f->row.number);
	int r = store_put_begin(w->ss->o.store, f->key, CONTENT_TYPE, &f->put, e);
	if (r < 0) {
		fragment_free(f);
		return r;
	}
	r = stream_fragment_write(f, n->header, n->header_len, e);
	if (r == 0)
		r = write_tags(f, e);
	if (r < 0) {
		stream_fragment_abort(f);
		return r;
	}
	*ret = f;
	return 0;
}

const char *stream_fragment_number(const struct stream_fragment *f)
{
	return f->number;
}

int stream_fragment_write(struct stream_fragment *f, const void *data, size_t len, struct err *e)
{
	int r = store_put_write(f->put, data, len, e);
	if (r == 0)
		f->row.bytes += len;
	return r;
}

void stream_fragment_abort(struct stream_fragment *take_f)
{
	if (!take_f)
		return;
	store_put_abort(take_f->put);
	fragment_free(take_f);
}

int stream_fragment_commit(struct stream_fragment *take_f, int64_t length_ms, struct fragment *ret, struct err *e)
{
	struct stream_store *ss = take_f->writer->ss;
	struct err ignored;
	take_f->row.length_ms = length_ms;
	int r = store_put_finish(take_f->put, NULL, NULL, e);
	if (r == 0) {
		r = repo_fragment_commit(ss->o.repo, &take_f->row, e);
		/* Only where it is certain that no row names it: a commit may have succeeded although its answer was lost. */
		if ((r == -ERR_LOST || r == -ERR_NOT_FOUND) && store_delete(ss->o.store, take_f->key, &ignored) < 0)
			log_warn("stream_orphans", LOG_S("stream", take_f->writer->stream.name), LOG_E(&ignored));
	}
	if (r == 0) {
		tell(ss, take_f->row.stream_id);
		if (ret)
			*ret = take_f->row;
	}
	fragment_free(take_f);
	return r;
}

int stream_writer_append(struct stream_writer *w, const struct stream_fragment_new *n, const void *media, size_t media_len,
			 int64_t length_ms, struct fragment *ret, struct err *e)
{
	struct stream_fragment *f;
	int r = stream_fragment_begin(w, n, &f, e);
	if (r < 0)
		return r;
	r = stream_fragment_write(f, media, media_len, e);
	if (r < 0) {
		stream_fragment_abort(f);
		return r;
	}
	return stream_fragment_commit(f, length_ms, ret, e);
}
