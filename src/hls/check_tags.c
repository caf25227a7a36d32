/* The table of tags, and what can be said of a line from the table alone. Runs where playlists are published and in
 * tests. */
#include "hls/check_tags.h"

#include <inttypes.h>

enum place {
	PLAYLIST, /* says something of the whole list: before its first segment, once */
	PER_NEXT, /* belongs to the next URI, once before it */
	ANYWHERE,
};

struct rule {
	const char *name;
	enum hls_tag tag;
	unsigned kinds; /* of enum hls_kind */
	enum place place;
	bool value;
	unsigned version; /* 0: any */
};

#define BOTH (HLS_KIND_MEDIA | HLS_KIND_MULTIVARIANT)

/* Apart from MEDIA-SEQUENCE and DISCONTINUITY-SEQUENCE the RFC lets a list's own tags stand anywhere; here they come
 * first, because an EVENT list is only appended to and its constants cannot be known later. */
static const struct rule rules[] = {
	{ "EXTM3U", HLS_TAG_EXTM3U, BOTH, PLAYLIST, false, 0 },
	{ "EXT-X-VERSION", HLS_TAG_VERSION, BOTH, PLAYLIST, true, 0 },
	{ "EXT-X-INDEPENDENT-SEGMENTS", HLS_TAG_INDEPENDENT_SEGMENTS, BOTH, PLAYLIST, false, 0 },
	{ "EXT-X-START", HLS_TAG_START, BOTH, PLAYLIST, true, 0 },
	{ "EXT-X-DEFINE", HLS_TAG_DEFINE, BOTH, ANYWHERE, true, 8 },
	{ "EXT-X-TARGETDURATION", HLS_TAG_TARGETDURATION, HLS_KIND_MEDIA, PLAYLIST, true, 0 },
	{ "EXT-X-MEDIA-SEQUENCE", HLS_TAG_MEDIA_SEQUENCE, HLS_KIND_MEDIA, PLAYLIST, true, 0 },
	{ "EXT-X-DISCONTINUITY-SEQUENCE", HLS_TAG_DISCONTINUITY_SEQUENCE, HLS_KIND_MEDIA, PLAYLIST, true, 0 },
	{ "EXT-X-PLAYLIST-TYPE", HLS_TAG_PLAYLIST_TYPE, HLS_KIND_MEDIA, PLAYLIST, true, 0 },
	{ "EXT-X-I-FRAMES-ONLY", HLS_TAG_I_FRAMES_ONLY, HLS_KIND_MEDIA, PLAYLIST, false, 4 },
	{ "EXT-X-PART-INF", HLS_TAG_PART_INF, HLS_KIND_MEDIA, PLAYLIST, true, 0 },
	{ "EXT-X-SERVER-CONTROL", HLS_TAG_SERVER_CONTROL, HLS_KIND_MEDIA, PLAYLIST, true, 0 },
	{ "EXT-X-ENDLIST", HLS_TAG_ENDLIST, HLS_KIND_MEDIA, ANYWHERE, false, 0 },
	{ "EXTINF", HLS_TAG_EXTINF, HLS_KIND_MEDIA, PER_NEXT, true, 0 },
	{ "EXT-X-BYTERANGE", HLS_TAG_BYTERANGE, HLS_KIND_MEDIA, PER_NEXT, true, 4 },
	{ "EXT-X-DISCONTINUITY", HLS_TAG_DISCONTINUITY, HLS_KIND_MEDIA, PER_NEXT, false, 0 },
	{ "EXT-X-KEY", HLS_TAG_KEY, HLS_KIND_MEDIA, ANYWHERE, true, 0 },
	{ "EXT-X-MAP", HLS_TAG_MAP, HLS_KIND_MEDIA, PER_NEXT, true, 0 },
	{ "EXT-X-PROGRAM-DATE-TIME", HLS_TAG_PROGRAM_DATE_TIME, HLS_KIND_MEDIA, PER_NEXT, true, 0 },
	{ "EXT-X-GAP", HLS_TAG_OTHER_MEDIA, HLS_KIND_MEDIA, ANYWHERE, false, 0 },
	{ "EXT-X-BITRATE", HLS_TAG_OTHER_MEDIA, HLS_KIND_MEDIA, ANYWHERE, true, 0 },
	{ "EXT-X-DATERANGE", HLS_TAG_OTHER_MEDIA, HLS_KIND_MEDIA, ANYWHERE, true, 0 },
	{ "EXT-X-PART", HLS_TAG_OTHER_MEDIA, HLS_KIND_MEDIA, ANYWHERE, true, 0 },
	{ "EXT-X-PRELOAD-HINT", HLS_TAG_OTHER_MEDIA, HLS_KIND_MEDIA, ANYWHERE, true, 0 },
	{ "EXT-X-RENDITION-REPORT", HLS_TAG_OTHER_MEDIA, HLS_KIND_MEDIA, ANYWHERE, true, 0 },
	{ "EXT-X-SKIP", HLS_TAG_OTHER_MEDIA, HLS_KIND_MEDIA, ANYWHERE, true, 9 },
	{ "EXT-X-MEDIA", HLS_TAG_MEDIA, HLS_KIND_MULTIVARIANT, ANYWHERE, true, 0 },
	{ "EXT-X-STREAM-INF", HLS_TAG_STREAM_INF, HLS_KIND_MULTIVARIANT, PER_NEXT, true, 0 },
	{ "EXT-X-I-FRAME-STREAM-INF", HLS_TAG_I_FRAME_STREAM_INF, HLS_KIND_MULTIVARIANT, ANYWHERE, true, 0 },
	{ "EXT-X-SESSION-DATA", HLS_TAG_OTHER_MULTIVARIANT, HLS_KIND_MULTIVARIANT, ANYWHERE, true, 0 },
	{ "EXT-X-SESSION-KEY", HLS_TAG_OTHER_MULTIVARIANT, HLS_KIND_MULTIVARIANT, ANYWHERE, true, 0 },
	{ "EXT-X-CONTENT-STEERING", HLS_TAG_OTHER_MULTIVARIANT, HLS_KIND_MULTIVARIANT, ANYWHERE, true, 0 },
};

static const struct rule *find_rule(struct hls_slice name)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (hls_slice_is(name, rules[i].name))
			return &rules[i];
	return NULL;
}

static int admit_uri(struct hls_tags_seen *seen, const struct hls_line *line, struct err *e)
{
	int r = hls_uri_check(line->value, line->number, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].place == PER_NEXT)
			seen->once[rules[i].tag] = false;
	return 0;
}

static int admit_tag(struct hls_tags_seen *seen, const struct rule *rule, const struct hls_line *line, struct err *e)
{
	if (!(rule->kinds & (unsigned)seen->kind))
		return hls_refuse(e, "mixed", line->number, "%s in a %s playlist (RFC 8216, 4.3)", rule->name,
				  seen->kind == HLS_KIND_MEDIA ? "media" : "multivariant");
	if (line->has_value != rule->value || (rule->value && !line->value.len))
		return hls_refuse(e, "tag-value", line->number, "%s %s value", rule->name,
				  rule->value ? "needs a" : "has no");
	if (seen->once[rule->tag] || rule->tag == HLS_TAG_EXTM3U)
		return hls_refuse(e, "once", line->number, "%s a second time%s", rule->name,
				  rule->place == PER_NEXT ? " before a URI" : "");
	if (rule->place == PLAYLIST && seen->segments_begun)
		return hls_refuse(e, "order", line->number, "%s behind the first segment", rule->name);
	seen->once[rule->tag] = rule->place != ANYWHERE;
	if (rule->tag == HLS_TAG_EXTINF || rule->tag == HLS_TAG_STREAM_INF)
		seen->segments_begun = seen->kind == HLS_KIND_MEDIA;
	if (rule->tag == HLS_TAG_ENDLIST)
		seen->ended = true;
	hls_tags_need_version(seen, rule->version, rule->name, line->number);
	return 0;
}

int hls_tags_admit(struct hls_tags_seen *seen, const struct hls_line *line, enum hls_tag *ret, struct err *e)
{
	if (seen->ended)
		return hls_refuse(e, "endlist", line->number, "a line behind EXT-X-ENDLIST");
	enum hls_tag tag = HLS_TAG_NONE;
	int r;
	if (!line->tag.len) {
		r = admit_uri(seen, line, e);
	} else {
		const struct rule *rule = find_rule(line->tag);
		tag = rule ? rule->tag : HLS_TAG_UNKNOWN;
		r = rule ? admit_tag(seen, rule, line, e) : 0;
	}
	if (r == 0)
		*ret = tag;
	return r;
}

void hls_tags_need_version(struct hls_tags_seen *seen, unsigned version, const char *by, size_t line)
{
	if (version <= seen->needed_version)
		return;
	seen->needed_version = version;
	seen->needed_by = by;
	seen->needed_line = line;
}

int hls_tags_check_version(const struct hls_tags_seen *seen, uint64_t declared, struct err *e)
{
	if (declared < seen->needed_version)
		return hls_refuse(e, "version", seen->needed_line,
				  "%s needs EXT-X-VERSION %u, the list has %" PRIu64 " (RFC 8216, 7)", seen->needed_by,
				  seen->needed_version, declared);
	return 0;
}

int hls_tags_read_version(const struct hls_line *line, uint32_t *ret, struct err *e)
{
	uint64_t version;
	if (!hls_decimal_parse(line->value, &version) || !version || version > UINT32_MAX)
		return hls_refuse(e, "version", line->number, "\"%.*s\" is no version (RFC 8216, 4.3.1.2)",
				  HLS_SHOW(line->value));
	*ret = (uint32_t)version;
	return 0;
}

int hls_tags_check_start(const struct hls_line *line, struct err *e)
{
	struct hls_attributes a;
	int r = hls_attributes_parse(line, &a, e);
	if (r < 0)
		return r;
	struct hls_slice offset;
	bool precise;
	r = hls_attribute_word(&a, "TIME-OFFSET", true, &offset, e);
	if (r == 0)
		r = hls_attribute_yes(&a, "PRECISE", &precise, e);
	if (r < 0)
		return r;
	uint64_t nano;
	bool point;
	struct hls_slice unsigned_part = offset;
	if (offset.at[0] == '-') {
		unsigned_part.at++;
		unsigned_part.len--;
	}
	if (!hls_fraction_parse(unsigned_part, &nano, &point))
		return hls_refuse(e, "start", line->number, "TIME-OFFSET=%.*s is no number (RFC 8216, 4.3.5.2)",
				  HLS_SHOW(offset));
	return 0;
}
