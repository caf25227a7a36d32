/* Objects that were stored for a job (or, by an analysis, for a file) while it was being deleted. The janitor removes
 * a deleted job's objects, perhaps while a task still runs or a playlist is being stored; so whoever stores objects
 * asks, when it has stored its last one, whether the job is still there, and removes them itself if not. A deletion
 * that comes after that question finds all of them. */
#pragma once

#include "job/repo.h"
#include "store/store.h"

/* Blocks for a query, and for the deletion if there is one. Logs what it could not do. */
void leftovers_remove(struct repo *repo, struct store *store, const struct job *job);
/* The same for a conversion's parts, which nobody needs any more once the job is completed or canceled. Its row has doomed
 * them already, so that what can't be removed now is the janitor's. */
void leftovers_remove_parts(struct repo *repo, struct store *store, const struct job *job);
