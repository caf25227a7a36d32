/* Media playlists: the list of one rendition's segments. Runs in the server, the worker and the one-shot commands.
 *
 * Guarantees: the same values give the same bytes; with the same constants, a longer prefix of segments gives a text
 * that begins with the shorter one's (RFC 8216, 4.3.3.5: an EVENT list may only be appended to), which is why
 * everything that depends on more than the constants (EXT-X-ENDLIST) stands last. Doesn't: know whether what it lists
 * can be fetched; that is the caller's promise. */
#include "hls/playlist.h"

#include <inttypes.h>

#include "hls/render_text.h"

#define US_PER_S 1000000u

/* What a reader makes of the printed duration: EXTINF rounded to whole seconds (RFC 8216, 4.3.3.1). Rounding the
 * printed value rather than the ticks: 4.4999996 s are printed as 4.500000, which round to 5. */
static uint64_t rounded_seconds(uint64_t us)
{
	return us / US_PER_S + (us % US_PER_S >= US_PER_S / 2);
}

uint32_t hls_target_duration(const struct hls_segment *segments, size_t count, uint32_t timescale)
{
	uint64_t target = 1;
	for (size_t i = 0; i < count && timescale; i++) {
		if (segments[i].duration_ticks <= 0)
			continue;
		uint64_t seconds = rounded_seconds(hls_ticks_to_us(segments[i].duration_ticks, timescale));
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

static int check_constants(const struct hls_media *m, struct err *e)
{
	if (!m->segment_count)
		return err_set(e, ERR_INVALID, "no segments");
	if (!m->timescale)
		return err_set(e, ERR_INVALID, "the timescale is 0");
	if (!m->target_duration_s)
		return err_set(e, ERR_INVALID, "the target duration is 0");
	if (m->type != HLS_EVENT && m->type != HLS_VOD)
		return err_set(e, ERR_INVALID, "unknown playlist type %d", (int)m->type);
	/* Without ENDLIST players take the list for a live one and wait for more. */
	if (m->type == HLS_VOD && !m->ended)
		return err_set(e, ERR_INVALID, "a VOD list that is not ended");
	return 0;
}

static int render_head(const struct hls_media *m, struct buf *out, struct err *e)
{
	buf_printf(out, "#EXTM3U\n#EXT-X-VERSION:%u\n#EXT-X-TARGETDURATION:%" PRIu32 "\n#EXT-X-MEDIA-SEQUENCE:0\n",
		   lowest_version(m), m->target_duration_s);
	buf_printf(out, "#EXT-X-PLAYLIST-TYPE:%s\n#EXT-X-INDEPENDENT-SEGMENTS\n",
		   m->type == HLS_EVENT ? "EVENT" : "VOD");
	if (m->start_at_zero)
		buf_puts(out, "#EXT-X-START:TIME-OFFSET=0\n");
	if (!m->map_uri)
		return 0;
	buf_puts(out, "#EXT-X-MAP:URI=\"");
	int r = hls_text_uri(out, m->uri_fn, m->uri_ctx, m->map_uri, e);
	if (r < 0)
		return err_wrap(e, "EXT-X-MAP");
	buf_puts(out, "\"\n");
	return 0;
}

static int render_segment(const struct hls_media *m, size_t index, struct buf *out, struct err *e)
{
	const struct hls_segment *s = &m->segments[index];
	if (s->duration_ticks <= 0)
		return err_set(e, ERR_INVALID, "segment %zu lasts %" PRId64 " ticks", index, s->duration_ticks);
	uint64_t us = hls_ticks_to_us(s->duration_ticks, m->timescale);
	if (!us)
		return err_set(e, ERR_INVALID, "segment %zu lasts less than a microsecond", index);
	if (rounded_seconds(us) > m->target_duration_s)
		return err_set(e, ERR_INVALID,
			       "segment %zu lasts %" PRIu64 ".%06" PRIu64
			       " s, too long for a target duration of %" PRIu32,
			       index, us / US_PER_S, us % US_PER_S, m->target_duration_s);
	buf_printf(out, "#EXTINF:%" PRIu64 ".%06" PRIu64 ",\n", us / US_PER_S, us % US_PER_S);
	int r = hls_text_uri(out, m->uri_fn, m->uri_ctx, s->uri, e);
	if (r < 0)
		return err_wrap(e, "segment %zu", index);
	buf_puts(out, "\n");
	return 0;
}

static int render(const void *playlist, struct buf *out, struct err *e)
{
	const struct hls_media *m = playlist;
	int r = check_constants(m, e);
	if (r < 0)
		return r;
	r = render_head(m, out, e);
	for (size_t i = 0; r == 0 && i < m->segment_count && !out->failed; i++)
		r = render_segment(m, i, out, e);
	if (r < 0)
		return r;
	if (m->ended)
		buf_puts(out, "#EXT-X-ENDLIST\n");
	return 0;
}

int hls_render_media(const struct hls_media *m, struct buf *out, struct err *e)
{
	return hls_text_whole(out, "media playlist", render, m, e);
}
