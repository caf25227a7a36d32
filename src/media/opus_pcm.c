/* Opus to samples, on a timeline. Runs in the sandbox; libopus' decoder is its only state besides struct opus_place.
 *
 * Guarantees: positions rise; what follows on in the recording follows on here, to the sample; a damaged packet costs its own
 * length, concealed. Does not guarantee equal samples for 80 ms behind a place that was gone to: the codec's memory isn't
 * carried.
 */
#include "media/opus_pcm.h"

#include <opus.h>
#include <stdlib.h>

#include "base/mem.h"

#define RATE 16000
#define FRAME_MAX (RATE * 120 / 1000) /* of a packet: RFC 6716, 3.2.5 */
#define STEP (RATE * 25 / 10000)      /* libopus conceals multiples of 2.5 ms */
#define CONCEAL_MAX FRAME_MAX
#define LATE_MAX_NS (5 * 1000000000ll)
#define AHEAD_MAX ((int64_t)RATE * 600)
/* By as much as this times may be ahead of samples that follow on one another. */
#define WAVER_MAX (RATE / 5)
/* A recording whose clock lags this much behind its samples is believed no more: its times are reckoned anew. */
#define LAG_MAX RATE

struct opus_pcm {
	struct opus_pcm_sink sink;
	OpusDecoder *decoder;
	struct opus_place at;
	uint32_t preskip; /* of the recording, at 16 kHz */
};

int opus_pcm_new(const struct opus_pcm_sink *sink, struct opus_pcm **ret, struct err *e)
{
	int code;
	OpusDecoder *decoder = opus_decoder_create(RATE, 1, &code);
	if (!decoder)
		return err_set(e, ERR_UNAVAILABLE, "Opus decoder: %s", opus_strerror(code));
	struct opus_pcm *o = mr_calloc(1, sizeof(*o));
	o->sink = *sink;
	o->decoder = decoder;
	o->at.restart = true;
	*ret = o;
	return 0;
}

void opus_pcm_free(struct opus_pcm *o)
{
	if (!o)
		return;
	opus_decoder_destroy(o->decoder);
	free(o);
}

static void restart(struct opus_pcm *o)
{
	const int64_t end = o->at.next > o->at.from ? o->at.next : o->at.from;
	o->at = (struct opus_place){ .restart = true, .next = end - o->preskip, .from = end };
}

int opus_pcm_begin(struct opus_pcm *o, uint32_t preskip_48k, struct err *e)
{
	if (opus_decoder_ctl(o->decoder, OPUS_RESET_STATE) != OPUS_OK)
		return err_set(e, ERR_INTERNAL, "reset of the Opus decoder");
	o->preskip = (preskip_48k + 1) / 3;
	restart(o);
	return 0;
}

void opus_pcm_place(const struct opus_pcm *o, struct opus_place *ret)
{
	*ret = o->at;
}

void opus_pcm_go_to(struct opus_pcm *o, uint32_t preskip_48k, const struct opus_place *place)
{
	o->preskip = (preskip_48k + 1) / 3;
	o->at = *place;
}

void opus_pcm_resume(struct opus_pcm *o)
{
	restart(o);
	o->at.next = o->at.from; /* the pre-skip was that of the first packet */
}

/* `count` samples of the codec go out, but for what is pre-skip. */
static int give(struct opus_pcm *o, const int16_t *samples, uint32_t count, uint32_t concealed, struct err *e)
{
	const int64_t first = o->at.next;
	o->at.next += count;
	int64_t skip = o->at.from - first;
	if (skip < 0)
		skip = 0;
	if (skip >= count)
		return 0;
	const uint32_t s = (uint32_t)skip;
	const bool begins = o->at.restart;
	o->at.restart = false;
	return o->sink.pcm(o->sink.ctx, first + skip, samples + s, count - s, concealed > s ? concealed - s : 0, begins, e);
}

/* Makes up `count` samples (a multiple of STEP); the last of them from what `next` says about the packet before it. */
static int conceal(struct opus_pcm *o, uint32_t count, const struct opus_packet *next, struct err *e)
{
	int16_t samples[CONCEAL_MAX];
	uint32_t redundant = next && o->at.last_samples <= count && o->at.last_samples % STEP == 0 ? o->at.last_samples : 0;
	int n = 0;
	if (count > redundant)
		n = opus_decode(o->decoder, NULL, 0, samples, (int)(count - redundant), 0);
	if (n >= 0 && redundant) {
		int m = opus_decode(o->decoder, next->data, (opus_int32)next->len, samples + n, (int)redundant, 1);
		n = m < 0 ? m : n + m;
	}
	if (n != (int)count) /* the codec has nothing to go by */
		return 0;
	return give(o, samples, count, count, e);
}

/* Something is missing in front of this packet. */
static int bridge(struct opus_pcm *o, int64_t missing, const struct opus_packet *next, struct err *e)
{
	const int64_t after = o->at.next + missing;
	const bool all = missing <= CONCEAL_MAX;
	int r = conceal(o, all ? (uint32_t)missing : CONCEAL_MAX, all ? next : NULL, e);
	o->at.next = after;
	return r;
}

/* 1: decode it, 0: it was there already, <0 an error. */
static int find_place(struct opus_pcm *o, const struct opus_packet *p, uint32_t samples, struct err *e)
{
	if (!p->has_time) {
		o->at.last_ns += (int64_t)o->at.last_samples * (1000000000 / RATE);
		return 1;
	}
	struct opus_place *at = &o->at;
	at->lost |= p->after_loss; /* for longer than this one, if it is dropped */
	int64_t since = 0;
	bool anew = at->started && (__builtin_sub_overflow(p->time_ns, at->base_ns, &since) || since / 1000000000 > INT32_MAX ||
				    p->time_ns < at->last_ns - LATE_MAX_NS);
	int64_t ahead = 0;
	if (at->started && !anew) {
		if (p->time_ns <= at->last_ns)
			return 0;
		ahead = at->base_sample + since / (1000000000 / RATE) - at->next;
		anew = ahead > AHEAD_MAX;
	}
	if (anew)
		restart(o);
	if (!at->started) {
		at->started = true;
		at->base_ns = p->time_ns;
		at->base_sample = at->next;
		ahead = 0;
	}
	at->last_ns = p->time_ns;
	if (ahead < -LAG_MAX) {
		at->base_sample -= ahead;
		ahead = 0;
	}
	const int64_t missing = ahead > WAVER_MAX ? ahead : at->lost ? ahead - at->last_ahead : 0;
	const int64_t rounded = (missing + STEP / 2) / STEP * STEP;
	at->lost = false;
	if (missing <= samples / 2 || rounded == 0) {
		at->last_ahead = ahead;
		return 1;
	}
	at->last_ahead = ahead - rounded;
	int r = bridge(o, rounded, p, e);
	return r < 0 ? r : 1;
}

int opus_pcm_packet(struct opus_pcm *o, const struct opus_packet *p, struct err *e)
{
	int16_t samples[FRAME_MAX];
	const int expected = p->len && p->len <= INT32_MAX ? opus_packet_get_nb_samples(p->data, (opus_int32)p->len, RATE) : 0;
	if (expected <= 0 || expected > FRAME_MAX) {
		o->sink.dropped(o->sink.ctx, false);
		o->at.lost = true; /* the next one's time tells how much is missing */
		return 0;
	}
	int r = find_place(o, p, (uint32_t)expected, e);
	if (r <= 0) {
		if (r == 0)
			o->sink.dropped(o->sink.ctx, true);
		return r;
	}
	o->at.last_samples = (uint32_t)expected;
	const int n = opus_decode(o->decoder, p->data, (opus_int32)p->len, samples, FRAME_MAX, 0);
	if (n != expected) {
		o->sink.dropped(o->sink.ctx, false);
		return conceal(o, (uint32_t)expected, NULL, e);
	}
	uint32_t count = (uint32_t)n;
	if (p->discard_ns > 0) {
		const int64_t cut = p->discard_ns / (1000000000 / RATE);
		count = cut < n ? (uint32_t)(n - cut) : 0;
	}
	return give(o, samples, count, 0, e);
}
