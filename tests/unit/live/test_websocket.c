/* One WebSocket over a pair of sockets: messages in any cuts, pings, limits, both ways of closing. */
#include "../base/cm.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "live/websocket.h"
#include "os/fd.h"

struct world {
	struct loop *loop;
	struct websocket *ws; /* the loop's */
	int client;
	struct websocket_limits limits;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* protected by lock */
	unsigned messages, gone;
	size_t last_len;
	bool last_text;
	char last[64];
	int ended; /* code; 0: not yet */
	char why[64];
};

static void on_message(void *ctx, bool text, const void *data, size_t len)
{
	struct world *w = ctx;
	(void)pthread_mutex_lock(&w->lock);
	w->messages++;
	w->last_text = text;
	w->last_len = len;
	memcpy(w->last, data, len < sizeof(w->last) ? len : sizeof(w->last));
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

static void on_ended(void *ctx, int code, const char *why)
{
	struct world *w = ctx;
	(void)pthread_mutex_lock(&w->lock);
	assert_int_equal(w->ended, 0);
	w->ended = code;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

static void on_gone(void *ctx)
{
	struct world *w = ctx;
	(void)pthread_mutex_lock(&w->lock);
	w->ws = NULL;
	w->gone++;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

static void on_tick(void *ctx)
{
	struct world *w = ctx;
	if (w->ws)
		websocket_tick(w->ws, clock_mono_ms());
}

static void begin(void *arg)
{
	struct world *w = arg;
	struct err e;
	assert_int_equal(websocket_attach(w->ws, w->loop, &e), 0);
	websocket_resume(w->ws);
}

static struct world *world_new(const struct websocket_limits *limits, const void *early, size_t early_len)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err e;
	int pair[2];
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->changed, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	w->client = pair[0];
	const struct websocket_handlers h = { .ctx = w, .message = on_message, .ended = on_ended, .gone = on_gone };
	assert_int_equal(websocket_new(pair[1], early, early_len, limits, &h, &w->ws, &e), 0);
	assert_int_equal(loop_start("test", &(struct loop_opts){ .tick_ms = 10, .tick = on_tick, .ctx = w }, &w->loop, &e), 0);
	loop_post(w->loop, begin, w);
	return w;
}

static void world_free(struct world *w)
{
	loop_stop(w->loop);
	websocket_free(w->ws);
	fd_close(&w->client);
	(void)pthread_mutex_destroy(&w->lock);
	(void)pthread_cond_destroy(&w->changed);
	free(w);
}

#define WAIT_FOR(w, condition)                                              \
	do {                                                                \
		(void)pthread_mutex_lock(&(w)->lock);                       \
		while (!(condition))                                        \
			(void)pthread_cond_wait(&(w)->changed, &(w)->lock); \
		(void)pthread_mutex_unlock(&(w)->lock);                     \
	} while (0)

/* ---- the client ---- */

static size_t frame(uint8_t *out, uint8_t first, const void *data, size_t len)
{
	static const uint8_t mask[4] = { 0x11, 0x22, 0x33, 0x44 };
	size_t n = 0;
	out[n++] = first;
	if (len < 126) {
		out[n++] = (uint8_t)(0x80 | len);
	} else {
		out[n++] = 0x80 | 126;
		out[n++] = (uint8_t)(len >> 8);
		out[n++] = (uint8_t)len;
	}
	memcpy(out + n, mask, 4);
	n += 4;
	for (size_t i = 0; i < len; i++)
		out[n++] = ((const uint8_t *)data)[i] ^ mask[i % 4];
	return n;
}

static void say(struct world *w, uint8_t first, const void *data, size_t len)
{
	static uint8_t out[70000];
	struct err e;
	size_t n = frame(out, first, data, len);
	assert_int_equal(fd_write_full(w->client, out, n, &e), 0);
}

/* A short frame of the server: its first byte and payload. */
static size_t hear(struct world *w, uint8_t *ret_first, uint8_t payload[125])
{
	uint8_t head[2];
	struct err e;
	assert_int_equal(fd_read_full(w->client, head, 2, &e), 0);
	assert_true(head[1] < 126);
	if (head[1])
		assert_int_equal(fd_read_full(w->client, payload, head[1], &e), 0);
	*ret_first = head[0];
	return head[1];
}

static void expect_close(struct world *w, int code)
{
	uint8_t first = 0, payload[125];
	size_t len = 0;
	while (first != 0x88) /* pongs, pings */
		len = hear(w, &first, payload);
	assert_true(len >= 2);
	assert_int_equal(payload[0] << 8 | payload[1], code);
}

static void whole_messages_in_any_cuts(void **state)
{
	(void)state;
	uint8_t bytes[256];
	size_t n = frame(bytes, 0x81, "hello", 5);
	n += frame(bytes + n, 0x01, "wor", 3); /* in two frames, a ping between */
	n += frame(bytes + n, 0x89, "?", 1);
	n += frame(bytes + n, 0x80, "ld", 2);
	struct err e;
	for (size_t cut = 0; cut <= n; cut++) {
		struct world *w = world_new(&(struct websocket_limits){ 0 }, bytes, cut);
		uint8_t first, payload[125];
		assert_int_equal(fd_write_full(w->client, bytes + cut, n - cut, &e), 0);
		WAIT_FOR(w, w->messages == 2);
		assert_memory_equal(w->last, "world", 5);
		assert_true(w->last_text);
		assert_int_equal(hear(w, &first, payload), 1);
		assert_int_equal(first, 0x8A);
		world_free(w);
	}
}

static void the_client_closes(void **state)
{
	(void)state;
	struct world *w = world_new(&(struct websocket_limits){ 0 }, NULL, 0);
	say(w, 0x88, "\x03\xE8", 2);
	expect_close(w, 1000);
	WAIT_FOR(w, w->ended == 1000);
	fd_close(&w->client);
	WAIT_FOR(w, w->gone == 1);
	world_free(w);
	/* Without a code; and without a word. */
	w = world_new(&(struct websocket_limits){ 0 }, NULL, 0);
	say(w, 0x88, "", 0);
	WAIT_FOR(w, w->ended == WEBSOCKET_NO_CODE);
	world_free(w);
	w = world_new(&(struct websocket_limits){ 0 }, NULL, 0);
	fd_close(&w->client);
	WAIT_FOR(w, w->gone == 1);
	assert_int_equal(w->ended, WEBSOCKET_BROKEN);
	world_free(w);
}

static void close_now(void *arg)
{
	struct world *w = arg;
	websocket_send(w->ws, "bye", 3);
	websocket_close(w->ws, WEBSOCKET_TRY_LATER, "BUSY");
	websocket_close(w->ws, WEBSOCKET_NORMAL, "again");
	websocket_send(w->ws, "too late", 8);
}

static void we_close(void **state)
{
	(void)state;
	struct world *w = world_new(&(struct websocket_limits){ .close_ms = 60000 }, NULL, 0);
	uint8_t first, payload[125];
	loop_post(w->loop, close_now, w);
	assert_int_equal(hear(w, &first, payload), 3);
	assert_int_equal(hear(w, &first, payload), 6);
	assert_int_equal(first, 0x88);
	assert_memory_equal(payload, "\x03\xF5" "BUSY", 6);
	assert_int_equal(read(w->client, payload, 1), 0);
	WAIT_FOR(w, w->ended);
	say(w, 0x82, "still talking", 13); /* read away */
	fd_close(&w->client);
	WAIT_FOR(w, w->gone == 1);
	assert_int_equal(w->messages, 0);
	world_free(w);
	/* A client that doesn't go is left. */
	w = world_new(&(struct websocket_limits){ .close_ms = 50 }, NULL, 0);
	loop_post(w->loop, close_now, w);
	WAIT_FOR(w, w->gone == 1);
	world_free(w);
}

static void limits(void **state)
{
	(void)state;
	static uint8_t data[60000];
	struct world *w = world_new(&(struct websocket_limits){ .message_bytes = 1000 }, NULL, 0);
	say(w, 0x82, data, 1000);
	WAIT_FOR(w, w->messages == 1);
	say(w, 0x82, data, 1001);
	expect_close(w, WEBSOCKET_TOO_BIG);
	world_free(w);

	w = world_new(&(struct websocket_limits){ .bytes_per_s = 5000 }, NULL, 0);
	say(w, 0x82, data, sizeof(data));
	expect_close(w, WEBSOCKET_POLICY);
	assert_int_equal(w->messages, 0);
	world_free(w);

	w = world_new(&(struct websocket_limits){ .messages_per_s = 2 }, NULL, 0);
	for (int i = 0; i < 20; i++)
		say(w, 0x82, data, 1);
	expect_close(w, WEBSOCKET_POLICY);
	assert_true(w->messages >= 16 && w->messages < 20);
	world_free(w);

	w = world_new(&(struct websocket_limits){ 0 }, NULL, 0);
	say(w, 0x81, "\xFF\xFE", 2); /* no UTF-8 */
	expect_close(w, 1007);
	world_free(w);
}

static void the_silent_are_cut_off(void **state)
{
	(void)state;
	struct world *w = world_new(&(struct websocket_limits){ .ping_ms = 20, .silence_ms = 200 }, NULL, 0);
	uint8_t first, payload[125];
	assert_int_equal(hear(w, &first, payload), 0);
	assert_int_equal(first, 0x89);
	say(w, 0x8A, "", 0);
	WAIT_FOR(w, w->gone == 1);
	assert_string_equal(w->why, "silent");
	world_free(w);
}

static void flood(void *arg)
{
	static char text[100000];
	struct world *w = arg;
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 10 && w->ws; i++)
		websocket_send(w->ws, text, sizeof(text));
}

static void the_slow_are_cut_off(void **state)
{
	(void)state;
	struct world *w = world_new(&(struct websocket_limits){ .queue_bytes = 1000 }, NULL, 0);
	loop_post(w->loop, flood, w);
	WAIT_FOR(w, w->gone == 1);
	assert_string_equal(w->why, "too slow to take what is sent");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_messages_in_any_cuts), cmocka_unit_test(the_client_closes),
		cmocka_unit_test(we_close),		      cmocka_unit_test(limits),
		cmocka_unit_test(the_silent_are_cut_off),     cmocka_unit_test(the_slow_are_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
