/* Rules between playlists: what may follow a version of an EVENT list, and renditions in lock-step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hls/check.h"

#define HEAD(target)                                                                                                   \
	"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:" target                                                     \
	"\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-INDEPENDENT-SEGMENTS\n"
#define ONE "#EXTINF:4.0,\na.ts\n"
#define TWO "#EXTINF:3.0,\nb.ts\n"
#define END "#EXT-X-ENDLIST\n"
#define CRLF \
	"#EXTM3U\r\n#EXT-X-TARGETDURATION:4\r\n#EXT-X-PLAYLIST-TYPE:EVENT\r\n#EXT-X-INDEPENDENT-SEGMENTS\r\n"
#define VOD                                                                                                            \
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXTINF:4,\na.ts\n" END

static const struct {
	const char *previous, *next;
	const char *why; /* NULL: accepted */
} cases[] = {
	{ HEAD("4") ONE, HEAD("4") ONE TWO, NULL },
	{ HEAD("4") ONE, HEAD("4") ONE TWO TWO END, NULL },
	{ HEAD("4") ONE, HEAD("4") ONE END, NULL },
	{ HEAD("4") ONE, HEAD("4") ONE, "growth: neither a new segment nor EXT-X-ENDLIST, still 1 segments" },
	{ HEAD("4") ONE, HEAD("4") ONE "# a comment\n", "growth:" },
	{ HEAD("4") ONE END, HEAD("4") ONE TWO END, "endlist: a version behind the one with EXT-X-ENDLIST" },
	{ HEAD("4") ONE END, HEAD("4") ONE END, "endlist:" },
	{ HEAD("4") ONE TWO, HEAD("4") ONE, "append-only, line 8: \"#EXTINF:3.0,\" is gone" },
	{ HEAD("4") ONE, HEAD("5") ONE TWO,
	  "append-only, line 3: \"#EXT-X-TARGETDURATION:4\" became \"#EXT-X-TARGETDURATION:5\"" },
	{ HEAD("4") "#EXT-X-START:TIME-OFFSET=0\n" ONE, HEAD("4") ONE END,
	  "append-only, line 6: \"#EXT-X-START:TIME-OFFSET=0\" became \"#EXTINF:4.0,\"" },
	{ HEAD("4") ONE, HEAD("4") "#EXTINF:4.0,\nc.ts\n" TWO, "append-only, line 7: \"a.ts\" became \"c.ts\"" },
	{ CRLF "#EXTINF:4,\r\na.ts\r\n", CRLF "#EXTINF:3,\r\na.ts\r\n",
	  "append-only, line 5: \"#EXTINF:4,\" became \"#EXTINF:3,\" (RFC" },
	/* Signed anew: the line changed, though the segment is the same. */
	{ HEAD("4") "#EXTINF:4.0,\na.ts?X-Amz-Date=1\n", HEAD("4") "#EXTINF:4.0,\na.ts?X-Amz-Date=2\n" TWO,
	  "append-only, line 7: \"a.ts\"" },
	{ HEAD("4") ONE, HEAD("4") ONE "#EXTINF:9.0,\nb.ts\n", "target-duration, line 8:" },
	{ HEAD("4") "a.ts\n", HEAD("4") ONE, "the version before: extinf, line 6:" },
	{ VOD, HEAD("4") ONE, "playlist-type: only an EVENT list grows, the version before is none" },
	{ HEAD("4") ONE, VOD, "playlist-type: only an EVENT list grows, the next version is none" },
};

static void growth(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { 0 };
		const char *was = cases[i].previous, *is = cases[i].next;
		int r = hls_check_event_growth(was, strlen(was), is, strlen(is), &e);
		const char *why = cases[i].why ? cases[i].why : "";
		if (r != (cases[i].why ? -ERR_INVALID : 0) || strncmp(e.message, why, strlen(why)) != 0)
			fail_msg("case %zu: %d \"%s\", expected \"%s\"", i, r, e.message, why);
		assert_int_equal(hls_check_event_growth(was, strlen(was), is, strlen(is), NULL), r);
	}
}

static void lockstep(void **state)
{
	(void)state;
	const struct hls_media_facts video = { .target_duration_s = 4, .segment_count = 3, .total_seconds = 12.0 };
	const struct {
		struct hls_media_facts other;
		const char *why;
	} pairs[] = {
		{ video, NULL },
		{ { .target_duration_s = 4, .segment_count = 3, .total_seconds = 12.021 }, NULL },
		{ { .target_duration_s = 4, .segment_count = 3, .total_seconds = 11.979 }, NULL },
		{ { .target_duration_s = 4, .segment_count = 3, .total_seconds = 12.022 },
		  "lockstep: rendition 2 lasts 12.022000 s and rendition 0 12.000000 s, more than 0.021000 s apart" },
		{ { .target_duration_s = 4, .segment_count = 3, .total_seconds = 11.9 },
		  "lockstep: rendition 0 lasts 12.000000 s and rendition 2" },
		{ { .target_duration_s = 5, .segment_count = 3, .total_seconds = 12.0 },
		  "lockstep: rendition 2 has a target duration of 5, rendition 0 of 4" },
		{ { .target_duration_s = 4, .segment_count = 2, .total_seconds = 12.0 },
		  "lockstep: rendition 2 has 2 segments, rendition 0 has 3" },
		{ { .target_duration_s = 4, .segment_count = 3, .total_seconds = 12.0, .ended = true },
		  "lockstep: rendition 2 has ended, rendition 0 has not" },
	};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct hls_media_facts f[] = { video, video, pairs[i].other };
		struct err e = { 0 };
		int r = hls_check_lockstep(f, 3, 0.021, &e);
		const char *why = pairs[i].why ? pairs[i].why : "";
		if (r != (pairs[i].why ? -ERR_INVALID : 0) || strncmp(e.message, why, strlen(why)) != 0)
			fail_msg("pair %zu: %d \"%s\", expected \"%s\"", i, r, e.message, why);
	}
	assert_int_equal(hls_check_lockstep(NULL, 0, 0.021, NULL), 0);
	assert_int_equal(hls_check_lockstep(&video, 1, 0.021, NULL), 0);
}

static void iframes_belong_to_their_rendition(void **state)
{
	(void)state;
	const struct hls_media_facts media = { .target_duration_s = 4, .segment_count = 3, .total_seconds = 12.0 };
	const struct hls_media_facts good = { .target_duration_s = 4, .segment_count = 6, .total_seconds = 12.000004,
					      .iframes_only = true };
	struct hls_media_facts f;
	struct err e = { 0 };
	assert_int_equal(hls_check_iframes(&good, &media, &e), 0);
	assert_int_equal(hls_check_iframes(&good, &good, &e), -ERR_INVALID);
	assert_int_equal(hls_check_iframes(&media, &media, &e), -ERR_INVALID);
	f = good, f.target_duration_s = 5;
	assert_int_equal(hls_check_iframes(&f, &media, &e), -ERR_INVALID);
	f = good, f.ended = true;
	assert_int_equal(hls_check_iframes(&f, &media, &e), -ERR_INVALID);
	f = good, f.segment_count = 2;
	assert_int_equal(hls_check_iframes(&f, &media, &e), -ERR_INVALID);
	assert_string_equal(e.message, "iframes: 2 I-frames of 3 segments");
	f = good, f.total_seconds = 10;
	assert_int_equal(hls_check_iframes(&f, &media, &e), -ERR_INVALID);
	assert_string_equal(e.message, "iframes: the I-frames last 10.000000 s, the rendition 12.000000 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(growth),
		cmocka_unit_test(lockstep),
		cmocka_unit_test(iframes_belong_to_their_rendition),
	};
	return cmocka_run_group_tests_name("hls/check_growth", tests, NULL, NULL);
}
