/* The sound and subtitle groups of a multivariant playlist, from rows. Pure. */
#pragma once

#include <stddef.h>

#include "hls/playlist.h"
#include "job/model.h"

#define TRACK_NAME_SIZE (RENDITION_LABEL_SIZE + 16)

struct track_groups {
	size_t count;
	struct hls_rendition items[RENDITIONS_MAX]; /* with pointers into the renditions and names */
	char names[RENDITIONS_MAX][TRACK_NAME_SIZE];
	char *uris[RENDITIONS_MAX];
	const char *audio_group, *subtitle_group; /* NULL: there is none */
	uint64_t peak_bps, average_bps;		  /* of the largest of each group: what they add to a variant */
	const char *audio_codecs;		  /* of the group; NULL: none */
};

/* The groups of a job's `count` renditions, which are borrowed for as long as the groups are used. Where there is no
 * video, the first sound is the variant: it is in the group without a URI, and there is no group if it is the only one.
 * `measured`: with measured bit rates, not declared ones. */
void track_groups_init(struct track_groups *g, const struct rendition *renditions, uint32_t count, bool measured);
void track_groups_release(struct track_groups *g);
