/* One accepted and one refused list for each rule of the media playlist checker; a refusal names its rule and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hls/check.h"

/* Five lines of a TS list and seven of an fMP4 list, the segments to follow. */
#define TS_HEAD                                                                                                        \
	"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-PLAYLIST-TYPE:EVENT\n"
#define FMP4_HEAD                                                                                                      \
	"#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n"                                \
	"#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"init.mp4\"\n"
#define IFRAMES                                                                                                        \
	"#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:4\n#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI=\"i.mp4\"\n"
#define SEGMENT "#EXTINF:4.000000,\na.ts\n"

static const struct {
	const char *accepted;
	const char *refused;
	const char *why; /* how the refusal begins */
} cases[] = {
	{ TS_HEAD SEGMENT, "", "extm3u, line 1:" },
	{ TS_HEAD SEGMENT, "#EXT-X-VERSION:3\n" TS_HEAD SEGMENT, "extm3u, line 1:" },
	{ TS_HEAD SEGMENT, " #EXTM3U\n", "extm3u, line 1:" },
	{ TS_HEAD SEGMENT, "\xef\xbb\xbf" TS_HEAD SEGMENT, "text, line 1: a byte order mark" },
	{ "#EXTM3U\r\n#EXT-X-TARGETDURATION:4\r\n#EXT-X-INDEPENDENT-SEGMENTS\r\n#EXTINF:4,\r\na.ts\r\n",
	  TS_HEAD "#EXTINF:4.0,\ra.ts\n", "text, line 6: byte 0x0d" },
	{ TS_HEAD "#EXTINF:4.0,Gr\xc3\xbc\xc3\x9f"
		  "e\na.ts\n",
	  TS_HEAD "#EXTINF:4.0,Gr\xfc\xdf"
		  "e\na.ts\n",
	  "text, line 6: byte 0xfc" },
	{ TS_HEAD "# a comment\n\n" SEGMENT, TS_HEAD "# a\tcomment\n" SEGMENT, "text, line 6: byte 0x09" },
	{ TS_HEAD "#EXTINF:4.0,\xc2\xa0\na.ts\n", TS_HEAD "#EXTINF:4.0,\xc2\x85\na.ts\n", "text, line 6: byte 0xc2" },
	{ TS_HEAD SEGMENT, "\xef\xbb\xbf", "text, line 1: a byte order mark" },
	{ TS_HEAD SEGMENT SEGMENT, TS_HEAD SEGMENT "#EXTINF:4.0,\na.t", "text, line 9: the last line is not ended" },

	{ TS_HEAD SEGMENT "#EXT-X-NEW-IN-VERSION-20:1\n", TS_HEAD SEGMENT "#EXT-X-STREAM-INF:BANDWIDTH=1\n",
	  "mixed, line 8: EXT-X-STREAM-INF in a media playlist" },
	{ TS_HEAD SEGMENT "#EXT-X-ENDLIST\n", TS_HEAD SEGMENT "#EXT-X-ENDLIST:\n",
	  "tag-value, line 8: EXT-X-ENDLIST has no value" },
	{ TS_HEAD "#EXT-X-START:TIME-OFFSET=0\n" SEGMENT, TS_HEAD "#EXT-X-START\n" SEGMENT,
	  "tag-value, line 6: EXT-X-START needs a value" },
	{ TS_HEAD "#EXT-X-START:TIME-OFFSET=0\n" SEGMENT, TS_HEAD "#EXT-X-START:\n" SEGMENT,
	  "tag-value, line 6: EXT-X-START needs a value" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-TARGETDURATION:4\n" SEGMENT, "once, line 6: EXT-X-TARGETDURATION" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-INDEPENDENT-SEGMENTS\n" SEGMENT,
	  "once, line 6: EXT-X-INDEPENDENT-SEGMENTS" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXTM3U\n" SEGMENT, "once, line 6: EXTM3U" },
	{ TS_HEAD SEGMENT SEGMENT, TS_HEAD "#EXTINF:4.0,\n" SEGMENT,
	  "once, line 7: EXTINF a second time before a URI" },
	{ TS_HEAD "#EXT-X-MEDIA-SEQUENCE:7\n" SEGMENT, TS_HEAD SEGMENT "#EXT-X-MEDIA-SEQUENCE:7\n" SEGMENT,
	  "order, line 8: EXT-X-MEDIA-SEQUENCE behind the first segment" },
	{ TS_HEAD "#EXT-X-DISCONTINUITY-SEQUENCE:2\n" SEGMENT, TS_HEAD "#EXT-X-DISCONTINUITY-SEQUENCE:x\n" SEGMENT,
	  "sequence, line 6:" },
	{ TS_HEAD "#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n" SEGMENT,
	  TS_HEAD "#EXT-X-MEDIA-SEQUENCE:18446744073709551616\n" SEGMENT, "sequence, line 6:" },

	{ TS_HEAD SEGMENT, "#EXTM3U\n#EXT-X-VERSION:three\n", "version, line 2:" },
	{ "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXTINF:4,\na.ts\n",
	  "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXTINF:4.0,\na.ts\n",
	  "version, line 4: EXTINF with decimals needs EXT-X-VERSION 3, the list has 1" },
	{ FMP4_HEAD "#EXTINF:4.0,\n#EXT-X-BYTERANGE:100@0\na.mp4\n",
	  TS_HEAD "#EXTINF:4.0,\n#EXT-X-BYTERANGE:100@0\na.ts\n",
	  "version, line 7: EXT-X-BYTERANGE needs EXT-X-VERSION 4, the list has 3" },
	{ TS_HEAD "#EXTINF:4.0,\na.vtt\n", FMP4_HEAD "#EXTINF:4.0,\na.vtt?x\n", "map, line 9: a WebVTT segment behind EXT-X-MAP" },
	{ FMP4_HEAD "#EXTINF:4.0,\na.m4s\n", TS_HEAD "#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:4.0,\na.m4s\n",
	  "version, line 6: EXT-X-MAP needs EXT-X-VERSION 6, the list has 3" },
	{ "#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:4\n#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI=\"i.mp4\"\n"
	  "#EXTINF:0.04,\na.mp4\n"
	  "#EXTINF:4.0,\nb.mp4\n",
	  "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXT-X-I-FRAMES-ONLY\n"
	  "#EXTINF:4.0,\na.mp4\n",
	  "version, line 4: EXT-X-MAP needs EXT-X-VERSION 5, the list has 4" },
	{ FMP4_HEAD "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1,KEYFORMAT=\"identity\"\n#EXTINF:4,\na.m4s\n",
	  TS_HEAD "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1,KEYFORMAT=\"identity\"\n" SEGMENT,
	  "version, line 6: EXT-X-KEY with KEYFORMAT needs EXT-X-VERSION 5" },
	{ "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n" SEGMENT SEGMENT,
	  "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n" SEGMENT SEGMENT,
	  "version, line 4: EXTINF with decimals" },
	{ "#EXTM3U\n#EXT-X-VERSION:2\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n"
	  "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1\n#EXTINF:4,\na.ts\n",
	  "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n"
	  "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1\n#EXTINF:4,\na.ts\n",
	  "version, line 4: EXT-X-KEY with IV needs EXT-X-VERSION 2, the list has 1" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-KEY:NONE\n" SEGMENT, "attributes, line 6: no NAME=value" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-MAP:init.mp4\n" SEGMENT, "attributes, line 6: no NAME=value" },
	{ TS_HEAD "#EXT-X-KEY:METHOD=NONE\n" SEGMENT, TS_HEAD "#EXT-X-KEY:URI=\"k\"\n" SEGMENT,
	  "attributes, line 6: no METHOD" },

	{ TS_HEAD SEGMENT, "#EXTM3U\n#EXT-X-TARGETDURATION:0\n", "target-duration, line 2:" },
	{ TS_HEAD SEGMENT, "#EXTM3U\n#EXT-X-TARGETDURATION:4.0\n", "target-duration, line 2:" },
	{ TS_HEAD SEGMENT, "#EXTM3U\n#EXT-X-VERSION:3\n" SEGMENT, "target-duration: no EXT-X-TARGETDURATION" },
	{ TS_HEAD "#EXTINF:4.499999,\na.ts\n", TS_HEAD SEGMENT "#EXTINF:4.500000,\nb.ts\n",
	  "target-duration, line 8: 4.500000 s round to 5, above the target duration of 4" },
	{ TS_HEAD SEGMENT, "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:LIVE\n", "playlist-type, line 2:" },
	{ TS_HEAD SEGMENT "#EXT-X-ENDLIST\n\n# bye\n", TS_HEAD SEGMENT "#EXT-X-ENDLIST\n" SEGMENT, "endlist, line 9:" },
	{ "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-PLAYLIST-TYPE:VOD\n"
	  "#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n",
	  "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:4,\na.ts\n",
	  "endlist: a VOD list without" },
	{ TS_HEAD SEGMENT, TS_HEAD, "segments: no segments" },
	{ TS_HEAD SEGMENT, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n", "independent-segments:" },

	{ TS_HEAD "#EXTINF:4,\na.ts\n", TS_HEAD "#EXTINF:4\na.ts\n", "extinf, line 6: \"4\" is no duration" },
	{ TS_HEAD "#EXTINF:04.000000000000,\na.ts\n", TS_HEAD "#EXTINF:-4.0,\na.ts\n", "extinf, line 6:" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXTINF:4.,\na.ts\n", "extinf, line 6:" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXTINF:4.0x,\na.ts\n", "extinf, line 6:" },
	{ "#EXTM3U\n#EXT-X-TARGETDURATION:123456789\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXTINF:123456789,\na.ts\n",
	  "#EXTM3U\n#EXT-X-TARGETDURATION:1234567890\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXTINF:1234567890,\na.ts\n",
	  "extinf, line 4:" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXTINF:4e0,\na.ts\n", "extinf, line 6:" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXTINF:,\na.ts\n", "extinf, line 6:" },
	{ TS_HEAD SEGMENT, TS_HEAD SEGMENT "b.ts\n", "extinf, line 8: a URI without EXTINF: b.ts" },
	{ TS_HEAD SEGMENT, TS_HEAD SEGMENT "#EXTINF:4.0,\n", "extinf, line 8: no URI behind it" },
	{ TS_HEAD SEGMENT, TS_HEAD SEGMENT "#EXTINF:4.0,\n#EXT-X-ENDLIST\n", "extinf, line 8: no URI behind it" },
	{ TS_HEAD "#EXTINF:0.000001,\na.ts\n", TS_HEAD "#EXTINF:0.000000,\na.ts\n", "zero-segment, line 6:" },
	{ TS_HEAD SEGMENT "#EXTINF:0.100000,\nb.ts\n", TS_HEAD SEGMENT "#EXTINF:0.099999,\nb.ts\n",
	  "tiny-segment, line 8: a segment of 99 ms" },

	{ FMP4_HEAD "#EXTINF:4.0,\na.m4s\n", TS_HEAD SEGMENT "#EXTINF:4.0,\nhttps://x/v0/b.m4s?sig=secret\n",
	  "map, line 9: an fMP4 segment without EXT-X-MAP before it: https://x/v0/b.m4s (RFC" },
	{ TS_HEAD "#EXTINF:4.0,\nv.mp4/a.ts?x=.mp4\n", TS_HEAD "#EXTINF:4.0,\na.MP4\n", "map, line 7:" },
	{ FMP4_HEAD "#EXTINF:4.0,\na.m4s\n", TS_HEAD "#EXT-X-MAP:BYTERANGE=\"1@0\"\n" SEGMENT,
	  "attributes, line 6: no URI" },
	{ FMP4_HEAD "#EXTINF:4.0,\na.m4s\n", TS_HEAD "#EXT-X-MAP:URI=init.mp4\n" SEGMENT,
	  "attributes, line 6: URI must be quoted" },
	{ FMP4_HEAD "#EXTINF:4.0,\na.m4s\n", TS_HEAD "#EXT-X-MAP:URI=\"\"\n" SEGMENT,
	  "attributes, line 6: URI is empty" },
	{ FMP4_HEAD "#EXTINF:4.0,\na.m4s\n", TS_HEAD "#EXT-X-MAP:URI=\"a b\"\n" SEGMENT,
	  "uri, line 6: byte 0x20 in \"a b\"" },
	{ FMP4_HEAD "#EXTINF:4,\n#EXT-X-BYTERANGE:9@1\na.m4s\n#EXTINF:4,\n#EXT-X-BYTERANGE:9\na.m4s\n",
	  FMP4_HEAD "#EXTINF:4,\n#EXT-X-BYTERANGE:9@1\na.m4s\n#EXTINF:4,\n#EXT-X-BYTERANGE:9\nb.m4s\n",
	  "byte-range, line 12: no offset, and no range of the same resource" },
	{ FMP4_HEAD "#EXTINF:4,\n#EXT-X-BYTERANGE:9@18446744073709551606\na.m4s\n",
	  FMP4_HEAD "#EXTINF:4,\n#EXT-X-BYTERANGE:9@18446744073709551607\na.m4s\n", "byte-range, line 9:" },
	{ IFRAMES "#EXTINF:2.0,\n#EXT-X-BYTERANGE:9@1\na.m4s\n#EXTINF:2.0,\n#EXT-X-BYTERANGE:9@10\na.m4s\n",
	  IFRAMES "#EXTINF:2.0,\n#EXT-X-BYTERANGE:9@1\na.m4s\n#EXTINF:2.0,\n#EXT-X-BYTERANGE:9@9\na.m4s\n",
	  "byte-range, line 10: an I-frame begins within the one before it" },
	{ FMP4_HEAD "#EXTINF:4,\n#EXT-X-BYTERANGE:9@0\na.m4s\n", FMP4_HEAD "#EXTINF:4,\n#EXT-X-BYTERANGE:9@\na.m4s\n",
	  "byte-range, line 9:" },
	{ FMP4_HEAD "#EXTINF:4.0,\na.m4s\n", TS_HEAD "#EXT-X-MAP:URI=\"i\",BYTERANGE=\"0@0\"\n" SEGMENT,
	  "byte-range, line 6:" },
	{ TS_HEAD "#EXTINF:4.0,\na%20b.ts\n", TS_HEAD "#EXTINF:4.0,\na b.ts\n", "uri, line 7: byte 0x20" },
	{ TS_HEAD "#EXTINF:4.0,\na%C3%A4.ts\n", TS_HEAD "#EXTINF:4.0,\n\xc3\xa4.ts\n", "uri, line 7: byte 0xc3" },
	/* What is shown of a line is short, and cut between characters. */
	{ TS_HEAD "#EXTINF:4.0,\nabcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789.ts\n",
	  TS_HEAD "#EXTINF:4.0,\nabcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvw\xc3\xa4yz0123456789.ts\n",
	  "uri, line 7: byte 0xc3 in \"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvw\" (RFC" },
	{ TS_HEAD "#EXTINF:4.0,\nabcdefghijklmnopqrstuvwxyz%2a\n",
	  TS_HEAD "#EXTINF:4.0,\nabcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwx yz.ts\n",
	  "uri, line 7: byte 0x20 in \"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwx\" (RFC" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXTINF:4.0,\na%2.ts\n", "uri, line 7: a broken escape" },

	{ TS_HEAD "#EXT-X-START:TIME-OFFSET=-12.5,PRECISE=YES\n" SEGMENT,
	  TS_HEAD "#EXT-X-START:TIME-OFFSET=soon\n" SEGMENT, "start, line 6:" },
	{ TS_HEAD "#EXT-X-START:TIME-OFFSET=0,PRECISE=NO\n" SEGMENT,
	  TS_HEAD "#EXT-X-START:TIME-OFFSET=0,PRECISE=MAYBE\n" SEGMENT,
	  "attributes, line 6: PRECISE=MAYBE is neither" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:PRECISE=YES\n" SEGMENT, "attributes, line 6: no TIME-OFFSET" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:TIME-OFFSET=0,TIME-OFFSET=1\n" SEGMENT,
	  "attributes, line 6: TIME-OFFSET twice" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:TIME-OFFSET=0, PRECISE=YES\n" SEGMENT,
	  "attributes, line 6: no NAME=value at \" PRECISE=YES\"" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:TIME-OFFSET=0,\n" SEGMENT,
	  "attributes, line 6: no NAME=value at \"\"" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:TIME-OFFSET=\n" SEGMENT,
	  "attributes, line 6: TIME-OFFSET has no value" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:TIME-OFFSET=\"0\n" SEGMENT,
	  "attributes, line 6: TIME-OFFSET has no closing quote" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:TIME-OFFSET=0\"1\"\n" SEGMENT,
	  "attributes, line 6: no comma behind TIME-OFFSET" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:time=0\n" SEGMENT, "attributes, line 6: no NAME=value" },
	{ TS_HEAD SEGMENT, TS_HEAD "#EXT-X-START:TIME-OFFSET=\"0\"\n" SEGMENT,
	  "attributes, line 6: TIME-OFFSET must not be quoted" },
	{ TS_HEAD SEGMENT,
	  TS_HEAD
	  "#EXT-X-START:A=1,B=1,C=1,D=1,E=1,F=1,G=1,H=1,I=1,J=1,K=1,L=1,M=1,N=1,O=1,P=1,Q=1,R=1,S=1,T=1,U=1,V=1,W=1,"
	  "X=1,Y=1,Z=1,A1=1,A2=1,A3=1,A4=1,A5=1,A6=1,A7=1\n" SEGMENT,
	  "attributes, line 6: more than 32" },
};

static void each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { 0 };
		struct hls_media_facts untouched = { .version = 77 };
		if (cases[i].accepted && hls_check_media(cases[i].accepted, strlen(cases[i].accepted), NULL, &e) < 0)
			fail_msg("case %zu (%s) is refused: %s", i, cases[i].why, e.message);
		int r = hls_check_media(cases[i].refused, strlen(cases[i].refused), &untouched, &e);
		if (r != -ERR_INVALID || strncmp(e.message, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("case %zu: %d \"%s\", expected \"%s\"", i, r, r < 0 ? e.message : "", cases[i].why);
		assert_int_equal(untouched.version, 77);
		assert_int_equal(hls_check_media(cases[i].refused, strlen(cases[i].refused), NULL, NULL), -ERR_INVALID);
	}
}

static void facts(void **state)
{
	(void)state;
	static const char text[] =
		FMP4_HEAD "#EXTINF:4.000000,\na.m4s\n#EXTINF:3.5,\nb.m4s\n#EXTINF:2,\nc.m4s\n#EXT-X-ENDLIST\n";
	struct hls_media_facts f;
	struct err e;
	assert_int_equal(hls_check_media(text, strlen(text), &f, &e), 0);
	assert_int_equal(f.version, 6);
	assert_int_equal(f.target_duration_s, 4);
	assert_int_equal(f.media_sequence, 0);
	assert_int_equal(f.segment_count, 3);
	assert_true(f.total_seconds == 9.5 && f.shortest_seconds == 2 && f.longest_seconds == 4);
	assert_true(f.event && !f.vod && f.ended && f.has_map && f.independent);

	static const char live[] =
		"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:41\n#EXT-X-INDEPENDENT-SEGMENTS\n"
		"#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:36:12.345Z\n#EXTINF:2,\na.ts\n"
		"#EXT-X-DISCONTINUITY\n#EXTINF:2,\nb.ts\n";
	assert_int_equal(hls_check_media(live, strlen(live), &f, &e), 0);
	assert_int_equal(f.version, 1);
	assert_int_equal(f.media_sequence, 41);
	assert_true(!f.event && !f.vod && !f.ended && !f.has_map);
}

/* Every cut of a good list is refused, or is a shorter good list; never more. */
static void every_cut(void **state)
{
	(void)state;
	static const char text[] = FMP4_HEAD "#EXTINF:4.000000,\na.m4s\n#EXTINF:3.5,\nb.m4s\n#EXT-X-ENDLIST\n";
	size_t accepted = 0;
	for (size_t len = 0; len < strlen(text); len++) {
		struct hls_media_facts f;
		if (hls_check_media(text, len, &f, NULL) < 0)
			continue;
		accepted++;
		assert_true(text[len - 1] == '\n' && !f.ended);
	}
	assert_int_equal(accepted, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule),
		cmocka_unit_test(facts),
		cmocka_unit_test(every_cut),
	};
	return cmocka_run_group_tests_name("hls/check_media", tests, NULL, NULL);
}
