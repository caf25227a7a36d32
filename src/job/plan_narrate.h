/* Planning a narration: from a request's parameters and the music's probe to what its task is told. Pure: the same input gives the
 * same plan on every machine; no clock, no ids.
 *
 *   struct narrate_params p;
 *   narrate_params_parse(text, &p, e);                  // errors name the field; the script's the place in it
 *   narrate_plan(&p, &music, provider, &plan, e);
 *   repo_job_create(repo, &(struct job_new){ …, .plan = narrate_job_plan(&plan) }, …);
 *
 * How long it will be is not known: its segments become rows as they are made, and the plan's duration is an estimate. There is one
 * chunk with media; gains are fixed here, or by the task from bytes that don't change.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "job/model.h"
#include "proto/task.h"
#include "speech/script.h"

/* What a request asks for, validated. Owns its strings (narrate_params_release). */
struct narrate_params {
	char *script; /* as it came */
	struct script parsed;
	char *voice; /* NULL: the provider's default */
	char music_file_id[UUID_SIZE]; /* "": no music */
	int32_t music_gain_mdb; /* against the voice */
	int32_t duck_mdb;	/* 0: not ducked */
	int32_t target_mlufs;
	uint32_t bitrate_bps;
	uint32_t fade_ms, lead_ms, tail_ms, crossfade_ms, min_ms;
};
/* From a request's "params" text (JSON object); unknown fields, types and ranges are ERR_INVALID naming the field. */
int narrate_params_parse(const char *json, struct narrate_params *ret, struct err *e) MR_MUST_USE;
void narrate_params_release(struct narrate_params *p);
/* Complete, canonical JSON but for the script, of which there are the length and how many sentences; `cache_key` names its whole
 * voice (worker/speech.h). The caller frees. */
char *narrate_params_format(const struct narrate_params *p, const char *cache_key);

/* Of the background music. */
struct narrate_music {
	const struct probe_result *probe;
	int32_t mlufs; /* NARRATE_GAIN_UNKNOWN: not measured yet */
};

struct narrate_plan {
	struct rendition rendition;
	int64_t duration_ticks; /* about */
	struct plan_chunk chunks[2];
	char *spec_json; /* for the job's row */
};
/* `music` NULL: none. `provider` is what speaks (worker/speech.h). ERR_MEDIA NO_AUDIO: the music has no sound; MUSIC_TOO_SHORT. */
int narrate_plan(const struct narrate_params *p, const struct narrate_music *music, const char *provider, struct narrate_plan *ret,
		 struct err *e) MR_MUST_USE;
void narrate_plan_release(struct narrate_plan *p);
/* What the repository writes down of it; borrows everything. */
struct job_plan narrate_job_plan(const struct narrate_plan *p);

/* The constants of a job's row, back. */
struct narrate_constants {
	struct narrate_spec spec; /* without items and resume_segment */
	struct script script;
	char *provider, *voice;
};
int narrate_constants_parse(const char *json, struct narrate_constants *ret, struct err *e) MR_MUST_USE;
void narrate_constants_release(struct narrate_constants *c);
/* What the task is told, continuing at a segment; owns its items (task_spec_release). */
struct narrate_spec narrate_chunk_spec(const struct narrate_constants *c, uint32_t resume_segment);
