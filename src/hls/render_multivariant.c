/* Multivariant playlists: the renditions of one presentation. Runs in the server, the worker and the one-shot commands.
 *
 * Guarantees: the same values give the same bytes, in the order given. Doesn't: measure; bandwidths and codecs are the
 * caller's, and whether the groups fit together is the checker's (hls/check.h). */
#include "hls/playlist.h"

#include <inttypes.h>

#include "hls/render_text.h"

/* Everything is made as 8 bit BT.709 or narrower; players that know HDR want it said (bis, 4.4.6.2). */
#define VIDEO_RANGE ",VIDEO-RANGE=SDR"

static int check_rendition(const struct hls_rendition *x, struct err *e)
{
	if (x->type == HLS_AUDIO && (!x->channels || x->forced))
		return err_set(e, ERR_INVALID, x->forced ? "sound that is FORCED" : "CHANNELS is 0");
	if (x->type == HLS_SUBTITLES && (!x->uri || x->channels))
		return err_set(e, ERR_INVALID, "subtitles without a URI, or with CHANNELS");
	return 0;
}

static int optional_string(struct buf *out, const char *attribute, const char *value, struct err *e)
{
	if (!value)
		return 0;
	buf_puts(out, ",");
	return hls_text_string(out, attribute, value, e);
}

static int render_rendition(const struct hls_multivariant *m, const struct hls_rendition *x, struct buf *out,
			    struct err *e)
{
	int r = check_rendition(x, e);
	if (r < 0)
		return r;
	buf_printf(out, "#EXT-X-MEDIA:TYPE=%s,", x->type == HLS_AUDIO ? "AUDIO" : "SUBTITLES");
	r = hls_text_string(out, "GROUP-ID", x->group_id, e);
	if (r < 0)
		return r;
	buf_puts(out, ",");
	r = hls_text_string(out, "NAME", x->name, e);
	if (r == 0)
		r = optional_string(out, "LANGUAGE", x->language, e);
	if (r < 0)
		return r;
	buf_printf(out, ",DEFAULT=%s,AUTOSELECT=%s%s", x->is_default ? "YES" : "NO",
		   x->is_default || x->autoselect ? "YES" : "NO", x->forced ? ",FORCED=YES" : "");
	r = optional_string(out, "CHARACTERISTICS", x->characteristics, e);
	if (r < 0)
		return r;
	if (x->channels)
		buf_printf(out, ",CHANNELS=\"%" PRIu32 "\"", x->channels);
	if (x->uri) {
		buf_puts(out, ",URI=\"");
		r = hls_text_uri(out, m->uri_fn, m->uri_ctx, x->uri, e);
		if (r < 0)
			return r;
		buf_puts(out, "\"");
	}
	buf_puts(out, "\n");
	return 0;
}

struct rates {
	uint64_t peak_bps, average_bps;
};

static int render_rates(struct buf *out, struct rates v, const char *codecs, struct err *e)
{
	if (!v.peak_bps)
		return err_set(e, ERR_INVALID, "BANDWIDTH is 0");
	if (v.average_bps > v.peak_bps)
		return err_set(e, ERR_INVALID, "AVERAGE-BANDWIDTH %" PRIu64 " is above BANDWIDTH %" PRIu64, v.average_bps,
			       v.peak_bps);
	buf_printf(out, "BANDWIDTH=%" PRIu64, v.peak_bps);
	if (v.average_bps)
		buf_printf(out, ",AVERAGE-BANDWIDTH=%" PRIu64, v.average_bps);
	buf_puts(out, ",");
	return hls_text_string(out, "CODECS", codecs, e);
}

static void render_size(struct buf *out, uint32_t width, uint32_t height)
{
	buf_printf(out, ",RESOLUTION=%" PRIu32 "x%" PRIu32, width, height);
}

static int render_variant(const struct hls_multivariant *m, const struct hls_variant *v, struct buf *out, struct err *e)
{
	if (!v->width != !v->height)
		return err_set(e, ERR_INVALID, "RESOLUTION %" PRIu32 "x%" PRIu32, v->width, v->height);
	buf_puts(out, "#EXT-X-STREAM-INF:");
	int r = render_rates(out, (struct rates){ v->bandwidth_bps, v->average_bandwidth_bps }, v->codecs, e);
	if (r < 0)
		return r;
	if (v->width)
		render_size(out, v->width, v->height);
	if (v->frame_rate_milli)
		buf_printf(out, ",FRAME-RATE=%" PRIu32 ".%03" PRIu32, v->frame_rate_milli / 1000,
			   v->frame_rate_milli % 1000);
	if (v->width)
		buf_puts(out, VIDEO_RANGE);
	r = optional_string(out, "AUDIO", v->audio_group, e);
	if (r == 0)
		r = optional_string(out, "SUBTITLES", v->subtitle_group, e);
	if (r < 0)
		return r;
	buf_puts(out, "\n");
	r = hls_text_uri(out, m->uri_fn, m->uri_ctx, v->uri, e);
	if (r < 0)
		return r;
	buf_puts(out, "\n");
	return 0;
}

static int render_iframes(const struct hls_multivariant *m, const struct hls_iframe_variant *v, struct buf *out, struct err *e)
{
	if (!v->width || !v->height)
		return err_set(e, ERR_INVALID, "RESOLUTION %" PRIu32 "x%" PRIu32, v->width, v->height);
	buf_puts(out, "#EXT-X-I-FRAME-STREAM-INF:");
	int r = render_rates(out, (struct rates){ v->bandwidth_bps, v->average_bandwidth_bps }, v->codecs, e);
	if (r < 0)
		return r;
	render_size(out, v->width, v->height);
	buf_puts(out, VIDEO_RANGE ",URI=\"");
	r = hls_text_uri(out, m->uri_fn, m->uri_ctx, v->uri, e);
	if (r < 0)
		return r;
	buf_puts(out, "\"\n");
	return 0;
}

static int render(const void *playlist, struct buf *out, struct err *e)
{
	const struct hls_multivariant *m = playlist;
	if (!m->variant_count)
		return err_set(e, ERR_INVALID, "no variants");
	buf_puts(out, "#EXTM3U\n");
	/* Nothing here is beyond version 1, which is what a list without the tag declares. RFC 8216, 7 allows 4 with
	 * EXT-X-MEDIA, for players so old that they don't know it. */
	if (m->rendition_count)
		buf_puts(out, "#EXT-X-VERSION:4\n");
	buf_puts(out, "#EXT-X-INDEPENDENT-SEGMENTS\n");
	for (size_t i = 0; i < m->rendition_count; i++) {
		int r = render_rendition(m, &m->renditions[i], out, e);
		if (r < 0)
			return err_wrap(e, "rendition %zu", i);
	}
	for (size_t i = 0; i < m->variant_count; i++) {
		int r = render_variant(m, &m->variants[i], out, e);
		if (r < 0)
			return err_wrap(e, "variant %zu", i);
	}
	for (size_t i = 0; i < m->iframe_count; i++) {
		int r = render_iframes(m, &m->iframes[i], out, e);
		if (r < 0)
			return err_wrap(e, "I-frame variant %zu", i);
	}
	return 0;
}

int hls_render_multivariant(const struct hls_multivariant *m, struct buf *out, struct err *e)
{
	return hls_text_whole(out, "multivariant playlist", render, m, e);
}
