/* Fragments by sandboxed processes: more than fits at once goes through with back-pressure and comes out byte for byte; a
 * refusal has its ErrorId; with its process a session ends, and its producer begins again. Argument: the task. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/cm.h"
#include "../media/mkv_make.h"
#include "base/log.h"
#include "live/decoder.h"
#include "os/thread.h"

#define FRAGMENTS 40
#define FRAMES 100

static struct zygote *zygote;
static struct live_decoder *decoder;

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct live_split *split;
	bool writable;
	int headers, begun, ended, tags, ends;
	uint64_t bytes, hash;
	int64_t last_ms;
	uint32_t error_id;
	int64_t refused_ms;
	struct err why;
};

static void changed(struct seen *s)
{
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

static struct seen *enter(void *ctx)
{
	struct seen *s = ctx;
	(void)pthread_mutex_lock(&s->lock);
	assert_int_equal(s->ends, 0);
	return s;
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
	return hash;
}

static void on_header(void *ctx, const struct live_header *h, const void *data, size_t len)
{
	struct seen *s = enter(ctx);
	s->headers++;
	assert_int_equal(h->track_count, 1);
	assert_string_equal(h->tracks[0].codec, "V_VP8");
	assert_true(len > 40);
	(void)data;
	changed(s);
}

static void on_begin(void *ctx, int64_t timecode_ms)
{
	struct seen *s = enter(ctx);
	assert_int_equal(s->begun, s->ended);
	s->begun++;
	assert_true(timecode_ms > s->last_ms);
	s->last_ms = timecode_ms;
	changed(s);
}

static void on_data(void *ctx, const void *data, size_t len)
{
	struct seen *s = enter(ctx);
	s->bytes += len;
	s->hash = mix(s->hash, data, len);
	changed(s);
}

static void on_tag(void *ctx, const struct live_tag *t)
{
	struct seen *s = enter(ctx);
	s->tags++;
	assert_string_equal(t->value, "yes");
	changed(s);
}

static void on_fragment_end(void *ctx, const struct live_fragment *f)
{
	struct seen *s = enter(ctx);
	s->ended++;
	assert_int_equal(f->timecode_ms, s->last_ms);
	assert_int_equal(f->duration_ms, 2000);
	changed(s);
}

static void on_writable(void *ctx)
{
	struct seen *s = enter(ctx);
	s->writable = true;
	changed(s);
}

static void on_end(void *ctx, uint32_t error_id, int64_t timecode_ms, const struct err *why)
{
	struct seen *s = enter(ctx);
	s->ends++;
	s->error_id = error_id;
	s->refused_ms = timecode_ms;
	if (why)
		s->why = *why;
	changed(s);
}

static void open_split(struct seen *s)
{
	struct err e;
	*s = (struct seen){ .last_ms = -1 };
	(void)pthread_mutex_init(&s->lock, NULL);
	cond_init_monotonic(&s->changed);
	const struct live_split_handlers h = { .ctx = s, .header = on_header, .fragment_begin = on_begin, .fragment_data = on_data,
					       .fragment_tag = on_tag, .fragment_end = on_fragment_end, .writable = on_writable,
					       .end = on_end };
	assert_int_equal(live_split_open(decoder, &h, &s->split, &e), 0);
}

static void await_end(struct seen *s)
{
	(void)pthread_mutex_lock(&s->lock);
	while (!s->ends)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
}

/* As a server does: it reads no further while it is told so, and says nothing to a session that has ended. Returns how often
 * it had to wait. */
static int send_all(struct seen *s, const struct buf *b)
{
	int waits = 0;
	(void)pthread_mutex_lock(&s->lock);
	for (size_t at = 0; at < b->len && !s->ends;) {
		const size_t n = b->len - at < 60000 ? b->len - at : 60000;
		struct err e;
		if (live_split_bytes(s->split, b->data + at, n, &e) == 0) {
			at += n;
			continue;
		}
		assert_int_equal(e.kind, ERR_BUSY);
		waits++;
		while (!s->writable && !s->ends)
			(void)pthread_cond_wait(&s->changed, &s->lock);
		s->writable = false;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return waits;
}

static void make_header(struct buf *b)
{
	size_t tracks, entry;
	mkv_header(b, "matroska");
	mkv_open(b, MKV_TRACKS, &tracks);
	mkv_open(b, MKV_TRACK_ENTRY, &entry);
	mkv_uint(b, MKV_TRACK_NUMBER, 1);
	mkv_uint(b, MKV_TRACK_TYPE, 1);
	mkv_uint(b, MKV_DEFAULT_DURATION, 20000000);
	mkv_text(b, MKV_CODEC_ID, "V_VP8");
	mkv_close(b, entry);
	mkv_close(b, tracks);
}

static void make_cluster(struct buf *b, uint64_t ms)
{
	static uint8_t frame[6000];
	mkv_unknown(b, MKV_CLUSTER);
	mkv_uint(b, MKV_TIMESTAMP, ms);
	for (int i = 0; i < FRAMES; i++) {
		memset(frame, i, sizeof(frame));
		mkv_block(b, MKV_SIMPLE_BLOCK, 1, (int16_t)(20 * i), 0x80, frame, sizeof(frame));
	}
}

static void more_than_fits_at_once(void **state)
{
	(void)state;
	struct seen s;
	struct buf b;
	buf_init(&b, 64 << 20);
	make_header(&b);
	uint64_t bytes = 0, hash = 0;
	for (uint64_t i = 0; i < FRAGMENTS; i++) {
		const size_t at = b.len;
		make_cluster(&b, 2000 * i);
		bytes += b.len - at;
		hash = mix(hash, b.data + at, b.len - at);
		mkv_tag(&b, "kept", "yes");
	}
	open_split(&s);
	assert_true(send_all(&s, &b) > 0);
	live_split_finish(s.split);
	await_end(&s);
	assert_int_equal(s.why.kind, ERR_OK);
	assert_int_equal(s.headers, 1);
	assert_int_equal(s.ended, FRAGMENTS);
	assert_int_equal(s.tags, FRAGMENTS);
	assert_true(s.bytes == bytes && s.hash == hash);
	buf_release(&b);
}

static void a_refusal_has_its_error_id(void **state)
{
	(void)state;
	struct seen s;
	struct buf b;
	buf_init(&b, 8 << 20);
	make_header(&b);
	make_cluster(&b, 4000);
	make_cluster(&b, 3000);
	open_split(&s);
	(void)send_all(&s, &b);
	await_end(&s);
	assert_int_equal(s.error_id, LIVE_E_TIMECODE_ORDER);
	assert_int_equal(s.refused_ms, 3000);
	assert_int_equal(s.ended, 1);
	buf_release(&b);
}

static void a_death_ends_it(void **state)
{
	(void)state;
	struct seen s;
	struct buf b;
	buf_init(&b, 8 << 20);
	make_header(&b);
	make_cluster(&b, 4000);
	open_split(&s);
	(void)send_all(&s, &b);
	(void)pthread_mutex_lock(&s.lock);
	while (!s.begun)
		(void)pthread_cond_wait(&s.changed, &s.lock);
	(void)pthread_mutex_unlock(&s.lock);
	struct live_decoder_stats stats;
	live_decoder_stats(decoder, &stats);
	assert_int_equal(kill(stats.pids[0], SIGKILL), 0);
	await_end(&s);
	assert_string_equal(s.why.code, "TASK_LOST");
	assert_true(s.why.retriable);
	assert_int_equal(s.error_id, 0);
	assert_int_equal(s.ended, 0);
	/* the next one is served */
	open_split(&s);
	(void)send_all(&s, &b);
	live_split_finish(s.split);
	await_end(&s);
	assert_int_equal(s.why.kind, ERR_OK);
	assert_int_equal(s.ended, 1);
	buf_release(&b);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	struct err e;
	log_setup(LOG_ERROR, false);
	if (zygote_start(argv[1], &zygote, &e) < 0 ||
	    live_decoder_new(zygote, &(struct live_decoder_opts){ .processes = 1 }, &decoder, &e) < 0) {
		fprintf(stderr, "%s\n", e.message);
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_than_fits_at_once),
		cmocka_unit_test(a_refusal_has_its_error_id),
		cmocka_unit_test(a_death_ends_it),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	live_decoder_free(decoder);
	zygote_stop(zygote);
	return failed;
}
