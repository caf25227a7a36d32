/* Encoding of a conversion: its specification (parent → task) and its results (task → parent). A specification that the
 * format's encoder can't take is refused where it is made. */
#include "proto/codec_convert.h"

#include "proto/codec_analyze.h"

#define RATE_MIN 8000u
#define RATE_MAX 192000u
#define SAMPLES_MAX (INT64_MAX / 1000000) /* a year and a half at 192 kHz; products with rates don't overflow */
#define NS_MAX (INT64_MAX / 4)

void walk_convert_spec(struct wire *w, struct convert_spec *s)
{
	uint32_t format = (uint32_t)s->format, sample = (uint32_t)s->sample;
	wire_u32(w, &format);
	wire_u32(w, &sample);
	if (format < CONVERT_MP3 || format > CONVERT_FLAC || sample > SAMPLE_F32) {
		wire_fault(w, "an unknown format");
		format = CONVERT_WAV;
		sample = SAMPLE_S16;
	}
	s->format = (enum convert_format)format;
	s->sample = (enum convert_sample)sample;
	wire_i32(w, &s->stream);
	wire_u32(w, &s->rate);
	wire_u32(w, &s->channels);
	wire_u32(w, &s->bitrate_bps);
	wire_u32(w, &s->quality);
	wire_i32(w, &s->gain_mb);
	wire_bool(w, &s->quick);
	wire_bool(w, &s->tags);
	wire_i64(w, &s->origin_ns);
	wire_i64(w, &s->start_sample);
	wire_i64(w, &s->end_sample);
	wire_i64(w, &s->first_sample);
	wire_i64(w, &s->sample_count);
	wire_bool(w, &s->last);
	wire_bool(w, &s->sequential);
}

static bool rate_in(uint32_t rate, const uint32_t *list)
{
	while (*list && *list != rate)
		list++;
	return *list;
}

static bool rate_fits(const struct convert_spec *s)
{
	static const uint32_t mp3[] = { 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 0 };
	static const uint32_t aac[] = { 8000,  11025, 12000, 16000, 22050, 24000, 32000,
					44100, 48000, 64000, 88200, 96000, 0 };
	static const uint32_t opus[] = { 8000, 12000, 16000, 24000, 48000, 0 };
	switch (s->format) {
	case CONVERT_MP3:
		return rate_in(s->rate, mp3);
	case CONVERT_AAC:
	case CONVERT_M4A:
		return rate_in(s->rate, aac);
	case CONVERT_OPUS:
		return rate_in(s->rate, opus);
	case CONVERT_OGG:
	case CONVERT_WAV:
	case CONVERT_FLAC:
		break;
	}
	return s->rate >= RATE_MIN && s->rate <= RATE_MAX;
}

static bool coding_fits(const struct convert_spec *s)
{
	const bool plain = s->sample == SAMPLE_CODED;
	switch (s->format) {
	case CONVERT_MP3:
		return plain && (s->bitrate_bps ? !s->quality : s->quality <= 9);
	case CONVERT_OGG:
		return plain && (s->bitrate_bps ? !s->quality : s->quality <= 10);
	case CONVERT_AAC:
	case CONVERT_M4A:
	case CONVERT_OPUS:
		return plain && s->bitrate_bps && !s->quality;
	case CONVERT_WAV:
		return !plain && !s->bitrate_bps && !s->quality;
	case CONVERT_FLAC:
		return (s->sample == SAMPLE_S16 || s->sample == SAMPLE_S24) && !s->bitrate_bps && !s->quality;
	}
	return false;
}

static const char *check_range(const struct convert_spec *s, enum task_kind kind)
{
	const bool to_end = s->end_sample == CONVERT_TO_END;
	if (s->origin_ns <= -NS_MAX || s->origin_ns >= NS_MAX || s->start_sample < 0 || s->start_sample > SAMPLES_MAX ||
	    (!to_end && (s->end_sample <= s->start_sample || s->end_sample > SAMPLES_MAX)))
		return "origin, start or end out of range";
	if (s->first_sample < 0 || s->sample_count < 1 || s->first_sample > SAMPLES_MAX || s->sample_count > SAMPLES_MAX)
		return "a chunk's samples are out of range";
	const uint32_t grid = convert_grid_samples(s->format, s->rate);
	const bool whole = s->first_sample == 0 && s->last;
	if ((kind != TASK_CONVERT || !grid) && !whole)
		return "a part of what is made in one piece";
	if (grid && (s->first_sample % grid || (!s->last && s->sample_count % grid)))
		return "a chunk off the codec's grid";
	return NULL;
}

const char *check_convert_spec(const struct convert_spec *s, enum task_kind kind, uint32_t input_count)
{
	if (input_count != (kind == TASK_JOIN ? CONVERT_JOIN_INPUTS : 1))
		return "a conversion with too few or too many inputs";
	if (s->format < CONVERT_MP3 || s->format > CONVERT_FLAC || s->stream < 0 || s->stream >= TASK_STREAMS_MAX)
		return "format or stream out of range";
	if (s->channels < 1 || s->channels != convert_channels(s->format, s->channels))
		return "channels that the format doesn't have, or none";
	if (!rate_fits(s))
		return "a sample rate that the format doesn't have";
	if (!coding_fits(s) || (s->quick && s->format != CONVERT_MP3))
		return "samples, bit rate or quality that the format doesn't have";
	if (s->gain_mb < -CONVERT_GAIN_MAX_MB || s->gain_mb > CONVERT_GAIN_MAX_MB)
		return "gain out of range";
	return check_range(s, kind);
}

void walk_convert_result(struct wire *w, struct task_result *r)
{
	if (r->kind == TASK_CONVERT) {
		wire_i64(w, &r->convert.samples);
		wire_u64(w, &r->convert.bytes);
		wire_u32(w, &r->convert.part_count);
		wire_u32(w, &r->convert.decode_errors);
		wire_bool(w, &r->convert.end_of_media);
	} else if (r->kind == TASK_MEASURE) {
		wire_i64(w, &r->measure.samples);
		wire_bool(w, &r->measure.has_loudness);
		walk_loudness(w, &r->measure.loudness);
	} else {
		wire_i64(w, &r->join.samples);
		wire_u64(w, &r->join.head_bytes);
		wire_u64(w, &r->join.tail_bytes);
		wire_u64(w, &r->join.bytes);
		wire_u32(w, &r->join.bitrate_bps);
	}
}

static bool samples_valid(int64_t samples)
{
	return samples >= 0 && samples <= SAMPLES_MAX;
}

const char *check_convert_result(const struct task_result *r)
{
	const struct convert_result *c = &r->convert;
	const struct join_result *j = &r->join;
	switch (r->kind) {
	case TASK_CONVERT:
		if (!samples_valid(c->samples) || c->part_count > CONVERT_PARTS_MAX || !c->part_count != !c->bytes ||
		    c->bytes > c->part_count * CONVERT_PART_MAX_BYTES)
			return "samples, parts or their size out of range";
		return NULL;
	case TASK_MEASURE:
		return samples_valid(r->measure.samples) ? NULL : "samples out of range";
	default:
		if (!samples_valid(j->samples) || j->head_bytes > TASK_OBJECT_MAX_BYTES ||
		    j->tail_bytes > TASK_OBJECT_MAX_BYTES || j->bytes > INT64_MAX || j->bytes < j->head_bytes + j->tail_bytes)
			return "samples or sizes of a joined file out of range";
		return NULL;
	}
}

const char *check_convert_object(const struct task_object *o)
{
	if (!o->size_bytes || o->rendition)
		return "an empty piece of a conversion";
	if (o->kind == TASK_OBJECT_PART && (o->size_bytes > CONVERT_PART_MAX_BYTES || o->index >= CONVERT_PARTS_MAX))
		return "a part too large, or too many";
	if (o->head_bytes > TASK_OBJECT_MAX_BYTES)
		return "a head too large";
	return o->kind != TASK_OBJECT_PART && o->index ? "a second of what there is one of" : NULL;
}
