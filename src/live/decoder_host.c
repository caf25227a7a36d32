/* One live process, and the thread that speaks with it: says what sessions have to say, passes on what comes back, starts
 * another when it dies. Runs in the server; the process is not trusted.
 *
 * A session here is: listed (its OPEN isn't said), open, closing (CLOSE is said), or gone (its `end` was called, it is
 * freed). When the process dies all are listed again, from the mark before the last, and what they give a second time is
 * cut away.
 *
 * Guarantees: the thread never blocks but in poll, and in task_hold while there is no process; handlers are called
 * without the lock; a process that breaks the protocol, or takes longer than HANG_MS for a message, is ended as one that
 * crashed. What it dies of is the oldest message that it hasn't taken.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "live/decoder_internal.h"
#include "os/fd.h"
#include "proto/channel.h"

#define IN_MAX_BYTES (256u << 10)
#define OUT_FULL_BYTES (256u << 10)
#define MEMORY_BYTES (512ull << 20)
#define HANG_MS 20000
#define IDLE_MS 1000 /* how often the watch looks at the clock */
#define STRIKES_MAX 3
/* A process that lived for less is one more failure in a row. */
#define SHORT_LIFE_MS 5000
#define DELAY_MAX_MS 5000

/* ---- to the process ---- */

static void put_frame(struct live_host *h, enum msg_type type, const struct buf *payload)
{
	uint8_t header[MSG_HEADER_BYTES];
	struct err e;
	if (channel_header_encode(type, payload->len, header, &e) < 0 || !buf_append(&h->out, header, sizeof(header)) ||
	    !buf_append(&h->out, payload->data, payload->len))
		log_error("live_frame", LOG_S("error", "a message of ours does not fit"));
}

static void note_sent(struct live_host *h, uint32_t session, uint64_t from, uint32_t len)
{
	h->in_flight[(h->flight_first + h->flight_count++) % SENT_MAX] = (struct live_sent){ session, from, len };
}

/* The next message of a session; false if it has none now. */
static bool say_next_locked(struct live_host *h, struct live_session *s)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, LIVE_MESSAGE_MAX_BYTES + LIVE_HEAD_MAX_BYTES);
	const uint64_t from = s->sent, end = session_next_end_locked(s, from);
	enum msg_type type = MSG_LIVE_BYTES;
	uint32_t len = 0;
	int r = 0;
	if (!s->opened) {
		const struct live_open o = { .session = s->id, .kind = s->kind, .resumed = s->marks[1].earlier };
		type = MSG_LIVE_OPEN;
		r = live_open_encode(&o, s->marks[1].state, s->marks[1].state_len, &b, NULL);
		s->opened = true;
	} else if (s->losts_sent < s->lost_count && s->losts[s->losts_sent] <= from) {
		type = MSG_LIVE_LOST;
		r = live_session_encode(s->id, NULL, 0, &b, NULL);
		s->losts_sent++;
	} else if (from < end) {
		const bool lost_first = s->losts_sent < s->lost_count && s->losts[s->losts_sent] < end;
		const uint64_t until = lost_first ? s->losts[s->losts_sent] : end;
		len = until - from < LIVE_MESSAGE_MAX_BYTES ? (uint32_t)(until - from) : LIVE_MESSAGE_MAX_BYTES;
		r = live_session_encode(s->id, s->log.data + s->log_dropped + (from - s->log_start), len, &b, NULL);
		s->sent += len;
	} else if (s->closing && !s->close_sent) {
		type = MSG_LIVE_CLOSE;
		r = live_session_encode(s->id, NULL, 0, &b, NULL);
		s->close_sent = true;
	} else {
		return false;
	}
	if (r < 0)
		return false;
	put_frame(h, type, &b);
	note_sent(h, s->id, from, len);
	return true;
}

/* For the process alone: nobody listens to the session any more. */
static void say_close(struct live_host *h, uint32_t id)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, LIVE_HEAD_MAX_BYTES);
	if (live_session_encode(id, NULL, 0, &b, NULL) < 0)
		return;
	put_frame(h, MSG_LIVE_CLOSE, &b);
	note_sent(h, id, 0, 0);
}

/* ---- ends of sessions ---- */

static void give_end(struct live_session *s, uint32_t error_id, int64_t timecode_ms, const struct err *why)
{
	if (s->kind == LIVE_SOUND)
		s->sound.end(s->sound.ctx, why);
	else
		s->split.end(s->split.ctx, error_id, timecode_ms, why);
	session_free(s);
}

static void give_notice(struct live_session *s, const char *text)
{
	if (s->kind == LIVE_SOUND && s->sound.notice)
		s->sound.notice(s->sound.ctx, text);
}

/* ---- rounds ---- */

/* One of those that nobody wants any more, whether there is a process or not; but no more than the process can be told of. */
static struct live_session *next_abandoned(struct live_host *h)
{
	(void)pthread_mutex_lock(&h->lock);
	struct live_session *s = h->flight_count < SENT_MAX ? h->abandoned : NULL;
	if (s)
		h->abandoned = s->ready_next;
	(void)pthread_mutex_unlock(&h->lock);
	return s;
}

static bool may_say_more(const struct live_host *h)
{
	return h->running && h->flight_count < SENT_MAX && h->out.len < OUT_FULL_BYTES;
}

static void end_abandoned(struct live_host *h)
{
	struct live_session *s;
	while ((s = next_abandoned(h))) {
		struct err e;
		if (s->opened && h->running)
			say_close(h, s->id);
		(void)err_set(&e, ERR_CANCELED, "the session was abandoned");
		give_end(s, LIVE_OK, -1, &e);
	}
}

/* Takes turns among the sessions that have something to say. */
static void gather(struct live_host *h)
{
	(void)pthread_mutex_lock(&h->lock);
	while (h->ready_first && may_say_more(h)) {
		struct live_session *s = h->ready_first;
		h->ready_first = s->ready_next;
		if (!h->ready_first)
			h->ready_last = NULL;
		s->ready = false;
		if (say_next_locked(h, s))
			host_enqueue_locked(h, s);
	}
	(void)pthread_mutex_unlock(&h->lock);
}

static int transmit(struct live_host *h, struct err *e)
{
	while (h->out.len) {
		const ssize_t n = send(h->process.channel, h->out.data, h->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			buf_consume(&h->out, (size_t)n);
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return err_set(e, ERR_LOST, "the process closed its channel");
	}
	return 0;
}

/* ---- from the process ---- */

static int on_taken(struct live_host *h, const char *payload, size_t len, struct err *e)
{
	uint32_t id;
	const uint8_t *nothing;
	size_t n;
	int r = live_session_decode(payload, len, &id, &nothing, &n, e);
	if (r < 0)
		return r;
	if (h->flight_count == 0)
		return err_set(e, ERR_PROTOCOL, "it took what wasn't said");
	const struct live_sent m = h->in_flight[h->flight_first];
	h->flight_first = (h->flight_first + 1) % SENT_MAX;
	h->flight_count--;
	(void)pthread_mutex_lock(&h->lock);
	struct live_session *s = host_find_locked(h, m.session);
	bool writable = false;
	uint64_t taken = 0;
	if (s && m.from + m.len > s->taken) {
		s->taken = taken = m.from + m.len;
		session_trim_locked(s);
		writable = s->full && session_end_locked(s) - s->taken <= LIVE_QUEUED_MAX_BYTES / 2;
		if (writable)
			s->full = false;
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (writable && s->kind == LIVE_SPLIT)
		s->split.writable(s->split.ctx);
	if (taken && s->kind == LIVE_SOUND && s->sound.taken) {
		s->sound.taken(s->sound.ctx, (size_t)(taken - s->told));
		s->told = taken;
	}
	return 0;
}

/* What was given before the process died isn't given again. */
static void give_pcm(struct live_session *s, const struct live_event *v, const uint8_t *bytes, size_t len)
{
	int16_t samples[LIVE_MESSAGE_MAX_BYTES / sizeof(int16_t)];
	struct live_pcm p = { .first_sample = v->first_sample, .samples = samples, .count = (uint32_t)(len / sizeof(int16_t)),
			      .concealed = v->concealed, .restart = v->restart };
	const int64_t end = p.first_sample + p.count;
	if (end <= s->given)
		return;
	const uint32_t again = p.first_sample < s->given ? (uint32_t)(s->given - p.first_sample) : 0;
	for (uint32_t i = again; i < p.count; i++)
		samples[i] = (int16_t)(uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
	if (again) {
		p.samples += again;
		p.first_sample += again;
		p.count -= again;
		p.concealed = p.concealed > again ? p.concealed - again : 0;
		p.restart = false;
	}
	s->given = end;
	s->sound.pcm(s->sound.ctx, &p);
}

static void give_losses(struct live_session *s, const struct live_losses *l)
{
	char text[160];
	(void)snprintf(text, sizeof(text), "passed over: %llu bytes, %u packets that were there already, %u damaged",
		       (unsigned long long)l->skipped_bytes, l->late_packets, l->damaged_packets);
	give_notice(s, text);
}

static int take_mark(struct live_host *h, struct live_session *s, const struct live_event *v, const uint8_t *state, size_t len,
		     struct err *e)
{
	(void)pthread_mutex_lock(&h->lock);
	const uint64_t at = s->base + v->offset;
	const bool possible = v->offset <= s->sent - s->base;
	if (possible && at > s->marks[0].at) { /* again, after a death: no news */
		s->marks[1] = s->marks[0];
		s->marks[0].at = at;
		s->marks[0].state_len = len;
		s->marks[0].earlier = false;
		memcpy(s->marks[0].state, state, len);
		session_trim_locked(s);
	}
	(void)pthread_mutex_unlock(&h->lock);
	return possible ? 0 : err_set(e, ERR_PROTOCOL, "a mark beyond what was said");
}

static void take_end(struct live_host *h, struct live_session *s, const struct live_event *v)
{
	(void)pthread_mutex_lock(&h->lock);
	const bool ours = !s->abandoned; /* else it has its end before it */
	if (ours)
		host_remove_locked(h, s);
	(void)pthread_mutex_unlock(&h->lock);
	if (ours)
		give_end(s, v->error_id, v->timecode_ms, v->why.kind == ERR_OK ? NULL : &v->why);
}

static int give_event(struct live_host *h, struct live_session *s, const struct live_event *v, const uint8_t *bytes, size_t len,
		      struct err *e)
{
	const bool sound = v->kind == LIVE_PCM || v->kind == LIVE_MARK || v->kind == LIVE_LOSSES;
	if (v->kind != LIVE_END && sound != (s->kind == LIVE_SOUND))
		return err_set(e, ERR_PROTOCOL, "an event of another kind of session");
	const struct live_split_handlers *p = &s->split;
	switch (v->kind) {
	case LIVE_PCM:
		give_pcm(s, v, bytes, len);
		return 0;
	case LIVE_MARK:
		return take_mark(h, s, v, bytes, len, e);
	case LIVE_LOSSES:
		give_losses(s, &v->losses);
		return 0;
	case LIVE_HEADER:
		p->header(p->ctx, &v->header, bytes, len);
		return 0;
	case LIVE_FRAGMENT_BEGIN:
		p->fragment_begin(p->ctx, v->fragment.timecode_ms);
		return 0;
	case LIVE_FRAGMENT_DATA:
		p->fragment_data(p->ctx, bytes, len);
		return 0;
	case LIVE_FRAGMENT_TAG:
		p->fragment_tag(p->ctx, &v->tag);
		return 0;
	case LIVE_FRAGMENT_END:
		p->fragment_end(p->ctx, &v->fragment);
		return 0;
	case LIVE_END:
		take_end(h, s, v);
		return 0;
	}
	return 0;
}

static int on_event(struct live_host *h, const char *payload, size_t len, struct err *e)
{
	struct live_event v;
	const uint8_t *bytes;
	size_t n;
	int r = live_event_decode(payload, len, &v, &bytes, &n, e);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&h->lock);
	struct live_session *s = host_find_locked(h, v.session);
	(void)pthread_mutex_unlock(&h->lock);
	return s ? give_event(h, s, &v, bytes, n, e) : 0;
}

static int take_frames(struct live_host *h, struct err *e)
{
	size_t at = 0;
	int r = 0;
	while (r == 0 && h->in.len - at >= MSG_HEADER_BYTES) {
		enum msg_type type;
		uint32_t len;
		r = channel_header_decode((const uint8_t *)h->in.data + at, &type, &len, e);
		if (r < 0 || h->in.len - at - MSG_HEADER_BYTES < len)
			break;
		const char *payload = h->in.data + at + MSG_HEADER_BYTES;
		at += MSG_HEADER_BYTES + len;
		if (type == MSG_LIVE_EVENT)
			r = on_event(h, payload, len, e);
		else if (type == MSG_LIVE_TAKEN)
			r = on_taken(h, payload, len, e);
		else
			r = err_set(e, ERR_PROTOCOL, "message %d from a live process", (int)type);
	}
	buf_consume(&h->in, at);
	return r;
}

static int receive(struct live_host *h, struct err *e)
{
	for (;;) {
		void *room = buf_reserve(&h->in, IN_MAX_BYTES - h->in.len);
		const ssize_t n = recv(h->process.channel, room, IN_MAX_BYTES - h->in.len, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return err_set(e, ERR_LOST, "the process closed its channel");
		buf_commit(&h->in, (size_t)n);
		h->heard_ms = clock_mono_ms();
		int r = take_frames(h, e);
		if (r < 0)
			return r;
	}
}

/* ---- deaths ---- */

/* The session goes on in the next process. What a process died of is left out. */
static void relist_locked(struct live_host *h, struct live_session *s, const struct live_sent *culprit)
{
	if (culprit && culprit->from + culprit->len > s->taken)
		s->taken = culprit->from + culprit->len;
	if (culprit) {
		s->marks[1] = s->marks[0];
		s->marks[1].at = s->taken;
		session_trim_locked(s);
	}
	uint64_t from = s->marks[1].at > s->log_start ? s->marks[1].at : s->log_start;
	s->sent = s->base = from;
	s->losts_sent = 0;
	while (s->losts_sent < s->lost_count && s->losts[s->losts_sent] < from)
		s->losts_sent++;
	s->opened = s->close_sent = false;
	host_enqueue_locked(h, s);
}

/* Takes one session that can't go on out of the host. */
static struct live_session *next_to_end(struct live_host *h)
{
	struct live_session *found = NULL;
	(void)pthread_mutex_lock(&h->lock);
	for (uint32_t b = 0; b < BUCKETS && !found; b++)
		for (struct live_session *s = h->buckets[b]; s && !found; s = s->chain)
			if (s->opened && (s->kind == LIVE_SPLIT || s->strikes >= STRIKES_MAX))
				found = s;
	if (found)
		host_remove_locked(h, found);
	(void)pthread_mutex_unlock(&h->lock);
	return found;
}

static void relist_all(struct live_host *h, const struct live_sent *culprit)
{
	for (uint32_t b = 0; b < BUCKETS; b++) {
		(void)pthread_mutex_lock(&h->lock);
		for (struct live_session *s = h->buckets[b]; s; s = s->chain)
			if (s->opened) {
				relist_locked(h, s, culprit && culprit->session == s->id ? culprit : NULL);
				atomic_fetch_add(&h->decoder->reestablished, 1);
			}
		(void)pthread_mutex_unlock(&h->lock);
	}
}

/* `fault`: it is the message's that it was at, if it was at one. */
static void after_death(struct live_host *h, bool fault, const char *why)
{
	struct live_sent m = { 0 };
	const struct live_sent *culprit = NULL;
	if (fault && h->flight_count) {
		m = h->in_flight[h->flight_first];
		(void)pthread_mutex_lock(&h->lock);
		struct live_session *s = host_find_locked(h, m.session);
		if (s) {
			s->strikes++;
			culprit = &m;
		}
		(void)pthread_mutex_unlock(&h->lock);
	}
	h->flight_first = h->flight_count = 0;
	buf_clear(&h->in);
	buf_clear(&h->out);
	if (culprit) {
		char text[128];
		(void)snprintf(text, sizeof(text), "left out: %u bytes that a process died of", culprit->len);
		(void)pthread_mutex_lock(&h->lock);
		struct live_session *s = host_find_locked(h, culprit->session);
		(void)pthread_mutex_unlock(&h->lock);
		give_notice(s, text);
	}
	struct live_session *s;
	while ((s = next_to_end(h))) {
		struct err e;
		if (culprit && culprit->session == s->id)
			(void)err_set_code(&e, ERR_MEDIA, "TASK_CRASHED", "its process crashed: %s", why);
		else
			(void)err_set_code(&e, ERR_UNAVAILABLE, "TASK_LOST", "its process is gone: %s", why);
		give_end(s, LIVE_OK, -1, &e);
	}
	relist_all(h, culprit);
}

static void end_process(struct live_host *h, const struct err *reason)
{
	char why[160];
	const bool hung_or_broken = reason->kind != ERR_LOST;
	const enum task_end end = task_hold_end(&h->process, why, sizeof(why));
	h->running = false;
	(void)pthread_mutex_lock(&h->lock);
	h->pid = 0;
	const uint32_t sessions = h->session_count;
	(void)pthread_mutex_unlock(&h->lock);
	const int64_t now = clock_mono_ms();
	h->failures = now - h->started_ms < SHORT_LIFE_MS ? h->failures + 1 : 0;
	h->start_at_ms = now + (h->failures < 2 ? 0 : h->failures < 8 ? 50 << h->failures : DELAY_MAX_MS);
	atomic_fetch_add(&h->decoder->deaths, 1);
	log_warn("live_process_died", LOG_S("reason", reason->message), LOG_S("end", why), LOG_I("sessions", sessions));
	after_death(h, hung_or_broken || end == TASK_END_CRASHED, why);
}

static void start_process(struct live_host *h)
{
	const struct task_spec spec = { .kind = TASK_LIVE };
	const struct task_limits limits = { .memory_bytes = MEMORY_BYTES };
	struct err e = { 0 };
	h->started_ms = h->heard_ms = clock_mono_ms();
	if (task_hold_start(h->decoder->zygote, &spec, &limits, &h->process, &e) < 0) {
		h->start_at_ms = clock_mono_ms() + 1000;
		log_warn("live_process_start", LOG_E(&e));
		return;
	}
	h->running = true;
	(void)pthread_mutex_lock(&h->lock);
	h->pid = h->process.pid;
	(void)pthread_mutex_unlock(&h->lock);
}

/* ---- the thread ---- */

/* Where nobody speaks there is no process: it is started for the first session. */
static bool is_wanted_locked(const struct live_host *h)
{
	return h->session_count > 0;
}

static bool start_is_due(struct live_host *h)
{
	(void)pthread_mutex_lock(&h->lock);
	const bool wanted = is_wanted_locked(h);
	(void)pthread_mutex_unlock(&h->lock);
	return !h->running && wanted && clock_mono_ms() >= h->start_at_ms;
}

static bool await(struct live_host *h, struct err *e)
{
	const int64_t until_start = h->start_at_ms - clock_mono_ms();
	int wait = IDLE_MS;
	(void)pthread_mutex_lock(&h->lock);
	if (!h->running && is_wanted_locked(h) && until_start < IDLE_MS)
		wait = until_start > 0 ? (int)until_start : 0;
	if (h->ready_first && may_say_more(h))
		wait = 0;
	h->in_flight_now = h->flight_count;
	(void)pthread_mutex_unlock(&h->lock);
	const int channel = h->running ? h->process.channel : -1;
	struct pollfd p[] = { { .fd = channel, .events = (short)(POLLIN | (h->out.len ? POLLOUT : 0)) },
			      { .fd = h->wake, .events = POLLIN } };
	(void)poll(p, MR_ARRAY_SIZE(p), wait);
	uint64_t count;
	(void)pthread_mutex_lock(&h->lock);
	if (p[1].revents && read(h->wake, &count, sizeof(count)) > 0)
		h->woken = false;
	const bool stopping = h->stopping;
	(void)pthread_mutex_unlock(&h->lock);
	if (h->flight_count == 0)
		h->heard_ms = clock_mono_ms();
	else if (clock_mono_ms() - h->heard_ms > HANG_MS)
		(void)err_set(e, ERR_TIMEOUT, "it took nothing for %d s", HANG_MS / 1000);
	return !stopping;
}

static void converse(struct live_host *h)
{
	struct err e = { 0 };
	gather(h);
	int r = transmit(h, &e);
	if (r == 0)
		r = receive(h, &e);
	if (r < 0)
		end_process(h, &e);
}

static void end_all(struct live_host *h)
{
	h->flight_count = 0;
	end_abandoned(h);
	for (uint32_t b = 0; b < BUCKETS; b++)
		for (;;) {
			(void)pthread_mutex_lock(&h->lock);
			struct live_session *s = h->buckets[b];
			if (s)
				host_remove_locked(h, s);
			(void)pthread_mutex_unlock(&h->lock);
			if (!s)
				break;
			struct err e;
			(void)err_set(&e, ERR_CANCELED, "live decoding is being stopped");
			give_end(s, LIVE_OK, -1, &e);
		}
}

void *host_thread(void *arg)
{
	struct live_host *h = arg;
	buf_init(&h->in, IN_MAX_BYTES);
	buf_init(&h->out, OUT_FULL_BYTES + 2 * (LIVE_MESSAGE_MAX_BYTES + LIVE_HEAD_MAX_BYTES));
	struct err e = { 0 };
	while (await(h, &e)) {
		if (h->running && e.kind != ERR_OK)
			end_process(h, &e);
		err_clear(&e);
		if (start_is_due(h))
			start_process(h);
		end_abandoned(h);
		if (h->running)
			converse(h);
	}
	char why[160];
	if (h->running)
		(void)task_hold_end(&h->process, why, sizeof(why));
	h->running = false;
	end_all(h);
	buf_release(&h->in);
	buf_release(&h->out);
	return NULL;
}
