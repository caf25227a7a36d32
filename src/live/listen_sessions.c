/* Segments for listeners, and who makes them: see listener.h. In the server. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "live/listen_internal.h"
#include "live/packed_audio.h"
#include "os/thread.h"
#include "proto/live.h"

#define WAIT_MS 10000
#define TRIES 3
#define COMING_FRAMES 750	/* 16 s: an encoder that is so far behind at most is waited for */
#define SEGMENT_FRAMES_MAX 240
#define LOOK_BACK_MS (LIVE_FRAGMENT_MAX_MS + 1000)
#define LOOK_BACK_ROWS 128
#define LEAD_MS 400 /* the fragment that an encoder starts with begins so long before at least */

/* ---- life ---- */

static void on_hint(void *ctx, const struct bus_event *ev)
{
	struct listener *l = ctx;
	bool any = false;
	(void)pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->host_count; i++)
		for (struct listen_session *s = l->hosts[i].sessions; s; s = s->next)
			if (strcmp(s->stream.id, ev->stream_id) == 0) {
				s->wait_until_ms = 0;
				s->hinted = any = true;
			}
	if (any)
		(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
}

int listener_new(const struct listener_opts *opts, struct listener **ret, struct err *e)
{
	struct listener *l = mr_calloc(1, sizeof(*l));
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	l->o = *opts;
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_mutex_init(&l->views_lock, NULL);
	cond_init_monotonic(&l->changed);
	l->host_count = opts->processes ? opts->processes : cores > 0 ? (uint32_t)cores : 1;
	l->hosts = mr_calloc(l->host_count, sizeof(*l->hosts));
	int r = bus_subscribe(opts->bus, BUS_STREAM, on_hint, l, &l->hints, e);
	for (uint32_t i = 0; r == 0 && i < l->host_count; i++) {
		struct listen_host *h = &l->hosts[i];
		h->listener = l;
		h->idle_since_ms = clock_mono_ms();
		const int failed = thread_start(&h->thread, "listen", listen_host_thread, h);
		h->started = failed == 0;
		r = failed ? err_errno(e, failed, "thread of listeners") : 0;
	}
	if (r < 0) {
		listener_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void listener_interrupt(struct listener *l)
{
	if (!l)
		return;
	(void)pthread_mutex_lock(&l->lock);
	l->stopping = true;
	listen_wake_locked(l, NULL);
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->lock);
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	listener_interrupt(l);
	if (l->hints)
		bus_unsubscribe(l->o.bus, l->hints);
	for (uint32_t i = 0; i < l->host_count; i++)
		if (l->hosts[i].started)
			(void)pthread_join(l->hosts[i].thread, NULL);
	listen_views_free(l);
	free(l->hosts);
	(void)pthread_cond_destroy(&l->changed);
	(void)pthread_mutex_destroy(&l->views_lock);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

void listener_stats(struct listener *l, struct listener_stats *ret)
{
	*ret = (struct listener_stats){ 0 };
	(void)pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->host_count; i++) {
		ret->encoders += l->hosts[i].count;
		ret->processes += l->hosts[i].running_now;
		for (const struct listen_session *s = l->hosts[i].sessions; s; s = s->next)
			ret->bytes += s->bytes;
	}
	(void)pthread_mutex_unlock(&l->lock);
}

int listen_is_over(struct repo *repo, const char *stream_id, const struct fragment *last, bool *ret, struct err *e)
{
	bool live = false;
	int r = repo_stream_is_live(repo, stream_id, &live, e);
	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	/* The server's clock alone: a producer's may be anywhere. */
	*ret = r < 0 || (!live && clock_wall_ms() - last->server_ms - last->length_ms > LISTEN_OVER_MS);
	return 0;
}

/* ---- sessions ---- */

struct listen_frame *listen_frame_locked(struct listen_session *s, int64_t index)
{
	struct listen_frame *f = &s->ring[index % RING_FRAMES];
	return f->data && f->index == index ? f : NULL;
}

void listen_session_clear_locked(struct listen_session *s)
{
	for (size_t i = 0; i < RING_FRAMES; i++) {
		free(s->ring[i].data);
		s->ring[i] = (struct listen_frame){ 0 };
	}
	s->bytes = 0;
	s->valid_from = s->next_frame = 0;
}

void listen_session_free(struct listen_session *s)
{
	listen_session_clear_locked(s);
	free(s);
}

static bool has_all_locked(struct listen_session *s, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++)
		if (!listen_frame_locked(s, i))
			return false;
	return from >= s->valid_from;
}

/* It has the segment, or comes to it soon. */
static bool serves_locked(struct listen_session *s, int64_t from, int64_t to)
{
	const int64_t there = s->next_frame < to ? s->next_frame : to;
	return !s->over && from >= s->valid_from && from - s->next_frame <= COMING_FRAMES &&
	       has_all_locked(s, from < there ? from : there, there);
}

static struct listen_session *find_locked(struct listener *l, const char *stream_id, int64_t from, int64_t to)
{
	for (uint32_t i = 0; i < l->host_count; i++)
		for (struct listen_session *s = l->hosts[i].sessions; s; s = s->next)
			if (strcmp(s->stream.id, stream_id) == 0 && serves_locked(s, from, to))
				return s;
	return NULL;
}

/* Where a new encoder begins: early enough to be in step, if there is anything before. */
static int find_start(struct listener *l, const struct stream *s, const struct listener_ref *ref, struct fragment *ret,
		      bool *ret_early, struct err *e)
{
	_cleanup_free_ struct fragment *rows = mr_calloc(LOOK_BACK_ROWS, sizeof(*rows));
	uint32_t count = 0;
	const int64_t ms = listen_frame_ms(ref->from);
	int r = repo_fragment_get(l->o.repo, s->id, ref->number, ret, e);
	if (r < 0)
		return r;
	if (ref->from < listen_frame_at(ret->producer_ms) - 2 * LISTEN_TAIL_FRAMES ||
	    ref->to > listen_frame_at(ret->producer_ms + ret->length_ms) + 10 * LISTEN_TAIL_FRAMES)
		return err_set(e, ERR_NOT_FOUND, "there is no such segment");
	*ret_early = ms - ret->producer_ms >= LEAD_MS;
	if (*ret_early)
		return 0;
	const struct fragment_query q = { .stream_id = s->id,
					  .after = -1,
					  .time = FRAGMENT_PRODUCER_TIME,
					  .from_ms = ms - LOOK_BACK_MS,
					  .to_ms = ms - LEAD_MS };
	r = repo_fragment_list(l->o.repo, &q, rows, LOOK_BACK_ROWS, &count, e);
	while (r == 0 && count && rows[count - 1].number >= ref->number)
		count--;
	if (r == 0 && count && listen_joins(rows[count - 1].producer_ms + rows[count - 1].length_ms, ret->producer_ms)) {
		*ret = rows[count - 1];
		*ret_early = true;
	}
	return r;
}

static struct listen_host *room_locked(struct listener *l, const char *stream_id, uint32_t *ret_slot)
{
	struct listen_host *best = NULL;
	uint32_t same = 0, fewest = LISTEN_SLOTS;
	for (uint32_t i = 0; i < l->host_count; i++) {
		struct listen_host *h = &l->hosts[i];
		for (const struct listen_session *s = h->sessions; s; s = s->next)
			same += strcmp(s->stream.id, stream_id) == 0;
		if (h->count < fewest) {
			fewest = h->count;
			best = h;
		}
	}
	uint32_t slot = 0;
	while (best && slot < LISTEN_SLOTS && best->slots[slot])
		slot++;
	*ret_slot = slot;
	return same < LISTEN_PER_STREAM && slot < LISTEN_SLOTS ? best : NULL;
}

/* Finds one or begins one; the lock is released meanwhile. */
static int session_for_locked(struct listener *l, const struct stream *stream, const struct listener_ref *ref,
			      struct listen_session **ret, struct err *e)
{
	struct fragment start;
	bool early = false;
	uint32_t slot = 0;
	struct listen_session *s = find_locked(l, stream->id, ref->from, ref->to);
	if (!s) {
		(void)pthread_mutex_unlock(&l->lock);
		int r = find_start(l, stream, ref, &start, &early, e);
		(void)pthread_mutex_lock(&l->lock);
		if (r < 0)
			return r;
		s = find_locked(l, stream->id, ref->from, ref->to); /* somebody may have been quicker */
	}
	struct listen_host *h = s ? s->host : room_locked(l, stream->id, &slot);
	if (!h || l->stopping)
		return err_set(e, ERR_BUSY, "too many are listening at different places");
	if (!s) {
		s = mr_calloc(1, sizeof(*s));
		memcpy(s->stream.id, stream->id, sizeof(stream->id));
		memcpy(s->stream.user_id, stream->user_id, sizeof(stream->user_id));
		memcpy(s->stream.name, stream->name, sizeof(stream->name));
		s->stream.created_ms = stream->created_ms;
		s->last.number = start.number - 1;
		s->next_frame = listen_frame_at(start.producer_ms);
		s->valid_from = early ? s->next_frame + LISTEN_LEAD_FRAMES : s->next_frame;
		s->slot = slot;
		s->host = h;
		s->next = h->sessions;
		h->sessions = s;
		h->slots[slot] = true;
		h->count++;
	}
	s->used_ms = clock_mono_ms();
	if (s->wanted < ref->to)
		s->wanted = ref->to;
	(void)pthread_cond_broadcast(&l->changed);
	*ret = s;
	return 0;
}

void listen_follow(struct listener *l, const struct stream *stream, const struct listen_segment *from, int64_t to)
{
	const struct listener_ref ref = { .number = from->number, .from = from->from, .to = from->to };
	struct listen_session *s = NULL;
	struct err ignored;
	(void)pthread_mutex_lock(&l->lock);
	if (session_for_locked(l, stream, &ref, &s, &ignored) == 0 && s) {
		s->follow_until_ms = clock_mono_ms() + LISTEN_IDLE_MS;
		s->wanted = s->wanted < to ? to : s->wanted;
	}
	(void)pthread_mutex_unlock(&l->lock);
}

/* ---- segments ---- */

static bool number_parse(const char **at, char end, int64_t *ret)
{
	char *stop = NULL;
	if (**at < '0' || **at > '9')
		return false;
	const unsigned long long v = strtoull(*at, &stop, 10);
	if (*stop != end || stop - *at > 18)
		return false;
	*ret = (int64_t)v;
	*at = stop + 1;
	return true;
}

bool listener_ref_parse(const char *name, struct listener_ref *ret)
{
	struct listener_ref r;
	if (!number_parse(&name, '-', &r.number) || !number_parse(&name, '-', &r.from) || !number_parse(&name, '.', &r.to) ||
	    strcmp(name, "aac") != 0 || r.to <= r.from || r.to - r.from > SEGMENT_FRAMES_MAX)
		return false;
	*ret = r;
	return true;
}

static int copy_locked(struct listen_session *s, const struct listener_ref *ref, struct buf *out, struct err *e)
{
	(void)packed_audio_begin(out, ref->from);
	for (int64_t i = ref->from; i < ref->to; i++) {
		const struct listen_frame *f = listen_frame_locked(s, i);
		if (f) /* they are all there: has_all_locked */
			(void)packed_audio_frame(out, s->channels, f->data, f->len);
	}
	return buf_finish(out, e);
}

/* Nothing that it could wait for comes any more, or all has come. */
static bool may_go_on_locked(const struct listener *l, struct listener_wait *w, int64_t now)
{
	struct listen_session *s = w->session;
	const bool made = has_all_locked(s, w->ref.from, w->ref.to);
	if (!made && s->over && s->why.kind != ERR_UNAVAILABLE)
		w->why = s->why;
	else if (!made && (s->over || s->next_frame >= w->ref.to + RING_FRAMES / 2))
		w->lost++;
	else if (!made && !l->stopping && now < w->until_ms)
		return false;
	return true;
}

void listen_wake_locked(struct listener *l, const struct listen_session *s)
{
	const int64_t now = clock_mono_ms();
	for (struct listener_wait **at = &l->waits; *at;) {
		struct listener_wait *w = *at;
		if ((s && w->session != s) || !may_go_on_locked(l, w, now)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->session->waiters--;
		w->session->used_ms = now;
		w->again(w->ctx); /* it may be gone when that returns */
	}
}

static int may_wait(const struct listener *l, const struct listener_wait *w, int64_t now, struct err *e)
{
	if (l->stopping)
		return err_set(e, ERR_UNAVAILABLE, "the server is stopping");
	if (w->lost >= TRIES)
		return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "what encodes for listeners has ended");
	return now < w->until_ms ? 0 : err_set(e, ERR_UNAVAILABLE, "the segment was not made in time");
}

int listener_segment(struct listener *l, const struct stream *stream, const struct listener_ref *ref, struct listener_wait *w,
		     struct buf *out, struct err *e)
{
	const int64_t now = clock_mono_ms();
	struct listen_session *s = NULL;
	if (!w->until_ms)
		w->until_ms = now + WAIT_MS;
	(void)pthread_mutex_lock(&l->lock);
	int r = w->why.kind != ERR_OK ? err_copy(e, &w->why) : session_for_locked(l, stream, ref, &s, e);
	if (r == 0 && s && has_all_locked(s, ref->from, ref->to)) {
		r = copy_locked(s, ref, out, e);
	} else if (r == 0 && s) {
		r = may_wait(l, w, now, e);
		if (r == 0) {
			w->session = s;
			w->ref = *ref;
			w->next = l->waits;
			l->waits = w;
			s->waiters++;
			r = LISTENER_LATER;
		}
	}
	(void)pthread_mutex_unlock(&l->lock);
	return r;
}
