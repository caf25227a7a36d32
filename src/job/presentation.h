/* A job's playlists from its rows: the one way that rows become playlists, for the stored objects and for what the
 * front answers. Rows in, text out; the same rows and URI function give the same bytes.
 *
 * A playlist lists the job's published segments: rows that are committed in every rendition, and whose playlist passed
 * the checker. While the publisher prepares the next version it passes the number that this version is to list. Any
 * thread; blocks for short queries.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "hls/playlist.h"
#include "job/model.h"
#include "job/repo.h"

struct presentation {
	uint32_t segments; /* how many are listed */
	bool ended;
	hls_uri_fn uri_fn; /* NULL: relative URIs */
	void *uri_ctx;
};

/* What everybody may see of the job now. */
struct presentation presentation_of(const struct job *j);

/* ERR_NOT_FOUND (code NOT_READY) before the first segment. */
int presentation_multivariant(struct repo *repo, const struct job *j, const struct presentation *p, struct buf *out,
			      struct err *e) MR_MUST_USE;
/* URIs are relative to the playlist, as uri_fn sees them ("segment_000.m4s"). ERR_NOT_FOUND for an unknown rendition
 * name. */
int presentation_media(struct repo *repo, const struct job *j, const char *rendition_name, const struct presentation *p,
		       struct buf *out, struct err *e) MR_MUST_USE;
/* The rendition's I-frames. ERR_NOT_FOUND also for one that has none. */
int presentation_iframes(struct repo *repo, const struct job *j, const char *rendition_name, const struct presentation *p,
			 struct buf *out, struct err *e) MR_MUST_USE;

/* Whether the job has a DASH manifest now: it is complete, and its segments are fMP4. */
bool presentation_has_manifest(const struct job *j);
/* The DASH manifest of a job whose playlists have ended. ERR_NOT_FOUND (code NOT_READY) before that, and for TS. URIs as
 * uri_fn sees them are relative to the job's folder ("720p/segment_000.m4s"). */
int presentation_manifest(struct repo *repo, const struct job *j, const struct presentation *p, struct buf *out,
			  struct err *e) MR_MUST_USE;
