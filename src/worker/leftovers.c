/* Leftovers of deleted jobs. In the server and worker process. */
#include "worker/leftovers.h"

#include "base/log.h"

void leftovers_remove(struct repo *repo, struct store *store, const struct job *job)
{
	struct err e = { 0 };
	struct job now;
	int r = repo_job_get(repo, NULL, job->id, &now, &e);
	if (r == 0)
		job_release(&now);
	if (r != -ERR_NOT_FOUND || !job->prefix[0])
		return;
	if (store_delete_prefix(store, job->prefix, &e) < 0)
		log_warn("leftovers_failed", LOG_S("job", job->id), LOG_E(&e));
}
