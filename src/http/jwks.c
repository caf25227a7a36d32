/* A JWKS, cached. The front process. */
#include "http/jwks.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/fetch.h"
#include "os/fd.h"

#define JWKS_MAX_BYTES (256u << 10)
#define WAIT_S 3
#define WAITERS_MAX 2
#define FETCH_TIMEOUT_S 10L
#define REFRESH_MS 3600000
#define RETRY_MS 1000 /* while there are no keys at all */
#define STACK_BYTES (512u << 10)

struct jwks {
	char *url, *file;
	uint32_t unknown_kid_ms;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* protected by lock */
	struct jwt_keys *keys;
	struct timespec file_time;
	off_t file_size;
	bool running, want, end;
	unsigned waiters;
	uint64_t attempts;
	int64_t tried_ms; /* monotonic; of the last attempt's begin */
	pthread_t thread;
};

/* ---- reading ---- */

static int fetch_url(const char *url, struct jwt_keys **ret, struct err *e)
{
	_cleanup_buf_ struct buf body;
	buf_init(&body, JWKS_MAX_BYTES);
	int r = net_fetch(url, FETCH_TIMEOUT_S, &body, e);
	if (r < 0)
		return r;
	return jwt_keys_from_jwks(body.data ? body.data : "", body.len, ret, e);
}

static void reload_file_locked(struct jwks *j)
{
	struct stat st;
	struct err e;
	_cleanup_free_ char *text = NULL;
	size_t len;
	struct jwt_keys *keys;
	if (stat(j->file, &st) < 0 ||
	    (j->keys && st.st_size == j->file_size && memcmp(&st.st_mtim, &j->file_time, sizeof(st.st_mtim)) == 0))
		return;
	if (file_read_all(j->file, JWKS_MAX_BYTES, &text, &len, &e) < 0 ||
	    jwt_keys_from_jwks(text, len, &keys, &e) < 0) {
		log_warn("jwks_file", LOG_S("file", j->file), LOG_E(&e));
		return;
	}
	jwt_keys_unref(j->keys);
	j->keys = keys;
	j->file_time = st.st_mtim;
	j->file_size = st.st_size;
}

/* ---- the thread ---- */

static void wait_until_due_locked(struct jwks *j)
{
	while (!j->want && !j->end) {
		struct timespec until;
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		int64_t due_s = (j->tried_ms + REFRESH_MS - clock_mono_ms()) / 1000;
		if (due_s <= 0)
			return;
		until.tv_sec += (time_t)due_s;
		(void)pthread_cond_timedwait(&j->changed, &j->lock, &until);
	}
}

static void *jwks_main(void *arg)
{
	struct jwks *j = arg;
	(void)pthread_mutex_lock(&j->lock);
	while (!j->end) {
		wait_until_due_locked(j);
		if (j->end)
			break;
		j->tried_ms = clock_mono_ms();
		(void)pthread_mutex_unlock(&j->lock);
		struct err e;
		struct jwt_keys *keys = NULL;
		if (fetch_url(j->url, &keys, &e) < 0)
			log_warn("jwks_fetch", LOG_E(&e));
		(void)pthread_mutex_lock(&j->lock);
		if (keys) {
			jwt_keys_unref(j->keys);
			j->keys = keys;
		}
		j->want = false;
		j->attempts++;
		(void)pthread_cond_broadcast(&j->changed);
	}
	(void)pthread_mutex_unlock(&j->lock);
	return NULL;
}

static void start_thread_locked(struct jwks *j)
{
	pthread_attr_t attr;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (!j->running)
		j->running = pthread_create(&j->thread, &attr, jwks_main, j) == 0;
	(void)pthread_attr_destroy(&attr);
}

/* Asks for a fetch if the last one is `interval_ms` ago, and waits for one that is under way. */
static void fetch_and_wait_locked(struct jwks *j, int64_t interval_ms)
{
	if (!j->want) {
		if (j->attempts && clock_mono_ms() - j->tried_ms < interval_ms)
			return;
		j->want = true;
		start_thread_locked(j);
		(void)pthread_cond_broadcast(&j->changed);
	}
	if (j->waiters == WAITERS_MAX)
		return;
	j->waiters++;
	uint64_t before = j->attempts;
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	int r = 0;
	while (j->attempts == before && r == 0 && j->running)
		r = pthread_cond_timedwait(&j->changed, &j->lock, &until);
	j->waiters--;
}

/* ---- the interface ---- */

struct jwks *jwks_new(const char *url, const char *file, uint32_t unknown_kid_ms)
{
	struct jwks *j = mr_calloc(1, sizeof(*j));
	j->url = url ? mr_strdup(url) : NULL;
	j->file = file ? mr_strdup(file) : NULL;
	j->unknown_kid_ms = unknown_kid_ms;
	pthread_condattr_t mono;
	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&j->lock, NULL);
	(void)pthread_cond_init(&j->changed, &mono);
	(void)pthread_condattr_destroy(&mono);
	return j;
}

void jwks_free(struct jwks *j)
{
	if (!j)
		return;
	(void)pthread_mutex_lock(&j->lock);
	j->end = true;
	(void)pthread_cond_broadcast(&j->changed);
	(void)pthread_mutex_unlock(&j->lock);
	if (j->running)
		(void)pthread_join(j->thread, NULL); /* 10 s at most: the fetch's own limit */
	jwt_keys_unref(j->keys);
	(void)pthread_mutex_destroy(&j->lock);
	(void)pthread_cond_destroy(&j->changed);
	free(j->url);
	free(j->file);
	free(j);
}

int jwks_get(struct jwks *j, struct jwt_keys **ret, struct err *e)
{
	(void)pthread_mutex_lock(&j->lock);
	if (j->file)
		reload_file_locked(j);
	else if (!j->keys)
		fetch_and_wait_locked(j, RETRY_MS);
	struct jwt_keys *keys = j->keys ? jwt_keys_ref(j->keys) : NULL;
	(void)pthread_mutex_unlock(&j->lock);
	if (!keys)
		return err_set(e, ERR_UNAVAILABLE, "the keys that tokens are checked with can't be had at the moment");
	*ret = keys;
	return 0;
}

bool jwks_refresh(struct jwks *j, const struct jwt_keys *seen)
{
	(void)pthread_mutex_lock(&j->lock);
	if (j->keys == seen && j->url)
		fetch_and_wait_locked(j, j->unknown_kid_ms);
	bool other = j->keys && j->keys != seen;
	(void)pthread_mutex_unlock(&j->lock);
	return other;
}
