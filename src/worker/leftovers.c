/* Leftovers of deleted jobs and failed narrations. In the server and worker process. */
#include "worker/leftovers.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "worker/upload_join.h"

static bool has_parts(const struct job *job)
{
	return job->kind == JOB_CONVERT || job->kind == JOB_DOWNLOAD;
}

/* What nobody reads any more. */
struct left {
	bool objects, parts;
};

/* The objects belong to the job, or to its file if it is an analysis. */
static void look_for_owner(struct repo *repo, const struct job *job, struct left *ret)
{
	struct err e = { 0 };
	struct job now;
	struct file file;
	int r;
	if (job->kind == JOB_ANALYZE) {
		r = repo_file_get(repo, NULL, job->file_id, &file, &e);
		ret->objects = r == -ERR_NOT_FOUND;
		if (r == 0)
			file_release(&file);
		return;
	}
	r = repo_job_get(repo, NULL, job->id, &now, &e);
	ret->objects = r == -ERR_NOT_FOUND;
	ret->parts = ret->objects && has_parts(job);
	if (r < 0)
		return;
	ret->parts = has_parts(job) && now.status == JOB_CANCELED;
	/* Tried again it has another prefix. */
	ret->objects = job->kind == JOB_NARRATION && (now.status == JOB_FAILED || strcmp(now.prefix, job->prefix) != 0);
	job_release(&now);
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
	struct left left = { 0 };
	look_for_owner(repo, job, &left);
	if (left.parts)
		leftovers_remove_parts(repo, store, job);
	if (!left.objects || !job->prefix[0])
		return;
	if (store_delete_prefix(store, job->prefix, &e) < 0)
		log_warn("leftovers_failed", LOG_S("job", job->id), LOG_E(&e));
}
