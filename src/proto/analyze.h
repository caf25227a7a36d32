/* The by-products of a file: what an analysis is asked and what it answers. Part of proto/task.h.
 *
 * The by-products themselves (pictures, peaks) are objects that the task sends; here is what is known about them. A part
 * that cannot be made is no failure of the analysis: it is left out, and a problem says why.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Tiles of a storyboard: short films have one a second, long ones this many. */
#define ANALYZE_TILES_MAX 200
#define ANALYZE_SPRITES_MAX 8 /* sheets of at least 5 × 5 tiles */
#define ANALYZE_POINTS_MAX 8192 /* of a waveform: half as many to all of them, whatever the length */
#define LOUDNESS_UNKNOWN INT32_MIN /* silence has none */

enum byproduct { BYPRODUCT_POSTER = 1, BYPRODUCT_SPRITE, BYPRODUCT_WAVEFORM, BYPRODUCT_WAVEFORM_IMAGE };

struct analyze_spec {
	int32_t video_stream, audio_stream; /* indices in the source; -1: none */
	int32_t cover_stream;		    /* an attached picture, for sound without video; -1: none */
	uint32_t rotation_degrees;	    /* clockwise, to be applied: 0, 90, 180, 270 */
	bool seekable;			    /* else pictures are found by reading all of it */
	int64_t origin_ns;		    /* source time (of the container) that is zero */
	int64_t duration_ns;
};

/* Of the whole sound, after EBU R 128, in thousandths. */
struct loudness {
	int32_t integrated_mlufs;
	int32_t range_mlu;
	int32_t true_peak_mdbtp;  /* of the loudest channel */
	int32_t sample_peak_mdbfs;
};

struct analyze_problem {
	char code[40]; /* as an error's; empty: none */
	char message[200];
};

struct analyze_result {
	uint32_t poster_width, poster_height; /* 0: no poster */
	int64_t poster_ticks;		      /* where it is from, 1/90000 s */
	uint32_t tile_width, tile_height, columns, rows; /* of a full sheet */
	uint32_t tile_count;				 /* 0: no storyboard */
	int64_t tile_ticks[ANALYZE_TILES_MAX];		 /* each is shown from here to the next; rising */
	uint32_t point_count;				 /* of the waveform; 0: none */
	bool has_loudness;
	struct loudness loudness;
	struct analyze_problem picture, sound; /* why there is less than the file's streams promised */
};
