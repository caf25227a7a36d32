/* Objects that were stored for a job (or, by an analysis, for a file) while it was being deleted, or for a narration while it
 * failed. The janitor removes a deleted job's objects, and the worker that fails a narration removes those, perhaps while another's
 * task still runs or a playlist is being stored; so whoever stores objects asks, when it has stored its last one, whether the job
 * is still there (and, of a narration, hasn't failed), and removes them itself if not. A deletion that comes after that question
 * finds all of them. A narration that is tried again has another prefix: what this removes is never one of its objects. */
#pragma once

#include "job/repo.h"
#include "store/store.h"

/* Blocks for a query, and for the deletion if there is one. Logs what it could not do. */
void leftovers_remove(struct repo *repo, struct store *store, const struct job *job);
/* The same for a conversion's parts, which nobody needs any more once the job is completed or canceled. Its row has doomed
 * them already, so that what can't be removed now is the janitor's. */
void leftovers_remove_parts(struct repo *repo, struct store *store, const struct job *job);
