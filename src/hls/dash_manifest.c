/* DASH manifests. Runs in the server, the worker and the one-shot commands. Element and attribute names and their order are
 * ISO/IEC 23009-1's schema.
 *
 * Guarantees: the same values give the same bytes; what is put between quotes cannot end them. Doesn't: check what it is
 * told of codecs and times, which the checker of the playlists has seen. */
#include "hls/dash.h"

#include <inttypes.h>
#include <string.h>

#include "base/encode.h"
#include "hls/render_text.h"

#define US_PER_S 1000000u

/* Appends an attribute's text: XML 1.0, 2.2 and 2.4. */
static int put_escaped(struct buf *out, const char *what, const char *text, size_t len, struct err *e)
{
	if (!len || !utf8_valid(text, len))
		return err_set(e, ERR_INVALID, "%s is empty or not UTF-8", what);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20)
			return err_set(e, ERR_INVALID, "%s has a control character", what);
		if (c == '&')
			buf_puts(out, "&amp;");
		else if (c == '<')
			buf_puts(out, "&lt;");
		else if (c == '"')
			buf_puts(out, "&quot;");
		else
			buf_append(out, &text[i], 1);
	}
	return 0;
}

static int put_text(struct buf *out, const char *attribute, const char *text, struct err *e)
{
	buf_printf(out, " %s=\"", attribute);
	int r = put_escaped(out, attribute, text ? text : "", text ? strlen(text) : 0, e);
	buf_puts(out, "\"");
	return r;
}

static int put_uri(const struct dash_manifest *m, struct buf *out, const char *attribute, const char *relative, struct err *e)
{
	_cleanup_buf_ struct buf uri;
	buf_init(&uri, 8192);
	int r = hls_text_uri(&uri, m->uri_fn, m->uri_ctx, relative, e);
	if (r == 0)
		r = buf_finish(&uri, e);
	return r < 0 ? r : put_text(out, attribute, uri.data, e);
}

/* Equal durations are one element: the first alone says when. */
static int put_timeline(const struct dash_representation *p, struct buf *out, struct err *e)
{
	buf_puts(out, "          <SegmentTimeline>\n");
	for (size_t i = 0; i < p->segment_count;) {
		int64_t ticks = p->segments[i].duration_ticks;
		size_t same = 1;
		while (i + same < p->segment_count && p->segments[i + same].duration_ticks == ticks)
			same++;
		if (ticks <= 0)
			return err_set(e, ERR_INVALID, "segment %zu lasts %" PRId64 " ticks", i, ticks);
		buf_puts(out, "            <S");
		if (i == 0)
			buf_printf(out, " t=\"%" PRId64 "\"", p->offset_ticks);
		buf_printf(out, " d=\"%" PRId64 "\"", ticks);
		if (same > 1)
			buf_printf(out, " r=\"%zu\"", same - 1);
		buf_puts(out, "/>\n");
		i += same;
	}
	buf_puts(out, "          </SegmentTimeline>\n");
	return 0;
}

static int put_segments(const struct dash_manifest *m, const struct dash_representation *p, struct buf *out, struct err *e)
{
	buf_printf(out, "        <SegmentList timescale=\"%" PRIu32 "\" presentationTimeOffset=\"%" PRId64 "\">\n", p->timescale,
		   p->offset_ticks);
	buf_puts(out, "          <Initialization");
	int r = put_uri(m, out, "sourceURL", p->init_uri, e);
	buf_puts(out, "/>\n");
	if (r == 0)
		r = put_timeline(p, out, e);
	for (size_t i = 0; r == 0 && i < p->segment_count && !out->failed; i++) {
		buf_puts(out, "          <SegmentURL");
		r = put_uri(m, out, "media", p->segments[i].uri, e);
		buf_puts(out, "/>\n");
	}
	buf_puts(out, "        </SegmentList>\n");
	return r;
}

static int put_representation(const struct dash_manifest *m, const struct dash_representation *p, struct buf *out, struct err *e)
{
	if (!p->segment_count || !p->timescale || !p->bandwidth_bps || p->offset_ticks < 0)
		return err_set(e, ERR_INVALID, "no segments, timescale or bandwidth, or a negative offset");
	buf_puts(out, "      <Representation");
	int r = put_text(out, "id", p->id, e);
	if (r == 0)
		r = put_text(out, "codecs", p->codecs, e);
	if (r < 0)
		return r;
	buf_printf(out, " bandwidth=\"%" PRIu64 "\"", p->bandwidth_bps);
	if (p->width)
		buf_printf(out, " width=\"%" PRIu32 "\" height=\"%" PRIu32 "\" sar=\"1:1\"", p->width, p->height);
	if (p->frame_rate_milli && p->frame_rate_milli % 1000 == 0)
		buf_printf(out, " frameRate=\"%" PRIu32 "\"", p->frame_rate_milli / 1000);
	else if (p->frame_rate_milli)
		buf_printf(out, " frameRate=\"%" PRIu32 "/1000\"", p->frame_rate_milli);
	if (p->sample_rate)
		buf_printf(out, " audioSamplingRate=\"%" PRIu32 "\"", p->sample_rate);
	buf_puts(out, ">\n");
	if (p->channels) /* ISO/IEC 23091-3's numbers are counts up to six channels */
		buf_printf(out,
			   "        <AudioChannelConfiguration"
			   " schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"%" PRIu32 "\"/>\n",
			   p->channels);
	r = put_segments(m, p, out, e);
	buf_puts(out, "      </Representation>\n");
	return r;
}

static int put_adaptation(const struct dash_manifest *m, const struct dash_adaptation *a, struct buf *out, struct err *e)
{
	if (!a->count)
		return err_set(e, ERR_INVALID, "no representations");
	const char *kind = a->representations[0].width ? "video" : "audio";
	buf_printf(out, "    <AdaptationSet contentType=\"%s\" mimeType=\"%s/mp4\"", kind, kind);
	int r = a->language ? put_text(out, "lang", a->language, e) : 0;
	buf_puts(out, " segmentAlignment=\"true\" startWithSAP=\"1\">\n");
	buf_printf(out, "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"%s\"/>\n", a->is_main ? "main" : "alternate");
	for (size_t i = 0; r == 0 && i < a->count; i++) {
		r = put_representation(m, &a->representations[i], out, e);
		if (r < 0)
			return err_wrap(e, "representation %zu", i);
	}
	buf_puts(out, "    </AdaptationSet>\n");
	return r;
}

static int render(const void *manifest, struct buf *out, struct err *e)
{
	const struct dash_manifest *m = manifest;
	if (!m->adaptation_count || !m->duration_us || !m->target_duration_s)
		return err_set(e, ERR_INVALID, "nothing to play");
	buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\""
		      " profiles=\"urn:mpeg:dash:profile:isoff-main:2011\"");
	buf_printf(out, " mediaPresentationDuration=\"PT%" PRIu64 ".%06" PRIu64 "S\" minBufferTime=\"PT%" PRIu32 "S\">\n",
		   m->duration_us / US_PER_S, m->duration_us % US_PER_S, m->target_duration_s);
	buf_puts(out, "  <Period id=\"0\" start=\"PT0S\">\n");
	for (size_t i = 0; i < m->adaptation_count; i++) {
		int r = put_adaptation(m, &m->adaptations[i], out, e);
		if (r < 0)
			return err_wrap(e, "adaptation set %zu", i);
	}
	buf_puts(out, "  </Period>\n</MPD>\n");
	return 0;
}

int dash_render(const struct dash_manifest *m, struct buf *out, struct err *e)
{
	return hls_text_whole(out, "DASH manifest", render, m, e);
}
