/* Planning a conversion: what was not asked for is chosen by the source, then the chunks. Pure; runs in the server. */
#include "job/plan_convert.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FIRST_SECONDS 10
/* What isn't an encoder's frame, so that rows count in numbers of the same size whatever the format. */
#define PLAIN_GRID 1024
#define NS 1000000000

/* How much of the work measuring and joining are, in hundredths of the file's length. */
#define MEASURE_PERCENT 20
#define JOIN_PERCENT 2

/* ---- what the encoder is told ---- */

static const uint32_t mp3_rates[] = { 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000 };
static const uint32_t aac_rates[] = { 7350,  8000,  11025, 12000, 16000, 22050, 24000,
				      32000, 44100, 48000, 64000, 88200, 96000 };
static const uint32_t opus_rates[] = { 48000 };

static const uint32_t *rates_of(enum convert_format format, size_t *ret_count)
{
	switch (format) {
	case CONVERT_MP3:
		*ret_count = MR_ARRAY_SIZE(mp3_rates);
		return mp3_rates;
	case CONVERT_AAC:
	case CONVERT_M4A:
		*ret_count = MR_ARRAY_SIZE(aac_rates);
		return aac_rates;
	case CONVERT_OPUS:
		*ret_count = MR_ARRAY_SIZE(opus_rates);
		return opus_rates;
	case CONVERT_WAV:
	case CONVERT_OGG:
	case CONVERT_FLAC:
		break;
	}
	*ret_count = 0;
	return NULL;
}

/* The source's, or the next higher one that the format knows. */
static int choose_rate(const struct convert_params *p, const struct probe_stream *s, uint32_t *ret, struct err *e)
{
	size_t n;
	const uint32_t *rates = rates_of(p->format, &n);
	uint32_t want = p->sample_rate ? p->sample_rate : s->sample_rate;
	if (!rates) {
		*ret = want < 8000 ? 8000 : want > 192000 ? 192000 : want;
		return 0;
	}
	uint32_t rate = rates[n - 1];
	for (size_t i = n; i-- > 0 && rates[i] >= want;)
		rate = rates[i];
	if (p->sample_rate && rate != p->sample_rate)
		return err_set(e, ERR_INVALID, "sample_rate: %s has no %u; the nearest is %u", convert_format_name(p->format),
			       p->sample_rate, rate);
	*ret = rate;
	return 0;
}

/* Of Vorbis, by nominal rate of two channels in kbit/s. */
static uint32_t vorbis_quality(uint32_t bps, uint32_t channels)
{
	static const uint32_t kbps[] = { 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500 };
	uint32_t two = bps / channels * 2 / 1000, q = 0;
	while (q < 10 && two >= (kbps[q] + kbps[q + 1]) / 2)
		q++;
	return q;
}

static uint32_t of_quality(enum convert_quality q, uint32_t low, uint32_t medium, uint32_t high)
{
	return q == QUALITY_LOW ? low : q == QUALITY_HIGH ? high : medium;
}

static int choose_mp3(const struct convert_params *p, struct convert_spec *s, struct err *e)
{
	uint32_t max = s->rate >= 32000 ? 320000 : s->rate >= 16000 ? 160000 : 64000;
	uint32_t min = s->rate >= 32000 ? 32000 : 8000;
	if (p->vbr >= 0) {
		s->quality = (uint32_t)p->vbr;
	} else if (p->quality) {
		s->quality = of_quality(p->quality, 6, 4, 0);
	} else if (p->bitrate_bps) {
		if (p->bitrate_bps > max || p->bitrate_bps < min || (s->rate >= 32000 && p->bitrate_bps == 144000))
			return err_set(e, ERR_INVALID, "bitrate: at %u Hz MP3 has %u to %u", s->rate, min, max);
		s->bitrate_bps = p->bitrate_bps;
	} else {
		uint32_t two = s->rate >= 32000 ? 192000 : s->rate >= 16000 ? 96000 : 64000;
		s->bitrate_bps = two / 2 * s->channels;
	}
	return 0;
}

static int choose_bitrate(const struct convert_params *p, struct convert_spec *s, struct err *e)
{
	/* AAC: 6144 bits a frame and channel (ISO/IEC 14496-3, 4.5.3). */
	uint64_t cap = s->format == CONVERT_OPUS ? 510000 : (uint64_t)6 * s->rate * s->channels;
	uint32_t one = s->format == CONVERT_OPUS ? of_quality(p->quality, 32000, 64000, 96000)
						 : of_quality(p->quality, 48000, 80000, 128000);
	uint32_t bps = p->bitrate_bps ? p->bitrate_bps : one * s->channels;
	if (p->bitrate_bps > cap)
		return err_set(e, ERR_INVALID, "bitrate: at most %llu with %u channels at %u Hz", (unsigned long long)cap,
			       s->channels, s->rate);
	s->bitrate_bps = bps > cap ? (uint32_t)cap : bps;
	return 0;
}

/* More than 16 bits are kept where the source is known to have them. */
static enum convert_sample choose_sample(const struct convert_params *p, const struct probe_stream *s)
{
	if (p->bits)
		return p->bits == 16 ? SAMPLE_S16 : p->bits == 24 ? SAMPLE_S24 : SAMPLE_F32;
	static const char *const deep[] = { "pcm_s24", "pcm_s32", "pcm_f32", "pcm_f64", "pcm_u24", "pcm_u32" };
	bool is_deep = p->quality == QUALITY_HIGH;
	for (size_t i = 0; i < MR_ARRAY_SIZE(deep); i++)
		is_deep = is_deep || strncmp(s->codec, deep[i], strlen(deep[i])) == 0;
	return is_deep ? SAMPLE_S24 : SAMPLE_S16;
}

static int choose_coding(const struct convert_params *p, const struct probe_stream *stream, struct convert_spec *s,
			 struct err *e)
{
	switch (p->format) {
	case CONVERT_MP3:
		return choose_mp3(p, s, e);
	case CONVERT_AAC:
	case CONVERT_M4A:
	case CONVERT_OPUS:
		return choose_bitrate(p, s, e);
	case CONVERT_OGG:
		s->quality = p->vbr >= 0	? (uint32_t)p->vbr
			     : p->bitrate_bps ? vorbis_quality(p->bitrate_bps, s->channels)
					      : of_quality(p->quality, 2, 5, 8);
		return 0;
	case CONVERT_WAV:
	case CONVERT_FLAC:
		s->sample = choose_sample(p, stream);
		return 0;
	}
	return 0;
}

/* ---- times ---- */

static const struct probe_stream *best_audio(const struct probe_result *probe)
{
	for (uint32_t i = 0; i < probe->stream_count; i++)
		if ((int32_t)probe->streams[i].index == probe->best_audio && probe->streams[i].sample_rate)
			return &probe->streams[i];
	return NULL;
}

static int64_t samples_of_ns(int64_t ns, uint32_t rate)
{
	return ns / NS * rate + (ns % NS * rate + NS / 2) / NS;
}

static uint32_t grid_of(const struct convert_spec *s)
{
	uint32_t grid = convert_grid_samples(s->format, s->rate);
	return grid > 1 ? grid : PLAIN_GRID;
}

/* The sound's own beginning and length; what the container says of the whole file where it doesn't say. */
static int choose_range(const struct probe_result *probe, const struct probe_stream *s, const struct convert_params *p,
			struct convert_spec *out, struct err *e)
{
	out->origin_ns = s->start_ns != TICKS_UNKNOWN ? s->start_ns : probe->start_ns;
	int64_t length_ns = s->duration_ns > 0 ? s->duration_ns : probe->start_ns + probe->duration_ns - out->origin_ns;
	int64_t length = samples_of_ns(length_ns > 0 ? length_ns : 0, out->rate);
	int64_t end = samples_of_ns(p->end_ms * 1000000, out->rate);
	out->start_sample = samples_of_ns(p->start_ms * 1000000, out->rate);
	out->end_sample = p->end_ms ? end : CONVERT_TO_END;
	const bool known = probe->duration_ns > 0;
	if (known && out->start_sample && out->start_sample >= length)
		return err_set(e, ERR_INVALID, "start: the sound has only %.3f s", (double)length / out->rate);
	if (!known) /* one chunk, which goes on to the end */
		length = out->start_sample + grid_of(out);
	out->first_sample = 0;
	out->sample_count = (p->end_ms && (!known || end < length) ? end : length) - out->start_sample;
	return 0;
}

/* ---- chunks ---- */

static int64_t frames_of_seconds(int64_t seconds, const struct convert_spec *s)
{
	return (seconds * s->rate + grid_of(s) - 1) / grid_of(s);
}

/* Beginning a chunk costs 20 to 30 ms: as much as encoding two seconds does, or as twenty seconds of what is hardly any work. Of
 * AAC it is 70 ms: its encoder looks for its quantizers anew.
 * Where the source's demuxer can only count its way to a place (MP3), it costs more the further behind it is; since a chunk of a
 * long file may be longer, their number has a bound, and the time for all of them stays in proportion to the file's length. */
struct chunk_shape {
	int64_t min_seconds, max_seconds, share; /* of what remains */
};
#define CHUNKS_LONG 64
static struct chunk_shape shape_of(const struct convert_spec *s)
{
	if (s->format == CONVERT_WAV)
		return (struct chunk_shape){ 60, 600, 3 };
	if (s->format == CONVERT_AAC || s->format == CONVERT_M4A)
		return (struct chunk_shape){ 20, 120, 6 };
	return s->format == CONVERT_FLAC ? (struct chunk_shape){ 30, 180, 4 } : (struct chunk_shape){ 10, 60, 8 };
}

/* How many frames the chunk that begins at `first` has, of `total`. */
static int64_t chunk_frames(int64_t first, int64_t total, uint32_t equal, const struct convert_spec *s)
{
	const struct chunk_shape shape = shape_of(s);
	int64_t left = total - first, n = left / shape.share;
	int64_t min = frames_of_seconds(shape.min_seconds, s), max = frames_of_seconds(shape.max_seconds, s);
	max = max > total / CHUNKS_LONG ? max : total / CHUNKS_LONG;
	for (int64_t count = equal; equal && (count == equal || n > max); count += equal)
		n = (total + count - 1) / count; /* a multiple: no core is idle while others have one more */
	n = n < min ? min : n > max ? max : n;
	if (first == 0 && !equal)
		n = frames_of_seconds(FIRST_SECONDS, s);
	return left - n < min / 2 ? left : n; /* no scrap at the end */
}

static struct plan_chunk *add_chunk(struct convert_plan *p, enum chunk_kind kind, int64_t weight_ticks)
{
	p->chunks = mr_reallocarray(p->chunks, p->chunk_count + 1, sizeof(*p->chunks));
	struct plan_chunk *c = &p->chunks[p->chunk_count++];
	*c = (struct plan_chunk){ .kind = kind, .waits = true, .weight_ticks = weight_ticks };
	return c;
}

static void plan_chunks(struct convert_plan *p)
{
	const struct convert_spec *s = &p->spec;
	bool pieces = convert_grid_samples(s->format, s->rate) && !s->sequential;
	int64_t total = (s->sample_count + grid_of(s) - 1) / grid_of(s);
	int64_t measure = p->params.normalize ? MEASURE_PERCENT : 0, percent = 100 - JOIN_PERCENT - measure, done = 0;
	if (measure)
		add_chunk(p, CHUNK_MEASURE, p->duration_ticks * measure / 100);
	do {
		int64_t n = pieces ? chunk_frames(done, total, p->params.equal_chunks, s) : total;
		int64_t share = total ? p->duration_ticks * percent / 100 * n / total : 0;
		struct plan_chunk *c = add_chunk(p, CHUNK_CONVERT, share);
		c->first_segment = (uint32_t)done;
		c->segment_count = (uint32_t)n;
		done += n;
		c->last = done >= total;
	} while (done < total);
	add_chunk(p, CHUNK_JOIN, p->duration_ticks * JOIN_PERCENT / 100);
	for (uint32_t i = 0; i < p->chunk_count; i++)
		p->chunks[i].waits = p->chunks[i].kind != p->chunks[0].kind;
}

int convert_plan(const struct probe_result *probe, const struct convert_params *params, struct convert_plan *ret,
		 struct err *e)
{
	const struct probe_stream *stream = best_audio(probe);
	if (!stream)
		return err_set_code(e, ERR_MEDIA, "NO_AUDIO", "there is no sound in it that could be decoded");
	struct convert_plan p = { .params = *params };
	struct convert_spec *s = &p.spec;
	uint32_t channels_max = params->format == CONVERT_MP3 ? 2 : CONVERT_CHANNELS_MAX;
	*s = (struct convert_spec){ .format = params->format,
				    .stream = (int32_t)stream->index,
				    .tags = !params->drop_tags,
				    .quick = params->quick,
				    .sequential = !probe->seekable,
				    .last = true };
	s->channels = params->channels ? params->channels : stream->channels < channels_max ? stream->channels : channels_max;
	s->channels = convert_channels(s->format, s->channels ? s->channels : 1);
	int r = choose_rate(params, stream, &s->rate, e);
	if (r == 0)
		r = choose_coding(params, stream, s, e);
	if (r == 0)
		r = choose_range(probe, stream, params, s, e);
	if (r < 0)
		return r;
	assert(s->rate);
	if (s->sample_count / grid_of(s) >= UINT32_MAX)
		return err_set(e, ERR_TOO_LARGE, "the sound is too long");
	p.duration_ticks = s->sample_count / s->rate * VIDEO_TIMESCALE + s->sample_count % s->rate * VIDEO_TIMESCALE / s->rate;
	plan_chunks(&p);
	p.spec_json = convert_constants_format(&(struct convert_constants){
		.spec = *s,
		.normalize = params->normalize,
		.target_mlufs = params->target_mlufs,
		.peak_mdbtp = params->peak_mdbtp,
		.remove_after_download = params->remove_after_download });
	*ret = p;
	return 0;
}

void convert_plan_release(struct convert_plan *p)
{
	free(p->chunks);
	free(p->spec_json);
	*p = (struct convert_plan){ 0 };
}

struct job_plan convert_job_plan(const struct convert_plan *p)
{
	return (struct job_plan){ .spec_json = p->spec_json,
				  .duration_ticks = p->duration_ticks,
				  .chunk_count = p->chunk_count,
				  .chunks = p->chunks };
}

/* ---- one chunk ---- */

bool convert_length_known(const struct convert_constants *c)
{
	return c->spec.sample_count > grid_of(&c->spec);
}

struct convert_spec convert_chunk_spec(const struct convert_constants *c, const struct chunk *chunk)
{
	struct convert_spec s = c->spec;
	s.first_sample = (int64_t)chunk->first_segment * grid_of(&s);
	s.sample_count = (int64_t)chunk->segment_count * grid_of(&s);
	if (chunk->last)
		s.sample_count = c->spec.sample_count - s.first_sample;
	s.last = chunk->last;
	return s;
}

int32_t convert_gain_mb(const struct convert_constants *c, const struct measure_result *m)
{
	if (!c->normalize || !m->has_loudness || m->loudness.integrated_mlufs == LOUDNESS_UNKNOWN)
		return 0;
	int32_t gain = c->target_mlufs - m->loudness.integrated_mlufs;
	if (m->loudness.true_peak_mdbtp != LOUDNESS_UNKNOWN && gain > c->peak_mdbtp - m->loudness.true_peak_mdbtp)
		gain = c->peak_mdbtp - m->loudness.true_peak_mdbtp;
	gain = gain / 10 - (gain % 10 < 0); /* down: never above the peak */
	return gain > CONVERT_GAIN_MAX_MB ? CONVERT_GAIN_MAX_MB : gain < -CONVERT_GAIN_MAX_MB ? -CONVERT_GAIN_MAX_MB : gain;
}
