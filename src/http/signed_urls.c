/* Pre-signed URLs that were asked for before. The front process; any thread. One place for each hash: a URL that falls on
 * another's place takes it. */
#include "http/signed_urls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/digest.h"

#define SEEN_MAX (4 * SIGNED_URLS_MAX)

struct signed_urls {
	pthread_mutex_t lock;
	/* protected by lock */
	struct signed_url *urls[SIGNED_URLS_MAX];
	uint64_t seen[SEEN_MAX]; /* hashes of what was good once; most URLs are asked for no second time */
};

/* Eight bytes at a time. Who has valid URLs can make them collide: that costs them the shortcut. */
static uint64_t hash_of(const char *text, size_t len)
{
	uint64_t h = len;
	for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
		uint64_t word = 0;
		memcpy(&word, text + at, len - at < sizeof(word) ? len - at : sizeof(word));
		h = ((h << 5 | h >> 59) ^ word) * UINT64_C(0x9E3779B97F4A7C15);
	}
	return h ^ h >> 32;
}

struct signed_urls *signed_urls_new(void)
{
	struct signed_urls *all = mr_calloc(1, sizeof(*all));
	(void)pthread_mutex_init(&all->lock, NULL);
	return all;
}

void signed_url_release(struct signed_url *u)
{
	if (!u || atomic_fetch_sub(&u->references, 1) > 1)
		return;
	arena_release(&u->arena);
	free(u);
}

void signed_urls_free(struct signed_urls *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < SIGNED_URLS_MAX; i++)
		signed_url_release(all->urls[i]);
	(void)pthread_mutex_destroy(&all->lock);
	free(all);
}

static bool is_same(const struct signed_url *u, const char *target, size_t len, const char *host)
{
	return u->target_len == len && digest_equal(u->target, target, len) && strcmp(u->host, host) == 0;
}

struct signed_url *signed_urls_find(struct signed_urls *all, const char *target, const char *host, int64_t now_ms)
{
	size_t len = strlen(target);
	if (len > SIGNED_URL_BYTES)
		return NULL;
	uint64_t hash = hash_of(target, len);
	(void)pthread_mutex_lock(&all->lock);
	struct signed_url *u = all->urls[hash % SIGNED_URLS_MAX];
	if (u && u->hash == hash)
		atomic_fetch_add(&u->references, 1);
	else
		u = NULL;
	(void)pthread_mutex_unlock(&all->lock);
	if (!u || (is_same(u, target, len, host) && sigv4_verified_at(&u->verified, now_ms)))
		return u;
	signed_url_release(u);
	return NULL;
}

/* True from the second time on. */
static bool was_seen(struct signed_urls *all, uint64_t hash)
{
	(void)pthread_mutex_lock(&all->lock);
	uint64_t *place = &all->seen[hash % SEEN_MAX];
	bool seen = *place == hash;
	*place = hash;
	(void)pthread_mutex_unlock(&all->lock);
	return seen;
}

static struct signed_url *url_new(const struct router *router, const char *target, size_t len, const char *host)
{
	struct signed_url *u = mr_calloc(1, sizeof(*u));
	struct err ignored;
	atomic_init(&u->references, 1);
	u->target = arena_strndup(&u->arena, target, len);
	u->target_len = len;
	u->host = arena_strdup(&u->arena, host);
	if (uri_parse(&u->arena, u->target, &u->uri, &ignored) == 0 &&
	    router_find(router, "GET", u->uri.raw_path, &u->arena, &u->match, &ignored) == 0 && u->match.route)
		return u;
	signed_url_release(u);
	return NULL;
}

void signed_urls_put(struct signed_urls *all, const struct router *router, const char *target, const char *host,
		     const struct sigv4_verified *verified)
{
	size_t len = strlen(target);
	if (len > SIGNED_URL_BYTES)
		return;
	uint64_t hash = hash_of(target, len);
	struct signed_url *u = was_seen(all, hash) ? url_new(router, target, len, host) : NULL;
	if (!u)
		return;
	u->hash = hash;
	u->verified = *verified;
	(void)pthread_mutex_lock(&all->lock);
	struct signed_url **place = &all->urls[hash % SIGNED_URLS_MAX], *old = *place;
	*place = u;
	(void)pthread_mutex_unlock(&all->lock);
	signed_url_release(old);
}
