/* Sessions of live decoding as their users see them: opened, fed and closed from any thread; what they have to say waits
 * in their log until the host's thread (decoder_host.c) passes it on. Runs in the server.
 *
 * Guarantees: no call blocks but for the host's lock, under which nobody waits; a session's log is bounded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "live/decoder_internal.h"
#include "os/fd.h"
#include "os/thread.h"

#define SPLIT_QUEUED_MAX_BYTES (4u << 20)

/* ---- a host's sessions ---- */

struct live_session *host_find_locked(struct live_host *h, uint32_t id)
{
	struct live_session *s = h->buckets[id % BUCKETS];
	while (s && s->id != id)
		s = s->chain;
	return s;
}

static void wake_locked(struct live_host *h)
{
	const uint64_t one = 1;
	if (h->woken)
		return;
	h->woken = true;
	if (write(h->wake, &one, sizeof(one)) < 0)
		h->woken = false; /* can't be: it is read before it could be full */
}

void host_enqueue_locked(struct live_host *h, struct live_session *s)
{
	if (s->ready || s->removed)
		return;
	s->ready = true;
	s->ready_next = NULL;
	if (h->ready_last)
		h->ready_last->ready_next = s;
	else
		h->ready_first = s;
	h->ready_last = s;
}

static void ready_locked(struct live_host *h, struct live_session *s)
{
	host_enqueue_locked(h, s);
	wake_locked(h);
}

static void leave_ready_locked(struct live_host *h, struct live_session *s)
{
	struct live_session *before = NULL;
	for (struct live_session *i = h->ready_first; i && i != s; i = i->ready_next)
		before = i;
	if (before)
		before->ready_next = s->ready_next;
	else
		h->ready_first = s->ready_next;
	if (h->ready_last == s)
		h->ready_last = before;
	s->ready = false;
}

void host_remove_locked(struct live_host *h, struct live_session *s)
{
	struct live_session **at = &h->buckets[s->id % BUCKETS];
	while (*at != s)
		at = &(*at)->chain;
	*at = s->chain;
	s->removed = true;
	h->session_count--;
	if (s->ready)
		leave_ready_locked(h, s);
}

/* ---- a session's log ---- */

uint64_t session_end_locked(const struct live_session *s)
{
	return s->log_start + s->log.len - s->log_dropped;
}

static void drop_before_locked(struct live_session *s, uint64_t position)
{
	if (position <= s->log_start)
		return;
	s->log_dropped += (size_t)(position - s->log_start);
	s->log_start = position;
	if (s->log_dropped * 2 >= s->log.len) { /* so that a byte is moved once at most, on average */
		buf_consume(&s->log, s->log_dropped);
		s->log_dropped = 0;
	}
	uint32_t gone = 0;
	while (gone < s->losts_sent && s->losts[gone] < s->log_start)
		gone++;
	s->lost_count -= gone;
	s->losts_sent -= gone;
	memmove(s->losts, s->losts + gone, s->lost_count * sizeof(s->losts[0]));
}

uint64_t session_next_end_locked(const struct live_session *s, uint64_t from)
{
	for (uint32_t i = 0; i < s->end_count; i++)
		if (s->ends[i] > from)
			return s->ends[i];
	return session_end_locked(s);
}

/* Where there are too many, some are told of together. */
static void note_end_locked(struct live_session *s)
{
	uint32_t gone = 0;
	while (gone < s->end_count && s->ends[gone] <= s->taken)
		gone++;
	s->end_count -= gone;
	memmove(s->ends, s->ends + gone, s->end_count * sizeof(s->ends[0]));
	if (s->end_count == ENDS_MAX)
		s->end_count--;
	s->ends[s->end_count++] = session_end_locked(s);
}

void session_trim_locked(struct live_session *s)
{
	uint64_t keep = s->taken;
	if (s->kind == LIVE_SOUND && s->marks[1].at < keep)
		keep = s->marks[1].at;
	if (s->taken > LIVE_KEPT_MAX_BYTES && keep < s->taken - LIVE_KEPT_MAX_BYTES)
		keep = s->taken - LIVE_KEPT_MAX_BYTES;
	drop_before_locked(s, keep);
}

void session_free(struct live_session *s)
{
	buf_release(&s->log);
	free(s); /* it is the first thing in whatever it is part of */
}

/* ---- opening ---- */

/* Into the host with the fewest. `s` is zero but for its handlers. */
static int enlist(struct live_decoder *d, struct live_session *s, enum live_kind kind, const void *state, size_t len,
		  struct err *e)
{
	struct live_host *best = NULL;
	uint32_t fewest = LIVE_SESSIONS_MAX;
	for (uint32_t i = 0; i < d->host_count; i++) {
		struct live_host *h = &d->hosts[i];
		(void)pthread_mutex_lock(&h->lock);
		if (h->session_count < fewest) {
			fewest = h->session_count;
			best = h;
		}
		(void)pthread_mutex_unlock(&h->lock);
	}
	if (!best)
		return err_set(e, ERR_BUSY, "too many live sessions");
	s->host = best;
	s->kind = kind;
	buf_init(&s->log, kind == LIVE_SPLIT ? 3 * (size_t)SPLIT_QUEUED_MAX_BYTES : 3 * (size_t)LIVE_QUEUED_MAX_BYTES);
	for (int i = 0; i < 2; i++) {
		s->marks[i].state_len = len;
		s->marks[i].earlier = len > 0;
		if (len)
			memcpy(s->marks[i].state, state, len);
	}
	(void)pthread_mutex_lock(&best->lock);
	do
		s->id = ++best->next_id;
	while (host_find_locked(best, s->id));
	s->chain = best->buckets[s->id % BUCKETS];
	best->buckets[s->id % BUCKETS] = s;
	best->session_count++;
	ready_locked(best, s);
	(void)pthread_mutex_unlock(&best->lock);
	return 0;
}

int live_sound_open(struct live_decoder *d, const struct live_sound_handlers *h, const void *state, size_t state_len,
		    struct live_sound **ret, struct err *e)
{
	if (state_len > LIVE_STATE_MAX_BYTES)
		return err_set(e, ERR_INVALID, "a state of %zu bytes", state_len);
	struct live_sound *s = mr_calloc(1, sizeof(*s));
	s->s.sound = *h;
	*ret = s; /* before the first handler can be called */
	int r = enlist(d, &s->s, LIVE_SOUND, state, state_len, e);
	if (r < 0) {
		*ret = NULL;
		free(s);
	}
	return r;
}

int live_split_open(struct live_decoder *d, const struct live_split_handlers *h, struct live_split **ret, struct err *e)
{
	struct live_split *s = mr_calloc(1, sizeof(*s));
	s->s.split = *h;
	*ret = s;
	int r = enlist(d, &s->s, LIVE_SPLIT, NULL, 0, e);
	if (r < 0) {
		*ret = NULL;
		free(s);
	}
	return r;
}

/* ---- while it lasts ---- */

static int add_bytes(struct live_session *s, const void *data, size_t len, uint64_t max, struct err *e)
{
	struct live_host *h = s->host;
	(void)pthread_mutex_lock(&h->lock);
	const uint64_t waits = session_end_locked(s) - s->taken;
	const bool room = waits == 0 || waits + len <= max; /* whatever its size, it is taken when nothing waits */
	const bool ok = room && buf_append(&s->log, data, len);
	if (ok && len && s->kind == LIVE_SOUND)
		note_end_locked(s);
	if (ok && len && !s->abandoned)
		ready_locked(h, s);
	if (!ok)
		s->full = true;
	s->log.failed = false; /* a refusal is no reason to refuse the next */
	(void)pthread_mutex_unlock(&h->lock);
	return ok ? 0 : err_set(e, ERR_BUSY, "%llu bytes of the session wait already", (unsigned long long)waits);
}

int live_sound_bytes(struct live_sound *s, const void *data, size_t len, struct err *e)
{
	return add_bytes(&s->s, data, len, LIVE_QUEUED_MAX_BYTES, e);
}

int live_split_bytes(struct live_split *s, const void *data, size_t len, struct err *e)
{
	return add_bytes(&s->s, data, len, SPLIT_QUEUED_MAX_BYTES, e);
}

void live_sound_lost(struct live_sound *sound)
{
	struct live_session *s = &sound->s;
	struct live_host *h = s->host;
	(void)pthread_mutex_lock(&h->lock);
	const uint64_t end = session_end_locked(s);
	const bool known = s->lost_count > s->losts_sent && s->losts[s->lost_count - 1] == end;
	/* where there are too many, the parser finds out by itself */
	if (!known && s->lost_count == LOSTS_MAX && s->losts_sent) {
		memmove(s->losts, s->losts + 1, (LOSTS_MAX - 1) * sizeof(s->losts[0]));
		s->lost_count--;
		s->losts_sent--;
	}
	if (!known && s->lost_count < LOSTS_MAX) {
		s->losts[s->lost_count++] = end;
		if (!s->abandoned)
			ready_locked(h, s);
	}
	(void)pthread_mutex_unlock(&h->lock);
}

size_t live_sound_state(struct live_sound *sound, uint8_t ret[LIVE_STATE_MAX_BYTES])
{
	struct live_session *s = &sound->s;
	(void)pthread_mutex_lock(&s->host->lock);
	const size_t len = s->marks[0].state_len;
	memcpy(ret, s->marks[0].state, len);
	(void)pthread_mutex_unlock(&s->host->lock);
	return len;
}

static void close_session(struct live_session *s)
{
	(void)pthread_mutex_lock(&s->host->lock);
	s->closing = true;
	if (!s->abandoned)
		ready_locked(s->host, s);
	(void)pthread_mutex_unlock(&s->host->lock);
}

/* From here on nothing that is said of it reaches it; its end is the thread's. */
static void abandon_session(struct live_session *s)
{
	struct live_host *h = s->host;
	(void)pthread_mutex_lock(&h->lock);
	if (!s->abandoned) {
		s->abandoned = true;
		host_remove_locked(h, s);
		s->ready_next = h->abandoned;
		h->abandoned = s;
		wake_locked(h);
	}
	(void)pthread_mutex_unlock(&h->lock);
}

void live_sound_finish(struct live_sound *s)
{
	close_session(&s->s);
}

void live_sound_abandon(struct live_sound *s)
{
	abandon_session(&s->s);
}

void live_split_finish(struct live_split *s)
{
	close_session(&s->s);
}

void live_split_abandon(struct live_split *s)
{
	abandon_session(&s->s);
}

/* ---- the decoder ---- */

static int host_start(struct live_decoder *d, struct live_host *h, struct err *e)
{
	h->decoder = d;
	(void)pthread_mutex_init(&h->lock, NULL);
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->wake < 0)
		return err_errno(e, errno, "eventfd of a live decoder");
	int r = thread_start(&h->thread, "live-decoder", host_thread, h);
	if (r != 0) {
		fd_close(&h->wake);
		return err_errno(e, r, "thread of a live decoder");
	}
	return 0;
}

static void host_stop(struct live_host *h)
{
	(void)pthread_mutex_lock(&h->lock);
	h->stopping = true;
	wake_locked(h);
	(void)pthread_mutex_unlock(&h->lock);
	(void)pthread_join(h->thread, NULL);
	fd_close(&h->wake);
	(void)pthread_mutex_destroy(&h->lock);
}

int live_decoder_new(struct zygote *z, const struct live_decoder_opts *opts, struct live_decoder **ret, struct err *e)
{
	struct live_decoder *d = mr_calloc(1, sizeof(*d));
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t count = opts->processes ? opts->processes : cores > 0 ? (uint32_t)cores : 1;
	if (count > LIVE_PROCESSES_MAX)
		count = LIVE_PROCESSES_MAX;
	d->zygote = z;
	d->hosts = mr_calloc(count, sizeof(*d->hosts));
	int r = 0;
	while (r == 0 && d->host_count < count) {
		r = host_start(d, &d->hosts[d->host_count], e);
		d->host_count += r == 0;
	}
	if (r < 0) {
		live_decoder_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void live_decoder_free(struct live_decoder *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->host_count; i++)
		host_stop(&d->hosts[i]);
	free(d->hosts);
	free(d);
}

void live_decoder_stats(struct live_decoder *d, struct live_decoder_stats *ret)
{
	*ret = (struct live_decoder_stats){ .processes = d->host_count, .deaths = atomic_load(&d->deaths),
					    .reestablished = atomic_load(&d->reestablished) };
	for (uint32_t i = 0; i < d->host_count; i++) {
		struct live_host *h = &d->hosts[i];
		(void)pthread_mutex_lock(&h->lock);
		ret->sessions += h->session_count;
		ret->pids[i] = h->pid;
		ret->in_flight += h->in_flight_now;
		(void)pthread_mutex_unlock(&h->lock);
	}
}
