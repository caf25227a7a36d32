/* Playlists for listeners: see listener.h. In the server; on its pool.
 *
 * The sliding window is a plan (listen_plan.h) that goes on from a kept mark; in memory it is only remembered how far it has come.
 * Two fronts, or one before and after a restart, come to the same from the same mark and rows. The mark follows the window every
 * MARK_SEGMENTS. Where it has fallen far behind (nobody has listened meanwhile), the window begins anew at the live edge, with
 * numbers that are higher by more than any that can have been listed since the mark was written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hls/check.h"
#include "live/listen_internal.h"

#define BATCH 128
#define VIEWS_MAX 512
#define VIEW_IDLE_MS 60000
#define EDGE_MS 20000	       /* how far before the last fragment a new window begins */
#define MARK_BEHIND_MS 180000  /* a mark that is further behind is not gone on from */
#define MARK_SEGMENTS 16
#define MARK_LEAP 1000
#define EXPIRES_SOON_MS 30000
#define URI_MAX 72

/* One stream's window. */
struct listen_view_row {
	struct listen_view_row *next;
	char stream_id[UUID_SIZE];
	uint32_t users; /* this and used_ms: under views_lock */
	int64_t used_ms;
	pthread_mutex_t lock; /* of all below */
	bool begun;
	struct listen_plan plan;
	int64_t seen; /* number of the last fragment that is in the plan */
	struct fragment last;
	uint64_t sequence, discontinuities; /* that have left the plan's list */
	uint64_t marked;
};

static void free_view(struct listen_view_row *v)
{
	listen_plan_release(&v->plan);
	(void)pthread_mutex_destroy(&v->lock);
	free(v);
}

void listen_views_free(struct listener *l)
{
	while (l->views) {
		struct listen_view_row *v = l->views;
		l->views = v->next;
		free_view(v);
	}
}

static void forget_idle_locked(struct listener *l, int64_t now)
{
	uint32_t count = 0;
	for (struct listen_view_row **at = &l->views; *at;) {
		struct listen_view_row *v = *at;
		if (v->users || (now - v->used_ms < VIEW_IDLE_MS && ++count < VIEWS_MAX)) {
			at = &v->next;
			continue;
		}
		*at = v->next;
		free_view(v);
	}
}

static struct listen_view_row *enter_view(struct listener *l, const char *stream_id)
{
	const int64_t now = clock_mono_ms();
	(void)pthread_mutex_lock(&l->views_lock);
	forget_idle_locked(l, now);
	struct listen_view_row *v = l->views;
	while (v && strcmp(v->stream_id, stream_id) != 0)
		v = v->next;
	if (!v) {
		v = mr_calloc(1, sizeof(*v));
		memcpy(v->stream_id, stream_id, sizeof(v->stream_id));
		(void)pthread_mutex_init(&v->lock, NULL);
		v->next = l->views;
		l->views = v;
	}
	v->users++;
	v->used_ms = now;
	(void)pthread_mutex_unlock(&l->views_lock);
	(void)pthread_mutex_lock(&v->lock);
	return v;
}

static void leave_view(struct listener *l, struct listen_view_row *v)
{
	(void)pthread_mutex_unlock(&v->lock);
	(void)pthread_mutex_lock(&l->views_lock);
	v->users--;
	(void)pthread_mutex_unlock(&l->views_lock);
}

/* ---- the window ---- */

static int new_mark(struct listener *l, const char *id, const struct fragment *last, const struct listen_mark *old,
		    struct listen_mark *ret, struct err *e)
{
	struct fragment first;
	uint32_t count = 0;
	const struct fragment_query q = { .stream_id = id,
					  .after = -1,
					  .time = FRAGMENT_PRODUCER_TIME,
					  .from_ms = last->producer_ms - EDGE_MS,
					  .to_ms = last->producer_ms };
	int r = repo_fragment_list(l->o.repo, &q, &first, 1, &count, e);
	if (r < 0)
		return r;
	if (!count)
		first = *last;
	struct listen_mark m = { .number = first.number, .frame = listen_frame_at(first.producer_ms) };
	if (old) {
		m.discontinuity = true;
		m.media_sequence = old->media_sequence + MARK_LEAP;
		m.discontinuity_sequence = old->discontinuity_sequence + MARK_LEAP;
	}
	return repo_listen_save(l->o.repo, id, &m, ret, e); /* another front's, if it was quicker */
}

static int begin_view(struct listener *l, struct listen_view_row *v, struct err *e)
{
	struct fragment last, at;
	struct listen_mark m;
	int r = repo_fragment_last(l->o.repo, v->stream_id, &last, e);
	if (r < 0)
		return r;
	r = repo_listen_get(l->o.repo, v->stream_id, &m, e);
	if (r == -ERR_NOT_FOUND) {
		r = new_mark(l, v->stream_id, &last, NULL, &m, e);
	} else if (r == 0) {
		r = repo_fragment_get(l->o.repo, v->stream_id, m.number, &at, e);
		const bool near = r == 0 && last.producer_ms - at.producer_ms <= MARK_BEHIND_MS;
		if (r == -ERR_NOT_FOUND || (r == 0 && !near))
			r = new_mark(l, v->stream_id, &last, &m, &m, e);
	}
	if (r < 0)
		return r;
	listen_plan_release(&v->plan);
	const struct listen_segment at_mark = { .number = m.number, .from = m.frame, .discontinuity = m.discontinuity };
	listen_plan_begin(&v->plan, &at_mark);
	v->seen = m.number - 1;
	v->sequence = v->marked = m.media_sequence;
	v->discontinuities = m.discontinuity_sequence;
	v->begun = true;
	return 0;
}

/* Later fragments of the stream, into the plan. */
static int read_rows(struct listener *l, const char *id, int64_t *seen, struct listen_plan *plan, struct fragment *last,
		     size_t segments_max, struct err *e)
{
	_cleanup_free_ struct fragment *rows = mr_calloc(BATCH, sizeof(*rows));
	uint32_t count = BATCH;
	int r = 0;
	while (r == 0 && count == BATCH) {
		const struct fragment_query q = { .stream_id = id, .after = *seen };
		r = repo_fragment_list(l->o.repo, &q, rows, BATCH, &count, e);
		for (uint32_t i = 0; r == 0 && i < count; i++) {
			listen_plan_add(plan, &rows[i]);
			*seen = rows[i].number;
			*last = rows[i];
		}
		if (plan->count > segments_max)
			return err_set_code(e, ERR_TOO_LARGE, "TOO_MANY_SEGMENTS", "the stream has more than %d segments",
					    LISTEN_SEGMENTS_MAX);
	}
	return r;
}

static void slide(struct listen_view_row *v)
{
	const size_t n = v->plan.count > LISTEN_WINDOW ? v->plan.count - LISTEN_WINDOW : 0;
	for (size_t i = 0; i < n; i++)
		v->discontinuities += v->plan.list[i].discontinuity;
	v->sequence += n;
	listen_plan_drop(&v->plan, n);
}

/* Best effort: without it the window begins a little earlier after a restart. */
static void keep_mark(struct listener *l, struct listen_view_row *v)
{
	struct listen_mark stored;
	struct err ignored;
	size_t i = 0;
	while (i < v->plan.count && (!v->plan.list[i].first || v->plan.list[i].discontinuity))
		i++;
	if (i == v->plan.count || v->sequence + i < v->marked + MARK_SEGMENTS)
		return;
	struct listen_mark m = { .number = v->plan.list[i].number,
				 .frame = v->plan.list[i].from,
				 .media_sequence = v->sequence + i,
				 .discontinuity_sequence = v->discontinuities };
	for (size_t k = 0; k < i; k++)
		m.discontinuity_sequence += v->plan.list[k].discontinuity;
	if (repo_listen_save(l->o.repo, v->stream_id, &m, &stored, &ignored) == 0)
		v->marked = m.media_sequence;
}

/* ---- as text ---- */

static int render(const struct listener_view *view, const struct listen_plan *plan, struct hls_media *m, struct buf *out,
		  struct err *e)
{
	if (!plan->count)
		return err_set_code(e, ERR_NOT_FOUND, "NOTHING_YET", "there is nothing to listen to yet");
	_cleanup_free_ struct hls_segment *list = mr_calloc(plan->count, sizeof(*list));
	_cleanup_free_ char *uris = mr_calloc(plan->count, URI_MAX);
	for (size_t i = 0; i < plan->count; i++) {
		const struct listen_segment *s = &plan->list[i];
		char *uri = uris + i * URI_MAX;
		(void)snprintf(uri, URI_MAX, "segments/%lld-%lld-%lld.aac", (long long)s->number, (long long)s->from,
			       (long long)s->to);
		list[i] = (struct hls_segment){ .duration_ticks = (s->to - s->from) * LISTEN_FRAME_SAMPLES,
						.uri = uri,
						.date_ms = listen_frame_ms(s->from),
						.discontinuity = s->discontinuity };
	}
	m->target_duration_s = LISTEN_TARGET_S;
	m->timescale = LISTEN_RATE;
	m->segments = list;
	m->segment_count = plan->count;
	m->uri_fn = view->uri_fn;
	m->uri_ctx = view->uri_ctx;
	int r = hls_render_media(m, out, e);
	return r < 0 ? r : hls_check_media(out->data, out->len, NULL, e);
}

/* ---- playlists ---- */

static int window(struct listener *l, struct listen_view_row *v, const struct stream *s, const struct listener_view *view,
		  struct buf *out, struct err *e)
{
	bool over = false;
	int r = v->begun ? 0 : begin_view(l, v, e);
	if (r == 0)
		r = read_rows(l, s->id, &v->seen, &v->plan, &v->last, LISTEN_SEGMENTS_MAX, e);
	if (r < 0)
		return r;
	slide(v);
	keep_mark(l, v);
	r = listen_is_over(l->o.repo, s->id, &v->last, &over, e);
	if (r < 0)
		return r;
	/* Its last frames are listed in a copy: should the stream go on after all, so does the plan. */
	struct listen_plan shown = v->plan;
	shown.list = mr_calloc(v->plan.count + 4, sizeof(*shown.list));
	shown.capacity = v->plan.count + 4;
	if (v->plan.count)
		memcpy(shown.list, v->plan.list, v->plan.count * sizeof(*shown.list));
	if (over)
		listen_plan_finish(&shown);
	struct hls_media m = { .type = HLS_WINDOW,
			       .ended = over,
			       .media_sequence = v->sequence,
			       .discontinuity_sequence = v->discontinuities };
	r = render(view, &shown, &m, out, e);
	if (r == 0)
		listen_follow(l, s, &shown.list[0], shown.list[shown.count - 1].to);
	listen_plan_release(&shown);
	return r;
}

static int whole(struct listener *l, const struct stream *s, const struct listener_view *view, struct buf *out, struct err *e)
{
	struct listen_plan plan = { 0 };
	struct fragment first, last = { 0 };
	int64_t seen = -1;
	uint32_t count = 0;
	bool over = false;
	const struct fragment_query q = { .stream_id = s->id, .after = -1 };
	int r = repo_fragment_list(l->o.repo, &q, &first, 1, &count, e);
	if (r == 0)
		r = read_rows(l, s->id, &seen, &plan, &last, LISTEN_SEGMENTS_MAX, e);
	if (r == 0 && count)
		r = listen_is_over(l->o.repo, s->id, &last, &over, e);
	if (r == 0 && over)
		listen_plan_finish(&plan);
	if (r == 0 && !over && view->type == LISTEN_VOD)
		r = err_set_code(e, ERR_CONFLICT, "STILL_LIVE", "the stream has not ended");
	/* An EVENT list may only be appended to (RFC 8216, 4.3.3.5). */
	if (r == 0 && !over && count && clock_wall_ms() - first.server_ms > stream_kept_ms(s->retention_hours) - EXPIRES_SOON_MS)
		r = err_set_code(e, ERR_GONE, "EVENT_TOO_LONG", "its beginning isn't kept: listen to the window (type=window)");
	struct hls_media m = { .type = view->type == LISTEN_EVENT ? HLS_EVENT : HLS_VOD, .ended = over };
	if (r == 0)
		r = render(view, &plan, &m, out, e);
	if (r == 0 && !over)
		listen_follow(l, s, &plan.list[plan.count > LISTEN_WINDOW ? plan.count - LISTEN_WINDOW : 0],
			      plan.list[plan.count - 1].to);
	listen_plan_release(&plan);
	return r;
}

static bool settled(const struct fragment *last)
{
	return last->number && clock_wall_ms() - last->server_ms - last->length_ms > LISTEN_SETTLED_MS;
}

int listener_playlist(struct listener *l, const struct stream *s, const struct listener_view *view, struct buf *out, struct err *e)
{
	struct listener_view v = *view;
	struct fragment last;
	bool over = false;
	int r = 0;
	if (v.type == LISTEN_AUTO) {
		r = repo_fragment_last(l->o.repo, s->id, &last, e);
		if (r == 0)
			r = listen_is_over(l->o.repo, s->id, &last, &over, e);
		v.type = r == 0 && over && settled(&last) ? LISTEN_VOD : LISTEN_WINDOWED;
	}
	if (r == 0 && v.type != LISTEN_WINDOWED) {
		r = whole(l, s, &v, out, e);
	} else if (r == 0) {
		struct listen_view_row *row = enter_view(l, s->id);
		r = window(l, row, s, &v, out, e);
		leave_view(l, row);
	}
	return r == -ERR_NOT_FOUND ? err_set_code(e, ERR_NOT_FOUND, "NOTHING_YET", "there is nothing to listen to yet") : r;
}
