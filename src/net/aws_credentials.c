/* The cache of AWS credentials and the order of places. In the server process; see aws_credentials.h. */
#include "net/aws_credentials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/aws_sources.h"

#define DUE_MS (5 * 60 * 1000)	/* before the end, and after which files are read again */
#define AGAIN_MS 10000		/* after a failure, while the old can still be used */
#define REGION_DEFAULT "us-east-1"

struct aws_credentials {
	struct aws_place place;
	char *region, *container_host;
	pthread_mutex_t fetching; /* one at a time asks; taken before lock */
	pthread_mutex_t lock;
	/* protected by lock */
	struct aws_keys keys; /* .secret NULL: none yet */
	int64_t due_ms;	      /* wall clock: to be fetched anew */
};

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void aws_keys_release(struct aws_keys *k)
{
	wipe(k->access_key_id);
	wipe(k->secret);
	wipe(k->session_token);
	*k = (struct aws_keys){ 0 };
}

static struct aws_keys keys_copy(const struct aws_keys *k)
{
	return (struct aws_keys){ .access_key_id = mr_strdup(k->access_key_id),
				  .secret = mr_strdup(k->secret),
				  .session_token = k->session_token ? mr_strdup(k->session_token) : NULL,
				  .expires_ms = k->expires_ms };
}

static const char *real_env(const char *name)
{
	const char *v = getenv(name);
	return v && *v ? v : NULL;
}

struct aws_credentials *aws_credentials_new(const struct aws_credentials_opts *opts)
{
	struct aws_credentials *c = mr_calloc(1, sizeof(*c));
	c->place.env = opts->env ? opts->env : real_env;
	c->place.now_ms = opts->now_ms ? opts->now_ms : clock_wall_ms;
	const char *region = opts->region;
	region = region ? region : c->place.env("AWS_REGION");
	region = region ? region : c->place.env("AWS_DEFAULT_REGION");
	c->region = mr_strdup(region ? region : REGION_DEFAULT);
	c->container_host = opts->container_host ? mr_strdup(opts->container_host) : NULL;
	c->place.region = c->region;
	c->place.container_host = c->container_host;
	(void)pthread_mutex_init(&c->fetching, NULL);
	(void)pthread_mutex_init(&c->lock, NULL);
	return c;
}

void aws_credentials_free(struct aws_credentials *c)
{
	if (!c)
		return;
	aws_keys_release(&c->keys);
	(void)pthread_mutex_destroy(&c->fetching);
	(void)pthread_mutex_destroy(&c->lock);
	free(c->region);
	free(c->container_host);
	free(c);
}

static int from_environment(const struct aws_place *p, struct aws_keys *ret, struct err *e)
{
	const char *id = p->env("AWS_ACCESS_KEY_ID"), *secret = p->env("AWS_SECRET_ACCESS_KEY");
	const char *token = p->env("AWS_SESSION_TOKEN");
	if (!id && !secret)
		return AWS_NOT_HERE;
	if (!id || !secret)
		return err_set(e, ERR_INVALID, "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY one alone is set");
	*ret = (struct aws_keys){ .access_key_id = mr_strdup(id),
				  .secret = mr_strdup(secret),
				  .session_token = token ? mr_strdup(token) : NULL,
				  .expires_ms = INT64_MAX };
	return 0;
}

static int find(const struct aws_place *p, struct aws_keys *ret, struct err *e)
{
	const char *token_file = p->env("AWS_WEB_IDENTITY_TOKEN_FILE"), *role = p->env("AWS_ROLE_ARN");
	int r = from_environment(p, ret, e);
	if (r == AWS_NOT_HERE && token_file && role)
		r = aws_from_web_identity(p, token_file, role, p->env("AWS_ROLE_SESSION_NAME"), ret, e);
	if (r == AWS_NOT_HERE)
		r = aws_from_files(p, ret, e);
	if (r == AWS_NOT_HERE)
		r = aws_from_container(p, ret, e);
	if (r == AWS_NOT_HERE)
		r = aws_from_instance(p, ret, e);
	if (r == AWS_NOT_HERE)
		r = err_set_code(e, ERR_AUTH, "NO_CREDENTIALS",
				 "no AWS credentials: neither environment, shared files, container nor instance has any");
	return r < 0 ? err_wrap(e, "AWS credentials") : 0;
}

/* The last quarter of what lives for less than twenty minutes. */
static int64_t due_at(const struct aws_keys *k, int64_t now_ms)
{
	if (k->expires_ms == INT64_MAX)
		return now_ms + DUE_MS;
	int64_t left_ms = k->expires_ms - now_ms;
	return k->expires_ms - (left_ms / 4 < DUE_MS ? left_ms / 4 : DUE_MS);
}

bool aws_credentials_peek(struct aws_credentials *c, struct aws_keys *ret, bool *ret_due)
{
	int64_t now_ms = c->place.now_ms();
	(void)pthread_mutex_lock(&c->lock);
	bool ok = c->keys.secret && now_ms < c->keys.expires_ms;
	*ret_due = !ok || now_ms >= c->due_ms;
	if (ok)
		*ret = keys_copy(&c->keys);
	(void)pthread_mutex_unlock(&c->lock);
	return ok;
}

/* Under `fetching`. What can still be used outlives a failure. */
static int fetch(struct aws_credentials *c, struct err *e)
{
	struct aws_keys fresh = { 0 };
	int r = find(&c->place, &fresh, e);
	int64_t now_ms = c->place.now_ms();
	if (r == 0 && now_ms >= fresh.expires_ms) {
		aws_keys_release(&fresh);
		r = err_set(e, ERR_AUTH, "AWS credentials: what was given has expired already");
	}
	(void)pthread_mutex_lock(&c->lock);
	if (r == 0) {
		aws_keys_release(&c->keys);
		c->keys = fresh;
		c->due_ms = due_at(&fresh, now_ms);
	} else if (c->keys.secret && now_ms < c->keys.expires_ms) {
		c->due_ms = now_ms + AGAIN_MS;
		r = 0;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return r;
}

int aws_credentials_get(struct aws_credentials *c, struct aws_keys *ret, struct err *e)
{
	struct aws_keys kept = { 0 };
	bool due = false;
	int r = 0;
	bool have = aws_credentials_peek(c, &kept, &due);
	if (due) {
		(void)pthread_mutex_lock(&c->fetching);
		/* Whoever waited here for another's fetch has what that one brought. */
		aws_keys_release(&kept);
		have = aws_credentials_peek(c, &kept, &due);
		if (due) {
			aws_keys_release(&kept);
			r = fetch(c, e);
			have = r == 0 && aws_credentials_peek(c, &kept, &due);
		}
		(void)pthread_mutex_unlock(&c->fetching);
	}
	if (r == 0 && !have)
		r = err_set(e, ERR_UNAVAILABLE, "AWS credentials: they have expired");
	if (r == 0)
		*ret = kept;
	return r;
}

void aws_credentials_reject(struct aws_credentials *c, const char *access_key_id)
{
	(void)pthread_mutex_lock(&c->lock);
	if (c->keys.secret && strcmp(c->keys.access_key_id, access_key_id) == 0)
		c->due_ms = 0;
	(void)pthread_mutex_unlock(&c->lock);
}
