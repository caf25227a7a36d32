/* A live sound session. Runs in the sandbox. What it is made of says what is guaranteed; here is only how they meet. */
#include "media/webm_sound.h"

#include <stdlib.h>

#include "base/mem.h"
#include "media/opus_pcm.h"
#include "media/webm_push.h"
#include "proto/wire.h"

#define STATE_VERSION 1
/* Positions and times in a state, so that adding to them can't overflow. */
#define FAR (INT64_MAX / 8)

struct webm_sound {
	struct webm_sound_sink sink;
	struct webm_push push;
	struct opus_pcm *pcm;
	struct webm_sound_losses losses;
};

static void walk_state(struct wire *w, struct webm_track *t, struct opus_place *p)
{
	uint8_t version = STATE_VERSION;
	wire_u8(w, &version);
	if (version != STATE_VERSION)
		wire_fault(w, "a state of another version");
	wire_u64(w, &t->number);
	wire_u64(w, &t->scale_ns);
	wire_u32(w, &t->channels);
	wire_u32(w, &t->preskip);
	wire_bool(w, &t->has_video);
	wire_bool(w, &p->started);
	wire_bool(w, &p->lost);
	wire_bool(w, &p->restart);
	wire_i64(w, &p->base_ns);
	wire_i64(w, &p->base_sample);
	wire_i64(w, &p->next);
	wire_i64(w, &p->from);
	wire_i64(w, &p->last_ns);
	wire_i64(w, &p->last_ahead);
	wire_u32(w, &p->last_samples);
}

static bool near(int64_t v)
{
	return v > -FAR && v < FAR;
}

static int read_state(const void *state, size_t len, struct webm_track *t, struct opus_place *p, struct err *e)
{
	struct wire w = wire_reader(state, len);
	walk_state(&w, t, p);
	if (wire_finish(&w, NULL) < 0 || t->scale_ns == 0 || t->scale_ns > 1000000000 || t->channels < 1 || t->channels > 2 ||
	    t->preskip > UINT16_MAX || !near(p->base_ns) || !near(p->base_sample) || !near(p->next) || !near(p->from) ||
	    !near(p->last_ns) || !near(p->last_ahead) ||
	    p->last_samples > LIVE_RATE)
		return err_set(e, ERR_INVALID, "the state of another kind of session");
	return 0;
}

static int on_track(void *ctx, const struct webm_track *t, struct err *e)
{
	struct webm_sound *s = ctx;
	return opus_pcm_begin(s->pcm, t->preskip, e);
}

static int on_cluster(void *ctx, uint64_t offset, struct err *e)
{
	struct webm_sound *s = ctx;
	struct opus_place place;
	opus_pcm_place(s->pcm, &place);
	place.lost |= s->push.lost;
	_cleanup_buf_ struct buf b;
	buf_init(&b, LIVE_STATE_MAX_BYTES);
	struct wire w = wire_writer(&b);
	struct webm_track track = s->push.track;
	walk_state(&w, &track, &place);
	int r = wire_finish(&w, e);
	return r < 0 ? r : s->sink.mark(s->sink.ctx, offset, (const uint8_t *)b.data, b.len, e);
}

static int on_frame(void *ctx, const struct webm_frame *f, struct err *e)
{
	struct webm_sound *s = ctx;
	const struct opus_packet p = { .has_time = f->has_time, .after_loss = f->after_loss, .time_ns = f->time_ns,
				       .data = f->data, .len = f->len,
				       .discard_ns = f->discard_ns };
	return opus_pcm_packet(s->pcm, &p, e);
}

static void on_skipped(void *ctx, uint64_t bytes)
{
	((struct webm_sound *)ctx)->losses.skipped_bytes += bytes;
}

static void on_dropped(void *ctx, bool late)
{
	struct webm_sound *s = ctx;
	if (late)
		s->losses.late_packets++;
	else
		s->losses.damaged_packets++;
}

static int on_pcm(void *ctx, int64_t first, const int16_t *samples, uint32_t count, uint32_t concealed, bool restart,
		  struct err *e)
{
	struct webm_sound *s = ctx;
	return s->sink.pcm(s->sink.ctx, first, samples, count, concealed, restart, e);
}

int webm_sound_new(const struct webm_sound_sink *sink, const void *state, size_t len, bool resumed, struct webm_sound **ret,
		   struct err *e)
{
	struct webm_track track = { 0 };
	struct opus_place place = { 0 };
	int r = len ? read_state(state, len, &track, &place, e) : 0;
	if (r < 0)
		return r;
	struct webm_sound *s = mr_calloc(1, sizeof(*s));
	const struct opus_pcm_sink to_us = { .ctx = s, .pcm = on_pcm, .dropped = on_dropped };
	const struct webm_sink from_webm = { .ctx = s, .track = on_track, .cluster = on_cluster, .frame = on_frame,
					     .skipped = on_skipped };
	s->sink = *sink;
	r = opus_pcm_new(&to_us, &s->pcm, e);
	if (r < 0) {
		free(s);
		return r;
	}
	webm_push_init(&s->push, &from_webm, len ? &track : NULL);
	if (len)
		opus_pcm_go_to(s->pcm, track.preskip, &place);
	if (len && resumed)
		opus_pcm_resume(s->pcm);
	*ret = s;
	return 0;
}

void webm_sound_free(struct webm_sound *s)
{
	if (!s)
		return;
	webm_push_release(&s->push);
	opus_pcm_free(s->pcm);
	free(s);
}

int webm_sound_feed(struct webm_sound *s, const void *data, size_t len, struct err *e)
{
	return webm_push_feed(&s->push, data, len, e);
}

void webm_sound_lost(struct webm_sound *s)
{
	webm_push_lost(&s->push);
}

bool webm_sound_take_losses(struct webm_sound *s, struct webm_sound_losses *ret)
{
	*ret = s->losses;
	s->losses = (struct webm_sound_losses){ 0 };
	return ret->skipped_bytes || ret->late_packets || ret->damaged_packets;
}
