/* What the renderers write, to the letter; what they refuse; and that the checker, which shares no code with them,
 * accepts whatever they write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hls/check.h"
#include "hls/playlist.h"

static const struct hls_segment three[] = {
	{ 360000, "segment_000.m4s" },
	{ 360000, "segment_001.m4s" },
	{ 217217, "segment_002.m4s" },
};

static struct hls_media growing(void)
{
	return (struct hls_media){
		.type = HLS_EVENT,
		.target_duration_s = 4,
		.timescale = 90000,
		.map_uri = "init.mp4",
		.segments = three,
		.segment_count = 2,
		.start_at_zero = true,
	};
}

static void assert_media(const struct hls_media *m, const char *expected)
{
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, HLS_PLAYLIST_MAX_BYTES);
	if (hls_render_media(m, &out, &e) < 0)
		fail_msg("%s", e.message);
	assert_string_equal(out.data, expected);
	if (hls_check_media(out.data, out.len, NULL, &e) < 0)
		fail_msg("%s", e.message);
}

#define EVENT_FMP4_TWO                                                                                                 \
	"#EXTM3U\n"                                                                                                    \
	"#EXT-X-VERSION:6\n"                                                                                           \
	"#EXT-X-TARGETDURATION:4\n"                                                                                    \
	"#EXT-X-MEDIA-SEQUENCE:0\n"                                                                                    \
	"#EXT-X-PLAYLIST-TYPE:EVENT\n"                                                                                 \
	"#EXT-X-INDEPENDENT-SEGMENTS\n"                                                                                \
	"#EXT-X-START:TIME-OFFSET=0\n"                                                                                 \
	"#EXT-X-MAP:URI=\"init.mp4\"\n"                                                                                \
	"#EXTINF:4.000000,\n"                                                                                          \
	"segment_000.m4s\n"                                                                                            \
	"#EXTINF:4.000000,\n"                                                                                          \
	"segment_001.m4s\n"

static void event_fmp4(void **state)
{
	(void)state;
	struct hls_media m = growing();
	assert_media(&m, EVENT_FMP4_TWO);
	m.segment_count = 3;
	m.ended = true;
	assert_media(&m, EVENT_FMP4_TWO "#EXTINF:2.413522,\nsegment_002.m4s\n#EXT-X-ENDLIST\n");
}

static void vod_ts(void **state)
{
	(void)state;
	static const struct hls_segment ts[] = {
		{ 240640, "segment_000.ts" },
		{ 239616, "segment_001.ts" },
	};
	assert_media(&(struct hls_media){ .type = HLS_VOD,
					   .target_duration_s = 6,
					   .timescale = 48000,
					   .segments = ts,
					   .segment_count = 2,
					   .ended = true },
		     "#EXTM3U\n"
		     "#EXT-X-VERSION:3\n"
		     "#EXT-X-TARGETDURATION:6\n"
		     "#EXT-X-MEDIA-SEQUENCE:0\n"
		     "#EXT-X-PLAYLIST-TYPE:VOD\n"
		     "#EXT-X-INDEPENDENT-SEGMENTS\n"
		     "#EXTINF:5.013333,\n"
		     "segment_000.ts\n"
		     "#EXTINF:4.992000,\n"
		     "segment_001.ts\n"
		     "#EXT-X-ENDLIST\n");
}

static bool sign(void *ctx, const char *relative_uri, struct buf *out)
{
	return buf_printf(out, "https://media.example/%s?X-Amz-Expires=%d", relative_uri, (*(int *)ctx)++);
}

/* The addresses are asked for once a line, in order. */
static void signed_addresses(void **state)
{
	(void)state;
	int calls = 7;
	struct hls_media m = growing();
	m.uri_fn = sign;
	m.uri_ctx = &calls;
	m.segment_count = 1;
	assert_media(&m, "#EXTM3U\n"
			 "#EXT-X-VERSION:6\n"
			 "#EXT-X-TARGETDURATION:4\n"
			 "#EXT-X-MEDIA-SEQUENCE:0\n"
			 "#EXT-X-PLAYLIST-TYPE:EVENT\n"
			 "#EXT-X-INDEPENDENT-SEGMENTS\n"
			 "#EXT-X-START:TIME-OFFSET=0\n"
			 "#EXT-X-MAP:URI=\"https://media.example/init.mp4?X-Amz-Expires=7\"\n"
			 "#EXTINF:4.000000,\n"
			 "https://media.example/segment_000.m4s?X-Amz-Expires=8\n");
	assert_int_equal(calls, 9);
}

static const struct hls_variant ladder[] = {
	{ .bandwidth_bps = 3281001,
	  .average_bandwidth_bps = 2514022,
	  .codecs = "avc1.4d401f,mp4a.40.2",
	  .width = 1280,
	  .height = 720,
	  .frame_rate_milli = 29970,
	  .audio_group = "audio",
	  .uri = "v720/playlist.m3u8" },
	{ .bandwidth_bps = 820000,
	  .codecs = "avc1.4d401e,mp4a.40.2",
	  .width = 640,
	  .height = 360,
	  .frame_rate_milli = 25000,
	  .audio_group = "audio",
	  .uri = "v360/playlist.m3u8" },
};
static const struct hls_rendition voices[] = {
	{ .group_id = "audio",
	  .name = "English",
	  .language = "en",
	  .is_default = true,
	  .channels = 2,
	  .uri = "a0/playlist.m3u8" },
	{ .group_id = "audio", .name = "Commentary", .autoselect = true, .channels = 1, .uri = "a1/playlist.m3u8" },
};

static void assert_multivariant(const struct hls_multivariant *m, const char *expected)
{
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, HLS_PLAYLIST_MAX_BYTES);
	if (hls_render_multivariant(m, &out, &e) < 0)
		fail_msg("%s", e.message);
	assert_string_equal(out.data, expected);
	if (hls_check_multivariant(out.data, out.len, &e) < 0)
		fail_msg("%s", e.message);
}

static void multivariant_with_audio_group(void **state)
{
	(void)state;
	assert_multivariant(
		&(struct hls_multivariant){
			.variants = ladder, .variant_count = 2, .renditions = voices, .rendition_count = 2 },
		"#EXTM3U\n"
		"#EXT-X-VERSION:4\n"
		"#EXT-X-INDEPENDENT-SEGMENTS\n"
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,"
		"CHANNELS=\"2\",URI=\"a0/playlist.m3u8\"\n"
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Commentary\",DEFAULT=NO,AUTOSELECT=YES,"
		"CHANNELS=\"1\",URI=\"a1/playlist.m3u8\"\n"
		"#EXT-X-STREAM-INF:BANDWIDTH=3281001,AVERAGE-BANDWIDTH=2514022,CODECS=\"avc1.4d401f,mp4a.40.2\","
		"RESOLUTION=1280x720,FRAME-RATE=29.970,VIDEO-RANGE=SDR,AUDIO=\"audio\"\n"
		"v720/playlist.m3u8\n"
		"#EXT-X-STREAM-INF:BANDWIDTH=820000,CODECS=\"avc1.4d401e,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000,"
		"VIDEO-RANGE=SDR,AUDIO=\"audio\"\n"
		"v360/playlist.m3u8\n");
}

static const struct hls_iframe pictures[] = {
	{ 180000, 24, 5000, "segment_000.ts" },
	{ 180000, 9024, 4800, "segment_000.ts" },
	{ 37217, 24, 5100, "segment_001.ts" },
};

static void assert_iframes(const struct hls_iframes *m, const char *expected)
{
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, HLS_PLAYLIST_MAX_BYTES);
	if (hls_render_iframes(m, &out, &e) < 0)
		fail_msg("%s", e.message);
	assert_string_equal(out.data, expected);
	struct hls_media_facts facts;
	if (hls_check_media(out.data, out.len, &facts, &e) < 0)
		fail_msg("%s", e.message);
	assert_true(facts.iframes_only);
}

#define IFRAMES_TWO                                                                                                    \
	"#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n"                               \
	"#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-I-FRAMES-ONLY\n%s"                                                         \
	"#EXTINF:2.000000,\n#EXT-X-BYTERANGE:5000@24\nsegment_000.%s\n"                                                 \
	"#EXTINF:2.000000,\n#EXT-X-BYTERANGE:4800@9024\nsegment_000.%s\n"

static void iframes(void **state)
{
	(void)state;
	struct hls_iframes m = { .type = HLS_EVENT,
				 .target_duration_s = 4,
				 .timescale = 90000,
				 .iframes = pictures,
				 .iframe_count = 2 };
	static const char *const names[] = { "segment_000.m4s", "segment_000.m4s", "segment_001.m4s" };
	struct hls_iframe m4s[3];
	char expected[1024];
	(void)snprintf(expected, sizeof(expected), "#EXTM3U\n#EXT-X-VERSION:4\n" IFRAMES_TWO, "", "ts", "ts");
	assert_iframes(&m, expected);
	for (size_t i = 0; i < 3; i++)
		m4s[i] = (struct hls_iframe){ pictures[i].duration_ticks, pictures[i].offset, pictures[i].size_bytes, names[i] };
	m.iframes = m4s;
	m.map_uri = "init.mp4";
	m.iframe_count = 3;
	m.ended = true;
	(void)snprintf(expected, sizeof(expected),
		       "#EXTM3U\n#EXT-X-VERSION:5\n" IFRAMES_TWO
		       "#EXTINF:0.413522,\n#EXT-X-BYTERANGE:5100@24\nsegment_001.m4s\n#EXT-X-ENDLIST\n",
		       "#EXT-X-MAP:URI=\"init.mp4\"\n", "m4s", "m4s");
	assert_iframes(&m, expected);
	struct hls_iframe empty = { 180000, 24, 0, "a" }, endless = { 180000, UINT64_MAX, 1, "a" }, late = { 450000, 0, 1, "a" };
	const struct hls_iframe *const bad[] = { &empty, &endless, &late };
	for (size_t i = 0; i < 3; i++) {
		struct err e = { 0 };
		_cleanup_buf_ struct buf out;
		buf_init(&out, 4096);
		m.iframes = bad[i];
		m.iframe_count = 1;
		assert_int_equal(hls_render_iframes(&m, &out, &e), -ERR_INVALID);
		assert_int_equal(out.len, 0);
	}
}

static void multivariant_with_iframes(void **state)
{
	(void)state;
	struct hls_variant v = { .bandwidth_bps = 820000, .codecs = "avc1.4d401e", .width = 640, .height = 360,
				 .frame_rate_milli = 25000, .uri = "v360/playlist.m3u8" };
	struct hls_iframe_variant i = { .bandwidth_bps = 90000, .average_bandwidth_bps = 80000, .codecs = "avc1.4d401e",
					.width = 640, .height = 360, .uri = "v360/iframes.m3u8" };
	struct hls_multivariant m = { .variants = &v, .variant_count = 1, .iframes = &i, .iframe_count = 1 };
	assert_multivariant(&m, "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n"
				"#EXT-X-STREAM-INF:BANDWIDTH=820000,CODECS=\"avc1.4d401e\",RESOLUTION=640x360,"
				"FRAME-RATE=25.000,VIDEO-RANGE=SDR\nv360/playlist.m3u8\n"
				"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,AVERAGE-BANDWIDTH=80000,CODECS=\"avc1.4d401e\","
				"RESOLUTION=640x360,VIDEO-RANGE=SDR,URI=\"v360/iframes.m3u8\"\n");
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	i.width = 0;
	assert_int_equal(hls_render_multivariant(&m, &out, &e), -ERR_INVALID);
	assert_non_null(strstr(e.message, "I-frame variant 0"));
}

static void multivariant_of_sound_alone(void **state)
{
	(void)state;
	static const struct hls_variant song[] = {
		{ .bandwidth_bps = 201113,
		  .average_bandwidth_bps = 192800,
		  .codecs = "mp4a.40.2",
		  .uri = "a192/playlist.m3u8" },
		{ .bandwidth_bps = 70000,
		  .average_bandwidth_bps = 65000,
		  .codecs = "mp4a.40.2",
		  .uri = "a64/playlist.m3u8" },
	};
	assert_multivariant(&(struct hls_multivariant){ .variants = song, .variant_count = 2 },
			    "#EXTM3U\n"
			    "#EXT-X-INDEPENDENT-SEGMENTS\n"
			    "#EXT-X-STREAM-INF:BANDWIDTH=201113,AVERAGE-BANDWIDTH=192800,CODECS=\"mp4a.40.2\"\n"
			    "a192/playlist.m3u8\n"
			    "#EXT-X-STREAM-INF:BANDWIDTH=70000,AVERAGE-BANDWIDTH=65000,CODECS=\"mp4a.40.2\"\n"
			    "a64/playlist.m3u8\n");
}

static bool fails(void *ctx, const char *relative_uri, struct buf *out)
{
	(void)ctx;
	(void)relative_uri;
	(void)out;
	return false;
}

static bool says(void *ctx, const char *relative_uri, struct buf *out)
{
	(void)relative_uri;
	return buf_puts(out, ctx);
}

/* Refused with `kind` and a message that says `why`; what was in the buffer before is there still, nothing else. */
static void assert_media_refused(const struct hls_media *m, enum err_kind kind, const char *why)
{
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, HLS_PLAYLIST_MAX_BYTES);
	buf_puts(&out, "before");
	assert_int_equal(hls_render_media(m, &out, &e), -(int)kind);
	assert_int_equal(e.kind, kind);
	if (!strstr(e.message, why))
		fail_msg("\"%s\" doesn't say \"%s\"", e.message, why);
	assert_string_equal(out.data, "before");
	assert_int_equal(out.len, 6);
	assert_int_equal(hls_render_media(m, &out, NULL), -(int)kind);
}

static void media_refusals(void **state)
{
	(void)state;
	struct hls_media m = growing();
	m.segment_count = 0;
	assert_media_refused(&m, ERR_INVALID, "no segments");
	m = growing();
	m.timescale = 0;
	assert_media_refused(&m, ERR_INVALID, "timescale");
	m = growing();
	m.target_duration_s = 0;
	assert_media_refused(&m, ERR_INVALID, "target duration is 0");
	m = growing();
	m.type = HLS_VOD;
	assert_media_refused(&m, ERR_INVALID, "not ended");
	m = growing();
	m.type = (enum hls_playlist_type)7;
	assert_media_refused(&m, ERR_INVALID, "unknown playlist type 7");
	m = growing();
	m.target_duration_s = 3;
	assert_media_refused(&m, ERR_INVALID, "segment 0 lasts 4.000000 s, too long for a target duration of 3");

	m = growing();
	m.segment_count = 1;
	m.segments = &(struct hls_segment){ 0, "a.m4s" };
	assert_media_refused(&m, ERR_INVALID, "segment 0 lasts 0 ticks");
	m.segments = &(struct hls_segment){ -1, "a.m4s" };
	assert_media_refused(&m, ERR_INVALID, "segment 0 lasts -1 ticks");
	m.timescale = 10000000;
	m.segments = &(struct hls_segment){ 4, "a.m4s" };
	assert_media_refused(&m, ERR_INVALID, "less than a microsecond");
	/* 4.4999996 s: six decimals make 4.5 of it, which rounds to 5. */
	m.segments = &(struct hls_segment){ 44999996, "a.m4s" };
	assert_media_refused(&m, ERR_INVALID, "4.500000 s, too long");

	m = growing();
	m.uri_fn = fails;
	assert_media_refused(&m, ERR_INTERNAL, "EXT-X-MAP: the address of init.mp4 could not be made");
}

static void addresses_that_break_the_list(void **state)
{
	(void)state;
	char *const bad[] = { (char[]) { "" },
			      (char[]) { "#EXT-X-ENDLIST" },
			      (char[]) { "a.ts\nb.ts" },
			      (char[]) { "a.ts\r" },
			      (char[]) { "a b.ts" },
			      (char[]) { "a\".ts" },
			      (char[]) { "\xc3\xa4.ts" },
			      (char[]) { "a%2.ts" },
			      (char[]) { "a%zz.ts" },
			      (char[]) { "a\x7f.ts" } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hls_media m = growing();
		m.map_uri = NULL;
		m.uri_fn = says;
		m.uri_ctx = bad[i];
		assert_media_refused(&m, ERR_INVALID, "segment 0: the address of segment_000.m4s");
		m.map_uri = "init.mp4";
		assert_media_refused(&m, ERR_INVALID, "EXT-X-MAP: the address of init.mp4");
	}
	struct hls_media m = growing();
	m.segments = &(struct hls_segment){ 1000, NULL };
	m.segment_count = 1;
	assert_media_refused(&m, ERR_INVALID, "segment 0: a URI is empty");
}

static void assert_multivariant_refused(struct hls_variant v, struct hls_rendition a, const char *why)
{
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, HLS_PLAYLIST_MAX_BYTES);
	struct hls_multivariant m = { .variants = &v, .variant_count = 1, .renditions = &a, .rendition_count = 1 };
	assert_int_equal(hls_render_multivariant(&m, &out, &e), -ERR_INVALID);
	if (!strstr(e.message, why))
		fail_msg("\"%s\" doesn't say \"%s\"", e.message, why);
	assert_int_equal(out.len, 0);
	assert_int_equal(hls_render_multivariant(&m, &out, NULL), -ERR_INVALID);
}

static void multivariant_refusals(void **state)
{
	(void)state;
	const struct hls_variant v = ladder[0];
	const struct hls_rendition a = voices[0];
	struct hls_variant bad = v;
	bad.bandwidth_bps = 0;
	assert_multivariant_refused(bad, a, "variant 0: BANDWIDTH is 0");
	bad = v;
	bad.average_bandwidth_bps = v.bandwidth_bps + 1;
	assert_multivariant_refused(bad, a, "variant 0: AVERAGE-BANDWIDTH 3281002 is above");
	bad = v;
	bad.height = 0;
	assert_multivariant_refused(bad, a, "variant 0: RESOLUTION 1280x0");
	bad = v;
	bad.codecs = NULL;
	assert_multivariant_refused(bad, a, "variant 0: CODECS is empty");
	bad = v;
	bad.uri = "";
	assert_multivariant_refused(bad, a, "variant 0: a URI is empty");
	bad = v;
	bad.audio_group = "au\"dio";
	assert_multivariant_refused(bad, a, "variant 0: AUDIO has a quote");

	static const char *const names[] = { "a\"b", "a\nb", "a\rb", "a\tb", "a\xc2\x85", "\x7f" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct hls_rendition named = a;
		named.name = names[i];
		assert_multivariant_refused(v, named, "rendition 0: NAME has a quote or a control character");
	}
	struct hls_rendition rendition = a;
	rendition.name = "\xff";
	assert_multivariant_refused(v, rendition, "NAME is not UTF-8");
	rendition = a;
	rendition.language = "";
	assert_multivariant_refused(v, rendition, "LANGUAGE is empty");
	rendition = a;
	rendition.group_id = NULL;
	assert_multivariant_refused(v, rendition, "GROUP-ID is empty");
	rendition = a;
	rendition.uri = "a\"b";
	assert_multivariant_refused(v, rendition, "rendition 0: the address of a\"b");
	rendition = a;
	rendition.channels = 0;
	assert_multivariant_refused(v, rendition, "CHANNELS is 0");

	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	assert_int_equal(hls_render_multivariant(&(struct hls_multivariant){ 0 }, &out, &e), -ERR_INVALID);
	assert_string_equal(e.message, "multivariant playlist: no variants");
}

/* A name may be in any language and have spaces, a URI may end with an escape, and a constant rate is its own peak. */
static void values_at_the_edge(void **state)
{
	(void)state;
	struct hls_rendition a = voices[0];
	a.name = "Français (dit\xc2\xa0: vf)";
	a.language = "fr";
	struct hls_variant v = ladder[1];
	v.average_bandwidth_bps = v.bandwidth_bps;
	v.uri = "v360%2a";
	assert_multivariant(
		&(struct hls_multivariant){ .variants = &v, .variant_count = 1, .renditions = &a, .rendition_count = 1 },
		"#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n"
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Français (dit\xc2\xa0: vf)\",LANGUAGE=\"fr\",DEFAULT=YES,"
		"AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a0/playlist.m3u8\"\n"
		"#EXT-X-STREAM-INF:BANDWIDTH=820000,AVERAGE-BANDWIDTH=820000,CODECS=\"avc1.4d401e,mp4a.40.2\","
		"RESOLUTION=640x360,FRAME-RATE=25.000,VIDEO-RANGE=SDR,AUDIO=\"audio\"\nv360%2a\n");
}

static void buffer_too_small(void **state)
{
	(void)state;
	struct hls_media m = growing();
	struct hls_multivariant mv = { .variants = ladder, .variant_count = 2, .renditions = voices, .rendition_count = 2 };
	/* Every size up to the one that fits: nothing is left behind, and the reason is the right one. */
	for (size_t max = 0; max < strlen(EVENT_FMP4_TWO); max++) {
		struct err e = { 0 };
		_cleanup_buf_ struct buf out;
		buf_init(&out, max);
		assert_int_equal(hls_render_media(&m, &out, &e), -ERR_TOO_LARGE);
		assert_int_equal(out.len, 0);
		assert_int_equal(hls_render_multivariant(&mv, &out, &e), -ERR_TOO_LARGE);
		assert_int_equal(out.len, 0);
	}
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, strlen(EVENT_FMP4_TWO));
	assert_int_equal(hls_render_media(&m, &out, &e), 0);
}

static void target_durations(void **state)
{
	(void)state;
	static const struct {
		int64_t ticks;
		uint32_t timescale, expected;
	} cases[] = {
		{ 400, 100, 4 },
		{ 449, 100, 4 },
		{ 450, 100, 5 },
		{ 44999994, 10000000, 4 },
		{ 44999996, 10000000, 5 }, /* printed as 4.500000 */
		{ 1, 100, 1 },
		{ 0, 100, 1 },
		{ -5, 100, 1 },
		{ 5, 0, 1 },
		{ INT64_MAX, 1, UINT32_MAX },
		{ INT64_MAX, UINT32_MAX, 2147483649u }, /* half a second beyond 2^31 */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hls_segment s[] = { { 1, "a" }, { cases[i].ticks, "b" } };
		assert_int_equal(hls_target_duration(s, 2, cases[i].timescale), cases[i].expected);
	}
	assert_int_equal(hls_target_duration(NULL, 0, 90000), 1);
	assert_int_equal(hls_target_duration(three, 3, 90000), 4);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Any durations, any prefix: the list is accepted, its sum is the ticks' sum, and a longer prefix only appends. */
static void random_lists_pass_the_checker(void **state)
{
	(void)state;
	uint64_t seed = 0x6d696c6c72616365;
	static const uint32_t timescales[] = { 1, 1000, 44100, 48000, 90000, 30000 };
	for (int round = 0; round < 300; round++) {
		struct hls_segment s[20];
		uint32_t timescale = timescales[next_random(&seed) % 6];
		size_t count = 2 + next_random(&seed) % 18;
		int64_t sum = 0;
		for (size_t i = 0; i < count; i++) {
			s[i] = (struct hls_segment){
				timescale / 8 + 1 + (int64_t)(next_random(&seed) % (9 * timescale)), "s.m4s"
			};
			sum += s[i].duration_ticks;
		}
		struct hls_media m = { .type = HLS_EVENT,
				       .timescale = timescale,
				       .map_uri = "i.mp4",
				       .segments = s,
				       .target_duration_s = hls_target_duration(s, count, timescale),
				       .start_at_zero = true };
		struct err e = { 0 };
		_cleanup_buf_ struct buf previous, next;
		buf_init(&previous, HLS_PLAYLIST_MAX_BYTES);
		buf_init(&next, HLS_PLAYLIST_MAX_BYTES);
		m.segment_count = 1 + next_random(&seed) % (count - 1);
		assert_int_equal(hls_render_media(&m, &previous, &e), 0);
		m.segment_count = count;
		m.ended = next_random(&seed) % 2;
		assert_int_equal(hls_render_media(&m, &next, &e), 0);
		if (hls_check_event_growth(previous.data, previous.len, next.data, next.len, &e) < 0)
			fail_msg("round %d: %s\n%s", round, e.message, next.data);
		struct hls_media_facts f;
		assert_int_equal(hls_check_media(next.data, next.len, &f, &e), 0);
		assert_int_equal(f.segment_count, count);
		double off = f.total_seconds - (double)sum / timescale;
		assert_true(off < 1e-6 * (double)count && off > -1e-6 * (double)count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_fmp4),
		cmocka_unit_test(vod_ts),
		cmocka_unit_test(signed_addresses),
		cmocka_unit_test(multivariant_with_audio_group),
		cmocka_unit_test(iframes),
		cmocka_unit_test(multivariant_with_iframes),
		cmocka_unit_test(multivariant_of_sound_alone),
		cmocka_unit_test(media_refusals),
		cmocka_unit_test(addresses_that_break_the_list),
		cmocka_unit_test(multivariant_refusals),
		cmocka_unit_test(values_at_the_edge),
		cmocka_unit_test(buffer_too_small),
		cmocka_unit_test(target_durations),
		cmocka_unit_test(random_lists_pass_the_checker),
	};
	return cmocka_run_group_tests_name("hls/render", tests, NULL, NULL);
}
