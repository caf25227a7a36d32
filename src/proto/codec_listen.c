/* Codecs of the messages of listening (proto/listen.h), in either direction. What a decoder gets is hostile. */
#include "proto/listen.h"

#include "proto/wire.h"

#define POSITION_MAX (INT64_MAX / 4)
#define FRAME_INDEX_MAX (POSITION_MAX / LISTEN_FRAME_SAMPLES)

static void walk_order(struct wire *w, struct listen_order *o)
{
	uint32_t op = (uint32_t)o->op;
	wire_u32(w, &o->slot);
	wire_u32(w, &op);
	wire_bool(w, &o->restart);
	wire_i64(w, &o->position);
	wire_i64(w, &o->length);
	if (op < LISTEN_FRAGMENT || op > LISTEN_CLOSE) {
		wire_fault(w, "an unknown order");
		op = LISTEN_CLOSE;
	}
	o->op = (enum listen_op)op;
	if (o->slot >= LISTEN_SLOTS || o->position < 0 || o->position > POSITION_MAX || o->length < 0 ||
	    o->length > LISTEN_LENGTH_MAX)
		wire_fault(w, "an impossible order");
}

int listen_order_encode(const struct listen_order *o, struct buf *out, struct err *e)
{
	struct listen_order copy = *o;
	struct wire w = wire_writer(out);
	walk_order(&w, &copy);
	return wire_finish(&w, e);
}

int listen_order_decode(const void *data, size_t len, struct listen_order *ret, struct err *e)
{
	struct listen_order o = { 0 };
	struct wire w = wire_reader(data, len);
	walk_order(&w, &o);
	int r = wire_finish(&w, e);
	if (r == 0)
		*ret = o;
	return r;
}

bool listen_frame_next(const uint8_t **at, const uint8_t *end, const uint8_t **ret, uint32_t *ret_len)
{
	if (end - *at < 2)
		return false;
	uint32_t len = (uint32_t)((*at)[0] | (*at)[1] << 8);
	if (len == 0 || len > LISTEN_FRAME_MAX_BYTES || (size_t)(end - *at) - 2 < len)
		return false;
	*ret = *at + 2;
	*ret_len = len;
	*at += 2 + len;
	return true;
}

static void walk_frames(struct wire *w, struct listen_frames *f)
{
	wire_i64(w, &f->first);
	wire_u32(w, &f->count);
	wire_u32(w, &f->channels);
	if (f->first < 0 || f->first > FRAME_INDEX_MAX || f->count == 0 || f->channels < 1 || f->channels > 2)
		wire_fault(w, "impossible frames");
}

int listen_frames_encode(const struct listen_frames *f, const void *frames, size_t len, struct buf *out, struct err *e)
{
	struct listen_frames copy = *f;
	struct wire w = wire_writer(out);
	walk_frames(&w, &copy);
	if (!w.fault && len)
		(void)buf_append(out, frames, len);
	return wire_finish(&w, e);
}

int listen_frames_decode(const void *data, size_t len, struct listen_frames *ret, const uint8_t **ret_bytes, size_t *ret_len,
			 struct err *e)
{
	struct listen_frames f = { 0 };
	struct wire w = wire_reader(data, len);
	walk_frames(&w, &f);
	const uint8_t *bytes = w.at, *at = w.at, *frame;
	uint32_t count = 0, size;
	while (!w.fault && listen_frame_next(&at, w.end, &frame, &size))
		count++;
	if (!w.fault && (at != w.end || count != f.count))
		wire_fault(&w, "frames that are cut");
	size_t bytes_len = (size_t)(w.end - bytes);
	w.at = w.end;
	int r = wire_finish(&w, e);
	if (r < 0)
		return r;
	*ret = f;
	*ret_bytes = bytes;
	*ret_len = bytes_len;
	return 0;
}
