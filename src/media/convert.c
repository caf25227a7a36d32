/* One chunk of a conversion, and the measurement before it. Runs in a sandboxed child of millrace-task; one thread.
 *
 * Guarantees: the same source, specification and library give the same bytes; chunks put together decode to what a single run
 * would have given (encode.h says how exactly). Memory doesn't grow with the length: one part of the output, one decoded
 * frame, and four bytes for each coded frame of the chunk. Nothing is left behind on any way out.
 */
#include <libavcodec/avcodec.h>

#include "base/mem.h"
#include "media/attempt.h"
#include "media/encode.h"
#include "media/loudness.h"
#include "media/media_io.h"
#include "media/sound_feed.h"

struct chunk {
	const struct task_spec *task;
	struct convert_out out;
	const struct encode_family *family;
	void *encoder;
	struct sound_feed *feed;
	struct convert_result *ret;
};

static int feed_encoder(void *ctx, const float *const *planes, int count, struct err *e)
{
	struct chunk *c = ctx;
	return c->family->samples(c->encoder, planes, count, e);
}

/* True if samples of the output have more than sixteen bits that mean something: those of a lossless source that has more, or
 * that are changed on the way. (A lossy codec's own noise is louder than what rounding adds to it.) */
static bool wants_dither(const struct convert_spec *s, const AVCodecParameters *par)
{
	const AVCodecDescriptor *d = avcodec_descriptor_get(par->codec_id);
	if (s->sample != SAMPLE_S16 || !d || !(d->props & AV_CODEC_PROP_LOSSLESS))
		return false;
	int bits = par->bits_per_raw_sample ? par->bits_per_raw_sample : par->bits_per_coded_sample;
	bool changed = s->gain_mb || par->sample_rate != (int)s->rate || par->ch_layout.nb_channels != (int)s->channels;
	return bits > 16 || changed;
}

static struct convert_result result_of(const struct chunk *c)
{
	const struct convert_spec *s = &c->task->convert;
	const int64_t total = sound_feed_total(c->feed), end = s->first_sample + s->sample_count;
	int64_t stop = s->last ? total : end;
	if (total >= 0 && total < stop)
		stop = total;
	return (struct convert_result){
		.samples = stop > s->first_sample ? stop - s->first_sample : 0,
		.bytes = c->out.index.bytes,
		.part_count = c->out.part_count,
		.decode_errors = sound_feed_decode_errors(c->feed),
		.end_of_media = total >= 0 && (s->last || total <= end),
	};
}

static int make_chunk(struct chunk *c, const struct media_io *io, bool whole, struct err *e)
{
	const struct convert_spec *s = &c->task->convert;
	const struct encode_range range = encode_range(s);
	const struct sound_feed_opts o = { .task = c->task, .io = io, .whole = whole, .from = range.from, .to = range.to,
					   .sink = feed_encoder, .ctx = c };
	convert_out_init(&c->out, s, io);
	c->family = encode_family(s->format);
	int r = sound_feed_open(&o, &c->feed, e);
	if (r < 0)
		return r;
	const struct encode_job job = { .spec = s, .out = &c->out, .from = range.from,
					.dither = wants_dither(s, sound_feed_parameters(c->feed)),
					.source = s->tags ? sound_feed_format(c->feed) : NULL };
	r = c->family->open(&job, &c->encoder, e);
	if (r == 0)
		r = sound_feed_run(c->feed, e);
	if (r == 0)
		r = c->family->finish(c->encoder, sound_feed_total(c->feed), e);
	if (r < 0)
		return r;
	struct convert_result res = result_of(c);
	r = convert_out_finish(&c->out, res.samples, e);
	res.part_count = c->out.part_count;
	if (r == 0)
		*c->ret = res;
	return r;
}

static int make(void *ctx, const struct media_io *io, bool whole, struct err *e)
{
	struct chunk *c = ctx;
	int r = make_chunk(c, io, whole, e);
	if (c->encoder)
		c->family->close(c->encoder);
	c->encoder = NULL;
	sound_feed_free(&c->feed);
	convert_out_release(&c->out);
	return r;
}

int media_convert(const struct task_spec *task, const struct media_io *io, struct convert_result *ret, struct err *e)
{
	if (task->kind != TASK_CONVERT || task->input_count < 1)
		return err_set(e, ERR_INVALID, "not a chunk of a conversion");
	struct chunk c = { .task = task, .ret = ret };
	return media_attempt(io, make, &c, e);
}

/* ---- Loudness ---- */

struct measure {
	struct loudness_meter *meter;
	uint32_t channels;
	int64_t samples;
	float *interleaved;
	int capacity;
};

static int add(void *ctx, const float *const *planes, int count, struct err *e)
{
	struct measure *m = ctx;
	if (count > m->capacity) {
		m->interleaved = mr_reallocarray(m->interleaved, (size_t)count * m->channels, sizeof(float));
		m->capacity = count;
	}
	for (uint32_t c = 0; c < m->channels; c++)
		for (int i = 0; i < count; i++)
			m->interleaved[(size_t)i * m->channels + c] = planes[c][i];
	m->samples += count;
	return loudness_meter_add(m->meter, m->interleaved, (size_t)count, e);
}

static int measure_sound(const struct task_spec *task, const struct media_io *io, struct measure *m, struct err *e)
{
	struct task_spec *before = mr_calloc(1, sizeof(*before)); /* what is measured has no gain yet */
	*before = *task;
	before->convert.gain_mb = 0;
	struct sound_feed *feed = NULL;
	const struct sound_feed_opts o = { .task = before, .io = io, .whole = true, .to = INT64_MAX, .sink = add, .ctx = m };
	int r = sound_feed_open(&o, &feed, e);
	if (r == 0)
		r = sound_feed_run(feed, e);
	sound_feed_free(&feed);
	free(before);
	return r;
}

int media_measure(const struct task_spec *task, const struct media_io *io, struct measure_result *ret, struct err *e)
{
	if (task->kind != TASK_MEASURE || task->input_count < 1)
		return err_set(e, ERR_INVALID, "not a measurement");
	struct measure m = { .channels = task->convert.channels };
	struct measure_result res = { 0 };
	AVChannelLayout layout = { 0 };
	int r = audio_layout((int)m.channels, &layout);
	r = r < 0 ? err_set(e, ERR_INVALID, "%u channels", m.channels)
		  : loudness_meter_new((int)task->convert.rate, &layout, &m.meter, e);
	if (r == 0)
		r = measure_sound(task, io, &m, e);
	if (r == 0)
		r = loudness_meter_read(m.meter, &res.loudness, e);
	loudness_meter_free(&m.meter);
	free(m.interleaved);
	if (r < 0)
		return r;
	res.samples = m.samples;
	res.has_loudness = res.loudness.integrated_mlufs != LOUDNESS_UNKNOWN;
	*ret = res;
	return 0;
}
