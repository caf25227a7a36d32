/* The last step of a resumable upload: its pieces become the file's object, a task probes it, and the file is ready. In the
 * server (by the request that brought the last byte) and wherever a janitor runs (for what a crash interrupted).
 *
 *   r = upload_join(&(struct upload_join_opts){ repo, store, worker }, id, e);
 *
 * Guarantees: idempotent; one joiner at a time (a lease in the database); memory is bounded; the object is complete or not
 * there. A file that can't be used is removed with all that has arrived of it; after any other failure the pieces stay, and a
 * later call does it; so also when the worker stops. */
#pragma once

#include "base/err.h"
#include "job/repo.h"
#include "store/store.h"

struct worker;
struct upload_join_opts {
	struct repo *repo;
	struct store *store;
	struct worker *worker; /* probes */
};
/* `id` NULL: any that waits and that nobody is at; ERR_NOT_FOUND if there is none. Blocks for as long as copying takes.
 * ERR_BUSY, ERR_LOST: somebody else is joining it, or has. ERR_MEDIA, ERR_UNSUPPORTED: what media_probe says of the file,
 * which is gone now. */
int upload_join(const struct upload_join_opts *o, const char *id, struct err *e) MR_MUST_USE;
/* Removes a file and what has arrived of it: rows first, so that nobody sees it, then objects; what can't be removed now is
 * the janitor's. `user_id` NULL: anybody's. */
int file_remove(struct repo *repo, struct store *store, const char *user_id, const char *id, struct err *e) MR_MUST_USE;
/* What repo_objects_doomed gave: deletes it (all below, where the key ends in '/') and forgets it. */
int object_remove(struct repo *repo, struct store *store, const char *key, struct err *e) MR_MUST_USE;
