/* Planning a conversion: from a probe and a request's parameters to what the encoder is told, and chunks. Pure: the same
 * input gives the same plan on every machine; no clock, no ids, no number of cores.
 *
 *   struct convert_params p;
 *   struct convert_plan plan;
 *   convert_params_parse(text, &p, e);                 // errors name the field
 *   convert_plan(&probe, &p, &plan, e);
 *   repo_job_create(repo, &(struct job_new){ …, .plan = convert_job_plan(&plan) }, …);
 *
 * Chunks lie on the codec's frame grid: ten seconds first, so that progress moves, then an eighth of what remains, 10 to 60 s
 * (of AAC a sixth, 20 to 120 s; of FLAC a quarter, 30 to 180 s; of WAV a third, 60 to 600 s); of long files up to a 64th.
 * Vorbis, Opus and sources that can't be sought exactly are one chunk. Where loudness is to be normalized, a chunk that measures
 * comes before; the join comes last. The chunks' weights are shares of the file's length, so that a job's speed is the media's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/model.h"
#include "proto/task.h"

enum convert_quality { QUALITY_UNSET = 0, QUALITY_LOW, QUALITY_MEDIUM, QUALITY_HIGH };

/* What a request asks for. 0: not given, unless a field says otherwise. */
struct convert_params {
	enum convert_format format;
	uint32_t bitrate_bps;
	int32_t vbr; /* MP3: V0–V9; OGG: 0–10; -1: not given */
	enum convert_quality quality;
	uint32_t sample_rate, channels;
	uint32_t bits; /* 16, 24, or 32 for float */
	int64_t start_ms, end_ms; /* of the source's sound; end 0: to its end */
	bool normalize;
	int32_t target_mlufs; /* with normalize */
	int32_t peak_mdbtp;   /* with normalize: never louder than this */
	bool drop_tags;
	bool remove_after_download;
	/* Not 0: about so many chunks, or a multiple, of one size; nobody needs them to end to see progress. Not a request's. */
	uint32_t equal_chunks;
	bool quick; /* MP3: somebody waits for it (proto/convert.h). Not a request's. */
};
/* From a request's "params" text (JSON object); unknown fields, types and ranges are ERR_INVALID naming the field. */
int convert_params_parse(const char *json, struct convert_params *ret, struct err *e) MR_MUST_USE;
/* "mp3", "wav"… as in a request; false: no such format. */
bool convert_format_parse(const char *name, enum convert_format *ret);
const char *convert_format_name(enum convert_format format);
const char *convert_format_extension(enum convert_format format);
/* Complete, canonical JSON of what is asked for and given; the caller frees. */
char *convert_params_format(const struct convert_params *p);

struct convert_plan {
	struct convert_params params; /* with what was not given filled in */
	struct convert_spec spec;     /* of the whole file */
	int64_t duration_ticks;	      /* of the output, 1/90000 s */
	uint32_t chunk_count;
	struct plan_chunk *chunks;
	char *spec_json; /* for the job's row */
};
/* ERR_MEDIA NO_AUDIO: there is no sound in it that could be decoded; ERR_INVALID names a field that doesn't fit the source. */
int convert_plan(const struct probe_result *probe, const struct convert_params *params, struct convert_plan *ret,
		 struct err *e) MR_MUST_USE;
void convert_plan_release(struct convert_plan *p);
/* What the repository writes down of it; borrows everything. */
struct job_plan convert_job_plan(const struct convert_plan *p);

/* The constants of a job's row, back. */
struct convert_constants {
	struct convert_spec spec;
	bool normalize;
	int32_t target_mlufs, peak_mdbtp;
	bool remove_after_download;
};
char *convert_constants_format(const struct convert_constants *c); /* the caller frees */
int convert_constants_parse(const char *json, struct convert_constants *ret, struct err *e) MR_MUST_USE;
/* False: the source doesn't tell how long it is (or it is a single frame), and what the plan says is no measure of the work. */
bool convert_length_known(const struct convert_constants *c);
/* What a task is told for one chunk (of CHUNK_CONVERT), but for the gain. */
struct convert_spec convert_chunk_spec(const struct convert_constants *c, const struct chunk *chunk);
/* The gain that brings what was measured to the target without a true peak above its limit, in hundredths of a decibel. */
int32_t convert_gain_mb(const struct convert_constants *c, const struct measure_result *m);
