/* The parts of direct uploads, as the store has them: see upload_join.h. In the server (and wherever a janitor runs).
 */
#include "worker/upload_join.h"

#include <stdlib.h>

#include "base/mem.h"

uint32_t upload_part_count(const struct resumable *u)
{
	return (uint32_t)((u->length + u->part_bytes - 1) / u->part_bytes);
}

uint64_t upload_part_bytes(const struct resumable *u, uint32_t number)
{
	uint64_t before = (uint64_t)(number - 1) * u->part_bytes, left = u->length - before;
	return left < u->part_bytes ? left : u->part_bytes;
}

int upload_parts(struct store *store, const struct resumable *u, struct store_part **ret, uint32_t *ret_count,
		 struct err *e)
{
	/* One more than there may be, so that too many show. */
	size_t max = upload_part_count(u) + 1, count = 0;
	struct store_part *parts = mr_calloc(max, sizeof(*parts));
	int r = store_multipart_list(store, u->key, u->multipart_id, parts, max, &count, e);
	if (r < 0) {
		free(parts);
		return r;
	}
	*ret = parts;
	*ret_count = (uint32_t)count;
	return 0;
}

int upload_parts_check(const struct resumable *u, const struct store_part *parts, uint32_t count, struct err *e)
{
	uint32_t wanted = upload_part_count(u);
	for (uint32_t i = 0; i < wanted; i++)
		if (i >= count || parts[i].number != i + 1 || parts[i].size != upload_part_bytes(u, i + 1))
			return err_set_code(e, ERR_CONFLICT, "PARTS_MISSING",
					    "part %u of %u isn't there with its %llu bytes", i + 1, wanted,
					    (unsigned long long)upload_part_bytes(u, i + 1));
	return count == wanted ? 0
			       : err_set_code(e, ERR_CONFLICT, "PARTS_MISSING",
					      "there is a part beyond the %u that there are", wanted);
}

int upload_abort_parts(struct repo *repo, struct store *store, const char *user_id, const char *id, struct err *e)
{
	struct resumable u;
	struct err why = { 0 };
	int r = repo_upload_get(repo, user_id, id, &u, &why);
	if (r == -ERR_NOT_FOUND) /* no upload, or somebody else's, which who deletes it will be told */
		return 0;
	if (r < 0)
		return err_copy(e, &why);
	if (*u.multipart_id && !u.joined)
		r = store_multipart_abort(store, u.key, u.multipart_id, &why);
	resumable_release(&u);
	return r < 0 && r != -ERR_NOT_FOUND ? err_copy(e, &why) : 0;
}
