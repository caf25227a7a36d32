/* The publisher's thread and the storing of one version. Runs in the server and worker process; sees no media bytes. */
#include "worker/publisher.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "hls/check.h"
#include "hls/dash.h"
#include "hls/playlist.h"
#include "job/keys.h"
#include "job/presentation.h"
#include "worker/leftovers.h"
#include "os/thread.h"

#define PENDING_MAX 1024 /* beyond it nudges are dropped: the janitor finds the job */
#define AUDIO_FRAME_TOLERANCE_S 0.1
#define PICTURE_TOLERANCE_S 0.45 /* media/cadence.h: a segment begins with a frame that may come so much after its plan */

struct pending {
	char job_id[UUID_SIZE];
	int64_t due_mono_ms;
};

struct publisher {
	struct publisher_opts opts;
	pthread_t thread;
	pthread_mutex_t publishing; /* held while a version is rendered and stored: versions of a job come in order */
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct pending pending[PENDING_MAX];
	size_t pending_count;
	bool stopping;
};

static int put_text(struct publisher *p, const struct job *j, const char *relative, const struct buf *text, struct err *e)
{
	_cleanup_free_ char *key = key_in_job(j->prefix, relative);
	if (store_put(p->opts.store, key, text->data, text->len, store_content_type(key), NULL, e) < 0)
		return err_wrap(e, "publish %s", key);
	return 0;
}

/* The version that the store has now, or an empty buffer. */
static int stored_version(struct publisher *p, const struct job *j, const char *relative, struct buf *out,
			  struct err *e)
{
	_cleanup_free_ char *key = key_in_job(j->prefix, relative);
	struct store_reader *reader;
	struct store_info info;
	int r = store_reader_open(p->opts.store, key, &reader, &info, e);
	if (r == -ERR_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	size_t got = 0;
	void *room = info.size <= out->max ? buf_reserve(out, (size_t)info.size) : NULL;
	r = room ? store_reader_read(reader, 0, room, (size_t)info.size, &got, e)
		 : err_set(e, ERR_TOO_LARGE, "%s: a playlist of %llu bytes", key, (unsigned long long)info.size);
	if (r == 0)
		buf_commit(out, got);
	store_reader_close(reader);
	return r;
}

/* Stores what was rendered and checked, where it follows on what is there. */
static int publish_growing(struct publisher *p, const struct job *j, const char *relative, const struct buf *text,
			   struct err *e)
{
	_cleanup_buf_ struct buf before;
	buf_init(&before, HLS_PLAYLIST_MAX_BYTES);
	int r = stored_version(p, j, relative, &before, e);
	if (r < 0)
		return r;
	if (before.len == text->len && memcmp(before.data, text->data, text->len) == 0)
		return 0; /* stored before a crash */
	if (before.len) {
		r = hls_check_event_growth(before.data, before.len, text->data, text->len, e);
		if (r < 0)
			return r;
	}
	return put_text(p, j, relative, text, e);
}

static int publish_media(struct publisher *p, const struct job *j, const struct rendition *rendition,
			 const struct presentation *view, struct hls_media_facts *ret_facts, struct err *e)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, HLS_PLAYLIST_MAX_BYTES);
	_cleanup_free_ char *relative = key_playlist(rendition);
	int r = presentation_media(p->opts.repo, j, rendition->name, view, &text, e);
	if (r == 0)
		r = hls_check_media(text.data, text.len, ret_facts, e);
	return r < 0 ? r : publish_growing(p, j, relative, &text, e);
}

static int publish_iframes(struct publisher *p, const struct job *j, const struct rendition *rendition,
			   const struct presentation *view, const struct hls_media_facts *media, struct err *e)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, HLS_PLAYLIST_MAX_BYTES);
	_cleanup_free_ char *relative = key_iframes(rendition);
	struct hls_media_facts facts;
	int r = presentation_iframes(p->opts.repo, j, rendition->name, view, &text, e);
	if (r == 0)
		r = hls_check_media(text.data, text.len, &facts, e);
	if (r == 0)
		r = hls_check_iframes(&facts, media, e);
	return r < 0 ? r : publish_growing(p, j, relative, &text, e);
}

/* Another view of the same rows, for players of DASH; nothing in it grows. */
static int publish_manifest(struct publisher *p, const struct job *j, const struct presentation *view, struct err *e)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, DASH_MANIFEST_MAX_BYTES);
	int r = presentation_manifest(p->opts.repo, j, view, &text, e);
	if (r == -ERR_NOT_FOUND)
		return 0; /* it has none */
	return r < 0 ? r : put_text(p, j, KEY_MANIFEST, &text, e);
}

static int publish_version(struct publisher *p, const struct job *j, const struct presentation *view, struct err *e)
{
	struct rendition renditions[RENDITIONS_MAX];
	struct hls_media_facts facts[RENDITIONS_MAX];
	uint32_t count;
	int r = repo_renditions(p->opts.repo, j->id, renditions, &count, e);
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		r = publish_media(p, j, &renditions[i], view, &facts[i], e);
		if (r == 0 && renditions[i].has_iframes)
			r = publish_iframes(p, j, &renditions[i], view, &facts[i], e);
	}
	/* Audio leads or lags by less than a frame of its own; while it grows, also by what its last segment's picture was
	 * waited for. */
	if (r == 0)
		r = hls_check_lockstep(facts, count, AUDIO_FRAME_TOLERANCE_S + (view->ended ? 0 : PICTURE_TOLERANCE_S), e);
	if (r < 0)
		return r;
	if (j->kind == JOB_NARRATION) /* one rendition, and nothing to choose */
		return repo_published(p->opts.repo, j->id, view->segments, e);
	_cleanup_buf_ struct buf master;
	buf_init(&master, HLS_PLAYLIST_MAX_BYTES);
	r = presentation_multivariant(p->opts.repo, j, view, &master, e);
	if (r == 0)
		r = hls_check_multivariant(master.data, master.len, e);
	if (r == 0)
		r = put_text(p, j, KEY_MASTER, &master, e);
	if (r == 0 && view->ended)
		r = publish_manifest(p, j, view, e);
	return r < 0 ? r : repo_published(p->opts.repo, j->id, view->segments, e);
}

static void tell(struct publisher *p, const struct job *j)
{
	bus_publish(p->opts.bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = j->user_id, .job_id = j->id });
}

/* Whether another process has published a later version meanwhile. What was stored here may lie over it then. */
static bool was_overtaken(struct publisher *p, const char *job_id, const struct presentation *view)
{
	struct job now;
	if (repo_job_get(p->opts.repo, NULL, job_id, &now, NULL) < 0)
		return false;
	bool overtaken = now.published_segments > view->segments || (now.ended && !view->ended);
	job_release(&now);
	return overtaken;
}

/* Loads the job and stores what is visible but not published, or lies under a version that was `overtaken`. */
static int publish_once(struct publisher *p, const char *job_id, bool *overtaken, struct err *e)
{
	struct job j;
	int r = repo_job_get(p->opts.repo, NULL, job_id, &j, e);
	if (r < 0)
		return r;
	struct presentation view = { .segments = j.visible_segments, .ended = j.ended };
	if (*overtaken || j.visible_segments > j.published_segments || j.ended) {
		r = publish_version(p, &j, &view, e);
		leftovers_remove(p->opts.repo, p->opts.store, &j);
		*overtaken = was_overtaken(p, job_id, &view);
	}
	if (r == 0)
		tell(p, &j);
	job_release(&j);
	return r;
}

static int publish_visible(struct publisher *p, const char *job_id, struct err *e)
{
	bool overtaken = false;
	int r;
	do
		r = publish_once(p, job_id, &overtaken, e);
	while (overtaken);
	return r;
}

/* One nudge. Returns after how many ms to look again, or -1. */
static int64_t serve_nudge(struct publisher *p, const char *job_id)
{
	struct err e = { 0 };
	struct job j;
	if (repo_job_get(p->opts.repo, NULL, job_id, &j, &e) < 0)
		return -1;
	int64_t half_target_ms = 500 * (int64_t)j.target_duration_s, wait_ms = -1;
	bool making = j.status == JOB_PROCESSING || j.status == JOB_STREAMING;
	job_release(&j);
	if (!making)
		return -1;
	bool changed;
	(void)pthread_mutex_lock(&p->publishing);
	int r = repo_advance(p->opts.repo, job_id, half_target_ms, false, &changed, &wait_ms, &e);
	if (r == 0)
		r = publish_visible(p, job_id, &e);
	(void)pthread_mutex_unlock(&p->publishing);
	if (r < 0 && r != -ERR_NOT_FOUND) {
		log_warn("publish_failed", LOG_S("job", job_id), LOG_E(&e));
		return 1000;
	}
	return wait_ms;
}

int publisher_finish(struct publisher *p, const char *job_id, struct err *e)
{
	(void)pthread_mutex_lock(&p->publishing);
	int r = publish_visible(p, job_id, e);
	(void)pthread_mutex_unlock(&p->publishing);
	return r < 0 ? err_wrap(e, "last version") : 0;
}

static void schedule_locked(struct publisher *p, const char *job_id, int64_t due_mono_ms)
{
	for (size_t i = 0; i < p->pending_count; i++)
		if (strcmp(p->pending[i].job_id, job_id) == 0) {
			if (due_mono_ms < p->pending[i].due_mono_ms)
				p->pending[i].due_mono_ms = due_mono_ms;
			return;
		}
	if (p->pending_count == PENDING_MAX)
		return;
	struct pending *n = &p->pending[p->pending_count++];
	memcpy(n->job_id, job_id, UUID_SIZE);
	n->due_mono_ms = due_mono_ms;
}

void publisher_nudge(struct publisher *p, const char *job_id)
{
	(void)pthread_mutex_lock(&p->lock);
	schedule_locked(p, job_id, clock_mono_ms());
	(void)pthread_cond_signal(&p->wake);
	(void)pthread_mutex_unlock(&p->lock);
}

/* Takes the entry that is due first; waits until one is. False when stopping. */
static bool next_due(struct publisher *p, struct pending *ret)
{
	(void)pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		size_t first = 0;
		for (size_t i = 1; i < p->pending_count; i++)
			if (p->pending[i].due_mono_ms < p->pending[first].due_mono_ms)
				first = i;
		if (!p->pending_count) {
			(void)pthread_cond_wait(&p->wake, &p->lock);
			continue;
		}
		int64_t due = p->pending[first].due_mono_ms;
		if (due <= clock_mono_ms()) {
			*ret = p->pending[first];
			p->pending[first] = p->pending[--p->pending_count];
			(void)pthread_mutex_unlock(&p->lock);
			return true;
		}
		(void)cond_wait_until(&p->wake, &p->lock, due);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return false;
}

static void *publisher_main(void *arg)
{
	struct publisher *p = arg;
	struct pending item;
	while (next_due(p, &item)) {
		int64_t again_ms = serve_nudge(p, item.job_id);
		if (again_ms < 0)
			continue;
		(void)pthread_mutex_lock(&p->lock);
		schedule_locked(p, item.job_id, clock_mono_ms() + again_ms);
		(void)pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

int publisher_start(const struct publisher_opts *opts, struct publisher **ret, struct err *e)
{
	struct publisher *p = mr_calloc(1, sizeof(*p));
	p->opts = *opts;
	(void)pthread_mutex_init(&p->publishing, NULL);
	(void)pthread_mutex_init(&p->lock, NULL);
	cond_init_monotonic(&p->wake);
	int r = thread_start(&p->thread, "publisher", publisher_main, p);
	if (r) {
		free(p);
		return err_errno(e, r, "start the publisher");
	}
	*ret = p;
	return 0;
}

void publisher_stop(struct publisher *p)
{
	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	(void)pthread_cond_signal(&p->wake);
	(void)pthread_mutex_unlock(&p->lock);
	(void)pthread_join(p->thread, NULL);
	(void)pthread_mutex_destroy(&p->publishing);
	(void)pthread_mutex_destroy(&p->lock);
	(void)pthread_cond_destroy(&p->wake);
	free(p);
}
