/* One task: media_io over the channel to the parent. Runs in a forked child of the zygote, in the sandbox; it holds nothing but
 * the channel and stderr.
 *
 * Guarantees: one result or one failure is the last message, unless the parent is gone. Media code sees only what the parent
 * answers; an answer that doesn't fit the question ends the task.
 *
 * Objects come from several threads, reads and progress from one. A message goes out as a whole, and an object with its bytes;
 * an answer needs no lock, as only the thread that asked waits for one.
 */
#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "os/fd.h"
#include "proto/channel.h"
#include "task/task.h"

struct child {
	int channel;
	pthread_mutex_t sending; /* held from a message's first byte to its last, an object's last blob included */
	struct buf message;	 /* of the thread that reads: small messages, in either direction */
};

static int send_buf(struct child *c, enum msg_type type, struct err *e)
{
	(void)pthread_mutex_lock(&c->sending);
	int r = channel_send(c->channel, type, c->message.data, c->message.len, e);
	(void)pthread_mutex_unlock(&c->sending);
	return r;
}

/* The parent's error becomes ours: "read at 0: …" would add nothing, since media code says what it was reading. */
static int take_read_failure(struct child *c, uint32_t len, struct err *e)
{
	void *room = buf_reserve(&c->message, len);
	if (!room)
		return err_set(e, ERR_PROTOCOL, "no room for an error of %u bytes", len);
	int r = fd_read_full(c->channel, room, len, e);
	if (r < 0)
		return r;
	buf_commit(&c->message, len);
	struct err failure;
	r = task_failure_decode(c->message.data, c->message.len, &failure, e);
	return r < 0 ? r : err_copy(e, &failure);
}

static int io_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	struct child *c = ctx;
	const struct task_read question = { .input = input, .offset = offset, .length = len };
	buf_clear(&c->message);
	int r = task_read_encode(&question, &c->message, e);
	if (r == 0)
		r = send_buf(c, MSG_READ, e);
	if (r < 0)
		return r;
	uint8_t header[MSG_HEADER_BYTES];
	enum msg_type type;
	uint32_t size;
	r = fd_read_full(c->channel, header, sizeof(header), e);
	if (r == 0)
		r = channel_header_decode(header, &type, &size, e);
	if (r < 0)
		return r;
	buf_clear(&c->message);
	if (type == MSG_READ_FAILED)
		return take_read_failure(c, size, e);
	if (type != MSG_DATA || size > len)
		return err_set(e, ERR_PROTOCOL, "message %d of %u bytes is no answer to a read of %u", (int)type, size, len);
	/* straight to where it is wanted */
	r = size ? fd_read_full(c->channel, buf, size, e) : 0;
	if (r < 0)
		return r;
	*ret_len = size;
	return 0;
}

static int io_object(void *ctx, const struct task_object *head, const void *data, struct err *e)
{
	struct child *c = ctx;
	_cleanup_buf_ struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	int r = task_object_encode(head, &b, e);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&c->sending);
	r = channel_send(c->channel, MSG_OBJECT, b.data, b.len, e);
	for (uint64_t at = 0; r == 0 && at < head->size_bytes;) {
		uint64_t left = head->size_bytes - at;
		size_t n = left < TASK_BLOB_MAX_BYTES ? (size_t)left : TASK_BLOB_MAX_BYTES;
		r = channel_send(c->channel, MSG_BLOB, (const char *)data + at, n, e);
		at += n;
	}
	(void)pthread_mutex_unlock(&c->sending);
	return r;
}

static int io_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	struct child *c = ctx;
	buf_clear(&c->message);
	int r = task_progress_encode(p, &c->message, e);
	return r < 0 ? r : send_buf(c, MSG_PROGRESS, e);
}

static int run_spec(struct child *c, const struct task_spec *spec, struct task_result *result, struct err *e)
{
	const struct media_io io = { .ctx = c, .read = io_read, .object = io_object, .progress = io_progress };
	result->kind = spec->kind;
	switch (spec->kind) {
	case TASK_PROBE:
		return task_probe(spec, &io, result, e);
	case TASK_LADDER:
		return task_ladder(spec, &io, result, e);
	case TASK_ANALYZE:
		return task_analyze(spec, &io, result, e);
	case TASK_CONVERT:
		return task_convert(spec, &io, result, e);
	case TASK_MEASURE:
		return task_measure(spec, &io, result, e);
	case TASK_JOIN:
		return task_join(spec, &io, result, e);
	case TASK_NARRATE:
		return task_narrate(spec, &io, result, e);
	case TASK_VOICE:
		return task_voice(spec, &io, result, e);
	case TASK_SPEAK:
		return task_speak(spec, &io, result, e);
	case TASK_CHECK:
		return task_check(spec, &io, e);
	case TASK_LIVE: /* these two not by these callbacks: task_child_run */
	case TASK_LISTEN:
		break;
	}
	return err_set(e, ERR_PROTOCOL, "an unknown kind of task");
}

static int receive_spec(struct child *c, struct task_spec *ret, struct err *e)
{
	enum msg_type type;
	int r = channel_recv(c->channel, &type, &c->message, e);
	if (r < 0)
		return r;
	if (type != MSG_SPEC)
		return err_set(e, ERR_PROTOCOL, "message %d before the specification", (int)type);
	r = task_spec_decode(c->message.data, c->message.len, ret, e);
	buf_release(&c->message); /* it may have been large */
	return r;
}

void task_child_refuse(int channel, const struct err *failure)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	/* the parent sees the end of the channel if even this fails */
	if (task_failure_encode(failure, &b, NULL) == 0 && channel_send(channel, MSG_FAILURE, b.data, b.len, NULL) < 0)
		return;
}

int task_child_run(int channel)
{
	struct child c = { .channel = channel, .sending = PTHREAD_MUTEX_INITIALIZER };
	buf_init(&c.message, MSG_MAX_BYTES);
	struct task_spec spec = { 0 };
	struct task_result result = { 0 };
	struct err e = { 0 };
	int r = receive_spec(&c, &spec, &e);
	if (r == 0 && spec.kind == TASK_LIVE)
		return task_live(channel);
	if (r == 0 && spec.kind == TASK_LISTEN)
		return task_listen(channel);
	if (r == 0)
		r = run_spec(&c, &spec, &result, &e);
	if (r == 0) {
		buf_clear(&c.message);
		r = task_result_encode(&result, &c.message, &e);
		if (r == 0)
			r = send_buf(&c, MSG_RESULT, &e);
	}
	if (r < 0)
		task_child_refuse(channel, &e);
	task_spec_release(&spec);
	probe_result_release(&result.probe);
	buf_release(&c.message);
	return r < 0 ? 1 : 0;
}
