/* What makes an object a file: its probe for the row, and the plan of its analysis, if this process makes such.
 *
 *   struct file_probe p = { 0 };
 *   r = file_probe_run(worker, user_id, id, key, &p, e);
 *   if (r == 0)
 *           r = repo_file_ready(repo, id, size, sha256, p.json, p.wanted, e);
 *   file_probe_release(&p);
 */
#pragma once

#include "base/err.h"
#include "job/analysis.h"

struct worker;
struct file_probe {
	char *json;
	struct analysis_plan analysis;
	const struct analysis_plan *wanted; /* &analysis, or NULL: none is to be made */
};
/* Blocks as worker_probe, and fails as it does; then there is nothing to release. */
int file_probe_run(struct worker *w, const char *user_id, const char *id, const char *key, struct file_probe *ret,
		   struct err *e) MR_MUST_USE;
void file_probe_release(struct file_probe *p);
