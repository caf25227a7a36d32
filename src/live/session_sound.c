/* A session's side towards the decoder: bytes out, sound back. Handlers run on the decoder's threads and only post to the loop. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/session_internal.h"

/* ---- on the loop ---- */

struct end_posted {
	struct ingest_session *session;
	struct err why; /* kind ERR_OK: as asked */
};

struct sound_posted {
	struct ingest_session *session;
	int64_t first_sample;
	uint32_t count;
	bool restart;
	size_t taken;
	int16_t samples[];
};

static void pcm_now(void *arg)
{
	struct sound_posted *p = arg;
	struct ingest_session *s = p->session;
	fragmenter_add(s->fragmenter,
		       &(struct fragment_pcm){ .first_sample = p->first_sample,
					       .samples = p->samples,
					       .count = p->count,
					       .restart = p->restart },
		       clock_wall_ms());
	free(p);
	ingest_collect(s);
}

static void note_done(struct ingest_session *s, uint32_t n)
{
	s->done_chunk = s->decoding[n].index;
	s->done_recording = s->decoding[n].recording;
}

static void taken_now(void *arg)
{
	struct sound_posted *p = arg;
	struct ingest_session *s = p->session;
	uint32_t n = 0;
	s->taken_bytes += p->taken;
	free(p);
	while (n < s->decoding_count && s->decoding[n].end <= s->taken_bytes)
		note_done(s, n++);
	if (n) {
		s->decoding_count -= n;
		memmove(&s->decoding[0], &s->decoding[n], s->decoding_count * sizeof(s->decoding[0]));
		fragmenter_chunk_end(s->fragmenter);
		ingest_collect(s);
	}
	ingest_keep(s);
	ingest_pump(s);
}

static void end_now(void *arg)
{
	struct end_posted *p = arg;
	struct ingest_session *s = p->session;
	if (p->why.kind != ERR_OK && p->why.kind != ERR_CANCELED && s->failure.kind == ERR_OK) {
		log_warn("session_undecodable", LOG_S("session", s->row.id), LOG_E(&p->why));
		(void)atomic_fetch_add(&s->o.counters->failed_sessions, 1);
		s->failure = p->why;
		s->ended = p->why.kind == ERR_MEDIA || p->why.kind == ERR_UNSUPPORTED; /* no use to try its state again */
	}
	free(p);
	if (s->decoding_count)
		note_done(s, s->decoding_count - 1);
	s->decoding_count = 0;
	fragmenter_flush(s->fragmenter, s->o.sink->refuses_short);
	s->state = SESSION_STORING;
	ingest_collect(s);
	ingest_close_stream(s);
}

/* ---- on the decoder's threads ---- */

static void on_pcm(void *ctx, const struct live_pcm *pcm)
{
	struct ingest_session *s = ctx;
	struct sound_posted *p = mr_calloc(1, sizeof(*p) + pcm->count * sizeof(p->samples[0]));
	p->session = s;
	p->first_sample = pcm->first_sample;
	p->count = pcm->count;
	p->restart = pcm->restart;
	memcpy(p->samples, pcm->samples, pcm->count * sizeof(p->samples[0]));
	loop_post(s->o.loop, pcm_now, p);
}

static void on_taken(void *ctx, size_t bytes)
{
	struct ingest_session *s = ctx;
	struct sound_posted *p = mr_calloc(1, sizeof(*p));
	p->session = s;
	p->taken = bytes;
	loop_post(s->o.loop, taken_now, p);
}

static void on_notice(void *ctx, const char *text)
{
	const struct ingest_session *s = ctx;
	log_info("session_notice", LOG_S("session", s->row.id), LOG_S("what", text));
}

static void on_end(void *ctx, const struct err *why)
{
	struct ingest_session *s = ctx;
	(void)pthread_mutex_lock(&s->sound_lock);
	s->last_state_len = live_sound_state(s->sound, s->last_state);
	s->sound = NULL;
	(void)pthread_mutex_unlock(&s->sound_lock);
	struct end_posted *p = mr_calloc(1, sizeof(*p));
	p->session = s;
	if (why)
		p->why = *why;
	loop_post(s->o.loop, end_now, p);
}

/* ---- calls: guarded, since the handle is gone once `end` has been called ---- */

int ingest_open_sound(struct ingest_session *s, struct err *e)
{
	const struct live_sound_handlers h = { .ctx = s, .pcm = on_pcm, .taken = on_taken, .notice = on_notice, .end = on_end };
	(void)pthread_mutex_lock(&s->sound_lock);
	int r = live_sound_open(s->o.decoder, &h, s->row.state, s->row.state_len, &s->sound, e);
	(void)pthread_mutex_unlock(&s->sound_lock);
	return r;
}

bool ingest_give_sound(struct ingest_session *s, const void *data, size_t len, bool lost)
{
	bool given = false;
	struct err e;
	(void)pthread_mutex_lock(&s->sound_lock);
	if (s->sound && lost)
		live_sound_lost(s->sound);
	if (s->sound) {
		given = live_sound_bytes(s->sound, data, len, &e) == 0;
		if (!given)
			live_sound_lost(s->sound);
	}
	(void)pthread_mutex_unlock(&s->sound_lock);
	return given;
}

void ingest_finish_sound(struct ingest_session *s)
{
	(void)pthread_mutex_lock(&s->sound_lock);
	if (s->sound)
		live_sound_finish(s->sound);
	(void)pthread_mutex_unlock(&s->sound_lock);
}

void ingest_note_state(struct ingest_session *s)
{
	(void)pthread_mutex_lock(&s->sound_lock);
	if (s->sound)
		s->row.state_len = live_sound_state(s->sound, s->row.state);
	else if ((s->row.state_len = s->last_state_len))
		memcpy(s->row.state, s->last_state, s->last_state_len);
	(void)pthread_mutex_unlock(&s->sound_lock);
}
