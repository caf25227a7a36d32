/* media/mkv_split: fragments and their bytes, whatever the pieces; and everything that the service would refuse. Matroska
 * made by hand, and (argument) real outputs of the service, where they are. */
#include <stdio.h>
#include <string.h>

#include "../base/cm.h"
#include "media/mkv_split.h"
#include "mkv_make.h"
#include "os/fd.h"

#define FRAGMENTS_MAX 32

static const char *media_folder;

/* What came out. */
struct got {
	int headers, fragments, ended, tags;
	struct live_header header;
	size_t header_len;
	struct live_tag last_tag;
	struct live_fragment f[FRAGMENTS_MAX];
	struct buf data; /* all clusters, one behind the other */
	uint32_t error_id;
	int64_t refused_ms;
	int result;
};

static int on_event(void *ctx, const struct live_event *v, const void *bytes, size_t len, struct err *e)
{
	struct got *g = ctx;
	(void)e;
	switch (v->kind) {
	case LIVE_HEADER:
		g->headers++;
		g->header = v->header;
		g->header_len = len;
		assert_memory_equal(bytes, "\x1A\x45\xDF\xA3", 4);
		break;
	case LIVE_FRAGMENT_BEGIN:
		assert_int_equal(g->fragments, g->ended);
		g->fragments++;
		break;
	case LIVE_FRAGMENT_DATA:
		assert_int_equal(g->fragments, g->ended + 1);
		assert_true(buf_append(&g->data, bytes, len));
		break;
	case LIVE_FRAGMENT_TAG:
		assert_int_equal(g->fragments, g->ended + 1);
		g->tags++;
		g->last_tag = v->tag;
		break;
	case LIVE_FRAGMENT_END:
		assert_true(g->ended < FRAGMENTS_MAX);
		g->f[g->ended++] = v->fragment;
		break;
	default:
		fail_msg("event %d", (int)v->kind);
	}
	return 0;
}

/* In two pieces, or in many of one size. */
static struct got split(const struct buf *b, size_t cut, size_t piece)
{
	struct got g = { 0 };
	const struct mkv_split_sink sink = { .ctx = &g, .event = on_event };
	struct mkv_split *s = mkv_split_new(&sink);
	struct err e;
	buf_init(&g.data, 4 << 20);
	g.result = mkv_split_feed(s, b->data, cut, &e);
	for (size_t at = cut; g.result == 0 && at < b->len; at += piece)
		g.result = mkv_split_feed(s, b->data + at, b->len - at < piece ? b->len - at : piece, &e);
	if (g.result == 0)
		g.result = mkv_split_finish(s, &e);
	if (g.result < 0)
		g.error_id = mkv_split_refusal(s, &g.refused_ms);
	mkv_split_free(s);
	return g;
}

static void track(struct buf *b, uint64_t number, uint64_t type, const char *codec)
{
	size_t entry, sound;
	mkv_open(b, MKV_TRACK_ENTRY, &entry);
	mkv_uint(b, MKV_TRACK_NUMBER, number);
	mkv_uint(b, MKV_TRACK_TYPE, type);
	mkv_text(b, MKV_CODEC_ID, codec);
	if (type == 2) {
		mkv_open(b, MKV_AUDIO, &sound);
		mkv_bytes(b, MKV_SAMPLING_FREQUENCY, "\x46\x7A\0\0", 4); /* 16000 */
		mkv_uint(b, MKV_CHANNELS, 1);
		mkv_uint(b, MKV_BIT_DEPTH, 16);
		mkv_close(b, sound);
	}
	mkv_close(b, entry);
}

static void header(struct buf *b, unsigned tracks)
{
	size_t info, all;
	mkv_header(b, "matroska");
	mkv_open(b, MKV_INFO, &info);
	mkv_uint(b, MKV_TIMESTAMP_SCALE, 1000000);
	mkv_close(b, info);
	mkv_open(b, MKV_TRACKS, &all);
	for (unsigned i = 1; i <= tracks; i++)
		track(b, i, i == 1 ? 2 : 1, i == 1 ? "A_PCM/INT/LIT" : "V_MPEG4/ISO/AVC");
	mkv_close(b, all);
}

/* 20 ms of PCM. */
static const uint8_t pcm[640];

static void pcm_cluster(struct buf *b, uint64_t ms, int frames)
{
	mkv_unknown(b, MKV_CLUSTER);
	mkv_uint(b, MKV_TIMESTAMP, ms);
	for (int i = 0; i < frames; i++)
		mkv_block(b, MKV_SIMPLE_BLOCK, 1, (int16_t)(20 * i), 0x80, pcm, sizeof(pcm));
}

static void fragments_are_given_back(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b, clusters;
	buf_init(&b, 1 << 20);
	buf_init(&clusters, 1 << 20);
	header(&b, 1);
	mkv_tag(&b, "before", "the first");
	for (uint64_t i = 0; i < 3; i++) {
		const size_t at = b.len;
		pcm_cluster(&b, 5000 + 2000 * i, 100);
		assert_true(buf_append(&clusters, b.data + at, b.len - at));
		mkv_tag(&b, "place", "Zürich");
		if (i == 2)
			mkv_tag(&b, "AWS_KINESISVIDEO_END_OF_FRAGMENT", "");
	}
	for (size_t cut = 0; cut < b.len; cut += cut < 1500 ? 1 : 997) {
		struct got g = split(&b, cut, 64 << 10);
		assert_int_equal(g.result, 0);
		assert_int_equal(g.headers, 1);
		assert_int_equal(g.fragments, 3);
		assert_int_equal(g.ended, 3);
		assert_int_equal(g.tags, 4);
		assert_string_equal(g.last_tag.value, "Zürich");
		assert_int_equal(g.header.track_count, 1);
		assert_string_equal(g.header.tracks[0].codec, "A_PCM/INT/LIT");
		assert_int_equal(g.header.tracks[0].rate_hz, 16000);
		assert_int_equal(g.header.tracks[0].bit_depth, 16);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(g.f[i].timecode_ms, 5000 + 2000 * i);
			assert_int_equal(g.f[i].duration_ms, 2000);
			assert_int_equal(g.f[i].size_bytes, clusters.len / 3);
		}
		assert_int_equal(g.data.len, clusters.len);
		assert_memory_equal(g.data.data, clusters.data, clusters.len);
		buf_release(&g.data);
	}
	struct got g = split(&b, 0, 1);
	assert_int_equal(g.ended, 3);
	assert_memory_equal(g.data.data, clusters.data, clusters.len);
	buf_release(&g.data);
}

/* What ends a fragment: nothing yet; the tag; the next cluster; a fresh header. */
static void a_fragment_ends_in_time(void **state)
{
	(void)state;
	struct got g = { 0 };
	const struct mkv_split_sink sink = { .ctx = &g, .event = on_event };
	struct mkv_split *s = mkv_split_new(&sink);
	_cleanup_buf_ struct buf b;
	struct err e;
	buf_init(&b, 1 << 20);
	buf_init(&g.data, 1 << 20);
	header(&b, 1);
	pcm_cluster(&b, 0, 50);
	assert_int_equal(mkv_split_feed(s, b.data, b.len, &e), 0);
	assert_int_equal(g.fragments, 1);
	assert_int_equal(g.ended, 0);
	buf_clear(&b);
	mkv_tag(&b, "AWS_KINESISVIDEO_END_OF_FRAGMENT", "");
	assert_int_equal(mkv_split_feed(s, b.data, b.len, &e), 0);
	assert_int_equal(g.ended, 1);
	buf_clear(&b);
	pcm_cluster(&b, 1000, 50);
	mkv_id(&b, MKV_CLUSTER);
	mkv_size(&b, UINT64_MAX, 1);
	assert_int_equal(mkv_split_feed(s, b.data, b.len, &e), 0);
	assert_int_equal(g.ended, 2);
	buf_clear(&b);
	mkv_uint(&b, MKV_TIMESTAMP, 2000);
	mkv_block(&b, MKV_SIMPLE_BLOCK, 1, 0, 0, pcm, sizeof(pcm));
	header(&b, 2);
	assert_int_equal(mkv_split_feed(s, b.data, b.len, &e), 0);
	assert_int_equal(g.ended, 3);
	assert_int_equal(g.f[2].duration_ms, 20);
	buf_clear(&b);
	pcm_cluster(&b, 3000, 50);
	mkv_block(&b, MKV_SIMPLE_BLOCK, 2, 0, 0x80, "picture", 7);
	assert_int_equal(mkv_split_feed(s, b.data, b.len, &e), 0);
	assert_int_equal(g.headers, 2);
	assert_int_equal(g.header.track_count, 2);
	assert_int_equal(mkv_split_finish(s, &e), 0);
	assert_int_equal(g.ended, 4);
	mkv_split_free(s);
	buf_release(&g.data);
}

enum fault {
	NO_HEADER,
	NO_TRACK,
	FOUR_TRACKS,
	TRACK_TWICE,
	ORDER,
	SAME_TIME,
	MISSING_TRACK,
	EMPTY,
	OTHER_TRACK,
	LONG,
	LARGE,
	NO_TIME,
	LATE_TIME,
	MANY_TAGS,
	LONG_TAG,
	NOISE,
	CUT,
	DOCTYPE,
	HUGE_HEADER,
};

static void make_faulty(struct buf *b, enum fault f)
{
	size_t at;
	if (f == NOISE) {
		(void)buf_puts(b, "GET / HTTP/1.1\r\n");
		return;
	}
	if (f == DOCTYPE || f == NO_TRACK)
		mkv_header(b, f == DOCTYPE ? "mp4" : "matroska");
	else if (f != NO_HEADER)
		header(b, f == FOUR_TRACKS ? 4 : f == MISSING_TRACK ? 2 : 1);
	if (f == TRACK_TWICE) {
		mkv_open(b, MKV_TRACKS, &at);
		track(b, 1, 1, "V_VP8");
		mkv_close(b, at);
	}
	for (int i = 0; f == HUGE_HEADER && i < 20; i++) {
		static const uint8_t zero[4000];
		mkv_open(b, MKV_TRACKS, &at);
		mkv_bytes(b, MKV_CODEC_PRIVATE, zero, sizeof(zero));
		mkv_close(b, at);
	}
	if (f == EMPTY || f == NO_TIME || f == LATE_TIME || f == LARGE) {
		mkv_id(b, MKV_CLUSTER);
		mkv_size(b, f == LARGE ? LIVE_FRAGMENT_MAX_BYTES + 1 : UINT64_MAX, 8);
		if (f == EMPTY)
			mkv_uint(b, MKV_TIMESTAMP, 1000);
		if (f == NO_TIME || f == LATE_TIME)
			mkv_block(b, MKV_SIMPLE_BLOCK, 1, 0, 0, pcm, sizeof(pcm));
	} else {
		pcm_cluster(b, 1000, 2);
	}
	if (f == OTHER_TRACK)
		mkv_block(b, MKV_SIMPLE_BLOCK, 7, 0, 0, pcm, sizeof(pcm));
	if (f == LONG)
		mkv_block(b, MKV_SIMPLE_BLOCK, 1, 20000, 0, pcm, sizeof(pcm));
	for (int i = 0; f == MANY_TAGS && i <= LIVE_TAGS_MAX; i++)
		mkv_tag(b, "name", "value");
	if (f == LONG_TAG) {
		char name[200] = { 0 };
		memset(name, 'n', sizeof(name) - 1);
		mkv_tag(b, name, "value");
	}
	if (f == ORDER || f == SAME_TIME)
		pcm_cluster(b, f == ORDER ? 999 : 1000, 2);
	if (f == CUT)
		b->len -= 10;
}

static void what_the_service_refuses(void **state)
{
	(void)state;
	static const struct {
		enum fault fault;
		uint32_t error_id;
		int64_t refused_ms;
		int ended;
	} all[] = {
		{ NO_HEADER, LIVE_E_MKV, -1, 0 },	  { NO_TRACK, LIVE_E_MKV, -1, 0 },
		{ FOUR_TRACKS, LIVE_E_TRACKS, -1, 0 },	  { TRACK_TWICE, LIVE_E_MKV, -1, 0 },
		{ ORDER, LIVE_E_TIMECODE_ORDER, 999, 1 }, { SAME_TIME, LIVE_E_TIMECODE_ORDER, 1000, 1 },
		{ MISSING_TRACK, LIVE_E_FRAMES_MISSING, 1000, 0 }, { EMPTY, LIVE_E_FRAMES_MISSING, 1000, 0 },
		{ OTHER_TRACK, LIVE_E_TRACK_NUMBER, 1000, 0 }, { LONG, LIVE_E_DURATION, 1000, 0 },
		{ LARGE, LIVE_E_SIZE, -1, 0 },		  { NO_TIME, LIVE_E_MKV, -1, 0 },
		{ LATE_TIME, LIVE_E_MKV, -1, 0 },	  { MANY_TAGS, LIVE_E_METADATA, 1000, 0 },
		{ LONG_TAG, LIVE_E_METADATA, 1000, 0 },	  { NOISE, LIVE_E_MKV, -1, 0 },
		{ CUT, LIVE_E_MKV, 1000, 0 },		  { DOCTYPE, LIVE_E_MKV, -1, 0 },
		{ HUGE_HEADER, LIVE_E_MKV, -1, 0 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(all); i++) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, 1 << 20);
		make_faulty(&b, all[i].fault);
		struct got g = split(&b, 0, i % 2 ? 7 : 100000);
		if (g.result != -ERR_MEDIA || g.error_id != all[i].error_id || g.refused_ms != all[i].refused_ms ||
		    g.ended != all[i].ended)
			fail_msg("fault %d: result %d, error %u at %lld, %d fragments", (int)all[i].fault, g.result, g.error_id,
				 (long long)g.refused_ms, g.ended);
		buf_release(&g.data);
	}
}

/* The service's own outputs, fed back. */
static void what_the_service_gives(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int headers, fragments;
	} all[] = { { "kvs-get-media-10s.mkv", 5, 5 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(all); i++) {
		char path[512];
		struct err e;
		struct buf b = { 0 };
		(void)snprintf(path, sizeof(path), "%s/%s", media_folder, all[i].name);
		if (file_read_all(path, 4 << 20, &b.data, &b.len, &e) < 0)
			skip();
		struct got g = split(&b, 0, 1000);
		assert_int_equal(g.result, 0);
		assert_int_equal(g.headers, all[i].headers);
		assert_int_equal(g.ended, all[i].fragments);
		uint64_t bytes = 0;
		for (int f = 0; f < g.ended; f++) {
			assert_true(g.f[f].duration_ms >= 1950 && g.f[f].duration_ms <= 2050);
			bytes += g.f[f].size_bytes;
		}
		assert_int_equal(bytes, g.data.len);
		assert_int_equal(g.header.tracks[0].width, 640);
		assert_string_equal(g.header.tracks[0].codec, "V_MPEG4/ISO/AVC");
		buf_release(&g.data);
		free(b.data);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	media_folder = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_are_given_back),
		cmocka_unit_test(a_fragment_ends_in_time),
		cmocka_unit_test(what_the_service_refuses),
		cmocka_unit_test(what_the_service_gives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
