/* A stand-in for millrace-task with the real zygote and the real sandbox, whose tasks do what the name of their first input says:
 * mostly, misbehave. For test_task_client. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"
#include "proto/channel.h"
#include "task/task.h"

static int channel;

static void send_bytes(enum msg_type type, const void *data, size_t len)
{
	if (channel_send(channel, type, data, len, NULL) < 0)
		_exit(3);
}

static void send_result(void)
{
	const struct task_result r = { .kind = TASK_LADDER, .ladder = { .next_segment = 4 } };
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	if (task_result_encode(&r, &b, NULL) == 0)
		send_bytes(MSG_RESULT, b.data, b.len);
	buf_release(&b);
}

static void send_failure(enum err_kind kind, const char *code)
{
	struct err e;
	(void)err_set_code(&e, kind, code, "scripted");
	task_child_refuse(channel, &e);
}

static void send_object(uint32_t index, uint64_t size)
{
	const struct task_object o = { .kind = TASK_OBJECT_SEGMENT, .index = index, .duration_ticks = 360000,
				       .size_bytes = size, .iframe_count = 1, .iframes = { { .size_bytes = 1 } } };
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	if (task_object_encode(&o, &b, NULL) == 0)
		send_bytes(MSG_OBJECT, b.data, b.len);
	buf_release(&b);
}

static void send_progress(int64_t ticks)
{
	const struct task_progress p = { .done_ticks = ticks };
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	if (task_progress_encode(&p, &b, NULL) == 0)
		send_bytes(MSG_PROGRESS, b.data, b.len);
	buf_release(&b);
}

static void send_read(uint32_t input, uint32_t length)
{
	const struct task_read q = { .input = input, .length = length };
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	if (task_read_encode(&q, &b, NULL) == 0)
		send_bytes(MSG_READ, b.data, b.len);
	buf_release(&b);
}

static _Noreturn void hang(void)
{
	for (;;)
		(void)poll(NULL, 0, 1000);
}

static void chatter(void)
{
	for (int64_t i = 0;; i++)
		send_progress(i);
}

/* Reads the whole input and sends it back as one segment. */
static void echo(void)
{
	struct buf b;
	enum msg_type type;
	buf_init(&b, MSG_MAX_BYTES);
	send_read(0, 100000);
	if (channel_recv(channel, &type, &b, NULL) < 0)
		_exit(3);
	if (type == MSG_READ_FAILED) {
		send_bytes(MSG_FAILURE, b.data, b.len);
		return;
	}
	send_object(3, b.len);
	send_bytes(MSG_BLOB, b.data, b.len / 2);
	send_bytes(MSG_BLOB, b.data + b.len / 2, b.len - b.len / 2);
	send_progress(360000);
	send_result();
	buf_release(&b);
}

static void nothing(void)
{
}

static void oversize(void)
{
	send_object(3, 10);
	send_bytes(MSG_BLOB, "0123456789a", 11);
}

static void half_then_hang(void)
{
	send_object(3, 10);
	send_bytes(MSG_BLOB, "0123456789", 5);
	hang();
}

static void half_a_frame(void)
{
	static const uint8_t start[] = { 100, 0, 0, 0, MSG_PROGRESS, 0, 0, 0, 'x' };
	if (fd_write_full(channel, start, sizeof(start), NULL) == 0)
		hang();
}

static void result_within_object(void)
{
	send_object(3, 10);
	send_result();
}

static void outside_the_chunk(void)
{
	send_object(9, 10);
}

static void unknown_input(void)
{
	send_read(5, 10);
}

static void falling_progress(void)
{
	send_progress(10);
	send_progress(9);
}

static void huge_frame(void)
{
	static const uint8_t header[] = { 0xff, 0xff, 0xff, 0x7f, MSG_BLOB, 0, 0, 0 };
	if (fd_write_full(channel, header, sizeof(header), NULL) == 0)
		hang();
}

static void never_reads_the_answer(void)
{
	send_read(0, TASK_READ_MAX_BYTES);
	hang();
}

static void lease_lost(void)
{
	send_failure(ERR_LOST, "");
}

static void undecodable(void)
{
	send_failure(ERR_MEDIA, "UNDECODABLE");
}

static void closes_and_goes_on(void)
{
	(void)close(channel);
	hang();
}

static void forbidden(void)
{
	(void)syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL);
}

static void segfault(void)
{
	(void)signal(SIGSEGV, SIG_DFL);
	(void)raise(SIGSEGV);
}

static void eat_memory(void)
{
	for (;;) {
		char *volatile p = malloc(1u << 20); /* volatile, or the compiler does without */
		if (!p)
			abort();
		memset(p, 1, 1u << 20);
	}
}

static const struct {
	const char *name;
	void (*fn)(void);
} scripts[] = {
	{ "echo", echo },
	{ "nothing", nothing },
	{ "hang", hang },
	{ "chatter", chatter },
	{ "oversize", oversize },
	{ "half_then_hang", half_then_hang },
	{ "half_a_frame", half_a_frame },
	{ "result_within_object", result_within_object },
	{ "outside_the_chunk", outside_the_chunk },
	{ "unknown_input", unknown_input },
	{ "falling_progress", falling_progress },
	{ "huge_frame", huge_frame },
	{ "never_reads_the_answer", never_reads_the_answer },
	{ "lease_lost", lease_lost },
	{ "undecodable", undecodable },
	{ "closes_and_goes_on", closes_and_goes_on },
	{ "forbidden", forbidden },
	{ "segfault", segfault },
	{ "abort", abort },
	{ "eat_memory", eat_memory },
};

void task_child_refuse(int fd, const struct err *failure)
{
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	if (task_failure_encode(failure, &b, NULL) == 0 && channel_send(fd, MSG_FAILURE, b.data, b.len, NULL) < 0)
		_exit(3);
	buf_release(&b);
}

int task_child_run(int fd)
{
	struct task_spec spec;
	struct buf b;
	enum msg_type type;
	channel = fd;
	buf_init(&b, MSG_MAX_BYTES);
	if (channel_recv(fd, &type, &b, NULL) < 0 || type != MSG_SPEC || task_spec_decode(b.data, b.len, &spec, NULL) < 0)
		return 2;
	for (size_t i = 0; i < MR_ARRAY_SIZE(scripts); i++)
		if (strcmp(scripts[i].name, spec.inputs[0].name) == 0)
			scripts[i].fn();
	task_spec_release(&spec);
	buf_release(&b);
	return 0;
}

int main(void)
{
	struct sandbox *s;
	if (sandbox_prepare(&s, NULL) < 0)
		return 1;
	int code = zygote_run(ZYGOTE_CONTROL_FD, s, NULL);
	sandbox_free(s);
	return code;
}
