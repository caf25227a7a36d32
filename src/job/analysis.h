/* The analysis of a file, between its probe and the by-products that people see: planning its job, its result as JSON for
 * the file's row, its storyboard as WebVTT. Pure.
 *
 *   struct analysis_plan plan;
 *   analysis_plan(&probe, prefix, &plan);
 *   repo_file_ready(repo, …, &plan, e);
 *   …
 *   char *json = analysis_json_format(&result);             // by the worker, into the row
 *   storyboard_vtt(&result, duration_ticks, &opts, &buf);   // by the front, from the row
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "job/model.h"
#include "proto/task.h"

struct analysis_plan {
	struct plan_chunk chunk; /* the only one */
	char *spec_json;
	char *prefix; /* of its objects */
	int64_t duration_ticks;
};
/* `prefix`: key_analysis_prefix, or "" in one-shot runs. */
void analysis_plan(const struct probe_result *probe, const char *prefix, struct analysis_plan *ret);
void analysis_plan_release(struct analysis_plan *p);
/* Borrows everything. */
struct job_plan analysis_job_plan(const struct analysis_plan *p);
/* The job's constants, back. */
int analysis_spec_parse(const char *json, struct analyze_spec *ret, struct err *e) MR_MUST_USE;

/* What is known of a file's by-products, as the API shows it; the caller frees. */
char *analysis_json_format(const struct analyze_result *r);
/* The same for an analysis of which nothing came. */
char *analysis_json_failure(const struct err *why);
/* Its storyboard back (the rest stays zero); tile_count 0: there is none. */
int analysis_json_storyboard(const char *json, struct analyze_result *ret, struct err *e) MR_MUST_USE;
/* True if there is a by-product at all. */
bool analysis_made_anything(const struct analyze_result *r);

/* A cue per tile: "sprite_000.jpg#xywh=0,0,160,90". */
struct storyboard_opts {
	/* Appends the URL of a sprite, given its key_byproduct name; NULL: the name itself. */
	bool (*uri_fn)(void *ctx, const char *name, struct buf *out);
	void *uri_ctx;
};
int storyboard_vtt(const struct analyze_result *r, int64_t duration_ticks, const struct storyboard_opts *opts, struct buf *out,
		   struct err *e) MR_MUST_USE;
