/* Media playlists: the list of one rendition's segments. Runs in the server, the worker and the one-shot commands.
 *
 * Guarantees: the same values give the same bytes; with the same constants, a longer prefix of segments gives a text
 * that begins with the shorter one's (RFC 8216, 4.3.3.5: an EVENT list may only be appended to), which is why
 * everything that depends on more than the constants (EXT-X-ENDLIST) stands last. Doesn't: know whether what it lists
 * can be fetched; that is the caller's promise. */
#include "hls/playlist.h"

#include "base/clock.h"
#include "hls/render_text.h"

uint32_t hls_target_duration(const struct hls_segment *segments, size_t count, uint32_t timescale)
{
	uint64_t target = 1;
	for (size_t i = 0; i < count && timescale; i++) {
		if (segments[i].duration_ticks <= 0)
			continue;
		uint64_t seconds = hls_rounded_seconds(hls_ticks_to_us(segments[i].duration_ticks, timescale));
		if (seconds > target)
			target = seconds;
	}
	return target > UINT32_MAX ? UINT32_MAX : (uint32_t)target;
}

/* RFC 8216, 7: EXT-X-MAP in a list that is not I-frames only needs 6, EXTINF with decimals 3. */
static unsigned lowest_version(const struct hls_media *m)
{
	return m->map_uri ? 6 : 3;
}

static void place_in_time(struct buf *out, const struct hls_segment *s)
{
	char date[ISO8601_SIZE];
	if (s->discontinuity)
		buf_puts(out, "#EXT-X-DISCONTINUITY\n");
	if (!s->date_ms)
		return;
	iso8601_format(s->date_ms, date);
	buf_printf(out, "#EXT-X-PROGRAM-DATE-TIME:%s\n", date);
}

static int render(const void *playlist, struct buf *out, struct err *e)
{
	const struct hls_media *m = playlist;
	const struct hls_head head = { .version = lowest_version(m),
				       .type = m->type,
				       .target_duration_s = m->target_duration_s,
				       .timescale = m->timescale,
				       .count = m->segment_count,
				       .ended = m->ended,
				       .media_sequence = m->media_sequence,
				       .discontinuity_sequence = m->discontinuity_sequence };
	int r = hls_text_head(out, &head, e);
	if (r == 0 && m->start_at_zero)
		buf_puts(out, "#EXT-X-START:TIME-OFFSET=0\n");
	if (r == 0)
		r = hls_text_map(out, m->uri_fn, m->uri_ctx, m->map_uri, e);
	for (size_t i = 0; r == 0 && i < m->segment_count && !out->failed; i++) {
		place_in_time(out, &m->segments[i]);
		r = hls_text_extinf(out, &head, i, m->segments[i].duration_ticks, e);
		if (r < 0)
			return r;
		r = hls_text_uri(out, m->uri_fn, m->uri_ctx, m->segments[i].uri, e);
		if (r < 0)
			return err_wrap(e, "segment %zu", i);
		buf_puts(out, "\n");
	}
	if (r == 0 && m->ended)
		buf_puts(out, "#EXT-X-ENDLIST\n");
	return r;
}

int hls_render_media(const struct hls_media *m, struct buf *out, struct err *e)
{
	return hls_text_whole(out, "media playlist", render, m, e);
}
