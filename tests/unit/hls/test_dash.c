/* What the renderer of DASH manifests writes, to the letter, and what it refuses. That players take it: the scenarios. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "hls/dash.h"

static const struct hls_segment video_segments[] = {
	{ 360000, "720p/segment_000.m4s" }, { 360000, "720p/segment_001.m4s" }, { 90090, "720p/segment_002.m4s" }
};
static const struct hls_segment audio_segments[] = { { 192512, "audio/segment_000.m4s" } };

static struct dash_representation video(void)
{
	return (struct dash_representation){ .id = "720p",
					     .codecs = "avc1.64001f",
					     .bandwidth_bps = 2000000,
					     .width = 1280,
					     .height = 720,
					     .frame_rate_milli = 29970,
					     .timescale = 90000,
					     .offset_ticks = 6006,
					     .init_uri = "720p/init.mp4",
					     .segments = video_segments,
					     .segment_count = 3 };
}

static bool sign(void *ctx, const char *relative_uri, struct buf *out)
{
	(void)ctx;
	return buf_printf(out, "/media/%s?a=1&b='2'", relative_uri);
}

static void to_the_letter(void **state)
{
	(void)state;
	struct dash_representation v = video();
	struct dash_representation a = { .id = "audio",
					 .codecs = "mp4a.40.2",
					 .bandwidth_bps = 130000,
					 .sample_rate = 48000,
					 .channels = 2,
					 .timescale = 48000,
					 .offset_ticks = 3203,
					 .init_uri = "audio/init.mp4",
					 .segments = audio_segments,
					 .segment_count = 1 };
	struct dash_adaptation sets[] = { { .is_main = true, .representations = &v, .count = 1 },
					  { .language = "a\"<&", .representations = &a, .count = 1 } };
	struct dash_manifest m = { .duration_us = 9001000,
				   .target_duration_s = 4,
				   .adaptations = sets,
				   .adaptation_count = 2,
				   .uri_fn = sign };
	struct err e;
	_cleanup_buf_ struct buf out;
	buf_init(&out, DASH_MANIFEST_MAX_BYTES);
	assert_int_equal(dash_render(&m, &out, &e), 0);
	assert_string_equal(
		out.data,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\""
		" profiles=\"urn:mpeg:dash:profile:isoff-main:2011\""
		" mediaPresentationDuration=\"PT9.001000S\" minBufferTime=\"PT4S\">\n"
		"  <Period id=\"0\" start=\"PT0S\">\n"
		"    <AdaptationSet contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\">\n"
		"      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n"
		"      <Representation id=\"720p\" codecs=\"avc1.64001f\" bandwidth=\"2000000\" width=\"1280\" height=\"720\""
		" sar=\"1:1\" frameRate=\"29970/1000\">\n"
		"        <SegmentList timescale=\"90000\" presentationTimeOffset=\"6006\">\n"
		"          <Initialization sourceURL=\"/media/720p/init.mp4?a=1&amp;b='2'\"/>\n"
		"          <SegmentTimeline>\n"
		"            <S t=\"6006\" d=\"360000\" r=\"1\"/>\n"
		"            <S d=\"90090\"/>\n"
		"          </SegmentTimeline>\n"
		"          <SegmentURL media=\"/media/720p/segment_000.m4s?a=1&amp;b='2'\"/>\n"
		"          <SegmentURL media=\"/media/720p/segment_001.m4s?a=1&amp;b='2'\"/>\n"
		"          <SegmentURL media=\"/media/720p/segment_002.m4s?a=1&amp;b='2'\"/>\n"
		"        </SegmentList>\n"
		"      </Representation>\n"
		"    </AdaptationSet>\n"
		"    <AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"a&quot;&lt;&amp;\""
		" segmentAlignment=\"true\" startWithSAP=\"1\">\n"
		"      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"alternate\"/>\n"
		"      <Representation id=\"audio\" codecs=\"mp4a.40.2\" bandwidth=\"130000\" audioSamplingRate=\"48000\">\n"
		"        <AudioChannelConfiguration"
		" schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"2\"/>\n"
		"        <SegmentList timescale=\"48000\" presentationTimeOffset=\"3203\">\n"
		"          <Initialization sourceURL=\"/media/audio/init.mp4?a=1&amp;b='2'\"/>\n"
		"          <SegmentTimeline>\n"
		"            <S t=\"3203\" d=\"192512\"/>\n"
		"          </SegmentTimeline>\n"
		"          <SegmentURL media=\"/media/audio/segment_000.m4s?a=1&amp;b='2'\"/>\n"
		"        </SegmentList>\n"
		"      </Representation>\n"
		"    </AdaptationSet>\n"
		"  </Period>\n"
		"</MPD>\n");
	/* a buffer that is too small is left as it was */
	_cleanup_buf_ struct buf small;
	buf_init(&small, out.len - 1);
	assert_int_equal(dash_render(&m, &small, &e), -ERR_TOO_LARGE);
	assert_int_equal(small.len, 0);
}

static void what_is_no_manifest(void **state)
{
	(void)state;
	struct hls_segment nothing = { 0, "a" }, nameless = { 1, "" };
	for (int i = 0; i < 11; i++) {
		struct dash_representation v = video();
		struct dash_adaptation set = { .representations = &v, .count = 1 };
		struct dash_manifest m = { .duration_us = 1, .target_duration_s = 4, .adaptations = &set, .adaptation_count = 1 };
		struct err e;
		_cleanup_buf_ struct buf out;
		buf_init(&out, DASH_MANIFEST_MAX_BYTES);
		switch (i) {
		case 0: m.duration_us = 0; break;
		case 1: m.adaptation_count = 0; break;
		case 2: set.count = 0; break;
		case 3: v.segment_count = 0; break;
		case 4: v.timescale = 0; break;
		case 5: v.bandwidth_bps = 0; break;
		case 6: v.segments = &nothing, v.segment_count = 1; break;
		case 7: v.segments = &nameless, v.segment_count = 1; break;
		case 8: set.language = "\xff"; break;
		case 9: v.codecs = "a\nb"; break;
		default: v.offset_ticks = -1; break;
		}
		if (dash_render(&m, &out, &e) != -ERR_INVALID || out.len)
			fail_msg("case %d", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_the_letter),
		cmocka_unit_test(what_is_no_manifest),
	};
	return cmocka_run_group_tests_name("hls/dash", tests, NULL, NULL);
}
