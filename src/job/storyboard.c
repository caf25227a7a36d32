/* A storyboard as WebVTT: each cue's text is a sprite's URL with the tile's place as a spatial media fragment (W3C Media
 * Fragments URI, 4.2.2), as players' thumbnail previews read it. Pure. */
#include <inttypes.h>

#include "job/analysis.h"
#include "job/keys.h"

/* HH:MM:SS.mmm (WebVTT, section 4.1) */
static void put_time(struct buf *out, int64_t ticks)
{
	int64_t ms = ticks / (VIDEO_TIMESCALE / 1000);
	buf_printf(out, "%02" PRId64 ":%02d:%02d.%03d", ms / 3600000, (int)(ms / 60000 % 60), (int)(ms / 1000 % 60),
		   (int)(ms % 1000));
}

int storyboard_vtt(const struct analyze_result *r, int64_t duration_ticks, const struct storyboard_opts *opts, struct buf *out,
		   struct err *e)
{
	const uint32_t per_sheet = r->columns * r->rows;
	buf_puts(out, "WEBVTT\n");
	for (uint32_t i = 0; i < r->tile_count; i++) {
		uint32_t place = i % per_sheet;
		int64_t end = i + 1 < r->tile_count ? r->tile_ticks[i + 1] : duration_ticks;
		if (end <= r->tile_ticks[i])
			end = r->tile_ticks[i] + VIDEO_TIMESCALE; /* the container's length was wrong */
		_cleanup_free_ char *name = key_byproduct(BYPRODUCT_SPRITE, i / per_sheet);
		buf_puts(out, "\n");
		put_time(out, r->tile_ticks[i]);
		buf_puts(out, " --> ");
		put_time(out, end);
		buf_puts(out, "\n");
		bool ok = opts->uri_fn ? opts->uri_fn(opts->uri_ctx, name, out) : buf_puts(out, name);
		if (!ok)
			return err_set(e, ERR_INTERNAL, "no URL could be made for a sprite");
		buf_printf(out, "#xywh=%u,%u,%u,%u\n", place % r->columns * r->tile_width,
			   place / r->columns * r->tile_height, r->tile_width, r->tile_height);
	}
	return buf_finish(out, e);
}
