/* A session's side towards its stream, and its row. The sink's handlers run on its threads and only post to the loop. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/session_internal.h"

/* ---- the row ---- */

struct save {
	struct ingest_session *session;
	bool final;
};

static void on_saved(void *arg);
static void hand_over(struct ingest_session *s);

static void save_job(void *arg)
{
	struct save *save = arg;
	struct ingest_session *s = save->session;
	struct err e;
	/* What is stored stays stored: without its row a session only can't go on where it was. */
	if (repo_live_session_save(s->o.repo, &s->row_copy, &e) < 0)
		log_warn("session_not_saved", LOG_S("session", s->row.id), LOG_E(&e));
	loop_post(s->o.loop, on_saved, save);
}

void ingest_save(struct ingest_session *s)
{
	if (s->saving)
		return;
	ingest_note_state(s);
	/* Until everything is stored it isn't over, whatever the speaker said. */
	bool over = s->ended && s->state == SESSION_SAVING;
	s->row.next_chunk = over ? -1 : s->stored_chunk + 1;
	if (over)
		s->row.state_len = 0;
	s->row_copy = s->row;
	struct save *save = mr_calloc(1, sizeof(*save));
	*save = (struct save){ .session = s, .final = s->state == SESSION_SAVING };
	s->saving = true;
	s->saved_ms = clock_mono_ms();
	if (pool_submit(s->o.pool, save_job, save) < 0)
		loop_post(s->o.loop, on_saved, save);
}

void ingest_free(struct ingest_session *s)
{
	chunk_window_release(&s->window);
	fragmenter_free(s->fragmenter);
	(void)pthread_mutex_destroy(&s->sound_lock);
	free(s);
}

static void on_saved(void *arg)
{
	struct save *save = arg;
	struct ingest_session *s = save->session;
	bool final = save->final;
	free(save);
	s->saving = false;
	s->keeping = false;
	if (s->state != SESSION_SAVING) {
		hand_over(s);
		ingest_close_stream(s);
		return;
	}
	if (!final) {
		ingest_save(s); /* that was one begun earlier */
		return;
	}
	s->o.over(s->o.ctx, s);
	ingest_free(s);
}

/* ---- fragments → sink ---- */

void ingest_keep(struct ingest_session *s)
{
	if (s->kept || s->saving || s->state == SESSION_SAVING)
		return;
	ingest_note_state(s);
	s->kept = s->keeping = s->row.state_len > 0;
	if (s->kept)
		ingest_save(s);
}

static void hand_over(struct ingest_session *s)
{
	if (s->storing)
		ingest_keep(s);
	if (s->keeping || (!s->kept && s->saving))
		return;
	for (struct storing *st = s->storing; st; st = st->next) {
		if (st->appended)
			continue;
		st->appended = s->sink && sink_append(s->sink, &st->f);
		if (!st->appended)
			return;
	}
}

void ingest_close_stream(struct ingest_session *s)
{
	if (s->state != SESSION_STORING || !s->sink)
		return;
	for (struct storing *st = s->storing; st; st = st->next)
		if (!st->appended)
			return;
	sink_close(mr_steal(s->sink));
}

static void drop_storing(struct ingest_session *s)
{
	while (s->storing) {
		struct storing *st = s->storing;
		s->storing = st->next;
		if (!st->appended)
			free(st->f.take_samples);
		free(st);
	}
	s->storing_tail = &s->storing;
	s->storing_count = 0;
}

void ingest_collect(struct ingest_session *s)
{
	struct fragment_out out;
	while (fragmenter_take(s->fragmenter, &out)) {
		struct storing *st = mr_calloc(1, sizeof(*st));
		st->f = (struct sink_fragment){ .sequence = ++s->sequence,
						.timecode_ms = out.timecode_ms,
						.length_ms = out.length_ms,
						.take_samples = out.samples,
						.count = out.count,
						.recording = s->done_recording,
						.last_chunk = s->done_chunk };
		*s->storing_tail = st;
		s->storing_tail = &st->next;
		s->storing_count++;
	}
	/* What the decoder still gave can't be stored, and mustn't keep the session from ending. */
	if (s->sink_failed)
		drop_storing(s);
	hand_over(s);
}

/* What comes from other threads, posted to the loop. */
struct posted {
	struct ingest_session *session;
	struct err why;
	uint64_t sequence;
	char number[SINK_NUMBER_SIZE];
};

static void post(struct ingest_session *s, void (*fn)(void *), const struct posted *p)
{
	struct posted *copy = mr_calloc(1, sizeof(*copy));
	*copy = *p;
	copy->session = s;
	loop_post(s->o.loop, fn, copy);
}

static void stored_now(void *arg)
{
	struct posted *p = arg;
	struct ingest_session *s = p->session;
	struct storing *st = s->storing;
	if (st && st->f.sequence == p->sequence) {
		s->storing = st->next;
		if (!s->storing)
			s->storing_tail = &s->storing;
		s->storing_count--;
		s->stored_count++;
		s->stored_chunk = st->f.last_chunk;
		s->row.end_ms = st->f.timecode_ms + st->f.length_ms;
		(void)atomic_fetch_add(&s->o.counters->fragments, 1);
		ingest_tell(s,
		     "{\"type\":\"fragment\",\"sessionId\":\"%s\",\"fragmentNumber\":\"%s\",\"producerTimestamp\":%" PRId64
		     ",\"durationMs\":%" PRIu32 ",\"chunkIndex\":%" PRId64 "}",
		     s->row.id, p->number, st->f.timecode_ms, st->f.length_ms, st->f.last_chunk);
		free(st);
		if (!s->o.sink->keeps_place && s->state == SESSION_LIVE)
			ingest_save(s);
	}
	free(p);
	hand_over(s);
	ingest_close_stream(s);
	ingest_pump(s);
}

static void failed_now(void *arg)
{
	struct posted *p = arg;
	struct ingest_session *s = p->session;
	log_error("session_failed", LOG_S("session", s->row.id), LOG_E(&p->why));
	(void)atomic_fetch_add(&s->o.counters->failed_sessions, 1);
	if (s->failure.kind == ERR_OK)
		s->failure = p->why;
	s->sink_failed = true;
	drop_storing(s);
	ingest_session_stop(s, false);
	free(p);
	ingest_close_stream(s);
}

static void closed_now(void *arg)
{
	struct posted *p = arg;
	struct ingest_session *s = p->session;
	free(p);
	drop_storing(s);
	if (s->failure.kind != ERR_OK) {
		ingest_tell_error(s, &s->failure);
		bool theirs = s->failure.kind == ERR_MEDIA || s->failure.kind == ERR_UNSUPPORTED || s->failure.kind == ERR_INVALID;
		ingest_part(s, theirs ? WEBSOCKET_UNSUPPORTED : WEBSOCKET_INTERNAL, err_code(&s->failure));
	} else {
		ingest_tell(s, "{\"type\":\"closed\",\"sessionId\":\"%s\",\"fragments\":%" PRIu64 ",\"chunkIndex\":%" PRId64 "}",
			    s->row.id, s->stored_count, s->stored_chunk);
		ingest_part(s, s->ended ? WEBSOCKET_NORMAL : WEBSOCKET_GOING_AWAY, "");
	}
	log_info("session_closed", LOG_S("session", s->row.id), LOG_S("user", s->row.user_id), LOG_I("fragments", s->stored_count),
		 LOG_I("chunk", s->stored_chunk));
	s->state = SESSION_SAVING;
	ingest_save(s);
}

static void on_stored(void *ctx, uint64_t sequence, const char *number)
{
	struct posted p = { .sequence = sequence };
	(void)snprintf(p.number, sizeof(p.number), "%s", number);
	post(ctx, stored_now, &p);
}

static void on_failed(void *ctx, const struct err *why)
{
	post(ctx, failed_now, &(struct posted){ .why = *why });
}

static void on_closed(void *ctx)
{
	post(ctx, closed_now, &(struct posted){ 0 });
}

void ingest_open_stream(struct ingest_session *s)
{
	char name[sizeof(LIVE_STREAM_PREFIX) + LIVE_SESSION_MAX];
	(void)snprintf(name, sizeof(name), LIVE_STREAM_PREFIX "%s", s->row.id);
	s->sink = sink_open(s->o.sink, &(struct sink_stream_opts){ .name = name,
								   .user = s->row.user_id,
								   .stored = on_stored,
								   .failed = on_failed,
								   .closed = on_closed,
								   .ctx = s });
}
