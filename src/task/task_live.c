/* Live sessions, many in one process, until its channel closes. Runs in the sandbox.
 *
 * Guarantees: a message is answered by its events and then its TAKEN, in one go; an error of a session ends that session
 * alone; what a session holds is bounded (its parser's block and its codec). An order that makes no sense ends the
 * process: its parent is broken. Does not guarantee fairness: messages are done in the order they come, each is short,
 * and the parent chooses the order.
 *
 * One thread, blocking I/O: the parent reads always, whatever it waits for itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "media/mkv_split.h"
#include "media/webm_sound.h"
#include "os/fd.h"
#include "proto/channel.h"
#include "proto/live.h"
#include "task/task.h"

/* What is said is gathered up to this much. */
#define OUT_FLUSH_BYTES (64u << 10)
#define SLOTS (2 * LIVE_SESSIONS_MAX) /* open addressing by the session's number; a power of two */

struct session {
	uint32_t id;
	struct live *live;
	struct webm_sound *sound; /* one of these */
	struct mkv_split *split;
};

struct live {
	int channel;
	struct session *slots[SLOTS];
	uint32_t count;
	struct buf in, out, head;
	struct buf pcm; /* of the session whose message is being done */
	struct live_event pcm_event;
};

static int flush(struct live *l, struct err *e)
{
	int r = l->out.len ? fd_write_full(l->channel, l->out.data, l->out.len, e) : 0;
	buf_clear(&l->out);
	return r;
}

static int say(struct live *l, enum msg_type type, const struct buf *payload, struct err *e)
{
	uint8_t header[MSG_HEADER_BYTES];
	int r = channel_header_encode(type, payload->len, header, e);
	if (r == 0 && l->out.len + sizeof(header) + payload->len > OUT_FLUSH_BYTES)
		r = flush(l, e);
	if (r < 0)
		return r;
	if (!buf_append(&l->out, header, sizeof(header)) || !buf_append(&l->out, payload->data, payload->len))
		return err_set(e, ERR_INTERNAL, "no room for a message of %zu bytes", payload->len);
	return 0;
}

static int say_event(struct live *l, const struct live_event *v, const void *bytes, size_t len, struct err *e)
{
	buf_clear(&l->head);
	int r = live_event_encode(v, bytes, len, &l->head, e);
	return r < 0 ? r : say(l, MSG_LIVE_EVENT, &l->head, e);
}

/* ---- sound ---- */

static int flush_pcm(struct live *l, struct err *e)
{
	if (l->pcm.len == 0)
		return 0;
	int r = say_event(l, &l->pcm_event, l->pcm.data, l->pcm.len, e);
	buf_clear(&l->pcm);
	return r;
}

static int on_pcm(void *ctx, int64_t first, const int16_t *samples, uint32_t count, uint32_t concealed, bool restart,
		  struct err *e)
{
	struct session *s = ctx;
	struct live *l = s->live;
	const size_t bytes = count * sizeof(int16_t);
	const bool follows = l->pcm.len && !restart && !concealed &&
			     first == l->pcm_event.first_sample + (int64_t)(l->pcm.len / sizeof(int16_t));
	int r = follows && l->pcm.len + bytes <= l->pcm.max ? 0 : flush_pcm(l, e);
	if (r < 0)
		return r;
	if (l->pcm.len == 0)
		l->pcm_event = (struct live_event){ .session = s->id, .kind = LIVE_PCM, .first_sample = first,
						    .concealed = concealed, .restart = restart };
	uint8_t *room = buf_reserve(&l->pcm, bytes);
	if (!room)
		return err_set(e, ERR_INTERNAL, "no room for %u samples", count);
	for (uint32_t i = 0; i < count; i++) {
		room[2 * i] = (uint8_t)((uint16_t)samples[i] & 0xFF);
		room[2 * i + 1] = (uint8_t)((uint16_t)samples[i] >> 8);
	}
	buf_commit(&l->pcm, bytes);
	return 0;
}

static int on_mark(void *ctx, uint64_t offset, const uint8_t *state, size_t len, struct err *e)
{
	struct session *s = ctx;
	const struct live_event v = { .session = s->id, .kind = LIVE_MARK, .offset = offset };
	int r = flush_pcm(s->live, e);
	return r < 0 ? r : say_event(s->live, &v, state, len, e);
}

static int say_losses(struct session *s, struct err *e)
{
	struct webm_sound_losses losses;
	if (!webm_sound_take_losses(s->sound, &losses))
		return 0;
	const struct live_event v = { .session = s->id, .kind = LIVE_LOSSES,
				      .losses = { losses.skipped_bytes, losses.late_packets, losses.damaged_packets } };
	return say_event(s->live, &v, NULL, 0, e);
}

/* ---- split ---- */

static int on_split(void *ctx, const struct live_event *event, const void *bytes, size_t len, struct err *e)
{
	struct session *s = ctx;
	struct live_event v = *event;
	v.session = s->id;
	if (len == 0)
		return say_event(s->live, &v, NULL, 0, e);
	int r = 0;
	for (size_t at = 0; r == 0 && at < len;) {
		const size_t n = len - at < LIVE_MESSAGE_MAX_BYTES ? len - at : LIVE_MESSAGE_MAX_BYTES;
		r = say_event(s->live, &v, (const char *)bytes + at, n, e);
		at += n;
	}
	return r;
}

/* ---- sessions ---- */

/* Where the session is, or the empty slot where it would be. */
static struct session **slot_of(struct live *l, uint32_t id)
{
	uint32_t i = id % SLOTS;
	while (l->slots[i] && l->slots[i]->id != id)
		i = (i + 1) % SLOTS;
	return &l->slots[i];
}

static void forget(struct live *l, struct session *s)
{
	struct session **slot = slot_of(l, s->id);
	*slot = NULL;
	l->count--;
	/* those behind it may have their place no more */
	for (size_t i = ((size_t)(slot - l->slots) + 1) % SLOTS; l->slots[i]; i = (i + 1) % SLOTS) {
		struct session *other = l->slots[i];
		l->slots[i] = NULL;
		*slot_of(l, other->id) = other;
	}
	webm_sound_free(s->sound);
	mkv_split_free(s->split);
	free(s);
}

static int end_session(struct live *l, struct session *s, const struct err *why, struct err *e)
{
	struct live_event v = { .session = s->id, .kind = LIVE_END, .timecode_ms = -1 };
	if (why)
		v.why = *why;
	if (why && s->split)
		v.error_id = mkv_split_refusal(s->split, &v.timecode_ms);
	int r = flush_pcm(l, e);
	if (r == 0)
		r = say_event(l, &v, NULL, 0, e);
	forget(l, s);
	return r;
}

static int open_session(struct live *l, struct err *e)
{
	struct live_open o;
	const uint8_t *state;
	size_t len;
	int r = live_open_decode(l->in.data, l->in.len, &o, &state, &len, e);
	if (r < 0)
		return r;
	struct session **slot = slot_of(l, o.session);
	if (*slot || l->count == LIVE_SESSIONS_MAX)
		return err_set(e, ERR_PROTOCOL, "a session that is there, or one too many");
	struct session *s = *slot = mr_calloc(1, sizeof(*s));
	l->count++;
	s->id = o.session;
	s->live = l;
	const struct webm_sound_sink sound = { .ctx = s, .pcm = on_pcm, .mark = on_mark };
	const struct mkv_split_sink split = { .ctx = s, .event = on_split };
	struct err why = { 0 };
	if (o.kind == LIVE_SPLIT)
		s->split = mkv_split_new(&split);
	else
		r = webm_sound_new(&sound, state, len, o.resumed, &s->sound, &why);
	return r < 0 ? end_session(l, s, &why, e) : 0;
}

static int feed_session(struct live *l, struct session *s, const uint8_t *bytes, size_t len, struct err *e)
{
	struct err why = { 0 };
	int r = s->sound ? webm_sound_feed(s->sound, bytes, len, &why) : mkv_split_feed(s->split, bytes, len, &why);
	if (r < 0)
		return end_session(l, s, &why, e);
	r = flush_pcm(l, e);
	return r == 0 && s->sound ? say_losses(s, e) : r;
}

static int close_session(struct live *l, struct session *s, struct err *e)
{
	struct err why = { 0 };
	if (s->split && mkv_split_finish(s->split, &why) < 0)
		return end_session(l, s, &why, e);
	return end_session(l, s, NULL, e);
}

static int tell_session(struct live *l, enum msg_type type, uint32_t *ret_id, struct err *e)
{
	const uint8_t *bytes;
	size_t len;
	int r = live_session_decode(l->in.data, l->in.len, ret_id, &bytes, &len, e);
	struct session *s = r == 0 ? *slot_of(l, *ret_id) : NULL;
	if (!s)
		return r; /* it has ended, which the parent didn't know yet */
	switch (type) {
	case MSG_LIVE_BYTES:
		return feed_session(l, s, bytes, len, e);
	case MSG_LIVE_LOST:
		if (s->sound)
			webm_sound_lost(s->sound);
		return 0;
	default:
		return close_session(l, s, e);
	}
}

static int serve(struct live *l, struct err *e)
{
	enum msg_type type;
	uint32_t id = 0;
	int r = channel_recv(l->channel, &type, &l->in, e);
	if (r < 0)
		return r;
	if (type == MSG_LIVE_OPEN)
		r = open_session(l, e);
	else if (type == MSG_LIVE_BYTES || type == MSG_LIVE_LOST || type == MSG_LIVE_CLOSE)
		r = tell_session(l, type, &id, e);
	else
		r = err_set(e, ERR_PROTOCOL, "message %d to a live process", (int)type);
	if (r < 0)
		return r;
	buf_clear(&l->head);
	r = live_session_encode(id, NULL, 0, &l->head, e);
	if (r == 0)
		r = say(l, MSG_LIVE_TAKEN, &l->head, e);
	return r == 0 ? flush(l, e) : r;
}

int task_live(int channel)
{
	static struct live l; /* its table is large for a stack */
	struct err e = { 0 };
	l.channel = channel;
	buf_init(&l.in, LIVE_MESSAGE_MAX_BYTES + LIVE_HEAD_MAX_BYTES);
	buf_init(&l.out, 2 * (LIVE_MESSAGE_MAX_BYTES + LIVE_HEAD_MAX_BYTES));
	buf_init(&l.head, LIVE_MESSAGE_MAX_BYTES + LIVE_HEAD_MAX_BYTES);
	buf_init(&l.pcm, LIVE_MESSAGE_MAX_BYTES);
	int r;
	do
		r = serve(&l, &e);
	while (r == 0);
	if (r == -ERR_LOST) /* the parent is done with us */
		return 0;
	log_error("live_process", LOG_E(&e));
	return 1;
}
