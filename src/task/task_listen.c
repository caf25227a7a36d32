/* Encoding for listeners: many streams' encoders in one process, until its channel closes. Runs in the sandbox.
 *
 * Guarantees: an order is answered by its frames and one DONE, whatever the media was. An order that makes no sense ends the
 * process: its parent is broken. Holds one fragment at a time beside the encoders.
 *
 * One thread, blocking I/O: the parent waits for each answer.
 */
#include <string.h>

#include "base/log.h"
#include "media/listen_encode.h"
#include "proto/channel.h"
#include "task/task.h"

#define FLUSH_BYTES (LISTEN_MESSAGE_MAX_BYTES - 2 * LISTEN_FRAME_MAX_BYTES)

struct listening {
	int channel;
	struct listen_encode *slots[LISTEN_SLOTS];
	struct buf in, fragment, out;
	struct buf frames; /* of the order that is being done */
	struct listen_frames head;
};

static int flush(struct listening *l, struct err *e)
{
	if (!l->head.count)
		return 0;
	buf_clear(&l->out);
	int r = listen_frames_encode(&l->head, l->frames.data, l->frames.len, &l->out, e);
	if (r == 0)
		r = channel_send(l->channel, MSG_LISTEN_FRAMES, l->out.data, l->out.len, e);
	buf_clear(&l->frames);
	l->head.count = 0;
	return r;
}

static int on_frame(void *ctx, int64_t index, uint32_t channels, const uint8_t *data, size_t len, struct err *e)
{
	struct listening *l = ctx;
	if (len == 0 || len > LISTEN_FRAME_MAX_BYTES)
		return err_set(e, ERR_INTERNAL, "an AAC frame of %zu bytes", len);
	int r = l->head.count && index != l->head.first + l->head.count ? flush(l, e) : 0;
	if (r == 0 && l->frames.len > FLUSH_BYTES)
		r = flush(l, e);
	if (r < 0)
		return r;
	if (!l->head.count)
		l->head = (struct listen_frames){ .first = index, .channels = channels };
	const uint8_t size[2] = { (uint8_t)(len & 0xFF), (uint8_t)(len >> 8) };
	if (!buf_append(&l->frames, size, sizeof(size)) || !buf_append(&l->frames, data, len))
		return err_set(e, ERR_INTERNAL, "no room for an AAC frame");
	l->head.count++;
	return 0;
}

static int carry_out(struct listening *l, const struct listen_order *o, struct err *e)
{
	struct listen_encode **slot = &l->slots[o->slot];
	if (o->op == LISTEN_CLOSE) {
		listen_encode_free(*slot);
		*slot = NULL;
		return 0;
	}
	if (!*slot)
		*slot = listen_encode_new(&(struct listen_encode_sink){ .ctx = l, .frame = on_frame });
	int r = o->op == LISTEN_PAD ? listen_encode_pad(*slot, o, e)
				    : listen_encode_fragment(*slot, o, l->fragment.data, l->fragment.len, e);
	return r;
}

static int done(struct listening *l, const struct err *why, struct err *e)
{
	buf_clear(&l->out);
	int r = why ? task_failure_encode(why, &l->out, e) : 0;
	return r < 0 ? r : channel_send(l->channel, MSG_LISTEN_DONE, l->out.data ? l->out.data : "", l->out.len, e);
}

static int serve(struct listening *l, struct err *e)
{
	enum msg_type type;
	struct listen_order o;
	struct err why = { 0 };
	int r = channel_recv(l->channel, &type, &l->in, e);
	if (r == 0 && type == MSG_LISTEN_BYTES)
		return buf_append(&l->fragment, l->in.data, l->in.len) ? 0 : buf_finish(&l->fragment, e);
	if (r == 0 && type != MSG_LISTEN_ORDER)
		r = err_set(e, ERR_PROTOCOL, "message %d to a process that encodes for listeners", (int)type);
	if (r == 0)
		r = listen_order_decode(l->in.data, l->in.len, &o, e);
	if (r < 0)
		return r;
	const int failed = carry_out(l, &o, &why);
	buf_release(&l->fragment); /* it may have been large */
	r = flush(l, e);
	return r == 0 ? done(l, failed < 0 ? &why : NULL, e) : r;
}

int task_listen(int channel)
{
	static struct listening l; /* its table is large for a stack */
	struct err e = { 0 };
	l.channel = channel;
	buf_init(&l.in, LISTEN_MESSAGE_MAX_BYTES);
	buf_init(&l.fragment, LISTEN_FRAGMENT_MAX_BYTES);
	buf_init(&l.out, LISTEN_MESSAGE_MAX_BYTES);
	buf_init(&l.frames, LISTEN_MESSAGE_MAX_BYTES);
	int r;
	do
		r = serve(&l, &e);
	while (r == 0);
	if (r == -ERR_LOST) /* the parent is done with us */
		return 0;
	log_error("listen_process", LOG_E(&e));
	return 1;
}
