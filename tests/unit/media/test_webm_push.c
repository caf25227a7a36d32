/* media/webm_push: recordings of browsers cut anywhere, and WebM made by hand for what browsers don't write. Argument:
 * the folder of the recordings. */
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "../../captures/capture.h"
#include "../base/cm.h"
#include "base/mem.h"
#include "media/webm_push.h"
#include "mkv_make.h"
#include "os/fd.h"

#define CUTS 4096

static const char *folder;

/* What came out, as one number: frames with their times and bytes. */
struct got {
	uint64_t hash;
	int tracks, clusters, frames, timed, after_loss;
	uint64_t skipped;
	int64_t last_time_ns, discard_ns;
	uint64_t last_cluster;
	char text[64]; /* the frames' first bytes */
};

static void mix(struct got *g, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		g->hash = (g->hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
}

static int on_track(void *ctx, const struct webm_track *t, struct err *e)
{
	struct got *g = ctx;
	(void)e;
	g->tracks++;
	mix(g, &t->preskip, sizeof(t->preskip));
	return 0;
}

static int on_cluster(void *ctx, uint64_t offset, struct err *e)
{
	struct got *g = ctx;
	(void)e;
	g->clusters++;
	g->last_cluster = offset;
	mix(g, &offset, sizeof(offset));
	return 0;
}

static int on_frame(void *ctx, const struct webm_frame *f, struct err *e)
{
	struct got *g = ctx;
	(void)e;
	if (g->frames < (int)sizeof(g->text) - 1)
		g->text[g->frames] = f->len ? (char)f->data[0] : '-';
	g->frames++;
	g->timed += f->has_time;
	g->after_loss += f->after_loss;
	g->last_time_ns = f->time_ns;
	g->discard_ns = f->discard_ns;
	mix(g, &f->time_ns, sizeof(f->time_ns));
	mix(g, f->data, f->len);
	return 0;
}

static void on_skipped(void *ctx, uint64_t bytes)
{
	((struct got *)ctx)->skipped += bytes;
}

static struct webm_sink sink_of(struct got *g)
{
	return (struct webm_sink){ .ctx = g, .track = on_track, .cluster = on_cluster, .frame = on_frame,
				   .skipped = on_skipped };
}

/* In pieces of their own allocation, so that a sanitizer sees a read beyond. */
static void feed(struct webm_push *w, const uint8_t *data, size_t len)
{
	struct err e;
	uint8_t *exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, data, len);
	if (webm_push_feed(w, exact, len, &e) < 0)
		fail_msg("%s", e.message);
	free(exact);
}

static struct got parse(const uint8_t *data, size_t len, size_t cut)
{
	struct got g = { 0 };
	const struct webm_sink sink = sink_of(&g);
	struct webm_push w;
	webm_push_init(&w, &sink, NULL);
	feed(&w, data, cut);
	feed(&w, data + cut, len - cut);
	webm_push_release(&w);
	return g;
}

static void cut_everywhere(const uint8_t *data, size_t data_len, const char *name)
{
	const struct got whole = parse(data, data_len, 0);
	assert_int_equal(whole.tracks, 1);
	assert_true(whole.frames > 100 && whole.skipped == 0 && whole.after_loss == 0);
	for (size_t cut = 1; cut <= CUTS; cut++) {
		/* what lies far behind the cut needs no second look */
		const size_t len = data_len < cut + 6000 ? data_len : cut + 6000;
		const struct got same = parse(data, len, 0), g = parse(data, len, cut);
		if (g.hash != same.hash || g.frames != same.frames)
			fail_msg("%s cut at %zu: %d frames instead of %d", name, cut, g.frames, same.frames);
	}
}

static void any_cut_gives_the_same(void **state)
{
	(void)state;
	static const char *const names[] = { "chromium-100ms", "chromium-pause", "firefox" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		struct capture c;
		capture_load(&c, folder, names[i]);
		cut_everywhere(c.data, c.len, names[i]);
		capture_free(&c);
	}
}

/* Longer recordings, where there are some beside the source. */
static void any_cut_of_others_gives_the_same(void **state)
{
	(void)state;
	struct err e;
	glob_t found;
	char *pattern = mr_asprintf("%s/../../../shared/captures/*/all.webm", folder);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			char *data = NULL;
			size_t len = 0;
			if (file_read_all(found.gl_pathv[i], 16 << 20, &data, &len, &e) < 0)
				fail_msg("%s", e.message);
			cut_everywhere((const uint8_t *)data, len, found.gl_pathv[i]);
			free(data);
		}
		globfree(&found);
	}
	free(pattern);
}

/* Bytes are missing from every place, for every length up to a few blobs': parsing goes on, and the rest is as it was. */
static void any_hole_is_passed_over(void **state)
{
	(void)state;
	struct capture c;
	capture_load(&c, folder, "chromium-pause");
	const struct got whole = parse(c.data, c.len, 0);
	for (size_t from = 200; from < 4000; from += 37)
		for (size_t hole = 1; hole < 3000; hole += 113) {
			struct got g = { 0 };
			const struct webm_sink sink = sink_of(&g);
			struct webm_push w;
			webm_push_init(&w, &sink, NULL);
			feed(&w, c.data, from);
			if (hole % 2)
				webm_push_lost(&w);
			feed(&w, c.data + from + hole, c.len - from - hole);
			webm_push_release(&w);
			assert_int_equal(g.tracks, 1);
			assert_int_equal(g.last_time_ns, whole.last_time_ns);
			if (g.frames < whole.frames - 18 || g.frames > whole.frames)
				fail_msg("%zu bytes at %zu: %d frames instead of %d", hole, from, g.frames, whole.frames);
		}
	capture_free(&c);
}

static void a_known_track_needs_no_header(void **state)
{
	(void)state;
	struct capture c;
	capture_load(&c, folder, "chromium-pause");
	const struct got whole = parse(c.data, c.len, 0);
	const struct webm_track track = { .number = 1, .scale_ns = 1000000, .channels = 1 };
	/* with the first byte of its cluster or without */
	static const uint8_t id[] = { 0x1F, 0x43, 0xB6, 0x75 };
	const uint8_t *cluster = memmem(c.data + c.ends[3], c.len - c.ends[3], id, sizeof(id));
	assert_non_null(cluster);
	const size_t at = (size_t)(cluster - c.data);
	for (size_t from = at; from <= at + 1; from++) {
		struct got g = { 0 };
		const struct webm_sink sink = sink_of(&g);
		struct webm_push w;
		webm_push_init(&w, &sink, &track);
		feed(&w, c.data + from, c.len - from);
		webm_push_release(&w);
		assert_int_equal(g.skipped, 0);
		assert_int_equal(g.last_time_ns, whole.last_time_ns);
		/* marks count from its own first byte; a lost one is not there to count */
		assert_int_equal(g.last_cluster, whole.last_cluster - from);
	}
	capture_free(&c);
}

/* ---- by hand ---- */

static void opus_track(struct buf *b, uint64_t number, const char *codec, uint8_t channels)
{
	uint8_t head[19] = "OpusHead";
	size_t tracks, entry;
	head[8] = 1;
	head[9] = channels;
	head[10] = 0x38;
	head[11] = 1;
	mkv_open(b, MKV_TRACKS, &tracks);
	mkv_open(b, MKV_TRACK_ENTRY, &entry);
	mkv_uint(b, MKV_TRACK_NUMBER, number);
	mkv_uint(b, MKV_TRACK_TYPE, 2);
	mkv_text(b, MKV_CODEC_ID, codec);
	mkv_bytes(b, MKV_CODEC_PRIVATE, head, sizeof(head));
	mkv_close(b, entry);
	mkv_close(b, tracks);
}

static void begin(struct buf *b)
{
	buf_init(b, 1 << 20);
	mkv_header(b, "webm");
	opus_track(b, 3, "A_OPUS", 2);
	mkv_unknown(b, MKV_CLUSTER);
	mkv_uint(b, MKV_TIMESTAMP, 1000);
}

static void lacing_of_all_kinds(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	begin(&b);
	/* Xiph: three frames of 1, 300 and 2 bytes */
	uint8_t xiph[1 + 1 + 2 + 303] = { 2, 1, 255, 45, 'a', 'b' };
	memset(xiph + 6, 'x', 299);
	memcpy(xiph + 305, "cc", 2);
	mkv_block(&b, MKV_SIMPLE_BLOCK, 3, 0, 0x02, xiph, sizeof(xiph));
	/* fixed: two of 2 */
	mkv_block(&b, MKV_SIMPLE_BLOCK, 3, 20, 0x04, "\1ddee", 5);
	/* EBML: 3, then one less, then the rest */
	mkv_block(&b, MKV_SIMPLE_BLOCK, 3, 40, 0x06, "\2\x83\xBE"
						     "fffgghhhh", 12);
	/* none; another track; and a negative time */
	mkv_block(&b, MKV_SIMPLE_BLOCK, 3, 60, 0x80, "i", 1);
	mkv_block(&b, MKV_SIMPLE_BLOCK, 4, 80, 0x80, "z", 1);
	mkv_block(&b, MKV_SIMPLE_BLOCK, 3, -500, 0x80, "j", 1);
	const struct got g = parse((const uint8_t *)b.data, b.len, 0);
	assert_string_equal(g.text, "abcdefghij");
	assert_int_equal(g.timed, 5);
	assert_int_equal(g.last_time_ns, 500 * 1000000);
	assert_int_equal(g.skipped, 0);
}

static void damaged_lacing_is_passed_over(void **state)
{
	(void)state;
	static const struct {
		uint8_t flags;
		const char *data;
		size_t len;
	} all[] = { { 2, "", 0 },	       { 2, "\2\xFF", 2 },    { 2, "\1\x09xx", 4 },  { 4, "\2xx", 3 },
		    { 6, "\2\x83\x80xxxx", 7 }, { 6, "\1\xFFxx", 4 }, { 6, "\1", 1 },       { 2, "\xFFxx", 3 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(all); i++) {
		_cleanup_buf_ struct buf b;
		begin(&b);
		mkv_block(&b, MKV_SIMPLE_BLOCK, 3, 0, all[i].flags, all[i].data, all[i].len);
		mkv_block(&b, MKV_SIMPLE_BLOCK, 3, 20, 0, "lost", 4); /* of the same cluster */
		mkv_unknown(&b, MKV_CLUSTER);
		mkv_uint(&b, MKV_TIMESTAMP, 2000);
		mkv_block(&b, MKV_SIMPLE_BLOCK, 3, 0, 0, "good", 4);
		const struct got g = parse((const uint8_t *)b.data, b.len, 0);
		assert_string_equal(g.text, "g");
		assert_true(g.skipped > 0 && g.after_loss == 1);
	}
}

static void groups_and_known_sizes(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	size_t cluster, group;
	buf_init(&b, 1 << 16);
	mkv_header(&b, "matroska");
	mkv_bytes(&b, EBML_VOID, "        ", 8);
	opus_track(&b, 3, "A_OPUS", 1);
	mkv_open(&b, MKV_CLUSTER, &cluster);
	mkv_uint(&b, MKV_POSITION, 0);
	mkv_uint(&b, MKV_TIMESTAMP, 7);
	mkv_open(&b, MKV_BLOCK_GROUP, &group);
	mkv_block(&b, MKV_BLOCK, 3, 1, 0, "a", 1);
	mkv_bytes(&b, MKV_DISCARD_PADDING, "\0\xCD\xFE\x60", 4);
	mkv_close(&b, group);
	mkv_close(&b, cluster);
	mkv_bytes(&b, MKV_CUES, "any", 3);
	const struct got g = parse((const uint8_t *)b.data, b.len, b.len / 2);
	assert_string_equal(g.text, "a");
	assert_int_equal(g.last_time_ns, 8000000);
	assert_int_equal(g.discard_ns, 13500000);
	assert_int_equal(g.skipped, 0);
}

static void what_cannot_be_decoded_is_an_error(void **state)
{
	(void)state;
	static const struct {
		const char *codec;
		uint8_t channels;
	} all[] = { { "A_VORBIS", 1 }, { "A_OPUS", 6 }, { "A_OPUS", 0 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(all); i++) {
		_cleanup_buf_ struct buf b;
		struct got g = { 0 };
		struct err e;
		const struct webm_sink sink = sink_of(&g);
		struct webm_push w;
		buf_init(&b, 1 << 16);
		mkv_header(&b, "webm");
		opus_track(&b, 3, all[i].codec, all[i].channels);
		mkv_unknown(&b, MKV_CLUSTER);
		webm_push_init(&w, &sink, NULL);
		assert_int_equal(webm_push_feed(&w, (const uint8_t *)b.data, b.len, &e), -ERR_UNSUPPORTED);
		assert_string_equal(e.code, "UNSUPPORTED_CODEC");
		webm_push_release(&w);
	}
}

/* A recorder that starts anew behind half a blob: its header is found wherever the old one was cut. */
static void a_fresh_header_is_found_behind_a_cut(void **state)
{
	(void)state;
	struct capture c;
	capture_load(&c, folder, "chromium-pause");
	const struct got whole = parse(c.data, c.len, 0);
	for (size_t cut = 165; cut < 2600; cut += 7) {
		struct got g = { 0 };
		const struct webm_sink sink = sink_of(&g);
		struct webm_push w;
		webm_push_init(&w, &sink, NULL);
		feed(&w, c.data, cut);
		webm_push_lost(&w);
		feed(&w, c.data, c.len);
		webm_push_release(&w);
		assert_int_equal(g.tracks, 2);
		assert_true(g.frames >= whole.frames);
	}
	capture_free(&c);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	folder = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_cut_gives_the_same),
		cmocka_unit_test(any_cut_of_others_gives_the_same),
		cmocka_unit_test(any_hole_is_passed_over),
		cmocka_unit_test(a_known_track_needs_no_header),
		cmocka_unit_test(lacing_of_all_kinds),
		cmocka_unit_test(damaged_lacing_is_passed_over),
		cmocka_unit_test(groups_and_known_sizes),
		cmocka_unit_test(what_cannot_be_decoded_is_an_error),
		cmocka_unit_test(a_fresh_header_is_found_behind_a_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
