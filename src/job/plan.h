/* Planning a ladder: from a probe and a request's parameters to renditions, segment boundaries and chunks. Pure: the
 * same input gives the same plan on every machine; no clock, no ids, no number of cores.
 *
 * Boundaries are integer ticks: video in 1/90000 s, just before the frame grid's where the frame rate is constant (a
 * segment begins with the first frame from its boundary on, media/cadence.h), audio in samples, on AAC's frame grid
 * nearest to the video's boundary. A chunk is an eighth of what remains, 8 to 24 s, or half as long again to end shortly
 * behind a keyframe of the source; of sound alone a quarter, 20 to 180 s (plan.c says why). Before that comes one segment,
 * for a fast start: as the beginning of the first chunk, or a chunk of its own (sound alone). A source that cannot be sought
 * exactly is one chunk after the first segment's, made of the same runs. Where the first rung is copied, boundaries are the
 * source's keyframes (plan_copy.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/model.h"
#include "proto/task.h"

/* Which of the source's tracks are used; not chosen: all that can be. */
struct ladder_tracks {
	bool chosen;
	uint32_t count;
	uint32_t streams[TASK_SUBTITLES_MAX]; /* indices in the source, in the order asked for */
};

/* A set of enum video_codec. */
#define CODEC_BIT(codec) (1u << (codec))

/* A rung as a request asks for it. 0: as the table in plan_rungs.c has it. */
struct rung_params {
	uint32_t side;		 /* the picture's shorter one; even */
	uint32_t codecs;	 /* CODEC_BITs: a rung in each; 0: in all of the ladder's */
	uint32_t crf_x10;	 /* 100–510 */
	uint32_t maxrate_bps;	 /* cap of the rate */
	uint32_t bufsize_bits;	 /* over which the cap holds; with maxrate alone one second of it */
	uint32_t frame_rate_milli; /* at most so many frames in a thousand seconds: 1000–240000 */
};

/* Whether the source's own video is the first rung, not encoded again. */
enum copy_choice {
	COPY_AUTO = 0, /* where that loses nothing: plan_copy.c says when */
	COPY_ALWAYS,   /* or no job */
	COPY_NEVER
};

/* A request's parameters, validated; the zero value with ladder_params_default is what a user gets without any. */
struct ladder_params {
	enum segment_container container;
	uint32_t segment_seconds;       /* 2–10 */
	uint32_t rung_count; /* 0: chosen by the source */
	struct rung_params rungs[TASK_RUNGS_MAX]; /* falling, each side once in a codec */
	uint32_t codecs; /* CODEC_BITs, for the rungs that name none */
	struct ladder_tracks audio_tracks; /* at most TASK_AUDIOS_MAX */
	struct ladder_tracks subtitle_tracks;
	enum copy_choice copy;
};
void ladder_params_default(struct ladder_params *p);
/* From a request's "params" text (JSON object, may be NULL or ""); unknown fields, types and ranges are ERR_INVALID
 * naming the field. */
int ladder_params_parse(const char *json, struct ladder_params *ret, struct err *e) MR_MUST_USE;
/* "h264,hevc" */
int ladder_params_parse_codecs(const char *list, struct ladder_params *p, struct err *e) MR_MUST_USE;
/* What only all of them together can tell: ERR_INVALID where the rungs and their codecs don't go together, or with the
 * container. ladder_plan asks it, too. */
int ladder_params_check(const struct ladder_params *p, struct err *e) MR_MUST_USE;
/* "480p,360p" */
int ladder_params_parse_rungs(const char *list, struct ladder_params *p, struct err *e) MR_MUST_USE;
/* "1,3", or "" for none; `name` is the parameter's, "audio_tracks" or "subtitle_tracks". */
int ladder_params_parse_tracks(const char *list, const char *name, struct ladder_params *p, struct err *e) MR_MUST_USE;
/* "auto", "always" or "never" */
int ladder_params_parse_copy(const char *choice, struct ladder_params *p, struct err *e) MR_MUST_USE;
/* Complete, canonical JSON; the caller frees. */
char *ladder_params_format(const struct ladder_params *p);

struct ladder_plan {
	struct ladder_params params;
	int64_t duration_ticks; /* 1/90000 s */
	uint32_t target_duration_s;
	uint32_t rendition_count;
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t segment_count;
	int64_t *video_ticks;  /* segment_count + 1 boundaries, or NULL without video */
	int64_t *audio_frames; /* segment_count + 1 boundaries, or NULL without audio */
	uint32_t chunk_count;	   /* with media */
	struct plan_chunk *chunks; /* chunk_count of them, then the finish chunk */
	struct ladder_spec spec;   /* the constants of every chunk; its boundaries are empty */
	char *spec_json;	   /* the same, for the job's row */
};
/* ERR_MEDIA with NO_MEDIA_STREAMS…: nothing in the probe can be made into a ladder; ERR_INVALID: e.g. every rung asked
 * for is above the source. */
int ladder_plan(const struct probe_result *probe, const struct ladder_params *params, struct ladder_plan *ret,
		struct err *e) MR_MUST_USE;
void ladder_plan_release(struct ladder_plan *p);
/* What the repository writes down of it; borrows everything. */
struct job_plan ladder_job_plan(const struct ladder_plan *p);

/* The constants as JSON for the job's row, and back; format's result is freed by the caller. */
char *ladder_spec_format(const struct ladder_spec *s);
int ladder_spec_parse(const char *json, struct ladder_spec *ret, struct err *e) MR_MUST_USE;

/* What a task is told for one chunk: the constants and the chunk's boundaries. `video` are the planned segments of the
 * first rung, `audio` those of the first audio rendition (NULL where there is none), chunk->segment_count of each. Segments
 * below `resume_segment` are committed in every rendition. The result owns its arrays (free video_ticks, audio_frames,
 * runs). */
int ladder_chunk_spec(const struct ladder_spec *constants, const struct chunk *chunk, const struct segment *video,
		      const struct segment *audio, uint32_t resume_segment, struct ladder_spec *ret,
		      struct err *e) MR_MUST_USE;

/* How many segments the run of encoders that begins at `first` holds, in a presentation of `total` segments, where no keyframes are
 * known: the first is one segment, for a fast start; the others are chunks, but for what goes on after the first (plan.c).
 * Of the constants, only the segments' length, the rungs' sizes, and whether there is a video stream count. */
uint32_t ladder_chunk_segments(uint32_t first, uint32_t total, const struct ladder_spec *constants);
/* The segments in [first_segment, first_segment + count) at which encoders start anew, in a presentation of `total`
 * segments: the same rule that makes the chunks. Writes at most `count`; returns how many. */
uint32_t ladder_runs(uint32_t total, const struct ladder_spec *constants, uint32_t first_segment, uint32_t count,
		     uint32_t *runs);
