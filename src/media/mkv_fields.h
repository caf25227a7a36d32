/* What is in the fields of a producer's Matroska that matters to its fragments: tracks, times, tags. Part of mkv_split
 * (which says in which order things come, this what they are); runs in the sandbox.
 *
 *   struct ebml_choice c = mkv_fields_choose(id, in_cluster);
 *   if (mkv_fields_take(&f, el, bytes, len) == MKV_FIELD_WRONG) ...
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "media/ebml.h"
#include "proto/live.h"

struct mkv_track {
	struct live_track about;
	int64_t default_ns; /* of a frame; 0: not said */
	bool has_frame;	    /* in this cluster */
	int64_t last_ns;    /* time of its last frame; INT64_MIN: none yet */
	int64_t step_ns;    /* between its last two; 0: not known */
	int64_t end_ns;	    /* of its last frame */
};

struct mkv_fields {
	int64_t scale_ns;
	uint32_t track_count;
	struct mkv_track tracks[LIVE_TRACKS_MAX];
	int64_t cluster_ns;
	/* of the BlockGroup that is open: its block and how long it lasts */
	struct mkv_track *group_track;
	int64_t group_ns;
	/* of the SimpleTag that is open, or was last */
	struct live_tag tag;
	bool tag_too_long;
};

enum mkv_field { MKV_FIELD_OK, MKV_FIELD_WRONG, MKV_FIELD_UNKNOWN_TRACK, MKV_FIELD_TOO_LONG };

void mkv_fields_reset(struct mkv_fields *f);
/* What is wanted of an element. */
struct ebml_choice mkv_fields_choose(uint32_t id, bool in_cluster);
/* Takes what was collected of one. */
enum mkv_field mkv_fields_take(struct mkv_fields *f, const struct ebml_element *el, const uint8_t *p, size_t len);
/* False if there are too many already. */
bool mkv_fields_begin_track(struct mkv_fields *f);
/* False if it has no number, or that of another. */
bool mkv_fields_end_track(struct mkv_fields *f);
void mkv_fields_begin_cluster(struct mkv_fields *f, int64_t time_ns);
void mkv_fields_end_group(struct mkv_fields *f);
bool mkv_fields_all_have_frames(const struct mkv_fields *f);
/* From the cluster's time to the end of its last frame, LIVE_FRAGMENT_MAX_MS at most. */
int64_t mkv_fields_duration_ms(const struct mkv_fields *f);
