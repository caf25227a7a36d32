/* Counting chunks by kind of job: see kind_limits.h. In the server and worker process. */
#include "worker/kind_limits.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/repo.h"

struct kind_limits {
	struct kind_limits_max max;
	bool any;
	pthread_mutex_t claiming; /* held from kind_limits_claim to kind_limits_claimed */
	pthread_mutex_t lock;
	/* protected by lock */
	int32_t running[KIND_LIMITS_KINDS];
};

static const struct kind_limits_max none = { { -1, -1, -1, -1, -1, -1 } };

static int parse_one(char *word, struct kind_limits_max *max, struct err *e)
{
	enum job_kind kind;
	char *number = strchr(word, '='), *end = NULL;
	if (number)
		*number++ = '\0';
	errno = 0;
	long n = number && *number ? strtol(number, &end, 10) : -1;
	if (!end || *end || errno || n < 0 || n > KIND_LIMIT_MAX)
		return err_set(e, ERR_INVALID, "--limit: expected KIND=N, N from 0 to %d", KIND_LIMIT_MAX);
	if (!job_kind_parse(word, &kind))
		return err_set(e, ERR_INVALID, "--limit: \"%.40s\" is no kind of job that has a limit", word);
	max->of[kind] = (int32_t)n;
	return 0;
}

int kind_limits_parse(const char *text, struct kind_limits_max *ret, struct err *e)
{
	struct kind_limits_max max = none;
	_cleanup_free_ char *copy = mr_strdup(text ? text : "");
	char *rest = copy, *word;
	int r = 0;
	while (r == 0 && text && (word = strsep(&rest, ",")) != NULL)
		r = parse_one(word, &max, e);
	if (r == 0)
		*ret = max;
	return r;
}

struct kind_limits *kind_limits_new(const struct kind_limits_max *max)
{
	struct kind_limits *l = mr_calloc(1, sizeof(*l));
	l->max = max ? *max : none;
	for (size_t i = 0; i < KIND_LIMITS_KINDS; i++)
		l->any |= l->max.of[i] >= 0;
	(void)pthread_mutex_init(&l->claiming, NULL);
	(void)pthread_mutex_init(&l->lock, NULL);
	return l;
}

void kind_limits_free(struct kind_limits *l)
{
	if (!l)
		return;
	(void)pthread_mutex_destroy(&l->claiming);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

uint32_t kind_limits_full(struct kind_limits *l)
{
	uint32_t full = 0;
	if (!l->any)
		return 0;
	(void)pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < KIND_LIMITS_KINDS; i++)
		if (l->max.of[i] >= 0 && l->running[i] >= l->max.of[i])
			full |= WITHOUT_KIND(i);
	(void)pthread_mutex_unlock(&l->lock);
	return full;
}

uint32_t kind_limits_claim(struct kind_limits *l)
{
	if (l->any)
		(void)pthread_mutex_lock(&l->claiming);
	return kind_limits_full(l);
}

void kind_limits_claimed(struct kind_limits *l, const enum job_kind *kind)
{
	if (!l->any)
		return;
	if (kind) {
		(void)pthread_mutex_lock(&l->lock);
		l->running[*kind]++;
		(void)pthread_mutex_unlock(&l->lock);
	}
	(void)pthread_mutex_unlock(&l->claiming);
}

bool kind_limits_done(struct kind_limits *l, enum job_kind kind)
{
	if (!l->any)
		return false;
	(void)pthread_mutex_lock(&l->lock);
	bool was_full = l->max.of[kind] >= 0 && l->running[kind] >= l->max.of[kind];
	l->running[kind]--;
	(void)pthread_mutex_unlock(&l->lock);
	return was_full;
}
