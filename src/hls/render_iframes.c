/* Playlists of I-frames: each entry a byte range of a segment that shows one picture (RFC 8216, 4.3.3.6; Apple's Authoring
 * Specification, 6.1). Runs in the server, the worker and the one-shot commands. As render_media.c: the same values give
 * the same bytes, and a longer list begins with the shorter one's text, because an I-frame's duration ends at the next
 * I-frame of its segment or with the segment, never with what isn't known yet. */
#include <inttypes.h>

#include "hls/playlist.h"
#include "hls/render_text.h"

/* RFC 8216, 7: EXT-X-MAP in a list that is I-frames only needs 5, EXT-X-I-FRAMES-ONLY and EXT-X-BYTERANGE 4. */
static unsigned lowest_version(const struct hls_iframes *m)
{
	return m->map_uri ? 5 : 4;
}

static int render_iframe(const struct hls_iframes *m, const struct hls_head *head, size_t index, struct buf *out, struct err *e)
{
	const struct hls_iframe *f = &m->iframes[index];
	if (!f->size_bytes || f->offset > UINT64_MAX - f->size_bytes)
		return err_set(e, ERR_INVALID, "I-frame %zu has %" PRIu64 " bytes at %" PRIu64, index, f->size_bytes, f->offset);
	int r = hls_text_extinf(out, head, index, f->duration_ticks, e);
	if (r < 0)
		return r;
	buf_printf(out, "#EXT-X-BYTERANGE:%" PRIu64 "@%" PRIu64 "\n", f->size_bytes, f->offset);
	r = hls_text_uri(out, m->uri_fn, m->uri_ctx, f->uri, e);
	if (r < 0)
		return err_wrap(e, "I-frame %zu", index);
	buf_puts(out, "\n");
	return 0;
}

static int render(const void *playlist, struct buf *out, struct err *e)
{
	const struct hls_iframes *m = playlist;
	const struct hls_head head = { .version = lowest_version(m),
				       .type = m->type,
				       .target_duration_s = m->target_duration_s,
				       .timescale = m->timescale,
				       .count = m->iframe_count,
				       .ended = m->ended };
	int r = hls_text_head(out, &head, e);
	buf_puts(out, "#EXT-X-I-FRAMES-ONLY\n");
	if (r == 0)
		r = hls_text_map(out, m->uri_fn, m->uri_ctx, m->map_uri, e);
	for (size_t i = 0; r == 0 && i < m->iframe_count && !out->failed; i++)
		r = render_iframe(m, &head, i, out, e);
	if (r == 0 && m->ended)
		buf_puts(out, "#EXT-X-ENDLIST\n");
	return r;
}

int hls_render_iframes(const struct hls_iframes *m, struct buf *out, struct err *e)
{
	return hls_text_whole(out, "I-frame playlist", render, m, e);
}
