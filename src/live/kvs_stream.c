/* A stream's way towards its PutMedia, and what is done when something fails. On the client's loop, in the server process; see
 * kvs_stream.h. */
#include "live/kvs_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/kvs_stream_internal.h"

#define PLACE_MS (60 * 60 * 1000) /* a data endpoint is asked for anew */
#define CONNECT_MS 15000	  /* for PutMedia's 200 */
#define ACK_MS 20000		  /* for a fragment's PERSISTED */
#define QUIET_MS 20000		  /* the service closes after 30 s without data */
#define END_MS 5000		  /* for the rest of an answer */
#define REST_MIN_MS 200
#define REST_MAX_MS 10000
#define FEW 5

void kvs_stream_enter(struct kvs_stream *s, enum kvs_state state)
{
	s->state = state;
	s->began_ms = clock_mono_ms();
}

/* ---- fragments ---- */

void kvs_stream_persisted(struct kvs_stream *s, struct kvs_fragment *f, const char *number)
{
	if (f->persisted)
		return;
	f->persisted = true;
	f->maybe = false;
	(void)snprintf(f->number, sizeof(f->number), "%s", number);
	s->tries = s->few_tries = 0;
}

static void fragment_free(struct kvs_fragment *f)
{
	free(f->f.take_samples);
	free(f);
}

static struct kvs_fragment *pop(struct kvs_stream *s)
{
	struct kvs_fragment *f = s->fragments;
	s->fragments = f->next;
	if (!s->fragments)
		s->tail = &s->fragments;
	return f;
}

static void stream_free(struct kvs_stream *s)
{
	struct kvs_stream_opts o = s->o;
	if (s->call)
		exchange_cancel(s->call);
	kvs_media_cut(s);
	while (s->fragments)
		fragment_free(pop(s));
	buf_release(&s->answer);
	free(s->put.url);
	free(s->list.url);
	free(s->name);
	free(s);
	o.closed(o.ctx);
}

void kvs_stream_settle(struct kvs_stream *s)
{
	while (s->fragments && s->fragments->persisted) {
		struct kvs_fragment *f = pop(s);
		s->o.stored(s->o.ctx, f->f.sequence, f->number);
		fragment_free(f);
	}
}

/* ---- towards sending ---- */

static bool any_maybe(const struct kvs_stream *s)
{
	const struct kvs_fragment *f = s->fragments;
	while (f && !f->maybe)
		f = f->next;
	return f != NULL;
}

static bool is_known(const struct kvs_place *p)
{
	return p->url && clock_mono_ms() - p->known_ms < PLACE_MS;
}

void kvs_stream_step(struct kvs_stream *s)
{
	if (s->media && s->state != KVS_S_ENDING) { /* it has been let in */
		if (s->cannot_list || !any_maybe(s)) {
			kvs_stream_enter(s, KVS_S_SENDING);
			exchange_resume(s->media);
		} else if (!is_known(&s->list)) {
			kvs_calls_locate(s, true);
		} else {
			kvs_calls_list(s);
		}
		return;
	}
	if (!s->fragments)
		kvs_stream_enter(s, KVS_S_IDLE);
	else if (!s->created)
		kvs_calls_create(s);
	else if (!s->active)
		kvs_calls_describe(s);
	else if (!is_known(&s->put))
		kvs_calls_locate(s, false);
	else
		kvs_media_connect(s);
}

/* ---- failures ---- */

static void give_up(struct kvs_stream *s, const struct err *why)
{
	if (s->call)
		exchange_cancel(mr_steal(s->call));
	kvs_media_cut(s);
	kvs_stream_enter(s, KVS_S_FAILED);
	while (s->fragments)
		fragment_free(pop(s));
	s->o.failed(s->o.ctx, why);
}

static void forget(struct kvs_place *p)
{
	free(mr_steal(p->url));
}

/* Half of it at least, so that sessions that were cut together don't come back together. */
static int64_t rest_ms(unsigned tries)
{
	uint32_t random;
	int64_t ms = (int64_t)REST_MIN_MS << (tries < 6 ? tries : 6);
	random_bytes(&random, sizeof(random));
	ms = ms < REST_MAX_MS ? ms : REST_MAX_MS;
	return ms / 2 + random % (uint32_t)(ms / 2 + 1);
}

void kvs_stream_failed(struct kvs_stream *s, enum kvs_verdict v, const struct err *why)
{
	if (s->call)
		exchange_cancel(mr_steal(s->call));
	kvs_media_cut(s);
	s->was_active |= s->active;
	bool gone = v == KVS_NOT_ACTIVE && s->was_active && s->state == KVS_S_DESCRIBING;
	if (v == KVS_NEW_KEYS)
		kvs_client_reject_keys(s->o.client);
	if (v == KVS_NOT_ACTIVE)
		s->active = false; /* describeStream will say what it is */
	if (v == KVS_NOT_ACTIVE && !s->was_active)
		s->created = false;
	forget(&s->put);
	forget(&s->list);
	if (v == KVS_AGAIN_FEW || v == KVS_NEW_KEYS)
		s->few_tries++;
	if (v == KVS_END || gone || s->few_tries > FEW) {
		log_error("kvs_refused", LOG_S("stream", s->name), LOG_E(why));
		give_up(s, why);
		return;
	}
	int64_t ms = v == KVS_AGAIN_NOW ? 0 : rest_ms(s->tries++);
	log_warn("kvs_again", LOG_S("stream", s->name), LOG_I("ms", ms), LOG_I("tries", s->tries), LOG_E(why));
	kvs_stream_enter(s, KVS_S_RESTING);
	s->next_ms = clock_mono_ms() + ms;
}

/* ---- what the sink asks for ---- */

struct kvs_stream *kvs_stream_new(const struct kvs_stream_opts *opts)
{
	struct kvs_stream *s = mr_calloc(1, sizeof(*s));
	s->o = *opts;
	s->name = mr_strdup(opts->name);
	s->o.name = s->name;
	s->tail = &s->fragments;
	return s;
}

void kvs_stream_append(struct kvs_stream *s, const struct sink_fragment *f)
{
	if (s->state == KVS_S_FAILED) {
		free(f->take_samples);
		return;
	}
	struct kvs_fragment *one = mr_calloc(1, sizeof(*one));
	one->f = *f;
	*s->tail = one;
	s->tail = &one->next;
	if (s->state == KVS_S_IDLE)
		kvs_stream_step(s);
	else if (s->state == KVS_S_SENDING)
		exchange_resume(s->media);
}

void kvs_stream_close(struct kvs_stream *s)
{
	s->closing = true; /* the next tick sees to it */
}

static bool has_unsent(const struct kvs_stream *s)
{
	const struct kvs_fragment *f = s->fragments;
	while (f && (f->sent || f->persisted))
		f = f->next;
	return f != NULL;
}

static void tick_sending(struct kvs_stream *s, int64_t now_ms)
{
	struct err e;
	const struct kvs_fragment *first = s->fragments;
	if (first && first->sent && now_ms - first->sent_ms > ACK_MS) {
		(void)err_set(&e, ERR_TIMEOUT, "PutMedia: no acknowledgement within %d s", ACK_MS / 1000);
		kvs_stream_failed(s, KVS_AGAIN, &e);
	} else if (now_ms - s->connected_ms > s->o.rotate_ms || (!first && (s->closing || now_ms - s->busy_ms > QUIET_MS))) {
		kvs_media_end(s);
	} else if (has_unsent(s)) {
		exchange_resume(s->media); /* the pause between two may be over */
	}
}

static void tick_state(struct kvs_stream *s, int64_t now_ms)
{
	struct err e;
	int64_t in_ms = now_ms - s->began_ms;
	if (s->state == KVS_S_SENDING) {
		tick_sending(s, now_ms);
	} else if (s->state == KVS_S_RESTING && now_ms >= s->next_ms) {
		kvs_stream_step(s);
	} else if (s->state == KVS_S_CONNECTING && in_ms > CONNECT_MS) {
		(void)err_set(&e, ERR_TIMEOUT, "PutMedia: no answer within %d s", CONNECT_MS / 1000);
		kvs_stream_failed(s, KVS_AGAIN, &e);
	} else if (s->state == KVS_S_ENDING && in_ms > END_MS) {
		kvs_media_cut(s);
		kvs_stream_enter(s, KVS_S_IDLE);
		kvs_stream_step(s);
	}
}

void kvs_stream_tick(struct kvs_stream *s, int64_t now_ms, bool hurry)
{
	struct err e;
	tick_state(s, now_ms);
	if (hurry && s->fragments) {
		(void)err_set(&e, ERR_UNAVAILABLE, "the server stops");
		give_up(s, &e);
	}
	bool quiet = s->state == KVS_S_IDLE || s->state == KVS_S_RESTING || s->state == KVS_S_FAILED || hurry;
	if (s->closing && !s->fragments && quiet)
		stream_free(s);
}
