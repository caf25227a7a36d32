/* Codecs of live sessions' messages (proto/live.h), in either direction. What a decoder gets is hostile. */
#include <string.h>

#include "proto/live.h"
#include "proto/wire.h"

static int put_bytes(struct wire *w, const void *bytes, size_t len, struct err *e)
{
	if (len > LIVE_MESSAGE_MAX_BYTES)
		wire_fault(w, "too many bytes");
	if (!w->fault && len)
		(void)buf_append(w->out, bytes, len);
	return wire_finish(w, e);
}

/* What is left behind the head. */
static int take_bytes(struct wire *w, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	const uint8_t *bytes = w->at;
	const size_t len = (size_t)(w->end - w->at);
	if (len > LIVE_MESSAGE_MAX_BYTES)
		wire_fault(w, "too many bytes");
	w->at = w->end;
	int r = wire_finish(w, e);
	if (r < 0)
		return r;
	*ret = bytes;
	*ret_len = len;
	return 0;
}

/* ---- parent → child ---- */

static void walk_open(struct wire *w, struct live_open *o)
{
	uint32_t kind = (uint32_t)o->kind;
	wire_u32(w, &o->session);
	wire_u32(w, &kind);
	if (kind != LIVE_SOUND && kind != LIVE_SPLIT)
		wire_fault(w, "an unknown kind of session");
	o->kind = kind == LIVE_SPLIT ? LIVE_SPLIT : LIVE_SOUND;
	wire_bool(w, &o->resumed);
}

int live_open_encode(const struct live_open *o, const void *state, size_t len, struct buf *out, struct err *e)
{
	struct live_open copy = *o;
	struct wire w = wire_writer(out);
	walk_open(&w, &copy);
	if (len > LIVE_STATE_MAX_BYTES)
		wire_fault(&w, "a state that is too large");
	return put_bytes(&w, state, len, e);
}

int live_open_decode(const void *data, size_t len, struct live_open *ret, const uint8_t **ret_state, size_t *ret_len,
		     struct err *e)
{
	struct live_open o = { 0 };
	struct wire w = wire_reader(data, len);
	walk_open(&w, &o);
	if ((size_t)(w.end - w.at) > LIVE_STATE_MAX_BYTES)
		wire_fault(&w, "a state that is too large");
	int r = take_bytes(&w, ret_state, ret_len, e);
	if (r == 0)
		*ret = o;
	return r;
}

int live_session_encode(uint32_t session, const void *bytes, size_t len, struct buf *out, struct err *e)
{
	struct wire w = wire_writer(out);
	wire_u32(&w, &session);
	return put_bytes(&w, bytes, len, e);
}

int live_session_decode(const void *data, size_t len, uint32_t *ret, const uint8_t **ret_bytes, size_t *ret_len, struct err *e)
{
	uint32_t session = 0;
	struct wire w = wire_reader(data, len);
	wire_u32(&w, &session);
	int r = take_bytes(&w, ret_bytes, ret_len, e);
	if (r == 0)
		*ret = session;
	return r;
}

/* ---- child → parent ---- */

static void walk_header(struct wire *w, struct live_header *h)
{
	wire_u32(w, &h->track_count);
	if (h->track_count < 1 || h->track_count > LIVE_TRACKS_MAX) {
		wire_fault(w, "no track, or too many");
		h->track_count = 0;
	}
	for (uint32_t i = 0; i < h->track_count; i++) {
		struct live_track *t = &h->tracks[i];
		wire_u32(w, &t->number);
		wire_bool(w, &t->is_audio);
		wire_bool(w, &t->is_video);
		wire_text(w, t->codec, sizeof(t->codec));
		wire_u32(w, &t->width);
		wire_u32(w, &t->height);
		wire_u32(w, &t->rate_hz);
		wire_u32(w, &t->channels);
		wire_u32(w, &t->bit_depth);
	}
}

static void walk_fragment(struct wire *w, struct live_fragment *f)
{
	wire_i64(w, &f->timecode_ms);
	wire_i64(w, &f->duration_ms);
	wire_u64(w, &f->size_bytes);
	if (f->timecode_ms < 0 || f->timecode_ms > INT64_MAX / 2 || f->duration_ms < 0 || f->duration_ms > LIVE_FRAGMENT_MAX_MS ||
	    f->size_bytes > LIVE_FRAGMENT_MAX_BYTES)
		wire_fault(w, "an impossible fragment");
}

/* A process says that media is at fault, or that it is at a loss itself; about users and leases it knows nothing. */
static bool may_say(enum err_kind kind)
{
	return kind == ERR_MEDIA || kind == ERR_UNSUPPORTED || kind == ERR_TOO_LARGE || kind == ERR_INVALID ||
	       kind == ERR_UNAVAILABLE || kind == ERR_INTERNAL;
}

static void walk_end(struct wire *w, struct live_event *v)
{
	uint32_t kind = (uint32_t)v->why.kind;
	wire_u32(w, &v->error_id);
	wire_i64(w, &v->timecode_ms);
	if (v->timecode_ms < -1)
		wire_fault(w, "an impossible time");
	wire_u32(w, &kind);
	if (kind != ERR_OK && (kind >= ERR_KINDS || !may_say((enum err_kind)kind))) {
		wire_fault(w, "an error that a live process can't know");
		kind = ERR_INTERNAL;
	}
	v->why.kind = (enum err_kind)kind;
	if (kind == ERR_OK) {
		if (v->error_id)
			wire_fault(w, "an error without a cause");
		return;
	}
	v->why.retriable = err_kind_retriable(v->why.kind);
	wire_text(w, v->why.code, sizeof(v->why.code));
	wire_text(w, v->why.message, sizeof(v->why.message));
}

static void walk_event(struct wire *w, struct live_event *v)
{
	uint32_t kind = (uint32_t)v->kind;
	wire_u32(w, &v->session);
	wire_u32(w, &kind);
	if (kind < LIVE_PCM || kind > LIVE_END) {
		wire_fault(w, "an unknown event");
		kind = LIVE_END;
	}
	v->kind = (enum live_event_kind)kind;
	switch (v->kind) {
	case LIVE_PCM:
		wire_i64(w, &v->first_sample);
		wire_u32(w, &v->concealed);
		wire_bool(w, &v->restart);
		break;
	case LIVE_MARK:
		wire_u64(w, &v->offset);
		break;
	case LIVE_LOSSES:
		wire_u64(w, &v->losses.skipped_bytes);
		wire_u32(w, &v->losses.late_packets);
		wire_u32(w, &v->losses.damaged_packets);
		break;
	case LIVE_HEADER:
		walk_header(w, &v->header);
		break;
	case LIVE_FRAGMENT_BEGIN:
	case LIVE_FRAGMENT_END:
		walk_fragment(w, &v->fragment);
		break;
	case LIVE_FRAGMENT_DATA:
		break;
	case LIVE_FRAGMENT_TAG:
		wire_text(w, v->tag.name, sizeof(v->tag.name));
		wire_text(w, v->tag.value, sizeof(v->tag.value));
		break;
	case LIVE_END:
		walk_end(w, v);
		break;
	}
}

static const char *check_event(const struct live_event *v, size_t len)
{
	switch (v->kind) {
	case LIVE_PCM:
		return len % 2 || len == 0 || v->concealed > len / 2 || v->first_sample < 0 || v->first_sample > INT64_MAX / 2
			       ? "impossible samples"
			       : NULL;
	case LIVE_MARK:
		return len == 0 || len > LIVE_STATE_MAX_BYTES ? "an impossible state" : NULL;
	case LIVE_HEADER:
	case LIVE_FRAGMENT_DATA:
		return len == 0 ? "nothing" : NULL;
	default:
		return len ? "bytes behind an event that has none" : NULL;
	}
}

int live_event_encode(const struct live_event *v, const void *bytes, size_t len, struct buf *out, struct err *e)
{
	struct live_event copy = *v;
	struct wire w = wire_writer(out);
	walk_event(&w, &copy);
	const char *wrong = check_event(&copy, len);
	if (wrong)
		wire_fault(&w, wrong);
	return put_bytes(&w, bytes, len, e);
}

int live_event_decode(const void *data, size_t len, struct live_event *ret, const uint8_t **ret_bytes, size_t *ret_len,
		      struct err *e)
{
	struct live_event v = { 0 };
	struct wire w = wire_reader(data, len);
	walk_event(&w, &v);
	const char *wrong = check_event(&v, (size_t)(w.end - w.at));
	if (wrong)
		wire_fault(&w, wrong);
	int r = take_bytes(&w, ret_bytes, ret_len, e);
	if (r == 0)
		*ret = v;
	return r;
}
