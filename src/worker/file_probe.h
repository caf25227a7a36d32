/* What makes an object a file: its probe for the row, and the plan of its analysis, if this process makes such.
 *
 *   struct file_probe p = { 0 };
 *   r = file_probe_run(worker, user_id, id, key, size, &p, e);
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
/* Blocks as worker_probe, and fails as it does, or with ERR_TOO_LARGE where it is sound and larger than sound may be; then there is
 * nothing to release. */
int file_probe_run(struct worker *w, const char *user_id, const char *id, const char *key, uint64_t size_bytes,
		   struct file_probe *ret, struct err *e) MR_MUST_USE;
/* ERR_TOO_LARGE, in the words that every way of uploading says it with. */
int file_probe_refuse_audio(uint64_t limit_bytes, struct err *e) MR_MUST_USE;
void file_probe_release(struct file_probe *p);
