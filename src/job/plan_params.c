/* A ladder's request parameters: reading, defaults, canonical form. Pure; runs in the server. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "job/params_json.h"
#include "job/plan.h"
#include "job/plan_codecs.h"

#define RUNG_MIN 64
#define RUNG_MAX 4320
#define CRF_MIN 10 /* below it x264 knows almost no loss, and files explode */
#define CRF_MAX 51
#define MAXRATE_MIN 50000
#define MAXRATE_MAX 100000000
#define FRAME_RATE_MIN 1
#define FRAME_RATE_MAX 240
#define BUFSIZE_RATIO_MAX 4 /* of maxrate, either way */
#define SEGMENT_SECONDS_MIN 2
#define SEGMENT_SECONDS_MAX 10

void ladder_params_default(struct ladder_params *p)
{
	*p = (struct ladder_params){ .container = CONTAINER_FMP4, .segment_seconds = 4, .codecs = CODEC_BIT(VIDEO_H264) };
}

static int falling(const void *a, const void *b)
{
	const struct rung_params *x = a, *y = b;
	if (x->side == y->side)
		return (x->codecs > y->codecs) - (x->codecs < y->codecs);
	return (x->side < y->side) - (x->side > y->side);
}

/* "720p" */
static int parse_side(const char *text, size_t len, uint32_t *ret, struct err *e)
{
	uint32_t side = 0;
	size_t i = 0;
	for (; i < len && text[i] >= '0' && text[i] <= '9' && side <= RUNG_MAX; i++)
		side = side * 10 + (uint32_t)(text[i] - '0');
	if (i == 0 || len - i != 1 || text[i] != 'p' || side < RUNG_MIN || side > RUNG_MAX || side % 2)
		return err_set(e, ERR_INVALID,
			       "rungs: \"%.*s\" is not a rung: an even shorter side from %dp to %dp, such as \"720p\"",
			       (int)(len < 32 ? len : 32), text, RUNG_MIN, RUNG_MAX);
	*ret = side;
	return 0;
}

/* The list is kept falling and without repeats. Which codecs a rung has that names none isn't known yet. */
static int add_rung(struct ladder_params *p, const struct rung_params *rung, struct err *e)
{
	for (uint32_t k = 0; k < p->rung_count; k++) {
		if (p->rungs[k].side != rung->side || p->rungs[k].codecs != rung->codecs)
			continue;
		if (memcmp(&p->rungs[k], rung, sizeof(*rung)) == 0)
			return 0;
		return err_set(e, ERR_INVALID, "rungs: %up is asked for in two ways", rung->side);
	}
	if (p->rung_count == TASK_RUNGS_MAX)
		return err_set(e, ERR_INVALID, "rungs: at most %d", TASK_RUNGS_MAX);
	p->rungs[p->rung_count++] = *rung;
	qsort(p->rungs, p->rung_count, sizeof(p->rungs[0]), falling);
	return 0;
}

int ladder_params_parse_rungs(const char *list, struct ladder_params *p, struct err *e)
{
	struct ladder_params out = *p;
	out.rung_count = 0;
	for (;;) {
		size_t n = strcspn(list, ",");
		struct rung_params rung = { 0 };
		int r = parse_side(list, n, &rung.side, e);
		if (r == 0)
			r = add_rung(&out, &rung, e);
		if (r < 0)
			return r;
		if (!list[n])
			break;
		list += n + 1;
	}
	*p = out;
	return 0;
}

static int read_rung_field(const char *name, json_t *v, struct rung_params *rung, struct err *e)
{
	if (strcmp(name, "name") == 0)
		return json_is_string(v) ? parse_side(json_string_value(v), json_string_length(v), &rung->side, e)
					 : err_set(e, ERR_INVALID, "name: expected one such as \"720p\"");
	if (strcmp(name, "maxrate") == 0)
		return params_whole(name, v, MAXRATE_MIN, MAXRATE_MAX, &rung->maxrate_bps, e);
	if (strcmp(name, "bufsize") == 0)
		return params_whole(name, v, MAXRATE_MIN / BUFSIZE_RATIO_MAX, MAXRATE_MAX * BUFSIZE_RATIO_MAX,
				    &rung->bufsize_bits, e);
	if (strcmp(name, "codec") == 0)
		return codec_bits_add(name, json_is_string(v) ? json_string_value(v) : "", json_string_length(v),
				      &rung->codecs, e);
	double number = 0;
	if (strcmp(name, "frame_rate") == 0) {
		int r = params_number(name, v, FRAME_RATE_MIN, FRAME_RATE_MAX, &number, e);
		if (r == 0)
			rung->frame_rate_milli = (uint32_t)(number * 1000 + 0.5);
		return r;
	}
	if (strcmp(name, "crf") != 0)
		return err_set(e, ERR_INVALID,
			       "%.64s: not a parameter of a rung (name, codec, crf, maxrate, bufsize, frame_rate)", name);
	int r = params_number(name, v, CRF_MIN, CRF_MAX, &number, e);
	if (r == 0)
		rung->crf_x10 = (uint32_t)(number * 10 + 0.5);
	return r;
}

/* "720p", or {"name": "720p", "codec": "h264", "crf": 22, "maxrate": 3000000, "bufsize": 3000000, "frame_rate": 30}. */
static int read_rung(json_t *item, struct rung_params *ret, struct err *e)
{
	if (json_is_string(item))
		return parse_side(json_string_value(item), json_string_length(item), &ret->side, e);
	if (!json_is_object(item))
		return err_set(e, ERR_INVALID, "expected a name such as \"720p\", or an object with a name");
	const char *name;
	json_t *v;
	json_object_foreach(item, name, v)
	{
		int r = read_rung_field(name, v, ret, e);
		if (r < 0)
			return r;
	}
	if (!ret->side)
		return err_set(e, ERR_INVALID, "no name");
	if (ret->bufsize_bits && !ret->maxrate_bps)
		return err_set(e, ERR_INVALID, "bufsize: needs maxrate");
	/* A cap over a moment starves keyframes; one over many seconds is none. */
	if (ret->bufsize_bits > (uint64_t)ret->maxrate_bps * BUFSIZE_RATIO_MAX ||
	    (ret->bufsize_bits && ret->bufsize_bits < ret->maxrate_bps / BUFSIZE_RATIO_MAX))
		return err_set(e, ERR_INVALID, "bufsize: expected from a quarter of maxrate to four times as much");
	return 0;
}

static int read_rungs(json_t *v, struct ladder_params *p, struct err *e)
{
	size_t i;
	json_t *item;
	if (!json_is_array(v) || json_array_size(v) == 0)
		return err_set(e, ERR_INVALID, "rungs: expected a list of names such as [\"720p\", \"480p\"]");
	json_array_foreach(v, i, item)
	{
		struct rung_params rung = { 0 };
		int r = read_rung(item, &rung, e);
		if (r < 0)
			return err_wrap(e, "rungs[%zu]", i);
		r = add_rung(p, &rung, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct ladder_tracks *tracks_named(struct ladder_params *p, const char *name, uint32_t *ret_max)
{
	bool audio = strcmp(name, "audio_tracks") == 0;
	*ret_max = audio ? TASK_AUDIOS_MAX : TASK_SUBTITLES_MAX;
	return audio ? &p->audio_tracks : &p->subtitle_tracks;
}

static int add_track(struct ladder_tracks *t, uint32_t max, const char *name, int64_t stream, struct err *e)
{
	if (stream < 0 || stream >= TASK_STREAMS_MAX)
		return err_set(e, ERR_INVALID, "%s: a stream's index is from 0 to %d", name, TASK_STREAMS_MAX - 1);
	for (uint32_t i = 0; i < t->count; i++)
		if (t->streams[i] == stream)
			return err_set(e, ERR_INVALID, "%s: stream %d twice", name, (int)stream);
	if (t->count == max)
		return err_set(e, ERR_INVALID, "%s: at most %u", name, max);
	t->streams[t->count++] = (uint32_t)stream;
	return 0;
}

int ladder_params_parse_tracks(const char *list, const char *name, struct ladder_params *p, struct err *e)
{
	struct ladder_tracks tracks = { .chosen = true };
	uint32_t max;
	struct ladder_tracks *out = tracks_named(p, name, &max);
	while (*list) {
		size_t n = strspn(list, "0123456789");
		if (n < 1 || n > 3 || (list[n] && (list[n] != ',' || !list[n + 1])))
			return err_set(e, ERR_INVALID, "%s: expected the streams' indices, such as 1,2", name);
		int r = add_track(&tracks, max, name, strtol(list, NULL, 10), e);
		if (r < 0)
			return r;
		list += n + (list[n] == ',');
	}
	*out = tracks;
	return 0;
}

static int read_tracks(const char *name, json_t *v, struct ladder_params *p, struct err *e)
{
	size_t i;
	json_t *item;
	uint32_t max;
	struct ladder_tracks *t = tracks_named(p, name, &max);
	if (!json_is_array(v))
		return err_set(e, ERR_INVALID, "%s: expected a list of streams' indices such as [1, 2]", name);
	t->chosen = true;
	json_array_foreach(v, i, item)
	{
		int r = json_is_integer(item) ? add_track(t, max, name, json_integer_value(item), e)
					      : err_set(e, ERR_INVALID, "%s[%zu]: expected a stream's index", name, i);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *const copy_names[] = { [COPY_AUTO] = "auto", [COPY_ALWAYS] = "always", [COPY_NEVER] = "never" };

int ladder_params_parse_copy(const char *choice, struct ladder_params *p, struct err *e)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(copy_names); i++)
		if (choice && strcmp(choice, copy_names[i]) == 0) {
			p->copy = (enum copy_choice)i;
			return 0;
		}
	return err_set(e, ERR_INVALID, "copy: expected \"auto\", \"always\" or \"never\"");
}

static int read_field(const char *name, json_t *v, struct ladder_params *p, struct err *e)
{
	if (strcmp(name, "container") == 0) {
		const char *s = json_string_value(v);
		if (!s || (strcmp(s, "fmp4") != 0 && strcmp(s, "ts") != 0))
			return err_set(e, ERR_INVALID, "container: expected \"fmp4\" or \"ts\"");
		p->container = strcmp(s, "ts") == 0 ? CONTAINER_TS : CONTAINER_FMP4;
		return 0;
	}
	if (strcmp(name, "segment_seconds") == 0)
		return params_whole(name, v, SEGMENT_SECONDS_MIN, SEGMENT_SECONDS_MAX, &p->segment_seconds, e);
	if (strcmp(name, "rungs") == 0)
		return read_rungs(v, p, e);
	if (strcmp(name, "codecs") == 0)
		return codec_bits_read(name, v, &p->codecs, e);
	if (strcmp(name, "copy") == 0)
		return ladder_params_parse_copy(json_string_value(v), p, e);
	if (strcmp(name, "audio_tracks") == 0 || strcmp(name, "subtitle_tracks") == 0)
		return read_tracks(name, v, p, e);
	return err_set(e, ERR_INVALID,
		       "params.%.64s: not a parameter of a ladder (container, segment_seconds, rungs, codecs, copy,"
		       " audio_tracks, subtitle_tracks)",
		       name);
}

int ladder_params_parse(const char *json, struct ladder_params *ret, struct err *e)
{
	struct ladder_params p;
	ladder_params_default(&p);
	if (json && *json) {
		json_error_t je;
		json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &je);
		if (!json_is_object(root)) {
			json_decref(root);
			return err_set(e, ERR_INVALID, "params: expected an object");
		}
		const char *name;
		json_t *v;
		int r = 0;
		json_object_foreach(root, name, v)
		{
			r = read_field(name, v, &p, e);
			if (r < 0)
				break;
		}
		json_decref(root);
		if (r == 0)
			r = ladder_params_check(&p, e);
		if (r < 0)
			return r;
	}
	*ret = p;
	return 0;
}

static void format_tracks(struct buf *b, const char *name, const struct ladder_tracks *t)
{
	if (!t->chosen)
		return;
	(void)buf_printf(b, ",\"%s\":[", name);
	for (uint32_t i = 0; i < t->count; i++)
		(void)buf_printf(b, "%s%u", i ? "," : "", t->streams[i]);
	(void)buf_puts(b, "]");
}

static void format_rung(struct buf *b, const struct rung_params *r, bool first)
{
	(void)buf_puts(b, first ? "" : ",");
	if (!r->codecs && !r->crf_x10 && !r->maxrate_bps && !r->frame_rate_milli) {
		(void)buf_printf(b, "\"%up\"", r->side);
		return;
	}
	(void)buf_printf(b, "{\"name\":\"%up\"", r->side);
	if (r->codecs) {
		(void)buf_puts(b, ",\"codec\":");
		codec_bits_format(b, r->codecs);
	}
	if (r->crf_x10)
		(void)buf_printf(b, ",\"crf\":%u.%u", r->crf_x10 / 10, r->crf_x10 % 10);
	if (r->maxrate_bps)
		(void)buf_printf(b, ",\"maxrate\":%u", r->maxrate_bps);
	if (r->bufsize_bits)
		(void)buf_printf(b, ",\"bufsize\":%u", r->bufsize_bits);
	if (r->frame_rate_milli)
		(void)buf_printf(b, ",\"frame_rate\":%u.%03u", r->frame_rate_milli / 1000, r->frame_rate_milli % 1000);
	(void)buf_puts(b, "}");
}

char *ladder_params_format(const struct ladder_params *p)
{
	struct buf b;
	buf_init(&b, 4096);
	(void)buf_printf(&b, "{\"container\":\"%s\",\"segment_seconds\":%u,\"rungs\":[",
			 p->container == CONTAINER_TS ? "ts" : "fmp4", p->segment_seconds);
	for (uint32_t i = 0; i < p->rung_count; i++)
		format_rung(&b, &p->rungs[i], i == 0);
	(void)buf_puts(&b, "],\"codecs\":[");
	codec_bits_format(&b, p->codecs);
	(void)buf_printf(&b, "],\"copy\":\"%s\"", copy_names[p->copy]);
	format_tracks(&b, "audio_tracks", &p->audio_tracks);
	format_tracks(&b, "subtitle_tracks", &p->subtitle_tracks);
	(void)buf_puts(&b, "}");
	return buf_steal(&b);
}
