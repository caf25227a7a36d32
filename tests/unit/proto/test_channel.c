/* proto frames and packets over real sockets: bounds, closing peers, descriptors. */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cm.h"
#include "os/fd.h"
#include "proto/channel.h"

static void make_pair(int type, int s[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s), 0);
}

struct sending {
	int fd, result;
	const void *data;
	size_t len;
};

static void *send_blob(void *arg)
{
	struct sending *s = arg;
	s->result = channel_send(s->fd, MSG_BLOB, s->data, s->len, NULL);
	return NULL;
}

static void frames_larger_than_the_socket(void **state)
{
	(void)state;
	int s[2];
	make_pair(SOCK_STREAM, s);
	char *blob = mr_calloc(1, TASK_BLOB_MAX_BYTES);
	for (size_t i = 0; i < TASK_BLOB_MAX_BYTES; i++)
		blob[i] = (char)(i * 31);
	struct sending job = { .fd = s[0], .data = blob, .len = TASK_BLOB_MAX_BYTES };
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, send_blob, &job), 0);
	struct buf b;
	struct err e;
	enum msg_type type;
	buf_init(&b, MSG_MAX_BYTES);
	assert_int_equal(channel_recv(s[1], &type, &b, &e), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(job.result, 0);
	assert_int_equal(type, MSG_BLOB);
	assert_int_equal(b.len, TASK_BLOB_MAX_BYTES);
	assert_memory_equal(b.data, blob, b.len);

	assert_int_equal(channel_send(s[0], MSG_DATA, NULL, 0, &e), 0);
	assert_int_equal(channel_recv(s[1], &type, &b, &e), 0);
	assert_int_equal(type, MSG_DATA);
	assert_int_equal(b.len, 0);
	fd_close(&s[0]);
	assert_int_equal(channel_recv(s[1], &type, &b, &e), -ERR_LOST);
	assert_int_equal(channel_send(s[1], MSG_DATA, "x", 1, &e), -ERR_LOST);
	fd_close(&s[1]);
	buf_release(&b);
	free(blob);
}

static void hostile_headers(void **state)
{
	(void)state;
	static const uint8_t headers[][8] = {
		{ 0xff, 0xff, 0xff, 0xff, MSG_BLOB, 0, 0, 0 },	   /* 4 GiB */
		{ 1, 0, 4, 0, MSG_BLOB, 0, 0, 0 },		   /* one byte more than a blob may have */
		{ 0, 0, 0, 0, 99, 0, 0, 0 },			   /* no such type */
		{ 0, 0, 0, 0, MSG_BLOB, 0, 0, 1 },
	};
	struct err e;
	for (size_t i = 0; i < MR_ARRAY_SIZE(headers); i++) {
		int s[2];
		make_pair(SOCK_STREAM, s);
		assert_int_equal(fd_write_full(s[0], headers[i], 8, &e), 0);
		struct buf b;
		enum msg_type type;
		buf_init(&b, MSG_MAX_BYTES);
		assert_int_equal(channel_recv(s[1], &type, &b, &e), -ERR_PROTOCOL);
		assert_null(b.data); /* nothing was allocated for it */
		fd_close(&s[0]);
		fd_close(&s[1]);
	}
	assert_int_equal(channel_send(-1, MSG_BLOB, "", TASK_BLOB_MAX_BYTES + 1, &e), -ERR_PROTOCOL);
	assert_int_equal(channel_send(-1, (enum msg_type)77, "", 0, &e), -ERR_PROTOCOL);
}

static void closed_within_a_message(void **state)
{
	(void)state;
	static const uint8_t start[] = { 10, 0, 0, 0, MSG_BLOB, 0, 0, 0, 'a', 'b' };
	struct err e;
	for (size_t n = 0; n <= sizeof(start); n++) {
		int s[2];
		make_pair(SOCK_STREAM, s);
		assert_int_equal(fd_write_full(s[0], start, n, &e), 0);
		fd_close(&s[0]);
		struct buf b;
		enum msg_type type;
		buf_init(&b, MSG_MAX_BYTES);
		assert_int_equal(channel_recv(s[1], &type, &b, &e), -ERR_LOST);
		buf_release(&b);
		fd_close(&s[1]);
	}
	int s[2];
	make_pair(SOCK_STREAM, s);
	assert_int_equal(channel_send(s[0], MSG_BLOB, "0123456789", 10, &e), 0);
	struct buf small;
	enum msg_type type;
	buf_init(&small, 9);
	assert_int_equal(channel_recv(s[1], &type, &small, &e), -ERR_TOO_LARGE);
	buf_release(&small);
	fd_close(&s[0]);
	fd_close(&s[1]);
}

static void packets_carry_descriptors(void **state)
{
	(void)state;
	int s[2], p[2], got[2];
	make_pair(SOCK_SEQPACKET, s);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct err e;
	struct zygote_spawn out = { .op = ZYGOTE_SPAWN, .memory_bytes = 1ull << 33 }, in;
	size_t len;
	assert_int_equal(packet_send(s[0], &out, sizeof(out), p, 2, &e), 0);
	assert_int_equal(packet_recv(s[1], &in, sizeof(in), &len, got, &e), 0);
	assert_int_equal(len, sizeof(in));
	assert_true(in.memory_bytes == 1ull << 33);
	struct stat a, b;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fstat(p[i], &a), 0);
		assert_int_equal(fstat(got[i], &b), 0);
		assert_true(a.st_ino == b.st_ino && got[i] != p[i]);
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		fd_close(&got[i]);
	}
	assert_int_equal(packet_send(s[0], "x", 1, NULL, 0, &e), 0);
	assert_int_equal(packet_recv(s[1], &in, sizeof(in), &len, got, &e), 0);
	assert_true(len == 1 && got[0] == -1 && got[1] == -1);

	/* too long: refused, and its descriptor isn't left open */
	int probe = dup(p[0]);
	const int lowest_free = probe;
	fd_close(&probe);
	assert_int_equal(packet_send(s[0], "0123456789", 10, p, 1, &e), 0);
	assert_int_equal(packet_recv(s[1], &in, 4, &len, got, &e), -ERR_PROTOCOL);
	probe = dup(p[0]);
	assert_int_equal(probe, lowest_free);
	fd_close(&probe);

	fd_close(&s[0]);
	assert_int_equal(packet_recv(s[1], &in, sizeof(in), &len, got, &e), -ERR_LOST);
	assert_int_equal(packet_send(s[1], "x", 1, NULL, 0, &e), -ERR_LOST);
	fd_close(&s[1]);
	fd_close(&p[0]);
	fd_close(&p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_larger_than_the_socket),
		cmocka_unit_test(hostile_headers),
		cmocka_unit_test(closed_within_a_message),
		cmocka_unit_test(packets_carry_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
