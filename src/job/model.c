/* Names of the model's values, and what frees them. Pure. */
#include "job/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const kind_names[] = { [JOB_LADDER] = "ladder", [JOB_CONVERT] = "convert", [JOB_NARRATION] = "narration" };
static const char *const status_names[] = {
	[JOB_PENDING] = "pending",     [JOB_PROCESSING] = "processing", [JOB_STREAMING] = "streaming",
	[JOB_COMPLETED] = "completed", [JOB_FAILED] = "failed",		[JOB_CANCELED] = "canceled",
	[JOB_DELETING] = "deleting",
};

static const char *const analysis_names[] = { [ANALYSIS_OFF] = "off",
					      [ANALYSIS_PENDING] = "pending",
					      [ANALYSIS_DONE] = "done",
					      [ANALYSIS_FAILED] = "failed" };

static const char *name_of(const char *const *names, size_t count, unsigned value)
{
	return value < count && names[value] ? names[value] : "unknown";
}

/* 0: no such name */
static unsigned value_of(const char *const *names, size_t count, const char *name)
{
	for (unsigned i = 1; i < count; i++)
		if (names[i] && strcmp(names[i], name) == 0)
			return i;
	return 0;
}

const char *job_kind_name(enum job_kind kind)
{
	return name_of(kind_names, MR_ARRAY_SIZE(kind_names), (unsigned)kind);
}

const char *job_status_name(enum job_status status)
{
	return name_of(status_names, MR_ARRAY_SIZE(status_names), (unsigned)status);
}

const char *analysis_state_name(enum analysis_state state)
{
	return name_of(analysis_names, MR_ARRAY_SIZE(analysis_names), (unsigned)state);
}

bool job_kind_parse(const char *name, enum job_kind *ret)
{
	unsigned value = value_of(kind_names, MR_ARRAY_SIZE(kind_names), name);
	if (value)
		*ret = (enum job_kind)value;
	return value != 0;
}

bool job_status_parse(const char *name, enum job_status *ret)
{
	unsigned value = value_of(status_names, MR_ARRAY_SIZE(status_names), name);
	if (value)
		*ret = (enum job_status)value;
	return value != 0;
}

bool job_status_is_final(enum job_status status)
{
	return status == JOB_COMPLETED || status == JOB_FAILED || status == JOB_CANCELED;
}

void file_release(struct file *f)
{
	free(f->name);
	free(f->content_type);
	free(f->key);
	free(f->probe_json);
	free(f->analysis_json);
	memset(f, 0, sizeof(*f));
}

void job_release(struct job *j)
{
	free(j->params_json);
	free(j->source_key);
	free(j->source_name);
	free(j->prefix);
	free(j->spec_json);
	free(j->error_message);
	free(j->result_json);
	free(j->download_key);
	memset(j, 0, sizeof(*j));
}

void claim_release(struct claim *c)
{
	job_release(&c->job);
	memset(c, 0, sizeof(*c));
}
