/* Leftovers of deleted jobs. In the server and worker process. */
#include "worker/leftovers.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "worker/upload_join.h"

static bool has_parts(const struct job *job)
{
	return job->kind == JOB_CONVERT || job->kind == JOB_DOWNLOAD;
}

/* What the job's objects belong to: its file if it is an analysis, else the job itself. *ret_abandoned: its parts are not
 * needed any more. */
static int look_for_owner(struct repo *repo, const struct job *job, bool *ret_abandoned, struct err *e)
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
	if (r == 0) {
		*ret_abandoned = has_parts(job) && now.status == JOB_CANCELED;
		job_release(&now);
	}
	return r;
}

void leftovers_remove_parts(struct repo *repo, struct store *store, const struct job *job)
{
	struct err e = { 0 };
	_cleanup_free_ char *parts = key_parts(job->id);
	if (object_remove(repo, store, parts, &e) < 0)
		log_warn("leftovers_failed", LOG_S("job", job->id), LOG_E(&e));
}

void leftovers_remove(struct repo *repo, struct store *store, const struct job *job)
{
	struct err e = { 0 };
	bool gone, abandoned = false;
	gone = look_for_owner(repo, job, &abandoned, &e) == -ERR_NOT_FOUND;
	if (abandoned || (gone && has_parts(job)))
		leftovers_remove_parts(repo, store, job);
	if (!gone || !job->prefix[0])
		return;
	if (store_delete_prefix(store, job->prefix, &e) < 0)
		log_warn("leftovers_failed", LOG_S("job", job->id), LOG_E(&e));
}
