/* /api/events and /api/jobs/{id}/events: Server-Sent Events of one job or of all of a user's.
 *
 * Events are views of rows, not messages: the hub's thread reads what changed since a stream's last revision and sends
 * it. Bus hints make it look at once (at most four times a second and stream); without any it looks every two seconds,
 * which also covers changes made by other machines. So nothing can be lost, and Last-Event-ID is all the state a
 * reconnect needs.
 *
 *   event: job      data: the job as GET /api/jobs/{id} shows it
 *   event: segment  data: {"job_id", "index", "segments_completed"}: one for each newly published segment
 *   event: deleted  data: {"job_id"}: it was deleted or has expired; the last event on its own stream
 *   id: {revision}.{published segments} on a job's own stream, {revision} on a user's
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/sse.h"
#include "os/thread.h"

#define LOOK_MIN_MS 250  /* at most four events a second for one job */
#define LOOK_MAX_MS 2000 /* without a hint */
#define STREAMS_MAX 4096
#define SNAPSHOT_JOBS 100 /* a user's stream begins with at most this many open jobs */
#define LOOK_MAX_BYTES 32768 /* sent by one look: half of what a stream's queue holds */

struct known_job {
	char id[UUID_SIZE];
	uint32_t published;
};

struct stream {
	struct stream *next;
	struct sse_stream *sse;
	char user[USER_ID_MAX + 1];
	char job_id[UUID_SIZE]; /* empty: all of the user's */
	char *base_url, *host;
	/* the hub's thread alone */
	int64_t revision;
	int64_t snapshot_until; /* up to this revision what has ended is passed over: it begins with those being made */
	size_t budget;		/* bytes that this look may still send */
	struct known_job *known; /* jobs that are being made, and what was told of them */
	size_t known_count;
	int64_t next_look_mono_ms;
	uint64_t seen_hints; /* of the hub, when it was last taken out of the list */
	/* protected by the hub's lock */
	bool dirty;
	bool closed;
};

struct events {
	struct api *api;
	struct bus_subscription *hints;
	pthread_t thread;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct stream *streams;
	size_t count;
	uint64_t hints_given;
	bool stopping;
};

static void on_hint(void *ctx, const struct bus_event *hint)
{
	struct events *ev = ctx;
	(void)pthread_mutex_lock(&ev->lock);
	ev->hints_given++;
	for (struct stream *s = ev->streams; s; s = s->next)
		if (strcmp(s->user, hint->user_id) == 0 && (!s->job_id[0] || strcmp(s->job_id, hint->job_id) == 0))
			s->dirty = true;
	(void)pthread_cond_signal(&ev->wake);
	(void)pthread_mutex_unlock(&ev->lock);
}

static void on_close(void *ctx)
{
	struct stream *s = ctx;
	__atomic_store_n(&s->closed, true, __ATOMIC_RELEASE);
}

static void stream_free(struct stream *s)
{
	sse_close(s->sse);
	sse_unref(s->sse);
	free(s->base_url);
	free(s->host);
	free(s->known);
	free(s);
}

static struct known_job *know(struct stream *s, const char *job_id)
{
	for (size_t i = 0; i < s->known_count; i++)
		if (strcmp(s->known[i].id, job_id) == 0)
			return &s->known[i];
	s->known = mr_reallocarray(s->known, s->known_count + 1, sizeof(*s->known));
	struct known_job *k = &s->known[s->known_count++];
	*k = (struct known_job){ .published = UINT32_MAX };
	(void)snprintf(k->id, sizeof(k->id), "%s", job_id);
	return k;
}

static void forget(struct stream *s, struct known_job *k)
{
	*k = s->known[--s->known_count];
}

/* False when no more goes now: the stream is closed, or the rest is for the next look. */
static bool send_event(struct stream *s, const char *id, const char *event, const char *data)
{
	size_t n = strlen(data) + 64;
	if (!s->budget)
		return false;
	s->budget -= n < s->budget ? n : s->budget;
	return sse_send(s->sse, id, event, data) == 0;
}

/* On a job's own stream a segment's id says that all up to it were told, so that a client that was away for long gets on. */
static bool send_segments(struct stream *s, const struct job *j, struct known_job *k)
{
	char data[160], id[64];
	for (; k->published < j->published_segments; k->published++) {
		uint32_t i = k->published;
		(void)snprintf(data, sizeof(data), "{\"job_id\":\"%s\",\"index\":%u,\"segments_completed\":%u}",
			       j->id, i, i + 1);
		(void)snprintf(id, sizeof(id), "%" PRId64 ".%u", s->revision, i + 1);
		if (!send_event(s, s->job_id[0] ? id : NULL, "segment", data))
			return false;
	}
	return true;
}

/* One changed job: its segments since the last time, then itself. False: not all of it was sent. */
static bool send_job(struct events *ev, struct stream *s, const struct job *j)
{
	char id[64];
	struct known_job *k = know(s, j->id);
	if (k->published == UINT32_MAX)
		k->published = j->published_segments;
	if (!send_segments(s, j, k))
		return false;
	if (s->job_id[0])
		(void)snprintf(id, sizeof(id), "%" PRId64 ".%u", j->revision, j->published_segments);
	else
		(void)snprintf(id, sizeof(id), "%" PRId64, j->revision);
	json_t *o = job_json(ev->api, j, s->base_url, s->host);
	_cleanup_free_ char *text = json_dumps(o, JSON_ANSWER);
	json_decref(o);
	if (text && !send_event(s, id, "job", text))
		return false;
	if (job_status_is_final(j->status) && !s->job_id[0])
		forget(s, k);
	s->revision = j->revision;
	return true;
}

static bool send_deleted(struct stream *s, const char *job_id, const char *event_id)
{
	char data[64];
	(void)snprintf(data, sizeof(data), "{\"job_id\":\"%s\"}", job_id);
	return send_event(s, event_id, "deleted", data);
}

/* Changes and deletions of a user's jobs, told in the order of their revisions. */
struct look {
	struct events *ev;
	struct stream *s;
	bool more;     /* not everything was sent */
	int64_t until; /* beyond this revision the two lists may not show the same moment: for the next look */
	uint32_t deletion_count, deletions_sent;
	struct job_deletion deletions[SNAPSHOT_JOBS];
};

static void send_deletions(struct look *l, int64_t until)
{
	for (; !l->more && l->deletions_sent < l->deletion_count; l->deletions_sent++) {
		const struct job_deletion *d = &l->deletions[l->deletions_sent];
		if (d->revision > until)
			return;
		char id[32];
		(void)snprintf(id, sizeof(id), "%" PRId64, d->revision);
		if (d->revision > l->s->snapshot_until && !send_deleted(l->s, d->job_id, id)) {
			l->more = true;
			return;
		}
		l->s->revision = d->revision;
	}
}

static void on_changed_job(void *ctx, const struct job *j)
{
	struct look *l = ctx;
	send_deletions(l, j->revision < l->until ? j->revision : l->until);
	if (j->revision > l->until)
		l->more = true;
	if (l->more)
		return;
	if (j->revision <= l->s->snapshot_until && job_status_is_final(j->status))
		l->s->revision = j->revision;
	else
		l->more = !send_job(l->ev, l->s, j);
}

static bool look_at_all(struct events *ev, struct stream *s)
{
	struct repo *repo = ev->api->o.repo;
	struct err e = { 0 };
	struct look l = { .ev = ev, .s = s };
	struct job_filter f = { .user_id = s->user, .after_revision = s->revision > 0 ? s->revision : 1 };
	char cursor[64] = "";
	int r = repo_revision(repo, &l.until, &e);
	if (r == 0)
		r = repo_job_deletions(repo, s->user, f.after_revision, l.deletions, SNAPSHOT_JOBS, &l.deletion_count,
				       &e);
	bool full = l.deletion_count == SNAPSHOT_JOBS;
	if (full)
		l.until = l.deletions[SNAPSHOT_JOBS - 1].revision;
	if (r == 0)
		r = repo_job_list(repo, &f, SNAPSHOT_JOBS, NULL, on_changed_job, &l, cursor, &e);
	if (r < 0)
		log_warn("events_failed", LOG_E(&e));
	else if (!cursor[0])
		send_deletions(&l, l.until);
	return l.more || full || cursor[0];
}

static bool look_at_one(struct events *ev, struct stream *s)
{
	struct job j;
	int r = repo_job_get(ev->api->o.repo, s->user, s->job_id, &j, NULL);
	if (r == -ERR_NOT_FOUND) {
		(void)send_deleted(s, s->job_id, NULL);
		sse_close(s->sse);
	}
	if (r < 0)
		return false;
	bool more = j.revision > s->revision && !send_job(ev, s, &j);
	job_release(&j);
	return more;
}

/* True if there is more to send than was sent. */
static bool look(struct events *ev, struct stream *s)
{
	s->budget = LOOK_MAX_BYTES;
	return s->job_id[0] ? look_at_one(ev, s) : look_at_all(ev, s);
}

/* Takes the stream that is due for longest out of the list, be it to look or because it is closed; sleeps while there is
 * none. NULL: stop. */
static struct stream *next_stream(struct events *ev)
{
	(void)pthread_mutex_lock(&ev->lock);
	while (!ev->stopping) {
		int64_t due = clock_mono_ms() + LOOK_MAX_MS;
		struct stream **first = NULL;
		for (struct stream **p = &ev->streams; *p; p = &(*p)->next) {
			struct stream *s = *p;
			bool soon = s->dirty || __atomic_load_n(&s->closed, __ATOMIC_ACQUIRE);
			int64_t at = s->next_look_mono_ms + (soon ? 0 : LOOK_MAX_MS - LOOK_MIN_MS);
			if (at < due) {
				due = at;
				first = p;
			}
		}
		if (first && due <= clock_mono_ms()) {
			struct stream *s = *first;
			*first = s->next;
			s->dirty = false;
			s->seen_hints = ev->hints_given;
			(void)pthread_mutex_unlock(&ev->lock);
			return s;
		}
		(void)cond_wait_until(&ev->wake, &ev->lock, due);
	}
	(void)pthread_mutex_unlock(&ev->lock);
	return NULL;
}

/* `more`: there is something to send already. */
static void put_back(struct events *ev, struct stream *s, bool more)
{
	s->next_look_mono_ms = clock_mono_ms() + LOOK_MIN_MS;
	(void)pthread_mutex_lock(&ev->lock);
	/* A hint that came while it was out may have been meant. */
	s->dirty = more || s->seen_hints != ev->hints_given;
	s->next = ev->streams;
	ev->streams = s;
	(void)pthread_mutex_unlock(&ev->lock);
}

static void *hub_main(void *arg)
{
	struct events *ev = arg;
	struct stream *s;
	while ((s = next_stream(ev))) {
		if (!__atomic_load_n(&s->closed, __ATOMIC_ACQUIRE)) {
			put_back(ev, s, look(ev, s));
			continue;
		}
		stream_free(s);
		(void)pthread_mutex_lock(&ev->lock);
		ev->count--;
		(void)pthread_mutex_unlock(&ev->lock);
	}
	return NULL;
}

int events_new(struct api *a, struct events **ret, struct err *e)
{
	struct events *ev = mr_calloc(1, sizeof(*ev));
	ev->api = a;
	(void)pthread_mutex_init(&ev->lock, NULL);
	cond_init_monotonic(&ev->wake);
	int r = bus_subscribe(a->o.bus, BUS_JOB, on_hint, ev, &ev->hints, e);
	if (r < 0) {
		free(ev);
		return r;
	}
	int rc = thread_start(&ev->thread, "events", hub_main, ev);
	if (rc) {
		bus_unsubscribe(a->o.bus, ev->hints);
		free(ev);
		return err_errno(e, rc, "start the event hub");
	}
	*ret = ev;
	return 0;
}

void events_free(struct events *ev)
{
	bus_unsubscribe(ev->api->o.bus, ev->hints);
	(void)pthread_mutex_lock(&ev->lock);
	ev->stopping = true;
	(void)pthread_cond_signal(&ev->wake);
	(void)pthread_mutex_unlock(&ev->lock);
	(void)pthread_join(ev->thread, NULL);
	while (ev->streams) {
		struct stream *s = ev->streams;
		ev->streams = s->next;
		stream_free(s);
	}
	(void)pthread_mutex_destroy(&ev->lock);
	(void)pthread_cond_destroy(&ev->wake);
	free(ev);
}

/* "{revision}" or "{revision}.{published}" of a reconnecting client. */
static bool parse_last_id(const char *text, int64_t *revision, uint32_t *published)
{
	char tail;
	int n = text ? sscanf(text, "%18" SCNd64 ".%9" SCNu32 "%c", revision, published, &tail) : 0;
	return (n == 1 || n == 2) && *revision >= 0;
}

/* The lowest revision of those being made; 0: there are none. */
static void find_oldest_open(void *ctx, const struct job *j)
{
	int64_t *oldest = ctx;
	if (!job_status_is_final(j->status) && (!*oldest || j->revision < *oldest))
		*oldest = j->revision;
}

/* Where the stream begins: behind Last-Event-ID, or with how things are now. */
static int begin(struct events *ev, struct stream *s, const struct job *job, const char *last_id, struct err *e)
{
	int64_t revision = 0;
	uint32_t published = UINT32_MAX;
	bool resumed = parse_last_id(last_id, &revision, &published);
	s->revision = resumed ? revision : 0;
	if (job)
		know(s, job->id)->published = resumed ? published : job->published_segments;
	if (job || resumed)
		return 0;
	int64_t oldest_open = 0;
	struct job_filter f = { .user_id = s->user };
	char cursor[64];
	int r = repo_revision(ev->api->o.repo, &s->snapshot_until, e);
	if (r == 0)
		r = repo_job_list(ev->api->o.repo, &f, SNAPSHOT_JOBS, NULL, find_oldest_open, &oldest_open, cursor, e);
	s->revision = oldest_open ? oldest_open - 1 : s->snapshot_until;
	return r;
}

static int open_stream(struct api *a, struct http_request *req, const struct job *job, struct err *e)
{
	struct events *ev = a->events;
	(void)pthread_mutex_lock(&ev->lock);
	bool full = ev->count >= STREAMS_MAX;
	ev->count += !full;
	(void)pthread_mutex_unlock(&ev->lock);
	if (full)
		return err_set(e, ERR_BUSY, "too many event streams are open");
	struct stream *s = mr_calloc(1, sizeof(*s));
	(void)snprintf(s->user, sizeof(s->user), "%s", http_request_identity(req)->user);
	if (job)
		memcpy(s->job_id, job->id, UUID_SIZE);
	s->base_url = mr_strdup(http_request_base_url(req));
	s->host = mr_strdup(http_request_host(req));
	int r = http_respond_events(req, &(struct sse_opts){ .on_close = on_close, .on_close_ctx = s }, &s->sse, e);
	if (r < 0) {
		free(s->base_url);
		free(s->host);
		free(s);
		(void)pthread_mutex_lock(&ev->lock);
		ev->count--;
		(void)pthread_mutex_unlock(&ev->lock);
		return r;
	}
	/* From here on the hub owns it: on_close only marks it. */
	r = begin(ev, s, job, sse_last_event_id(req), e);
	if (r < 0)
		sse_close(s->sse);
	put_back(ev, s, r == 0 && look(ev, s));
	(void)pthread_cond_signal(&ev->wake);
	return r;
}

int events_all(void *ctx, struct http_request *req, struct err *e)
{
	return open_stream(ctx, req, NULL, e);
}

int events_job(void *ctx, struct http_request *req, struct err *e)
{
	return open_stream(ctx, req, http_request_resource(req), e);
}
