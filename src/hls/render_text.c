/* Pieces of text that both renderers write. Runs wherever playlists are rendered (server, worker, one-shot commands);
 * guarantees that nothing it lets pass can end a line, close a quote or begin a tag. */
#include "hls/render_text.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/encode.h"

#define US_PER_S 1000000u

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

int hls_text_string(struct buf *out, const char *attribute, const char *value, struct err *e)
{
	if (!value || !*value)
		return err_set(e, ERR_INVALID, "%s is empty", attribute);
	size_t len = strlen(value);
	if (!utf8_valid(value, len))
		return err_set(e, ERR_INVALID, "%s is not UTF-8", attribute);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];
		/* U+0080 to U+009F, the other control characters, are C2 80 to C2 9F. */
		bool high_control = c == 0xc2 && (unsigned char)value[i + 1] < 0xa0;
		if (c == '"' || is_control(c) || high_control)
			return err_set(e, ERR_INVALID, "%s has a quote or a control character", attribute);
	}
	buf_printf(out, "%s=\"%s\"", attribute, value);
	return 0;
}

/* The characters of RFC 3986, 2, and complete percent escapes. */
static bool uri_is_clean(const char *uri, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)uri[i];
		if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c))
			return false;
		uint8_t byte;
		if (c == '%' && (len - i < 3 || !hex_decode(uri + i + 1, 2, &byte, 1)))
			return false;
	}
	return true;
}

int hls_text_uri(struct buf *out, hls_uri_fn uri_fn, void *uri_ctx, const char *relative_uri, struct err *e)
{
	if (!relative_uri || !*relative_uri)
		return err_set(e, ERR_INVALID, "a URI is empty");
	size_t start = out->len;
	bool ok = uri_fn ? uri_fn(uri_ctx, relative_uri, out) : buf_puts(out, relative_uri);
	if (out->failed)
		return 0;
	if (!ok)
		return err_set(e, ERR_INTERNAL, "the address of %s could not be made", relative_uri);
	assert(out->len >= start);
	if (out->len == start)
		return err_set(e, ERR_INVALID, "the address of %s is empty", relative_uri);
	/* A line that begins with '#' is a tag or a comment. */
	if (out->data[start] == '#' || !uri_is_clean(out->data + start, out->len - start))
		return err_set(e, ERR_INVALID, "the address of %s has a character that no URI has", relative_uri);
	return 0;
}

uint64_t hls_rounded_seconds(uint64_t us)
{
	return us / US_PER_S + (us % US_PER_S >= US_PER_S / 2);
}

static int check_head(const struct hls_head *h, struct err *e)
{
	if (!h->count)
		return err_set(e, ERR_INVALID, "no segments");
	if (!h->timescale)
		return err_set(e, ERR_INVALID, "the timescale is 0");
	if (!h->target_duration_s)
		return err_set(e, ERR_INVALID, "the target duration is 0");
	if (h->type != HLS_EVENT && h->type != HLS_VOD && h->type != HLS_WINDOW)
		return err_set(e, ERR_INVALID, "unknown playlist type %d", (int)h->type);
	/* Without ENDLIST players take the list for a live one and wait for more. */
	if (h->type == HLS_VOD && !h->ended)
		return err_set(e, ERR_INVALID, "a VOD list that is not ended");
	return 0;
}

int hls_text_head(struct buf *out, const struct hls_head *h, struct err *e)
{
	int r = check_head(h, e);
	if (r < 0)
		return r;
	const bool window = h->type == HLS_WINDOW;
	buf_printf(out, "#EXTM3U\n#EXT-X-VERSION:%u\n#EXT-X-TARGETDURATION:%" PRIu32 "\n#EXT-X-MEDIA-SEQUENCE:%" PRIu64 "\n",
		   h->version, h->target_duration_s, window ? h->media_sequence : 0);
	/* Before the first segment and before any EXT-X-DISCONTINUITY (RFC 8216, 4.3.3.3). */
	if (window)
		buf_printf(out, "#EXT-X-DISCONTINUITY-SEQUENCE:%" PRIu64 "\n", h->discontinuity_sequence);
	else
		buf_printf(out, "#EXT-X-PLAYLIST-TYPE:%s\n", h->type == HLS_EVENT ? "EVENT" : "VOD");
	buf_puts(out, "#EXT-X-INDEPENDENT-SEGMENTS\n");
	return 0;
}

int hls_text_map(struct buf *out, hls_uri_fn uri_fn, void *uri_ctx, const char *map_uri, struct err *e)
{
	if (!map_uri)
		return 0;
	buf_puts(out, "#EXT-X-MAP:URI=\"");
	int r = hls_text_uri(out, uri_fn, uri_ctx, map_uri, e);
	if (r < 0)
		return err_wrap(e, "EXT-X-MAP");
	buf_puts(out, "\"\n");
	return 0;
}

int hls_text_extinf(struct buf *out, const struct hls_head *h, size_t index, int64_t ticks, struct err *e)
{
	if (ticks <= 0)
		return err_set(e, ERR_INVALID, "segment %zu lasts %" PRId64 " ticks", index, ticks);
	uint64_t us = hls_ticks_to_us(ticks, h->timescale);
	if (!us)
		return err_set(e, ERR_INVALID, "segment %zu lasts less than a microsecond", index);
	if (hls_rounded_seconds(us) > h->target_duration_s)
		return err_set(e, ERR_INVALID,
			       "segment %zu lasts %" PRIu64 ".%06" PRIu64 " s, too long for a target duration of %" PRIu32,
			       index, us / US_PER_S, us % US_PER_S, h->target_duration_s);
	buf_printf(out, "#EXTINF:%" PRIu64 ".%06" PRIu64 ",\n", us / US_PER_S, us % US_PER_S);
	return 0;
}

uint64_t hls_ticks_to_us(int64_t ticks, uint32_t timescale)
{
	assert(ticks > 0 && timescale > 0);
	unsigned __int128 us = ((unsigned __int128)ticks * 1000000 + timescale / 2) / timescale;
	return us > UINT64_MAX ? UINT64_MAX : (uint64_t)us;
}

int hls_text_whole(struct buf *out, const char *what, hls_render_fn fn, const void *playlist, struct err *e)
{
	struct err unwanted;
	if (!e)
		e = &unwanted; /* clauses are put before it */
	size_t start = out->len;
	if (fn(playlist, out, e) == 0 && buf_finish(out, e) == 0)
		return 0;
	assert(start <= out->len);
	out->len = start;
	if (out->data)
		out->data[start] = '\0';
	return err_wrap(e, "%s", what);
}
