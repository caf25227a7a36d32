/* Reading ahead: see read_ahead.h. A window over the input, [start, end), in a ring of blocks that the thread fills at its end and
 * the reader empties at its start. Where the window can't help, the reader reads by itself. */
#include "worker/read_ahead.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "os/thread.h"

struct read_ahead {
	read_ahead_fn read;
	void *ctx;
	uint64_t size_bytes;
	uint64_t expected; /* where a read follows on the one before; the reader's own */
	pthread_t thread;
	bool has_thread; /* the reader's own */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* protected by lock */
	char *ring;	/* READ_AHEAD_BYTES; offset o of the input is at o % READ_AHEAD_BYTES */
	uint64_t start, end;
	bool on;	/* the window is to be filled */
	bool busy;	/* read() is being called */
	bool closing;
};

struct read_ahead *read_ahead_new(read_ahead_fn read, void *ctx, uint64_t size_bytes)
{
	struct read_ahead *a = mr_calloc(1, sizeof(*a));
	a->read = read;
	a->ctx = ctx;
	a->size_bytes = size_bytes;
	a->expected = UINT64_MAX;
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_cond_init(&a->changed, NULL);
	return a;
}

/* ---- The thread ---- */

/* How much may be read now: to the end of a block, of the ring's room, or of the input; 0: nothing. */
static size_t room_locked(const struct read_ahead *a)
{
	if (!a->on || a->busy)
		return 0;
	uint64_t room = READ_AHEAD_BLOCK_BYTES - a->end % READ_AHEAD_BLOCK_BYTES;
	uint64_t left = a->size_bytes > a->end ? a->size_bytes - a->end : 0;
	room = room < left ? room : left;
	return a->end + room - a->start <= READ_AHEAD_BYTES ? (size_t)room : 0;
}

static void *fill(void *arg)
{
	struct read_ahead *a = arg;
	(void)pthread_mutex_lock(&a->lock);
	while (!a->closing) {
		const size_t room = room_locked(a);
		if (!room) {
			(void)pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		const uint64_t at = a->end;
		size_t got = 0;
		a->busy = true;
		(void)pthread_mutex_unlock(&a->lock);
		const int r = a->read(a->ctx, at, a->ring + at % READ_AHEAD_BYTES, room, &got, NULL);
		(void)pthread_mutex_lock(&a->lock);
		a->busy = false;
		/* What fails is read again when it is asked for, by who can tell of it. Of a window that has begun elsewhere
		 * meanwhile this is no part. */
		if (a->end == at) {
			a->end += r == 0 ? got : 0;
			a->on = a->on && a->end == at + room;
		}
		(void)pthread_cond_broadcast(&a->changed);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* ---- The reader ---- */

/* From here on, which is where the reader has come to. A window that isn't used for it is dropped. */
static void begin(struct read_ahead *a, uint64_t offset)
{
	if (offset >= a->size_bytes)
		return;
	(void)pthread_mutex_lock(&a->lock);
	if (!a->ring)
		a->ring = malloc(READ_AHEAD_BYTES);
	a->start = a->end = offset;
	a->on = a->ring != NULL;
	(void)pthread_cond_broadcast(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
	if (!a->has_thread && a->on)
		a->has_thread = thread_start(&a->thread, "read-ahead", fill, a) == 0;
}

static void copy_out(const struct read_ahead *a, uint64_t offset, char *to, size_t len)
{
	const size_t at = (size_t)(offset % READ_AHEAD_BYTES), first = READ_AHEAD_BYTES - at;
	memcpy(to, a->ring + at, len < first ? len : first);
	if (len > first)
		memcpy(to + first, a->ring, len - first);
}

/* What the window holds or will hold of it: how much was copied. What lies before is given up. */
static size_t take(struct read_ahead *a, uint64_t offset, char *to, size_t len)
{
	size_t done = 0;
	(void)pthread_mutex_lock(&a->lock);
	while (done < len && a->has_thread && offset + done >= a->start && offset + done <= a->end) {
		a->start = offset + done;
		(void)pthread_cond_broadcast(&a->changed);
		if (offset + done == a->end) {
			if (!a->busy && !room_locked(a))
				break;
			(void)pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		const uint64_t there = a->end - (offset + done);
		const size_t n = len - done < there ? len - done : (size_t)there;
		copy_out(a, offset + done, to + done, n);
		done += n;
	}
	(void)pthread_mutex_unlock(&a->lock);
	return done;
}

/* By itself, while the thread does nothing. */
static int read_now(struct read_ahead *a, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	(void)pthread_mutex_lock(&a->lock);
	while (a->busy)
		(void)pthread_cond_wait(&a->changed, &a->lock);
	a->busy = true;
	(void)pthread_mutex_unlock(&a->lock);
	int r = a->read(a->ctx, offset, buf, len, ret_len, e);
	(void)pthread_mutex_lock(&a->lock);
	a->busy = false;
	(void)pthread_cond_broadcast(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
	return r;
}

int read_ahead_read(struct read_ahead *a, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	size_t done = take(a, offset, buf, len), got = 0;
	if (done == len) {
		a->expected = offset + len;
		*ret_len = len;
		return 0;
	}
	int r = read_now(a, offset + done, (char *)buf + done, len - done, &got, e);
	if (r < 0)
		return r;
	const bool follows = offset == a->expected;
	a->expected = offset + done + got;
	if (follows && done + got == len)
		begin(a, a->expected);
	*ret_len = done + got;
	return 0;
}

void read_ahead_free(struct read_ahead **pa)
{
	struct read_ahead *a = *pa;
	if (!a)
		return;
	(void)pthread_mutex_lock(&a->lock);
	a->closing = true;
	(void)pthread_cond_broadcast(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
	if (a->has_thread)
		(void)pthread_join(a->thread, NULL);
	(void)pthread_cond_destroy(&a->changed);
	(void)pthread_mutex_destroy(&a->lock);
	free(a->ring);
	free(a);
	*pa = NULL;
}
