/* A conversion's texts in the database. Pure; server and worker process. */
#include "job/convert_json.h"

#include <jansson.h>
#include <stdlib.h>

static char *text_of(json_t *take_value)
{
	char *text = json_dumps(take_value, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(take_value);
	if (!text)
		abort(); /* out of memory: all of it is ASCII */
	return text;
}

static int unreadable(struct err *e)
{
	return err_set(e, ERR_INTERNAL, "the conversion's stored plan or result cannot be read");
}

/* ---- constants ---- */

char *convert_constants_format(const struct convert_constants *c)
{
	const struct convert_spec *s = &c->spec;
	json_t *o = json_pack("{si si si si si si si sb sI sI sI sI sb sb si si sb sb}", "format", (int)s->format, "sample",
			      (int)s->sample, "stream", (int)s->stream, "rate", (int)s->rate, "channels",
			      (int)s->channels, "bitrate_bps", (int)s->bitrate_bps, "quality", (int)s->quality, "tags",
			      (int)s->tags, "origin_ns", (json_int_t)s->origin_ns, "start_sample",
			      (json_int_t)s->start_sample, "end_sample", (json_int_t)s->end_sample, "sample_count",
			      (json_int_t)s->sample_count, "sequential", (int)s->sequential, "normalize",
			      (int)c->normalize, "target_mlufs", (int)c->target_mlufs, "peak_mdbtp", (int)c->peak_mdbtp,
			      "remove_after_download", (int)c->remove_after_download, "quick", (int)s->quick);
	return text_of(o);
}

int convert_constants_parse(const char *json, struct convert_constants *ret, struct err *e)
{
	int format, sample, stream, rate, channels, bitrate, quality, tags, sequential, normalize, target, peak, removing;
	int quick = false; /* plans of older releases don't say */
	json_int_t origin, start, end, count;
	json_t *o = json_loads(json, 0, NULL);
	int r = json_unpack(o, "{si si si si si si si sb sI sI sI sI sb sb si si sb s?b}", "format", &format, "sample", &sample,
			    "stream", &stream, "rate", &rate, "channels", &channels, "bitrate_bps", &bitrate, "quality",
			    &quality, "tags", &tags, "origin_ns", &origin, "start_sample", &start, "end_sample", &end,
			    "sample_count", &count, "sequential", &sequential, "normalize", &normalize, "target_mlufs",
			    &target, "peak_mdbtp", &peak, "remove_after_download", &removing, "quick", &quick);
	json_decref(o);
	if (r < 0)
		return unreadable(e);
	*ret = (struct convert_constants){ .spec = { .format = (enum convert_format)format,
						     .sample = (enum convert_sample)sample,
						     .stream = stream,
						     .rate = (uint32_t)rate,
						     .channels = (uint32_t)channels,
						     .bitrate_bps = (uint32_t)bitrate,
						     .quality = (uint32_t)quality,
						     .quick = quick,
						     .tags = tags,
						     .origin_ns = origin,
						     .start_sample = start,
						     .end_sample = end,
						     .sample_count = count,
						     .last = true,
						     .sequential = sequential },
					   .normalize = normalize,
					   .target_mlufs = target,
					   .peak_mdbtp = peak,
					   .remove_after_download = removing };
	return 0;
}

/* ---- steps ---- */

char *convert_step_format(const struct convert_result *r)
{
	return text_of(json_pack("{sI sI sI}", "samples", (json_int_t)r->samples, "bytes", (json_int_t)r->bytes, "parts",
				 (json_int_t)r->part_count));
}

int convert_step_parse(const char *json, struct convert_result *ret, struct err *e)
{
	json_int_t samples, bytes, parts;
	json_t *o = json_loads(json, 0, NULL);
	int r = json_unpack(o, "{sI sI sI}", "samples", &samples, "bytes", &bytes, "parts", &parts);
	json_decref(o);
	if (r < 0 || samples < 0 || bytes < 0 || parts < 0 || parts > CONVERT_PARTS_MAX)
		return unreadable(e);
	*ret = (struct convert_result){ .samples = samples, .bytes = (uint64_t)bytes, .part_count = (uint32_t)parts };
	return 0;
}

static json_t *milli(bool known, int32_t v)
{
	return known && v != LOUDNESS_UNKNOWN ? json_real(v / 1000.0) : json_null();
}

char *convert_measure_format(const struct measure_result *m, int32_t gain_mb)
{
	return text_of(json_pack("{si so so}", "gain_mb", (int)gain_mb, "integrated_lufs",
				 milli(m->has_loudness, m->loudness.integrated_mlufs), "true_peak_dbtp",
				 milli(m->has_loudness, m->loudness.true_peak_mdbtp)));
}

int convert_measure_gain(const char *json, int32_t *ret_gain_mb, struct err *e)
{
	int gain;
	json_t *o = json_loads(json, 0, NULL);
	int r = json_unpack(o, "{si}", "gain_mb", &gain);
	json_decref(o);
	if (r < 0)
		return unreadable(e);
	*ret_gain_mb = gain;
	return 0;
}

/* ---- the job ---- */

char *convert_result_format(const struct convert_constants *c, const struct join_result *j, const char *sha256,
			    const char *measured)
{
	const struct convert_spec *s = &c->spec;
	json_t *o = json_pack("{ss sI ss sf si si sI}", "format", convert_format_name(s->format), "bytes",
			      (json_int_t)j->bytes, "sha256", sha256, "duration", (double)j->samples / s->rate, "sample_rate",
			      (int)s->rate, "channels", (int)s->channels, "bitrate", (json_int_t)j->bitrate_bps);
	json_t *m = measured ? json_loads(measured, 0, NULL) : NULL;
	json_t *gain = json_object_get(m, "gain_mb");
	if (gain)
		json_object_set_new(o, "loudness",
				    json_pack("{sO sO sf}", "source_lufs", json_object_get(m, "integrated_lufs"),
					      "source_true_peak_dbtp", json_object_get(m, "true_peak_dbtp"), "gain_db",
					      (double)json_integer_value(gain) / 100));
	json_decref(m);
	return text_of(o);
}
