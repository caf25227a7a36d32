/* The rules of a multivariant playlist. Runs in the worker before a version is stored, and in tests on what was
 * fetched.
 *
 * Guarantees: memory is a constant (ENTRIES_MAX entries of each sort; more are refused), time linear in the text plus
 * the square of that constant. Doesn't: look into the playlists that are named, so it cannot know whether BANDWIDTH and
 * CODECS are true. */
#include "hls/check.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "hls/check_lex.h"
#include "hls/check_tags.h"

#define ENTRIES_MAX 256

enum type { AUDIO, VIDEO, SUBTITLES, CLOSED_CAPTIONS, TYPES };
static const char *const type_names[TYPES] = { "AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS" };

struct rendition {
	enum type type;
	struct hls_slice group;
	struct hls_slice name;
	bool is_default;
	size_t line;
};

struct variant {
	struct hls_slice uri;
	struct hls_slice groups[TYPES]; /* empty: none */
	size_t line;
};

struct check {
	struct hls_tags_seen tags;
	uint32_t version;
	bool uri_awaited; /* the line before was EXT-X-STREAM-INF */
	size_t rendition_count;
	size_t variant_count;
	struct rendition renditions[ENTRIES_MAX];
	struct variant variants[ENTRIES_MAX];
};

/* What a CODECS list names, as far as its four-character codes are known (RFC 6381). */
struct codecs {
	bool video, audio;
};

static bool is_one_of(struct hls_slice code, const char *const *list)
{
	for (; *list; list++)
		if (hls_slice_is(code, *list))
			return true;
	return false;
}

static int read_codecs(const struct hls_attributes *a, struct codecs *ret, struct err *e)
{
	static const char *const video[] = { "avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe",
					     "vp08", "vp09", "av01", "mp4v", NULL };
	static const char *const audio[] = { "mp4a", "ac-3", "ec-3", "ac-4", "alac", "fLaC", "Opus", "opus", NULL };
	struct hls_slice list;
	int r = hls_attribute_string(a, "CODECS", false, &list, e);
	if (r < 0)
		return r;
	if (!list.len)
		return hls_refuse(e, "codecs", a->line, "no CODECS (Authoring Specification, 9.1)");
	*ret = (struct codecs){ 0 };
	for (size_t i = 0; i <= list.len;) {
		struct hls_slice item = { list.at + i, 0 };
		size_t code_len = 0;
		for (; i < list.len && list.at[i] != ','; i++, item.len++)
			code_len += list.at[i] != '.' && code_len == item.len;
		i++;
		struct hls_slice code = { item.at, code_len };
		if (!code_len || memchr(item.at, ' ', item.len))
			return hls_refuse(e, "codecs", a->line, "\"%.*s\" is no list of codecs (RFC 6381, 3.2)",
					  HLS_SHOW(list));
		ret->video |= is_one_of(code, video);
		ret->audio |= is_one_of(code, audio);
	}
	return 0;
}

static int check_bandwidth(const struct hls_attributes *a, struct err *e)
{
	uint64_t peak, average;
	if (!hls_attributes_find(a, "BANDWIDTH"))
		return hls_refuse(e, "bandwidth", a->line, "no BANDWIDTH (RFC 8216, 4.3.4.2)");
	int r = hls_attribute_decimal(a, "BANDWIDTH", true, &peak, e);
	if (r == 0)
		r = hls_attribute_decimal(a, "AVERAGE-BANDWIDTH", false, &average, e);
	if (r < 0)
		return r;
	if (!peak)
		return hls_refuse(e, "bandwidth", a->line, "BANDWIDTH is 0");
	if (average > peak)
		return hls_refuse(e, "bandwidth", a->line, "AVERAGE-BANDWIDTH %" PRIu64 " is above BANDWIDTH %" PRIu64,
				  average, peak);
	return 0;
}

static int check_resolution(const struct hls_attributes *a, bool needed, struct err *e)
{
	struct hls_slice v;
	int r = hls_attribute_word(a, "RESOLUTION", false, &v, e);
	if (r < 0)
		return r;
	if (!v.len)
		return needed ? hls_refuse(e, "resolution", a->line,
					   "video without RESOLUTION (Authoring Specification, 9.2)")
			      : 0;
	const char *x = memchr(v.at, 'x', v.len);
	struct hls_slice width = { v.at, x ? (size_t)(x - v.at) : 0 };
	struct hls_slice height = { x ? x + 1 : v.at, x ? v.len - width.len - 1 : 0 };
	uint64_t w, h;
	if (!hls_decimal_parse(width, &w) || !hls_decimal_parse(height, &h) || !w || !h)
		return hls_refuse(e, "resolution", a->line, "RESOLUTION=%.*s (RFC 8216, 4.2)", HLS_SHOW(v));
	return 0;
}

static int check_frame_rate(const struct hls_attributes *a, bool needed, struct err *e)
{
	struct hls_slice v;
	int r = hls_attribute_word(a, "FRAME-RATE", false, &v, e);
	if (r < 0)
		return r;
	if (!v.len)
		return needed ? hls_refuse(e, "frame-rate", a->line,
					   "video without FRAME-RATE (Authoring Specification, 9.15)")
			      : 0;
	uint64_t nano;
	bool point;
	if (!hls_fraction_parse(v, &nano, &point) || !nano)
		return hls_refuse(e, "frame-rate", a->line, "FRAME-RATE=%.*s (RFC 8216, 4.3.4.2)", HLS_SHOW(v));
	return 0;
}

static int check_video_range(const struct hls_attributes *a, struct err *e)
{
	struct hls_slice v;
	int r = hls_attribute_word(a, "VIDEO-RANGE", false, &v, e);
	if (r < 0 || !v.len || hls_slice_is(v, "SDR") || hls_slice_is(v, "HLG") || hls_slice_is(v, "PQ"))
		return r;
	return hls_refuse(e, "video-range", a->line, "VIDEO-RANGE=%.*s (bis, 4.4.6.2)", HLS_SHOW(v));
}

static int read_groups(const struct hls_attributes *a, struct variant *v, struct err *e)
{
	for (int t = 0; t < TYPES; t++) {
		const struct hls_attribute *found = hls_attributes_find(a, type_names[t]);
		/* CLOSED-CAPTIONS=NONE, without quotes, says that there are none anywhere. */
		if (found && t == CLOSED_CAPTIONS && !found->quoted && hls_slice_is(found->value, "NONE"))
			continue;
		int r = hls_attribute_string(a, type_names[t], false, &v->groups[t], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_variant(struct check *c, const struct hls_line *line, struct err *e)
{
	struct hls_attributes a;
	int r = hls_attributes_parse(line, &a, e);
	if (r < 0)
		return r;
	struct codecs codecs;
	r = check_bandwidth(&a, e);
	if (r == 0)
		r = read_codecs(&a, &codecs, e);
	if (r < 0)
		return r;
	bool video = codecs.video || hls_attributes_find(&a, "RESOLUTION");
	r = check_resolution(&a, video, e);
	if (r == 0)
		r = check_frame_rate(&a, video, e);
	if (r == 0)
		r = check_video_range(&a, e);
	if (r < 0)
		return r;
	if (c->variant_count == ENTRIES_MAX)
		return hls_refuse(e, "too-many", line->number, "more than %d variants", ENTRIES_MAX);
	struct variant *v = &c->variants[c->variant_count];
	*v = (struct variant){ .line = line->number };
	r = read_groups(&a, v, e);
	if (r < 0)
		return r;
	/* CODECS covers every rendition that may play along (RFC 8216, 4.3.4.2). */
	if (v->groups[AUDIO].len && !codecs.audio)
		return hls_refuse(e, "codecs", line->number,
				  "CODECS names no audio, but the variant has an AUDIO group (RFC 8216, 4.3.4.2)");
	c->uri_awaited = true;
	return 0;
}

/* I-frames are pictures without their sound, shown at no rate of their own (RFC 8216, 4.3.4.3). */
static int check_pictures_alone(const struct hls_attributes *a, const struct codecs *codecs, struct err *e)
{
	static const char *const none[] = { "FRAME-RATE", "AUDIO", "SUBTITLES", "CLOSED-CAPTIONS" };
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (hls_attributes_find(a, none[i]))
			return hls_refuse(e, "iframes", a->line, "%s of I-frames (RFC 8216, 4.3.4.3)", none[i]);
	if (codecs->audio)
		return hls_refuse(e, "iframes", a->line, "I-frames with an audio codec");
	return 0;
}

static int read_iframe_variant(const struct hls_line *line, struct err *e)
{
	struct hls_attributes a;
	int r = hls_attributes_parse(line, &a, e);
	if (r < 0)
		return r;
	struct hls_slice uri;
	struct codecs codecs;
	r = hls_attribute_string(&a, "URI", true, &uri, e);
	if (r == 0)
		r = hls_uri_check(uri, line->number, e);
	if (r == 0)
		r = check_bandwidth(&a, e);
	if (r == 0)
		r = read_codecs(&a, &codecs, e);
	if (r == 0)
		r = check_pictures_alone(&a, &codecs, e);
	if (r == 0)
		r = check_video_range(&a, e);
	return r < 0 ? r : check_resolution(&a, true, e);
}

static int read_type(const struct hls_attributes *a, enum type *ret, struct err *e)
{
	struct hls_slice name;
	int r = hls_attribute_word(a, "TYPE", true, &name, e);
	if (r < 0)
		return r;
	for (int t = 0; t < TYPES; t++) {
		if (hls_slice_is(name, type_names[t])) {
			*ret = (enum type)t;
			return 0;
		}
	}
	return hls_refuse(e, "media", a->line, "TYPE=%.*s (RFC 8216, 4.3.4.1)", HLS_SHOW(name));
}

/* Subtags of one to eight letters and digits with hyphens between, the first of letters (RFC 5646, 2.1). */
static int check_language(const struct hls_attributes *a, struct err *e)
{
	struct hls_slice v;
	int r = hls_attribute_string(a, "LANGUAGE", false, &v, e);
	if (r < 0)
		return r;
	size_t len = 0;
	bool first = true, ok = true;
	for (size_t i = 0; i < v.len && ok; i++) {
		char c = v.at[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (c == '-') {
			ok = len > 0;
			first = false;
			len = 0;
			continue;
		}
		ok = ++len <= 8 && (letter || (!first && c >= '0' && c <= '9'));
	}
	if (v.len && (!ok || !len))
		return hls_refuse(e, "language", a->line, "LANGUAGE=\"%.*s\" is no language tag (RFC 5646, 2.1)",
				  HLS_SHOW(v));
	return 0;
}

/* Which attributes each type needs or must not have (RFC 8216, 4.3.4.1). */
static int check_type_attributes(const struct hls_attributes *a, enum type type, struct err *e)
{
	struct hls_slice uri, channels, instream;
	bool forced;
	int r = hls_attribute_string(a, "URI", type == SUBTITLES, &uri, e);
	if (r == 0 && uri.len)
		r = hls_uri_check(uri, a->line, e);
	if (r == 0)
		r = hls_attribute_string(a, "INSTREAM-ID", type == CLOSED_CAPTIONS, &instream, e);
	if (r == 0)
		r = hls_attribute_string(a, "CHANNELS", false, &channels, e);
	if (r == 0)
		r = hls_attribute_yes(a, "FORCED", &forced, e);
	if (r < 0)
		return r;
	if (forced && type != SUBTITLES)
		return hls_refuse(e, "media", a->line, "only subtitles may be FORCED (RFC 8216, 4.3.4.1)");
	if (uri.len && type == CLOSED_CAPTIONS)
		return hls_refuse(e, "media", a->line, "CLOSED-CAPTIONS have no URI (RFC 8216, 4.3.4.1)");
	if (type != AUDIO)
		return 0;
	/* Its first parameter is a count; others follow behind slashes. */
	struct hls_slice count = channels;
	const char *slash = channels.len ? memchr(channels.at, '/', channels.len) : NULL;
	if (slash)
		count.len = (size_t)(slash - channels.at);
	uint64_t n;
	if (!hls_decimal_parse(count, &n) || !n)
		return hls_refuse(e, "channels", a->line, "audio without a count in CHANNELS (RFC 8216, 4.3.4.1)");
	return 0;
}

static int read_rendition(struct check *c, const struct hls_line *line, struct err *e)
{
	struct hls_attributes a;
	int r = hls_attributes_parse(line, &a, e);
	if (r < 0)
		return r;
	struct rendition m = { .line = line->number };
	bool autoselect;
	r = read_type(&a, &m.type, e);
	if (r == 0)
		r = hls_attribute_string(&a, "GROUP-ID", true, &m.group, e);
	if (r == 0)
		r = hls_attribute_string(&a, "NAME", true, &m.name, e);
	if (r == 0)
		r = hls_attribute_yes(&a, "DEFAULT", &m.is_default, e);
	if (r == 0)
		r = hls_attribute_yes(&a, "AUTOSELECT", &autoselect, e);
	if (r == 0)
		r = check_type_attributes(&a, m.type, e);
	if (r == 0)
		r = check_language(&a, e);
	if (r < 0)
		return r;
	if (m.is_default && !autoselect && hls_attributes_find(&a, "AUTOSELECT"))
		return hls_refuse(e, "default", line->number, "DEFAULT=YES with AUTOSELECT=NO (RFC 8216, 4.3.4.1)");
	if (c->rendition_count == ENTRIES_MAX)
		return hls_refuse(e, "too-many", line->number, "more than %d renditions", ENTRIES_MAX);
	c->renditions[c->rendition_count++] = m;
	return 0;
}

static int read_uri(struct check *c, const struct hls_line *line, struct err *e)
{
	if (!c->uri_awaited)
		return hls_refuse(e, "stream-inf", line->number, "a URI without EXT-X-STREAM-INF: %.*s",
				  HLS_SHOW(line->value));
	c->variants[c->variant_count++].uri = line->value;
	c->uri_awaited = false;
	return 0;
}

static int read_line(void *ctx, const struct hls_line *line, struct err *e)
{
	struct check *c = ctx;
	enum hls_tag tag;
	int r = hls_tags_admit(&c->tags, line, &tag, e);
	if (r < 0)
		return r;
	if (c->uri_awaited && tag != HLS_TAG_NONE)
		return hls_refuse(e, "stream-inf", line->number,
				  "EXT-X-STREAM-INF must be followed by its URI (RFC 8216, 4.3.4.2)");
	switch (tag) {
	case HLS_TAG_NONE:
		return read_uri(c, line, e);
	case HLS_TAG_VERSION:
		return hls_tags_read_version(line, &c->version, e);
	case HLS_TAG_START:
		return hls_tags_check_start(line, e);
	case HLS_TAG_MEDIA:
		return read_rendition(c, line, e);
	case HLS_TAG_STREAM_INF:
		return read_variant(c, line, e);
	case HLS_TAG_I_FRAME_STREAM_INF:
		return read_iframe_variant(line, e);
	default:
		return 0;
	}
}

static bool same_group(const struct rendition *a, const struct rendition *b)
{
	return a->type == b->type && hls_slice_equal(a->group, b->group);
}

/* One group, seen from its first member: names differ (RFC 8216, 4.3.4.1.1), and a player that chooses nothing finds
 * exactly one to play. Captions and subtitles may stay off. */
static int check_group(const struct check *c, size_t first, struct err *e)
{
	const struct rendition *head = &c->renditions[first];
	size_t defaults = 0;
	for (size_t i = first; i < c->rendition_count; i++) {
		const struct rendition *m = &c->renditions[i];
		if (!same_group(m, head))
			continue;
		defaults += m->is_default;
		if (defaults > 1)
			return hls_refuse(e, "default", m->line,
					  "a second DEFAULT=YES in group \"%.*s\" (RFC 8216, 4.3.4.1.1)",
					  HLS_SHOW(head->group));
		for (size_t j = first; j < i; j++)
			if (same_group(&c->renditions[j], head) && hls_slice_equal(c->renditions[j].name, m->name))
				return hls_refuse(e, "names", m->line,
						  "NAME \"%.*s\" twice in group \"%.*s\" (RFC 8216, 4.3.4.1.1)",
						  HLS_SHOW(m->name), HLS_SHOW(head->group));
	}
	if (!defaults && (head->type == AUDIO || head->type == VIDEO))
		return hls_refuse(e, "default", head->line, "group \"%.*s\" has no DEFAULT=YES", HLS_SHOW(head->group));
	return 0;
}

static int check_groups(const struct check *c, struct err *e)
{
	for (size_t i = 0; i < c->rendition_count; i++) {
		bool head = true;
		for (size_t j = 0; j < i && head; j++)
			head = !same_group(&c->renditions[j], &c->renditions[i]);
		int r = head ? check_group(c, i, e) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static bool group_exists(const struct check *c, enum type type, struct hls_slice group)
{
	for (size_t i = 0; i < c->rendition_count; i++)
		if (c->renditions[i].type == type && hls_slice_equal(c->renditions[i].group, group))
			return true;
	return false;
}

static bool same_variant(const struct variant *a, const struct variant *b)
{
	bool same = hls_slice_equal(a->uri, b->uri);
	for (int t = 0; t < TYPES && same; t++)
		same = hls_slice_equal(a->groups[t], b->groups[t]);
	return same;
}

static int check_variants(const struct check *c, struct err *e)
{
	for (size_t i = 0; i < c->variant_count; i++) {
		const struct variant *v = &c->variants[i];
		for (int t = 0; t < TYPES; t++)
			if (v->groups[t].len && !group_exists(c, (enum type)t, v->groups[t]))
				return hls_refuse(e, "groups", v->line,
						  "no EXT-X-MEDIA of %s group \"%.*s\" (RFC 8216, 4.3.4.2)",
						  type_names[t], HLS_SHOW(v->groups[t]));
		for (size_t j = 0; j < i; j++)
			if (same_variant(&c->variants[j], v))
				return hls_refuse(e, "duplicate-variant", v->line, "the same as at line %zu: %.*s",
						  c->variants[j].line, HLS_SHOW(v->uri));
	}
	return 0;
}

/* What only the end of the text shows. */
static int check_whole(const struct check *c, struct err *e)
{
	if (c->uri_awaited)
		return hls_refuse(e, "stream-inf", c->variants[c->variant_count].line,
				  "no URI behind it (RFC 8216, 4.3.4.2)");
	if (!c->variant_count)
		return hls_refuse(e, "variants", 0, "no EXT-X-STREAM-INF");
	int r = check_groups(c, e);
	if (r == 0)
		r = check_variants(c, e);
	return r < 0 ? r : hls_tags_check_version(&c->tags, c->version, e);
}

int hls_check_multivariant(const char *text, size_t len, struct err *e)
{
	_cleanup_free_ struct check *c = mr_calloc(1, sizeof(*c));
	c->version = 1;
	c->tags.kind = HLS_KIND_MULTIVARIANT;
	int r = hls_lines_read(text, len, read_line, c, e);
	return r < 0 ? r : check_whole(c, e);
}
