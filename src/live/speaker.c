/* A speaker's connection: from the hand-over by the HTTP server to its session, and what its messages mean.
 *
 * A connection's life, by threads:
 *
 *   HTTP pool: live_speaker_new (may it speak; with a session named, whose is it) → HTTP thread: live_speaker_take
 *   WAITING (any loop: no session is named yet; the first message will) ─► CLAIMING (pool: whose is it) ─► the session's loop:
 *   JOINING (the session of before is still ending; then CLAIMING again) or SPEAKING ─► CLOSING ─► gone
 *
 * Messages that come before SPEAKING are kept: the first one, and what was in wslay's buffer behind it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/stream.h"
#include "live/service_internal.h"

#define BAD_MESSAGES_MAX 20
#define EARLY_MESSAGES_MAX 256

enum state { STATE_WAITING, STATE_CLAIMING, STATE_JOINING, STATE_SPEAKING, STATE_CLOSING };

struct early_message {
	struct early_message *next;
	bool text;
	size_t len;
	char data[];
};

struct live_speaker {
	struct live_speaker *next, *prev; /* of its thread */
	struct live_service *service;
	struct live_thread *thread;
	struct websocket *ws;
	enum state state;
	char user[USER_ID_MAX + 1], role[LIVE_SESSION_MAX + 1], claimed[LIVE_SESSION_MAX + 1], request_id[65];
	bool by_token, named; /* named: row holds the session, claimed for it */
	int64_t expires_ms;
	struct live_session_row row;
	struct err refused; /* of the claim */
	struct ingest_session *session;
	bool resume; /* at the next tick */
	bool moving; /* a post is on its way that takes it to the pool */
	bool gone;   /* meanwhile the connection went */
	unsigned bad_messages, early_count;
	struct early_message *early, **early_tail;
};

static void on_message(void *ctx, bool text, const void *data, size_t len);

/* ---- lists ---- */

static void link_in(struct live_speaker *sp, struct live_thread *t)
{
	sp->thread = t;
	sp->prev = NULL;
	sp->next = t->speakers;
	if (sp->next)
		sp->next->prev = sp;
	t->speakers = sp;
}

static void link_out(struct live_speaker *sp)
{
	if (sp->prev)
		sp->prev->next = sp->next;
	else
		sp->thread->speakers = sp->next;
	if (sp->next)
		sp->next->prev = sp->prev;
	sp->next = sp->prev = NULL;
}

static void speaker_free(struct live_speaker *sp)
{
	struct live_service *svc = sp->service;
	while (sp->early) {
		struct early_message *m = sp->early;
		sp->early = m->next;
		free(m);
	}
	free(sp);
	live_service_less(svc, &svc->connections);
}

struct ingest_session *live_thread_find(struct live_thread *t, const char *id)
{
	for (struct live_entry *en = t->sessions; en; en = en->next)
		if (strcmp(ingest_session_id(en->session), id) == 0)
			return en->session;
	return NULL;
}

struct live_thread *live_thread_of(struct live_service *svc, const char *session)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (const char *s = session; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return &svc->threads[h % svc->thread_count];
}

/* ---- what it is told ---- */

static void send_text(void *ctx, const char *json, size_t len)
{
	struct live_speaker *sp = ctx;
	websocket_send(sp->ws, json, len);
}

static void send_error(struct live_speaker *sp, const struct err *why, bool fatal)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 2048);
	if (live_error_format(&b, why, fatal))
		websocket_send(sp->ws, b.data, b.len);
}

static void refuse(struct live_speaker *sp, const struct err *why)
{
	bool later = why->kind == ERR_BUSY || why->kind == ERR_UNAVAILABLE;
	sp->state = STATE_CLOSING;
	send_error(sp, why, true);
	websocket_close(sp->ws, later ? WEBSOCKET_TRY_LATER : WEBSOCKET_POLICY, err_code(why));
}

static void set_paused(void *ctx, bool paused)
{
	struct live_speaker *sp = ctx;
	sp->resume = !paused;
	if (paused)
		websocket_pause(sp->ws);
}

static void close_peer(void *ctx, enum websocket_code code, const char *reason)
{
	struct live_speaker *sp = ctx;
	sp->session = NULL;
	sp->state = STATE_CLOSING;
	websocket_close(sp->ws, code, reason);
}

/* ---- claim: whose is the session ---- */

/* What a server that was killed stored last may be later than what the row says: then it is the fragment that tells how far the
 * recording is stored. */
static int note_last_fragment(struct live_speaker *sp, struct err *e)
{
	struct stream stream = { 0 };
	struct fragment last;
	_cleanup_free_ char *name = mr_asprintf(LIVE_STREAM_PREFIX "%s", sp->row.id);
	int r = repo_stream_get(sp->service->opts.repo, sp->user, name, &stream, e);
	if (r == 0)
		r = repo_fragment_last(sp->service->opts.repo, stream.id, &last, e);
	if (r == 0 && last.producer_ms + last.length_ms > sp->row.end_ms) {
		sp->row.end_ms = last.producer_ms + last.length_ms;
		if (last.recording)
			sp->row.next_chunk = last.last_chunk + 1;
	}
	if (r == 0 && sp->row.next_chunk >= 0)
		sp->row.recording = last.recording;
	stream_release(&stream);
	return r == -ERR_NOT_FOUND ? 0 : r;
}

static int claim(struct live_speaker *sp, const char *session, struct err *e)
{
	struct live_service *svc = sp->service;
	const struct live_speaker_opts who = {
		.user = sp->user, .by_token = sp->by_token, .role = sp->role, .session = sp->claimed
	};
	if (!live_session_valid(session))
		return err_set_code(e, ERR_INVALID, "INVALID_FIELD", "sessionId must be 1 to %d of A-Z a-z 0-9 . _ -",
				    LIVE_SESSION_MAX);
	int r = live_access_check(&who, session, e);
	if (r == 0 && svc->session_url)
		r = live_access_look_up(svc->session_url, session, sp->user, e);
	if (r == 0)
		r = repo_live_session_claim(svc->opts.repo, session, sp->user, &sp->row, e);
	if (r == 0)
		r = note_last_fragment(sp, e);
	if (r == 0)
		sp->named = true;
	return r;
}

static void join(void *arg);
static void join_counted(void *arg);

static void claim_job(void *arg)
{
	struct live_speaker *sp = arg;
	char session[LIVE_SESSION_MAX + 1];
	memcpy(session, sp->row.id, sizeof(session));
	if (claim(sp, session, &sp->refused) == 0)
		err_clear(&sp->refused);
	loop_post(live_thread_of(sp->service, session)->loop, join_counted, sp);
}

/* Off the loop and to the pool. A post of its own, since no WebSocket may be detached while it hands over a message. */
static void move(void *arg)
{
	struct live_speaker *sp = arg;
	sp->moving = false;
	if (sp->gone) {
		speaker_free(sp);
		return;
	}
	if (sp->state != STATE_CLAIMING)
		return;
	websocket_detach(sp->ws);
	link_out(sp);
	sp->thread = NULL;
	(void)atomic_fetch_add(&sp->service->claiming, 1);
	if (pool_submit(sp->service->opts.pool, claim_job, sp) < 0) {
		(void)err_set(&sp->refused, ERR_BUSY, "too many sessions are being opened");
		loop_post(live_thread_of(sp->service, sp->row.id)->loop, join_counted, sp);
	}
}

static void go_claim(struct live_speaker *sp)
{
	sp->state = STATE_CLAIMING;
	sp->moving = true;
	websocket_pause(sp->ws);
	loop_post(sp->thread->loop, move, sp);
}

/* ---- join ---- */

static void on_session_over(void *ctx, struct ingest_session *s)
{
	struct live_thread *t = ctx;
	for (struct live_entry **en = &t->sessions; *en; en = &(*en)->next) {
		if ((*en)->session != s)
			continue;
		struct live_entry *over = *en;
		*en = over->next;
		free(over);
		break;
	}
	for (struct live_speaker *sp = t->speakers; sp; sp = sp->next)
		if (sp->state == STATE_JOINING && strcmp(sp->row.id, ingest_session_id(s)) == 0)
			go_claim(sp); /* the row tells now how far it came */
	live_service_less(t->service, &t->service->sessions);
}

static int open_session(struct live_speaker *sp, struct err *e)
{
	struct live_thread *t = sp->thread;
	struct live_service *svc = sp->service;
	if (t->draining)
		return err_set_code(e, ERR_UNAVAILABLE, "DRAINING", "the server is stopping");
	sp->session = live_thread_find(t, sp->row.id);
	if (sp->session)
		return 0;
	struct live_entry *en = mr_calloc(1, sizeof(*en));
	int r = ingest_session_new(&(struct ingest_session_opts){ .loop = t->loop,
							      .decoder = svc->opts.decoder,
							      .sink = svc->opts.sink,
							      .repo = svc->opts.repo,
							      .pool = svc->opts.pool,
							      .counters = &svc->counters,
							      .leave_ms = svc->opts.leave_ms,
							      .over = on_session_over,
							      .ctx = t },
				 &sp->row, &en->session, e);
	if (r < 0) {
		free(en);
		return r;
	}
	en->next = t->sessions;
	t->sessions = en;
	sp->session = en->session;
	(void)atomic_fetch_add(&svc->sessions, 1);
	return 0;
}

static void replay_early(struct live_speaker *sp)
{
	struct early_message *m = sp->early;
	sp->early = NULL;
	sp->early_tail = &sp->early;
	sp->early_count = 0;
	while (m) {
		struct early_message *next = m->next;
		on_message(sp, m->text, m->data, m->len);
		free(m);
		m = next;
	}
}

static void start_speaking(struct live_speaker *sp)
{
	sp->state = STATE_SPEAKING;
	sp->resume = true;
	const struct live_peer peer = { .ctx = sp, .text = send_text, .pause = set_paused, .close = close_peer };
	ingest_session_join(sp->session, &peer);
	replay_early(sp);
}

/* False: it is gone. */
static bool attach(struct live_speaker *sp)
{
	struct err e;
	if (websocket_attach(sp->ws, sp->thread->loop, &e) == 0)
		return true;
	log_warn("websocket_lost", LOG_S("request_id", sp->request_id), LOG_E(&e));
	websocket_free(sp->ws);
	link_out(sp);
	speaker_free(sp);
	return false;
}

static void join_counted(void *arg)
{
	struct live_service *svc = ((struct live_speaker *)arg)->service;
	join(arg);
	live_service_less(svc, &svc->claiming);
}

/* On the session's loop, for the first time or again. */
static void join(void *arg)
{
	struct live_speaker *sp = arg;
	struct live_thread *t = live_thread_of(sp->service, sp->row.id);
	struct err e = { 0 };
	link_in(sp, t);
	sp->state = STATE_JOINING;
	if (!attach(sp))
		return;
	int r = sp->refused.kind != ERR_OK ? err_copy(&e, &sp->refused) : open_session(sp, &e);
	if (r < 0)
		refuse(sp, &e);
	else if (ingest_session_is_ending(sp->session))
		sp->session = NULL; /* on_session_over goes on with it */
	else
		start_speaking(sp);
	if (sp->resume) {
		sp->resume = false;
		websocket_resume(sp->ws); /* may be its end */
	}
}

/* ---- what it says ---- */

static void keep_early(struct live_speaker *sp, bool text, const void *data, size_t len)
{
	struct early_message *m = sp->early_count < EARLY_MESSAGES_MAX ? malloc(sizeof(*m) + len) : NULL;
	if (!m) {
		websocket_close(sp->ws, WEBSOCKET_TRY_LATER, "BUSY");
		return;
	}
	*m = (struct early_message){ .text = text, .len = len };
	memcpy(m->data, data, len);
	*sp->early_tail = m;
	sp->early_tail = &m->next;
	sp->early_count++;
}

/* The first message names the session, or the token does. */
static void on_first(struct live_speaker *sp, bool text, const void *data, size_t len)
{
	struct live_message m;
	struct err e = { 0 };
	char session[LIVE_SESSION_MAX + 1];
	memcpy(session, sp->claimed, sizeof(session));
	if (text && live_message_parse(data, len, &m, &e) == 0) {
		if (m.session[0])
			memcpy(session, m.session, sizeof(session));
		live_message_release(&m);
	}
	if (e.kind == ERR_OK && !session[0])
		(void)err_set_code(&e, ERR_INVALID, "MISSING_FIELD",
				   "sessionId is missing: in the message, or ?session_id= in the address");
	if (e.kind != ERR_OK) {
		refuse(sp, &e);
		return;
	}
	memcpy(sp->row.id, session, sizeof(session));
	keep_early(sp, text, data, len);
	go_claim(sp);
}

static void on_bad(struct live_speaker *sp, const struct err *why)
{
	send_error(sp, why, false);
	if (++sp->bad_messages >= BAD_MESSAGES_MAX)
		websocket_close(sp->ws, WEBSOCKET_POLICY, "too many bad messages");
}

static void on_text(struct live_speaker *sp, const char *text, size_t len)
{
	static const char pong[] = "{\"type\":\"pong\"}";
	struct live_message m;
	struct err e;
	if (live_message_parse(text, len, &m, &e) < 0) {
		on_bad(sp, &e);
		return;
	}
	if (m.session[0] && strcmp(m.session, ingest_session_id(sp->session)) != 0) {
		(void)err_set_code(&e, ERR_CONFLICT, "OTHER_SESSION", "this connection is session %s's",
				   ingest_session_id(sp->session));
		on_bad(sp, &e);
	} else if (m.action == LIVE_STOP) {
		ingest_session_stop(sp->session, true);
	} else if (m.action == LIVE_PING) {
		websocket_send(sp->ws, pong, sizeof(pong) - 1);
	} else if (!ingest_session_chunk(sp->session, m.index, m.audio.data, m.audio.len)) {
		websocket_close(sp->ws, WEBSOCKET_TRY_LATER, "BUSY");
	}
	live_message_release(&m);
}

static void on_message(void *ctx, bool text, const void *data, size_t len)
{
	struct live_speaker *sp = ctx;
	switch (sp->state) {
	case STATE_WAITING:
		on_first(sp, text, data, len);
		break;
	case STATE_CLAIMING:
	case STATE_JOINING:
		keep_early(sp, text, data, len);
		break;
	case STATE_SPEAKING:
		if (text)
			on_text(sp, data, len);
		else if (!ingest_session_chunk(sp->session, -1, data, len))
			websocket_close(sp->ws, WEBSOCKET_TRY_LATER, "BUSY");
		break;
	case STATE_CLOSING:
		break;
	}
}

static void on_ended(void *ctx, int code, const char *why)
{
	struct live_speaker *sp = ctx;
	struct ingest_session *s = sp->session;
	if (*why)
		log_info("speaker_cut_off", LOG_S("request_id", sp->request_id), LOG_S("session", sp->row.id), LOG_S("why", why));
	sp->session = NULL;
	sp->state = STATE_CLOSING;
	if (!s)
		return;
	ingest_session_leave(s);
	/* A page that is left or reloaded says 1001, a network nothing: both may come back. */
	if (code == WEBSOCKET_NORMAL || code == WEBSOCKET_NO_CODE)
		ingest_session_stop(s, true);
}

static void on_gone(void *ctx)
{
	struct live_speaker *sp = ctx;
	link_out(sp);
	sp->ws = NULL;
	if (sp->moving)
		sp->gone = true;
	else
		speaker_free(sp);
}

/* ---- arrival ---- */

static void arrive(void *arg)
{
	struct live_speaker *sp = arg;
	link_in(sp, sp->thread);
	if (attach(sp))
		websocket_resume(sp->ws);
}

void live_speaker_take(void *speaker, int take_fd, const void *early, size_t early_len)
{
	struct live_speaker *sp = speaker;
	struct live_service *svc = sp->service;
	struct err e;
	const struct websocket_handlers h = { .ctx = sp, .message = on_message, .ended = on_ended, .gone = on_gone };
	if (websocket_new(take_fd, early, early_len, &svc->opts.limits, &h, &sp->ws, &e) < 0) {
		log_warn("websocket_lost", LOG_S("request_id", sp->request_id), LOG_E(&e));
		speaker_free(sp);
		return;
	}
	if (sp->named) {
		loop_post(live_thread_of(svc, sp->row.id)->loop, join, sp);
		return;
	}
	sp->thread = &svc->threads[atomic_fetch_add(&svc->next_thread, 1) % svc->thread_count];
	loop_post(sp->thread->loop, arrive, sp);
}

void live_speaker_drop(void *speaker)
{
	speaker_free(speaker);
}

static void copy_text(char *out, size_t size, const char *s)
{
	size_t len = s ? strnlen(s, size - 1) : 0;
	if (len)
		memcpy(out, s, len);
	out[len] = '\0';
}

int live_speaker_new(struct live_service *svc, const struct live_speaker_opts *o, struct live_speaker **ret, struct err *e)
{
	if (atomic_load(&svc->draining))
		return err_set_code(e, ERR_UNAVAILABLE, "DRAINING", "the server is stopping");
	int r = live_access_check(o, o->wanted, e);
	if (r < 0)
		return r;
	if (atomic_fetch_add(&svc->connections, 1) >= svc->opts.max_connections) {
		live_service_less(svc, &svc->connections);
		return err_set(e, ERR_BUSY, "too many live connections are open");
	}
	struct live_speaker *sp = mr_calloc(1, sizeof(*sp));
	sp->service = svc;
	sp->early_tail = &sp->early;
	sp->by_token = o->by_token;
	sp->expires_ms = o->expires_ms;
	copy_text(sp->user, sizeof(sp->user), o->user);
	copy_text(sp->role, sizeof(sp->role), o->role);
	copy_text(sp->claimed, sizeof(sp->claimed), o->session);
	copy_text(sp->request_id, sizeof(sp->request_id), o->request_id);
	r = o->wanted ? claim(sp, o->wanted, e) : 0;
	if (r < 0) {
		speaker_free(sp);
		return r;
	}
	*ret = sp;
	return 0;
}

/* ---- the thread's own ---- */

static void tick_speaker(struct live_speaker *sp, int64_t now_ms, int64_t wall_ms)
{
	if (sp->state == STATE_SPEAKING && wall_ms >= sp->expires_ms) {
		websocket_close(sp->ws, WEBSOCKET_POLICY, "TOKEN_EXPIRED");
	} else if (sp->resume) {
		sp->resume = false;
		websocket_resume(sp->ws); /* may be its end */
		return;
	}
	websocket_tick(sp->ws, now_ms);
}

void live_thread_tick(void *thread)
{
	struct live_thread *t = thread;
	int64_t now_ms = clock_mono_ms(), wall_ms = clock_wall_ms();
	for (struct live_speaker *sp = t->speakers, *next; sp; sp = next) {
		next = sp->next;
		tick_speaker(sp, now_ms, wall_ms);
	}
	for (struct live_entry *en = t->sessions; en; en = en->next)
		ingest_session_tick(en->session, now_ms);
}

void live_thread_drain(void *thread)
{
	struct live_thread *t = thread;
	t->draining = true;
	for (struct live_speaker *sp = t->speakers; sp; sp = sp->next)
		if (!sp->session)
			websocket_close(sp->ws, WEBSOCKET_GOING_AWAY, "DRAINING");
	for (struct live_entry *en = t->sessions; en; en = en->next)
		ingest_session_stop(en->session, false);
}

void live_thread_release(struct live_thread *t)
{
	for (struct live_speaker *sp = t->speakers, *next; sp; sp = next) {
		next = sp->next;
		websocket_free(sp->ws);
		speaker_free(sp);
	}
	t->speakers = NULL;
}
