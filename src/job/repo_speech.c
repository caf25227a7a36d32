/* Rows of spoken sentences: which are kept, and since when nobody has wanted them. A row says that the object may be
 * there, so that none is forgotten in the store; whether it is, the store knows. */
#include "base/clock.h"
#include "job/repo_internal.h"

#define USE_STEP_MS (24 * 3600 * (int64_t)1000) /* a use is written down at most once a day */

struct use_tx {
	const char *const *keys;
	uint32_t count;
};

static int use_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct use_tx *t = ctx;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	for (uint32_t i = 0; r == 0 && i < t->count; i++)
		r = db_exec(
			c,
			"INSERT INTO speech (object_key, used_ms) VALUES ($1, $2) ON CONFLICT (object_key) DO UPDATE"
			" SET used_ms = $2 WHERE speech.used_ms < $3",
			DB_PARAMS(DB_TEXT(t->keys[i]), DB_INT(now), DB_INT(now - USE_STEP_MS)), NULL, e);
	return r;
}

int repo_speech_use(struct repo *repo, const char *const *keys, uint32_t count, struct err *e)
{
	struct use_tx t = { .keys = keys, .count = count };
	return repo_transact(repo, "note spoken sentences", use_tx, &t, e);
}

struct expire_tx {
	int64_t before_ms;
	uint32_t limit;
};

/* The object is doomed by the same write that forgets it. Should somebody store it again before it is removed, it is
 * spoken once more when it is found missing. */
static int expire_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct expire_tx *t = ctx;
	int r = db_exec(
		c,
		"INSERT INTO doomed_object (object_key, doomed_ms) SELECT object_key, $1 FROM speech WHERE used_ms < $1"
		" ORDER BY used_ms LIMIT $2 ON CONFLICT (object_key) DO NOTHING",
		DB_PARAMS(DB_INT(t->before_ms), DB_INT(t->limit)), NULL, e);
	if (r < 0)
		return r;
	return db_exec(c,
		       "DELETE FROM speech WHERE object_key IN"
		       " (SELECT object_key FROM speech WHERE used_ms < $1 ORDER BY used_ms LIMIT $2)",
		       DB_PARAMS(DB_INT(t->before_ms), DB_INT(t->limit)), NULL, e);
}

int repo_speech_expire(struct repo *repo, int64_t age_ms, uint32_t limit, struct err *e)
{
	/* The age is of days: this machine's clock is near enough to the database's. */
	struct expire_tx t = { .before_ms = clock_wall_ms() - age_ms, .limit = limit };
	return repo_transact(repo, "expire spoken sentences", expire_tx, &t, e);
}
