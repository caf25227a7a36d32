/* A conversion's request parameters: reading, what goes with which format, canonical form. Pure; runs in the server. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/params_json.h"
#include "job/plan_convert.h"

#define RATE_MIN 8000
#define RATE_MAX 192000
#define BITRATE_MIN 6000
#define BITRATE_MAX 1024000
#define SECONDS_MAX (7 * 24 * 3600)
#define TARGET_DEFAULT_MLUFS (-16000)
#define PEAK_DEFAULT_MDBTP (-1000)

static const struct {
	const char *name, *extension;
	bool lossless, vbr;
	uint32_t vbr_max;
	uint32_t channels_max;
} formats[] = {
	[CONVERT_MP3] = { "mp3", "mp3", .vbr = true, .vbr_max = 9, .channels_max = 2 },
	[CONVERT_WAV] = { "wav", "wav", .lossless = true, .channels_max = 8 },
	[CONVERT_AAC] = { "aac", "aac", .channels_max = 8 },
	[CONVERT_M4A] = { "m4a", "m4a", .channels_max = 8 },
	[CONVERT_OGG] = { "ogg", "ogg", .vbr = true, .vbr_max = 10, .channels_max = 8 },
	[CONVERT_OPUS] = { "opus", "opus", .channels_max = 8 },
	[CONVERT_FLAC] = { "flac", "flac", .lossless = true, .channels_max = 8 },
};
static const char *const qualities[] = {
	[QUALITY_UNSET] = "", [QUALITY_LOW] = "low", [QUALITY_MEDIUM] = "medium", [QUALITY_HIGH] = "high"
};

bool convert_format_parse(const char *name, enum convert_format *ret)
{
	for (unsigned i = CONVERT_MP3; i < MR_ARRAY_SIZE(formats); i++) {
		if (strcmp(formats[i].name, name) != 0)
			continue;
		*ret = (enum convert_format)i;
		return true;
	}
	return false;
}

const char *convert_format_name(enum convert_format format)
{
	return formats[format].name;
}

const char *convert_format_extension(enum convert_format format)
{
	return formats[format].extension;
}

/* ---- fields ---- */

static int read_format(json_t *v, struct convert_params *p, struct err *e)
{
	const char *s = json_string_value(v);
	if (!s || !convert_format_parse(s, &p->format))
		return err_set(e, ERR_INVALID, "format: expected mp3, wav, aac, m4a, ogg, opus or flac");
	return 0;
}

static int read_seconds(const char *name, json_t *v, int64_t *ret_ms, struct err *e)
{
	double s = 0;
	int r = params_number(name, v, 0, SECONDS_MAX, &s, e);
	if (r == 0)
		*ret_ms = (int64_t)(s * 1000 + 0.5);
	return r;
}

static int read_quality(json_t *v, struct convert_params *p, struct err *e)
{
	const char *s = json_string_value(v);
	for (unsigned i = QUALITY_LOW; s && i < MR_ARRAY_SIZE(qualities); i++)
		if (strcmp(s, qualities[i]) == 0)
			p->quality = (enum convert_quality)i;
	return p->quality ? 0 : err_set(e, ERR_INVALID, "quality: expected low, medium or high");
}

static int read_vbr(json_t *v, struct convert_params *p, struct err *e)
{
	uint32_t n = 0;
	int r = params_whole("vbr", v, 0, 10, &n, e);
	if (r == 0)
		p->vbr = (int32_t)n;
	return r;
}

/* true, a target in LUFS, or {"target_lufs": -16, "true_peak_dbtp": -1}. */
static int read_normalize(json_t *v, struct convert_params *p, struct err *e)
{
	const char *name;
	json_t *item;
	int r = 0;
	p->normalize = !json_is_false(v);
	if (json_is_boolean(v))
		return 0;
	if (json_is_number(v))
		return params_milli("normalize", v, -70, -5, &p->target_mlufs, e);
	if (!json_is_object(v))
		return err_set(e, ERR_INVALID, "normalize: expected true, a number of LUFS, or an object");
	json_object_foreach(v, name, item)
	{
		if (strcmp(name, "target_lufs") == 0)
			r = params_milli("normalize.target_lufs", item, -70, -5, &p->target_mlufs, e);
		else if (strcmp(name, "true_peak_dbtp") == 0)
			r = params_milli("normalize.true_peak_dbtp", item, -9, 0, &p->peak_mdbtp, e);
		else
			r = err_set(e, ERR_INVALID, "normalize.%.64s: not known (target_lufs, true_peak_dbtp)", name);
		if (r < 0)
			break;
	}
	return r;
}

static int read_tags(json_t *v, struct convert_params *p, struct err *e)
{
	const char *s = json_string_value(v);
	if (!s || (strcmp(s, "keep") != 0 && strcmp(s, "none") != 0))
		return err_set(e, ERR_INVALID, "tags: expected keep or none");
	p->drop_tags = strcmp(s, "none") == 0;
	return 0;
}

static int read_remove(json_t *v, struct convert_params *p, struct err *e)
{
	if (!json_is_boolean(v))
		return err_set(e, ERR_INVALID, "delete_after_download: expected true or false");
	p->remove_after_download = json_is_true(v);
	return 0;
}

static int read_field(const char *name, json_t *v, struct convert_params *p, struct err *e)
{
	if (strcmp(name, "format") == 0)
		return read_format(v, p, e);
	if (strcmp(name, "bitrate") == 0)
		return params_whole(name, v, BITRATE_MIN, BITRATE_MAX, &p->bitrate_bps, e);
	if (strcmp(name, "vbr") == 0)
		return read_vbr(v, p, e);
	if (strcmp(name, "quality") == 0)
		return read_quality(v, p, e);
	if (strcmp(name, "sample_rate") == 0)
		return params_whole(name, v, RATE_MIN, RATE_MAX, &p->sample_rate, e);
	if (strcmp(name, "channels") == 0)
		return params_whole(name, v, 1, CONVERT_CHANNELS_MAX, &p->channels, e);
	if (strcmp(name, "bits") == 0)
		return params_whole(name, v, 16, 32, &p->bits, e);
	if (strcmp(name, "start") == 0)
		return read_seconds(name, v, &p->start_ms, e);
	if (strcmp(name, "end") == 0)
		return read_seconds(name, v, &p->end_ms, e);
	if (strcmp(name, "normalize") == 0)
		return read_normalize(v, p, e);
	if (strcmp(name, "tags") == 0)
		return read_tags(v, p, e);
	if (strcmp(name, "delete_after_download") == 0)
		return read_remove(v, p, e);
	return err_set(e, ERR_INVALID,
		       "params.%.64s: not a parameter of a conversion (format, bitrate, vbr, quality, sample_rate, channels,"
		       " bits, start, end, normalize, tags, delete_after_download)",
		       name);
}

/* ---- what goes with which format ---- */

/* ISO/IEC 11172-3 and 13818-3, layer III: for sample rates from 32 kHz on, and for lower ones. */
static const uint32_t mp3_bitrates[2][14] = {
	{ 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 },
	{ 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },
};

static bool is_mp3_bitrate(uint32_t bps)
{
	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < MR_ARRAY_SIZE(mp3_bitrates[t]); i++)
			if (mp3_bitrates[t][i] * 1000 == bps)
				return true;
	return false;
}

static int check_rate(const struct convert_params *p, struct err *e)
{
	const char *name = formats[p->format].name;
	bool given = p->bitrate_bps != 0;
	if (given + (p->vbr >= 0) + (p->quality != QUALITY_UNSET) > 1)
		return err_set(e, ERR_INVALID, "bitrate, vbr and quality: one of them at most");
	if (given && formats[p->format].lossless)
		return err_set(e, ERR_INVALID, "bitrate: %s has none to choose (bits decides)", name);
	if (p->vbr >= 0 && !formats[p->format].vbr)
		return err_set(e, ERR_INVALID, "vbr: only for mp3 and ogg");
	if (p->vbr > (int32_t)formats[p->format].vbr_max)
		return err_set(e, ERR_INVALID, "vbr: %s has 0 to %u", name, formats[p->format].vbr_max);
	if (given && p->format == CONVERT_MP3 && !is_mp3_bitrate(p->bitrate_bps))
		return err_set(e, ERR_INVALID, "bitrate: MP3 has 32000 to 320000 in steps such as 128000, 160000, 192000");
	if (given && p->format == CONVERT_OPUS && p->bitrate_bps > 510000)
		return err_set(e, ERR_INVALID, "bitrate: Opus has 6000 to 510000");
	if (given && (p->format == CONVERT_AAC || p->format == CONVERT_M4A || p->format == CONVERT_OGG) && p->bitrate_bps < 16000)
		return err_set(e, ERR_INVALID, "bitrate: %s begins at 16000", name);
	return 0;
}

static int check_shape(const struct convert_params *p, struct err *e)
{
	const char *name = formats[p->format].name;
	if (p->channels > formats[p->format].channels_max)
		return err_set(e, ERR_INVALID, "channels: %s has at most %u", name, formats[p->format].channels_max);
	if (p->bits && !formats[p->format].lossless)
		return err_set(e, ERR_INVALID, "bits: only for wav and flac");
	if (p->bits && p->bits != 16 && p->bits != 24 && (p->bits != 32 || p->format != CONVERT_WAV))
		return err_set(e, ERR_INVALID, "bits: expected 16 or 24%s",
			       p->format == CONVERT_WAV ? ", or 32 for floating point" : "");
	if (p->bits && p->quality)
		return err_set(e, ERR_INVALID, "bits and quality: one of them at most");
	if (p->end_ms && p->end_ms <= p->start_ms)
		return err_set(e, ERR_INVALID, "end: expected later than start");
	return 0;
}

int convert_params_parse(const char *json, struct convert_params *ret, struct err *e)
{
	struct convert_params p = { .vbr = -1, .target_mlufs = TARGET_DEFAULT_MLUFS, .peak_mdbtp = PEAK_DEFAULT_MDBTP };
	json_t *root = json && *json ? json_loads(json, JSON_REJECT_DUPLICATES, NULL) : json_object();
	const char *name;
	json_t *v;
	int r = json_is_object(root) ? 0 : err_set(e, ERR_INVALID, "params: expected an object");
	if (r == 0 && !json_object_get(root, "format"))
		r = err_set(e, ERR_INVALID, "format: missing (mp3, wav, aac, m4a, ogg, opus or flac)");
	if (r == 0)
		json_object_foreach(root, name, v)
		{
			r = read_field(name, v, &p, e);
			if (r < 0)
				break;
		}
	json_decref(root);
	if (r == 0)
		r = check_rate(&p, e);
	if (r == 0)
		r = check_shape(&p, e);
	if (r == 0)
		*ret = p;
	return r;
}

static void set_seconds(json_t *o, const char *name, int64_t ms)
{
	if (ms)
		json_object_set_new(o, name, json_real((double)ms / 1000));
}

static void set_whole(json_t *o, const char *name, int64_t v, bool given)
{
	if (given)
		json_object_set_new(o, name, json_integer(v));
}

char *convert_params_format(const struct convert_params *p)
{
	json_t *o = json_pack("{ss ss}", "format", formats[p->format].name, "tags", p->drop_tags ? "none" : "keep");
	set_whole(o, "bitrate", p->bitrate_bps, p->bitrate_bps != 0);
	set_whole(o, "vbr", p->vbr, p->vbr >= 0);
	if (p->quality)
		json_object_set_new(o, "quality", json_string(qualities[p->quality]));
	set_whole(o, "sample_rate", p->sample_rate, p->sample_rate != 0);
	set_whole(o, "channels", p->channels, p->channels != 0);
	set_whole(o, "bits", p->bits, p->bits != 0);
	set_seconds(o, "start", p->start_ms);
	set_seconds(o, "end", p->end_ms);
	if (p->normalize)
		json_object_set_new(o, "normalize",
				    json_pack("{sf sf}", "target_lufs", p->target_mlufs / 1000.0, "true_peak_dbtp",
					      p->peak_mdbtp / 1000.0));
	if (p->remove_after_download)
		json_object_set_new(o, "delete_after_download", json_true());
	char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(10));
	json_decref(o);
	if (!text)
		abort(); /* out of memory: all of it is ASCII */
	return text;
}
