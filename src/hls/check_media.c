/* The rules of a media playlist. Runs in the worker before a version is stored, and in tests on what was fetched.
 *
 * Guarantees: time linear in the text, no allocation, the first breach in the order of lines is the one reported
 * (breaches of the whole list, such as a missing tag, come after those of lines). Doesn't: fetch anything, so it cannot
 * know whether durations are true. */
#include "hls/check.h"

#include <inttypes.h>
#include <strings.h>

#include "hls/check_lex.h"
#include "hls/check_tags.h"

#define NANO_PER_S 1000000000u
/* A segment shorter than this costs a request and plays nothing; planning merges it into its neighbour. A list of a
 * single segment may be as short as its media. */
#define TINY_NANO (NANO_PER_S / 10)

struct byte_range {
	uint64_t length, offset;
	bool has_offset; /* without: behind the range before */
};

struct check {
	struct hls_media_facts facts;
	struct hls_tags_seen tags;
	size_t map_line;    /* the first EXT-X-MAP */
	size_t range_line;  /* EXT-X-BYTERANGE of the segment whose URI comes next; 0: none */
	struct byte_range range;
	struct hls_slice ranged_uri; /* of the segment before, if it was a range; empty: it was not */
	uint64_t ranged_end;
	size_t extinf_line; /* of the segment whose URI comes next; 0: none */
	uint64_t extinf_nano;
	uint64_t shortest_nano, longest_nano;
	size_t shortest_line;
	unsigned __int128 total_nano;
};

static int read_target_duration(struct check *c, const struct hls_line *line, struct err *e)
{
	uint64_t seconds;
	if (!hls_decimal_parse(line->value, &seconds) || !seconds || seconds > UINT32_MAX)
		return hls_refuse(e, "target-duration", line->number,
				  "\"%.*s\" is no number of seconds (RFC 8216, 4.3.3.1)", HLS_SHOW(line->value));
	c->facts.target_duration_s = (uint32_t)seconds;
	return 0;
}

static int read_sequence(const struct hls_line *line, uint64_t *ret, struct err *e)
{
	if (!hls_decimal_parse(line->value, ret))
		return hls_refuse(e, "sequence", line->number, "\"%.*s\" is no number (RFC 8216, 4.3.3.2)",
				  HLS_SHOW(line->value));
	return 0;
}

static int read_type(struct check *c, const struct hls_line *line, struct err *e)
{
	c->facts.event = hls_slice_is(line->value, "EVENT");
	c->facts.vod = hls_slice_is(line->value, "VOD");
	if (!c->facts.event && !c->facts.vod)
		return hls_refuse(e, "playlist-type", line->number,
				  "\"%.*s\" is neither EVENT nor VOD (RFC 8216, 4.3.3.5)", HLS_SHOW(line->value));
	return 0;
}

static int read_extinf(struct check *c, const struct hls_line *line, struct err *e)
{
	const struct hls_slice v = line->value;
	size_t n = 0;
	while (n < v.len && v.at[n] != ',')
		n++;
	uint64_t nano;
	bool point;
	if (n == v.len || !hls_fraction_parse((struct hls_slice){ v.at, n }, &nano, &point))
		return hls_refuse(e, "extinf", line->number, "\"%.*s\" is no duration and a comma (RFC 8216, 4.3.2.1)",
				  HLS_SHOW(v));
	if (!nano)
		return hls_refuse(e, "zero-segment", line->number, "a segment without duration");
	/* Rounding at the half also keeps a segment within the target duration + 0.5 s. */
	uint64_t rounded = (nano + NANO_PER_S / 2) / NANO_PER_S;
	if (c->facts.target_duration_s && rounded > c->facts.target_duration_s)
		return hls_refuse(e, "target-duration", line->number,
				  "%.*s s round to %" PRIu64 ", above the target duration of %" PRIu32
				  " (RFC 8216, 4.3.3.1)",
				  (int)n, v.at, rounded, c->facts.target_duration_s);
	if (point)
		hls_tags_need_version(&c->tags, 3, "EXTINF with decimals", line->number);
	c->extinf_nano = nano;
	c->extinf_line = line->number;
	return 0;
}

/* <n>[@<o>] */
static int read_byte_range(struct hls_slice value, size_t line, struct byte_range *ret, struct err *e)
{
	size_t n = 0;
	while (n < value.len && value.at[n] != '@')
		n++;
	struct byte_range r = { .has_offset = n < value.len };
	bool ok = hls_decimal_parse((struct hls_slice){ value.at, n }, &r.length) && r.length > 0;
	if (ok && r.has_offset)
		ok = hls_decimal_parse((struct hls_slice){ value.at + n + 1, value.len - n - 1 }, &r.offset) &&
		     r.offset <= UINT64_MAX - r.length;
	if (!ok)
		return hls_refuse(e, "byte-range", line, "\"%.*s\" is no range (RFC 8216, 4.3.2.2)", HLS_SHOW(value));
	*ret = r;
	return 0;
}

/* Where the range of the segment at `uri` begins is known, and of one resource I-frames come one behind the other. */
static int check_range(struct check *c, struct hls_slice uri, struct err *e)
{
	bool follows = c->ranged_uri.len && hls_slice_equal(c->ranged_uri, uri);
	size_t line = c->range_line;
	c->ranged_uri = (struct hls_slice){ 0 };
	c->range_line = 0;
	if (!line)
		return 0;
	if (!c->range.has_offset && !follows)
		return hls_refuse(e, "byte-range", line, "no offset, and no range of the same resource before it (RFC 8216, "
				  "4.3.2.2)");
	uint64_t offset = c->range.has_offset ? c->range.offset : c->ranged_end;
	if (offset > UINT64_MAX - c->range.length)
		return hls_refuse(e, "byte-range", line, "it ends beyond every resource");
	if (c->facts.iframes_only && follows && offset < c->ranged_end)
		return hls_refuse(e, "byte-range", line, "an I-frame begins within the one before it");
	c->ranged_uri = uri;
	c->ranged_end = offset + c->range.length;
	return 0;
}

static int read_map(struct check *c, const struct hls_line *line, struct err *e)
{
	struct hls_attributes a;
	int r = hls_attributes_parse(line, &a, e);
	if (r < 0)
		return r;
	struct hls_slice uri, range;
	r = hls_attribute_string(&a, "URI", true, &uri, e);
	if (r == 0)
		r = hls_uri_check(uri, line->number, e);
	if (r == 0)
		r = hls_attribute_string(&a, "BYTERANGE", false, &range, e);
	struct byte_range parsed;
	if (r == 0 && range.len)
		r = read_byte_range(range, line->number, &parsed, e);
	if (r < 0)
		return r;
	if (!c->facts.has_map)
		c->map_line = line->number;
	c->facts.has_map = true;
	return 0;
}

static int read_key(struct check *c, const struct hls_line *line, struct err *e)
{
	struct hls_attributes a;
	int r = hls_attributes_parse(line, &a, e);
	if (r < 0)
		return r;
	struct hls_slice method;
	r = hls_attribute_word(&a, "METHOD", true, &method, e);
	if (r < 0)
		return r;
	if (hls_attributes_find(&a, "IV"))
		hls_tags_need_version(&c->tags, 2, "EXT-X-KEY with IV", line->number);
	if (hls_attributes_find(&a, "KEYFORMAT") || hls_attributes_find(&a, "KEYFORMATVERSIONS"))
		hls_tags_need_version(&c->tags, 5, "EXT-X-KEY with KEYFORMAT", line->number);
	return 0;
}

/* By the name's ending, as nothing is fetched here. */
static bool ends_in(struct hls_slice uri, const char *const *endings)
{
	size_t len = 0, dot = 0;
	while (len < uri.len && uri.at[len] != '?' && uri.at[len] != '#')
		len++;
	for (size_t i = 0; i < len; i++) {
		if (uri.at[i] == '.')
			dot = i + 1;
		else if (uri.at[i] == '/')
			dot = 0;
	}
	for (; dot && *endings; endings++) {
		struct hls_slice ending = { uri.at + dot, len - dot };
		if (ending.len && strncasecmp(ending.at, *endings, ending.len) == 0 && (*endings)[ending.len] == '\0')
			return true;
	}
	return false;
}

/* fMP4 cannot be decoded without an init segment; WebVTT has none (RFC 8216, 3.5). */
static int check_map(const struct check *c, const struct hls_line *line, struct err *e)
{
	static const char *const fmp4[] = { "m4s", "mp4", "m4v", "m4a", "cmfv", "cmfa", "cmft", NULL };
	static const char *const webvtt[] = { "vtt", "webvtt", NULL };
	if (!c->facts.has_map && ends_in(line->value, fmp4))
		return hls_refuse(e, "map", line->number,
				  "an fMP4 segment without EXT-X-MAP before it: %.*s (RFC 8216, 3.3)",
				  HLS_SHOW(line->value));
	if (c->facts.has_map && ends_in(line->value, webvtt))
		return hls_refuse(e, "map", line->number, "a WebVTT segment behind EXT-X-MAP: %.*s (RFC 8216, 3.5)",
				  HLS_SHOW(line->value));
	return 0;
}

static int read_uri(struct check *c, const struct hls_line *line, struct err *e)
{
	struct hls_media_facts *f = &c->facts;
	if (!c->extinf_line)
		return hls_refuse(e, "extinf", line->number, "a URI without EXTINF: %.*s (RFC 8216, 4.3.2.1)",
				  HLS_SHOW(line->value));
	int r = check_map(c, line, e);
	if (r == 0)
		r = check_range(c, line->value, e);
	if (r < 0)
		return r;
	if (!f->segment_count || c->extinf_nano < c->shortest_nano) {
		c->shortest_nano = c->extinf_nano;
		c->shortest_line = c->extinf_line;
	}
	if (c->extinf_nano > c->longest_nano)
		c->longest_nano = c->extinf_nano;
	c->total_nano += c->extinf_nano;
	f->segment_count++;
	c->extinf_line = 0;
	return 0;
}

static int read_line(void *ctx, const struct hls_line *line, struct err *e)
{
	struct check *c = ctx;
	enum hls_tag tag;
	uint64_t discontinuities;
	int r = hls_tags_admit(&c->tags, line, &tag, e);
	if (r < 0)
		return r;
	switch (tag) {
	case HLS_TAG_NONE:
		return read_uri(c, line, e);
	case HLS_TAG_VERSION:
		return hls_tags_read_version(line, &c->facts.version, e);
	case HLS_TAG_TARGETDURATION:
		return read_target_duration(c, line, e);
	case HLS_TAG_MEDIA_SEQUENCE:
		return read_sequence(line, &c->facts.media_sequence, e);
	case HLS_TAG_DISCONTINUITY_SEQUENCE:
		return read_sequence(line, &discontinuities, e);
	case HLS_TAG_PLAYLIST_TYPE:
		return read_type(c, line, e);
	case HLS_TAG_START:
		return hls_tags_check_start(line, e);
	case HLS_TAG_EXTINF:
		return read_extinf(c, line, e);
	case HLS_TAG_BYTERANGE:
		c->range_line = line->number;
		return read_byte_range(line->value, line->number, &c->range, e);
	case HLS_TAG_MAP:
		return read_map(c, line, e);
	case HLS_TAG_KEY:
		return read_key(c, line, e);
	case HLS_TAG_I_FRAMES_ONLY:
		c->facts.iframes_only = true;
		return 0;
	case HLS_TAG_INDEPENDENT_SEGMENTS:
		c->facts.independent = true;
		return 0;
	case HLS_TAG_ENDLIST:
		c->facts.ended = true;
		return 0;
	default:
		return 0;
	}
}

/* What only the end of the text shows. */
static int check_whole(struct check *c, struct err *e)
{
	const struct hls_media_facts *f = &c->facts;
	if (c->extinf_line)
		return hls_refuse(e, "extinf", c->extinf_line, "no URI behind it (RFC 8216, 4.3.2.1)");
	if (!f->target_duration_s)
		return hls_refuse(e, "target-duration", 0, "no EXT-X-TARGETDURATION (RFC 8216, 4.3.3.1)");
	if (!f->segment_count)
		return hls_refuse(e, "segments", 0, "no segments");
	if (f->vod && !f->ended)
		return hls_refuse(e, "endlist", 0, "a VOD list without EXT-X-ENDLIST: players would wait for more");
	/* Authoring Specification 9.11, 9.12; an I-frame list says it already. */
	if (!f->independent && !c->facts.iframes_only)
		return hls_refuse(e, "independent-segments", 0,
				  "no EXT-X-INDEPENDENT-SEGMENTS (Authoring Specification, 9.12)");
	if (f->segment_count > 1 && !c->facts.iframes_only && c->shortest_nano < TINY_NANO)
		return hls_refuse(e, "tiny-segment", c->shortest_line, "a segment of %" PRIu64 " ms",
				  c->shortest_nano / 1000000);
	if (f->has_map)
		hls_tags_need_version(&c->tags, c->facts.iframes_only ? 5 : 6, "EXT-X-MAP", c->map_line);
	return hls_tags_check_version(&c->tags, f->version, e);
}

int hls_check_media(const char *text, size_t len, struct hls_media_facts *ret, struct err *e)
{
	struct check c = { .facts.version = 1, .tags.kind = HLS_KIND_MEDIA };
	int r = hls_lines_read(text, len, read_line, &c, e);
	if (r == 0)
		r = check_whole(&c, e);
	if (r < 0)
		return r;
	if (ret) {
		*ret = c.facts;
		ret->total_seconds = (double)c.total_nano / NANO_PER_S;
		ret->shortest_seconds = (double)c.shortest_nano / NANO_PER_S;
		ret->longest_seconds = (double)c.longest_nano / NANO_PER_S;
	}
	return 0;
}
