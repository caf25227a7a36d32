/* One accepted and one refused list for each rule of the multivariant playlist checker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "hls/check.h"

#define VIDEO(more)                                                                                                     \
	"#EXT-X-STREAM-INF:BANDWIDTH=900000,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000" more \
	"\n"
#define AUDIO(group, name, more)                                                                                       \
	"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"" group "\",NAME=\"" name "\",CHANNELS=\"2\"" more "\n"
#define IFRAMES(more) \
	"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401f\",RESOLUTION=6x4,URI=\"i.m3u8\"" more "\n"
#define SOUND "#EXT-X-STREAM-INF:BANDWIDTH=90000,CODECS=\"mp4a.40.2\"\nsound.m3u8\n"
#define HEAD "#EXTM3U\n"

static const struct {
	const char *accepted;
	const char *refused;
	const char *why;
} cases[] = {
	{ HEAD SOUND, "", "extm3u, line 1:" },
	{ HEAD SOUND, HEAD, "variants: no EXT-X-STREAM-INF" },
	{ HEAD SOUND "#EXT-X-SESSION-DATA:DATA-ID=\"x\",VALUE=\"y\"\n", HEAD "#EXTINF:4.0,\na.ts\n",
	  "mixed, line 2: EXTINF in a multivariant playlist" },
	{ HEAD SOUND, HEAD "#EXT-X-TARGETDURATION:4\n" SOUND, "mixed, line 2:" },
	{ HEAD "#EXT-X-VERSION:7\n" SOUND, HEAD "#EXT-X-VERSION:\n" SOUND, "tag-value, line 2:" },
	{ HEAD "#EXT-X-VERSION:7\n" SOUND, HEAD "#EXT-X-VERSION:0\n" SOUND, "version, line 2:" },
	{ HEAD "#EXT-X-VERSION:8\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n" SOUND,
	  HEAD "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n" SOUND, "version, line 2: EXT-X-DEFINE needs EXT-X-VERSION 8" },
	{ HEAD "#EXT-X-INDEPENDENT-SEGMENTS\n" SOUND,
	  HEAD "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-INDEPENDENT-SEGMENTS\n" SOUND, "once, line 3:" },
	{ HEAD "#EXT-X-START:TIME-OFFSET=0\n" SOUND, HEAD "#EXT-X-START:TIME-OFFSET=x\n" SOUND, "start, line 2:" },

	{ HEAD "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"opus\"\n# still\n\na.m3u8\n",
	  HEAD "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"opus\"\n" SOUND,
	  "once, line 3: EXT-X-STREAM-INF a second time before a URI" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"opus\"\n#EXT-X-VERSION:4\na.m3u8\n",
	  "stream-inf, line 3:" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"opus\"\n", "stream-inf, line 2: no URI behind it" },
	{ HEAD SOUND, HEAD "a.m3u8\n", "stream-inf, line 2: a URI without EXT-X-STREAM-INF: a.m3u8" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"opus\"\na b.m3u8\n", "uri, line 3:" },

	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:CODECS=\"opus\"\na.m3u8\n", "bandwidth, line 2: no BANDWIDTH" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=0,CODECS=\"opus\"\na.m3u8\n",
	  "bandwidth, line 2: BANDWIDTH is 0" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=90k,CODECS=\"opus\"\na.m3u8\n",
	  "attributes, line 2: BANDWIDTH=90k" },
	{ HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=9,CODECS=\"opus\"\na.m3u8\n",
	  HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=10,CODECS=\"opus\"\na.m3u8\n",
	  "bandwidth, line 2: AVERAGE-BANDWIDTH 10 is above BANDWIDTH 9" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9\na.m3u8\n", "codecs, line 2: no CODECS" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"\"\na.m3u8\n",
	  "attributes, line 2: CODECS is empty" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"opus,\"\na.m3u8\n",
	  "codecs, line 2: \"opus,\" is no list" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"opus, fLaC\"\na.m3u8\n", "codecs, line 2:" },
	{ HEAD VIDEO("") "v.m3u8\n",
	  HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401f\",FRAME-RATE=25\nv.m3u8\n",
	  "resolution, line 2: video without" },
	{ HEAD VIDEO("") "v.m3u8\n",
	  HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401f\",RESOLUTION=640,FRAME-RATE=25\nv.m3u8\n",
	  "resolution, line 2: RESOLUTION=640" },
	{ HEAD VIDEO("") "v.m3u8\n",
	  HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401f\",RESOLUTION=640x0,FRAME-RATE=25\nv.m3u8\n",
	  "resolution, line 2:" },
	{ HEAD VIDEO("") "v.m3u8\n",
	  HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"hvc1.1\",RESOLUTION=640x360\nv.m3u8\n",
	  "frame-rate, line 2: video without" },
	{ HEAD VIDEO("") "v.m3u8\n",
	  HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"hvc1.1\",RESOLUTION=640x360,FRAME-RATE=0.000\nv.m3u8\n",
	  "frame-rate, line 2: FRAME-RATE=0.000" },

	{ HEAD AUDIO("a", "x", ",DEFAULT=YES") VIDEO(",AUDIO=\"a\"") "v.m3u8\n",
	  HEAD AUDIO("b", "x", ",DEFAULT=YES") VIDEO(",AUDIO=\"a\"") "v.m3u8\n",
	  "groups, line 3: no EXT-X-MEDIA of AUDIO group \"a\"" },
	{ HEAD VIDEO(",CLOSED-CAPTIONS=NONE") "v.m3u8\n", HEAD VIDEO(",CLOSED-CAPTIONS=\"cc\"") "v.m3u8\n",
	  "groups, line 2: no EXT-X-MEDIA of CLOSED-CAPTIONS" },
	{ HEAD
	  "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"x\",URI=\"s.m3u8\"\n" VIDEO(",SUBTITLES=\"s\"") "v.m3u8\n",
	  HEAD VIDEO(",SUBTITLES=NONE") "v.m3u8\n", "attributes, line 2: SUBTITLES must be quoted" },
	{ HEAD AUDIO("a", "x", ",DEFAULT=YES") AUDIO("a", "y", ",DEFAULT=NO") SOUND,
	  HEAD AUDIO("a", "x", ",DEFAULT=YES") AUDIO("a", "y", ",DEFAULT=YES") SOUND,
	  "default, line 3: a second DEFAULT=YES in group \"a\"" },
	{ HEAD AUDIO("a", "x", ",DEFAULT=YES") AUDIO("b", "x", ",DEFAULT=YES") SOUND, HEAD AUDIO("a", "x", "") SOUND,
	  "default, line 2: group \"a\" has no DEFAULT=YES" },
	{ HEAD AUDIO("a", "x", ",DEFAULT=YES,AUTOSELECT=YES") SOUND,
	  HEAD AUDIO("a", "x", ",DEFAULT=YES,AUTOSELECT=NO") SOUND, "default, line 2: DEFAULT=YES with AUTOSELECT=NO" },
	{ HEAD AUDIO("a", "x", ",DEFAULT=YES") AUDIO("a", "y", "") SOUND,
	  HEAD AUDIO("a", "x", ",DEFAULT=YES") AUDIO("b", "x", ",DEFAULT=YES") AUDIO("a", "x", "") SOUND,
	  "names, line 4: NAME \"x\" twice in group \"a\"" },
	{ HEAD AUDIO("a", "x", ",DEFAULT=YES") VIDEO(",AUDIO=\"a\"") "v.m3u8\n",
	  HEAD AUDIO(
		  "a", "x",
		  ",DEFAULT=YES") "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401f\",RESOLUTION=6x4,FRAME-RATE=1,"
			       "AUDIO=\"a\"\nv.m3u8\n",
	  "codecs, line 3: CODECS names no audio" },
	{ HEAD "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",DEFAULT=YES,CHANNELS=\"6/JOC\"\n" SOUND,
	  HEAD "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",DEFAULT=YES\n" SOUND, "channels, line 2:" },
	{ HEAD SOUND, HEAD "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",DEFAULT=YES,CHANNELS=\"0\"\n" SOUND,
	  "channels, line 2:" },
	{ HEAD SOUND, HEAD "#EXT-X-MEDIA:TYPE=SMELL,GROUP-ID=\"a\",NAME=\"x\"\n" SOUND, "media, line 2: TYPE=SMELL" },
	{ HEAD AUDIO("a", "x", ",DEFAULT=YES,LANGUAGE=\"sr-Latn-RS\"") SOUND,
	  HEAD AUDIO("a", "x", ",DEFAULT=YES,LANGUAGE=\"en_US\"") SOUND, "language, line 2: LANGUAGE=\"en_US\"" },
	{ HEAD SOUND, HEAD AUDIO("a", "x", ",DEFAULT=YES,LANGUAGE=\"en-\"") SOUND, "language, line 2:" },
	{ HEAD SOUND, HEAD AUDIO("a", "x", ",DEFAULT=YES,LANGUAGE=\"123\"") SOUND, "language, line 2:" },
	{ HEAD "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"x\",FORCED=YES,URI=\"s.m3u8\"\n" SOUND,
	  HEAD AUDIO("a", "x", ",DEFAULT=YES,FORCED=YES") SOUND, "media, line 2: only subtitles may be FORCED" },
	{ HEAD SOUND, HEAD "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"x\"\n" SOUND, "attributes, line 2:" },
	{ HEAD SOUND, HEAD "#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"x\",CHANNELS=\"2\"\n" SOUND,
	  "attributes, line 2: no GROUP-ID" },
	{ HEAD SOUND, HEAD "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",CHANNELS=\"2\"\n" SOUND,
	  "attributes, line 2: no NAME" },
	{ HEAD SOUND, HEAD "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"a\",NAME=\"x\"\n" SOUND,
	  "attributes, line 2: no URI" },
	{ HEAD "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"a\",NAME=\"x\",INSTREAM-ID=\"CC1\"\n" SOUND,
	  HEAD "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"a\",NAME=\"x\",INSTREAM-ID=\"CC1\",URI=\"c\"\n" SOUND,
	  "media, line 2: CLOSED-CAPTIONS have no URI" },
	{ HEAD SOUND, HEAD AUDIO("a", "x", ",DEFAULT=YES,URI=\"a{b}\"") SOUND, "uri, line 2:" },

	{ HEAD AUDIO("a", "x", ",DEFAULT=YES") AUDIO("b", "x", ",DEFAULT=YES")
		  VIDEO(",AUDIO=\"a\"") "v.m3u8\n" VIDEO(",AUDIO=\"b\"") "v.m3u8\n",
	  HEAD SOUND VIDEO("") "v.m3u8\n" SOUND, "duplicate-variant, line 6: the same as at line 2: sound.m3u8" },
	{ HEAD SOUND "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401f\",RESOLUTION=6x4,URI=\"i.m3u8\"\n",
	  HEAD SOUND "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401f\",RESOLUTION=6x4\n",
	  "attributes, line 4: no URI" },
	{ HEAD SOUND, HEAD SOUND "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,RESOLUTION=6x4,URI=\"i.m3u8\"\n",
	  "codecs, line 4:" },
	{ HEAD SOUND IFRAMES(""), HEAD SOUND IFRAMES(",FRAME-RATE=25"), "iframes, line 4: FRAME-RATE of I-frames" },
	{ HEAD SOUND IFRAMES(",VIDEO-RANGE=SDR"), HEAD SOUND IFRAMES(",AUDIO=\"a\""), "iframes, line 4: AUDIO of I-frames" },
	{ HEAD SOUND IFRAMES(",VIDEO-RANGE=PQ"), HEAD SOUND IFRAMES(",VIDEO-RANGE=HDR"), "video-range, line 4: VIDEO-RANGE=HDR" },
	{ HEAD VIDEO(",VIDEO-RANGE=SDR") "v.m3u8\n", HEAD VIDEO(",VIDEO-RANGE=sdr") "v.m3u8\n", "video-range, line 2:" },
	{ HEAD SOUND,
	  HEAD SOUND "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=6x4,URI=\"i\"\n",
	  "iframes, line 4: I-frames with an audio codec" },
	/* Attributes of the wrong type, wherever they are read. */
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=\"9\",CODECS=\"opus\"\na.m3u8\n",
	  "attributes, line 2: BANDWIDTH must not be quoted" },
	{ HEAD SOUND, HEAD VIDEO(",x=1") "v.m3u8\n", "attributes, line 2: no NAME=value at \"x=1\"" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=opus\na.m3u8\n",
	  "attributes, line 2: CODECS must be quoted" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"opus\",RESOLUTION=\"6x4\",FRAME-RATE=1\na.m3u8\n",
	  "attributes, line 2: RESOLUTION must not be quoted" },
	{ HEAD SOUND, HEAD "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"opus\",FRAME-RATE=\"1\"\na.m3u8\n",
	  "attributes, line 2: FRAME-RATE must not be quoted" },
	{ HEAD SOUND, HEAD AUDIO("a", "x", ",DEFAULT=\"YES\"") SOUND, "attributes, line 2: DEFAULT must not be quoted" },
	{ HEAD SOUND, HEAD AUDIO("a", "x", ",AUTOSELECT=\"YES\"") SOUND,
	  "attributes, line 2: AUTOSELECT must not be quoted" },
	{ HEAD SOUND, HEAD AUDIO("a", "x", ",") SOUND, "attributes, line 2: no NAME=value" },
	{ HEAD SOUND, HEAD AUDIO("a", "x", ",URI=a") SOUND, "attributes, line 2: URI must be quoted" },
	{ HEAD SOUND, HEAD AUDIO("a", "x", ",INSTREAM-ID=a") SOUND, "attributes, line 2: INSTREAM-ID must be quoted" },
	{ HEAD SOUND, HEAD "#EXT-X-MEDIA:TYPE=\"AUDIO\",GROUP-ID=\"a\",NAME=\"x\"\n" SOUND,
	  "attributes, line 2: TYPE must not be quoted" },
	{ HEAD SOUND, HEAD SOUND "#EXT-X-I-FRAME-STREAM-INF:i.m3u8\n", "attributes, line 4: no NAME=value" },
	{ HEAD SOUND, HEAD SOUND "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1\",RESOLUTION=6x4,URI=\" \"\n",
	  "uri, line 4: byte 0x20" },
	{ HEAD SOUND, HEAD SOUND "#EXT-X-I-FRAME-STREAM-INF:CODECS=\"avc1\",RESOLUTION=6x4,URI=\"i\"\n",
	  "bandwidth, line 4: no BANDWIDTH" },
	{ HEAD SOUND, HEAD SOUND "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1\",URI=\"i\"\n",
	  "resolution, line 4: video without RESOLUTION" },
	{ HEAD SOUND, HEAD "#EXT-X-START:0\n" SOUND, "attributes, line 2: no NAME=value" },
};

static void each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { 0 };
		if (hls_check_multivariant(cases[i].accepted, strlen(cases[i].accepted), &e) < 0)
			fail_msg("case %zu (%s) is refused: %s", i, cases[i].why, e.message);
		int r = hls_check_multivariant(cases[i].refused, strlen(cases[i].refused), &e);
		if (r != -ERR_INVALID || strncmp(e.message, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("case %zu: %d \"%s\", expected \"%s\"", i, r, r < 0 ? e.message : "", cases[i].why);
		assert_int_equal(hls_check_multivariant(cases[i].refused, strlen(cases[i].refused), NULL),
				 -ERR_INVALID);
	}
}

/* Memory and time are bounded by refusing more than 256 of either. */
static void bounded(void **state)
{
	(void)state;
	for (int count = 256; count <= 257; count++) {
		struct err e = { 0 };
		_cleanup_buf_ struct buf variants, renditions;
		buf_init(&variants, 1 << 20);
		buf_init(&renditions, 1 << 20);
		buf_puts(&variants, HEAD);
		buf_puts(&renditions, HEAD SOUND);
		for (int i = 0; i < count; i++) {
			buf_printf(&variants, "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"opus\"\na%d.m3u8\n", i);
			buf_printf(&renditions,
				   "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g%d\",NAME=\"x\",DEFAULT=YES,CHANNELS=\"1\"\n",
				   i);
		}
		int expected = count == 256 ? 0 : -ERR_INVALID;
		assert_int_equal(hls_check_multivariant(variants.data, variants.len, &e), expected);
		assert_string_equal(e.message, expected ? "too-many, line 514: more than 256 variants" : "");
		assert_int_equal(hls_check_multivariant(renditions.data, renditions.len, &e), expected);
		assert_string_equal(e.message, expected ? "too-many, line 260: more than 256 renditions" : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule),
		cmocka_unit_test(bounded),
	};
	return cmocka_run_group_tests_name("hls/check_multivariant", tests, NULL, NULL);
}
