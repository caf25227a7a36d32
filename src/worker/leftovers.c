/* Leftovers of deleted jobs. In the server and worker process. */
#include "worker/leftovers.h"

#include "base/log.h"

/* What the job's objects belong to: its file if it is an analysis, else the job itself. */
static int look_for_owner(struct repo *repo, const struct job *job, struct err *e)
{
	struct job now;
	struct file file;
	int r;
	if (job->kind == JOB_ANALYZE) {
		r = repo_file_get(repo, NULL, job->file_id, &file, e);
		if (r == 0)
			file_release(&file);
		return r;
	}
	r = repo_job_get(repo, NULL, job->id, &now, e);
	if (r == 0)
		job_release(&now);
	return r;
}

void leftovers_remove(struct repo *repo, struct store *store, const struct job *job)
{
	struct err e = { 0 };
	if (look_for_owner(repo, job, &e) != -ERR_NOT_FOUND || !job->prefix[0])
		return;
	if (store_delete_prefix(store, job->prefix, &e) < 0)
		log_warn("leftovers_failed", LOG_S("job", job->id), LOG_E(&e));
}
