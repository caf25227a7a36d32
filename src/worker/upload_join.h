/* The last step of a resumable upload: its pieces become the file's object, a task probes it, and the file is ready. In the
 * server (by the request that brought the last byte) and wherever a janitor runs (for what a crash interrupted).
 *
 *   r = upload_join(&(struct upload_join_opts){ repo, store, worker }, id, e);
 *
 * Guarantees: idempotent; one joiner at a time (a lease in the database); memory is bounded; the object is complete or not
 * there. A file that can't be used is removed with all that has arrived of it; after any other failure the pieces stay, and a
 * later call does it; so also when the worker stops.
 *
 * A direct upload has parts in the store's own multipart upload in place of pieces: the store puts them together. */
#pragma once

#include <stdint.h>

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
 * ERR_BUSY, ERR_LOST: somebody else is joining it, or has. ERR_MEDIA, ERR_UNSUPPORTED, ERR_TOO_LARGE: what
 * worker/file_probe.h says of the file, which is gone now. */
int upload_join(const struct upload_join_opts *o, const char *id, struct err *e) MR_MUST_USE;
/* The parts of a direct upload that the store has, in their order; the caller frees. ERR_NOT_FOUND: the store knows no such
 * upload: it is put together, or aborted. */
int upload_parts(struct store *store, const struct resumable *u, struct store_part **ret, uint32_t *ret_count,
		 struct err *e) MR_MUST_USE;
/* How many it has to have, and how long each has to be. Pure. */
uint32_t upload_part_count(const struct resumable *u);
uint64_t upload_part_bytes(const struct resumable *u, uint32_t number);
/* ERR_CONFLICT code PARTS_MISSING: a part isn't there, or has another length; the message names the first. */
int upload_parts_check(const struct resumable *u, const struct store_part *parts, uint32_t count, struct err *e) MR_MUST_USE;
/* The store forgets what has arrived of an upload that is direct and isn't joined; of others nothing happens. ERR_NOT_FOUND is no
 * error of its. */
int upload_abort_parts(struct repo *repo, struct store *store, const char *user_id, const char *id, struct err *e) MR_MUST_USE;
/* Removes a file and what has arrived of it: rows first, so that nobody sees it, then objects; what can't be removed now is
 * the janitor's. `user_id` NULL: anybody's. */
int file_remove(struct repo *repo, struct store *store, const char *user_id, const char *id, struct err *e) MR_MUST_USE;
/* What repo_objects_doomed gave: deletes it (all below, where the key ends in '/') and forgets it. */
int object_remove(struct repo *repo, struct store *store, const char *key, struct err *e) MR_MUST_USE;
