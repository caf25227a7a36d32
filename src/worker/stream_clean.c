/* Cleaning up after streams: see stream_clean.h. Wherever a janitor runs. */
#include "worker/stream_clean.h"

#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/stream.h"

#define BATCH 256
#define STREAMS_BATCH 16
#define ROUNDS_MAX 100 /* in one go: other work of the janitor must get its turn */

static int remove_batch(struct repo *repo, struct store *store, struct expired_fragment *list, uint32_t *ret_count,
			struct err *e)
{
	uint32_t count = 0;
	int r = repo_fragments_expired(repo, list, BATCH, &count, e);
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		_cleanup_free_ char *key = key_fragment(list[i].user_id, list[i].stream_id, list[i].number);
		r = store_delete(store, key, e);
	}
	if (r == 0 && count)
		r = repo_fragments_forget(repo, list, count, e);
	*ret_count = count;
	return r;
}

static void remove_expired(struct repo *repo, struct store *store)
{
	struct err e = { 0 };
	_cleanup_free_ struct expired_fragment *list = mr_calloc(BATCH, sizeof(*list));
	uint32_t count = BATCH, total = 0;
	for (int i = 0; i < ROUNDS_MAX && count == BATCH; i++) {
		if (remove_batch(repo, store, list, &count, &e) < 0) {
			log_warn("janitor_failed", LOG_S("what", "expired fragments"), LOG_E(&e));
			return;
		}
		total += count;
	}
	if (total)
		log_info("fragments_removed", LOG_I("count", total));
}

struct clean {
	struct repo *repo;
	struct store *store;
};

static void remove_stream(void *ctx, const struct stream *s)
{
	const struct clean *c = ctx;
	struct err e = { 0 };
	_cleanup_free_ char *prefix = key_stream(s->user_id, s->id);
	int r = store_delete_prefix(c->store, prefix, &e);
	if (r == 0)
		r = repo_stream_purge(c->repo, s, &e);
	if (r < 0)
		log_warn("janitor_failed", LOG_S("what", "delete a stream"), LOG_S("stream", s->name), LOG_E(&e));
	else
		log_info("stream_removed", LOG_S("stream", s->name), LOG_S("user", s->user_id));
}

void streams_clean(struct repo *repo, struct store *store)
{
	struct clean c = { .repo = repo, .store = store };
	struct err e = { 0 };
	remove_expired(repo, store);
	if (repo_streams_doomed(repo, STREAMS_BATCH, remove_stream, &c, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "deleted streams"), LOG_E(&e));
}
