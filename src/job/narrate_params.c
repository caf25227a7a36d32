/* A narration's request parameters: reading and canonical form. Pure; runs in the server. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/params_json.h"
#include "job/plan_narrate.h"

#define VOICE_MAX_BYTES 100
#define DUCK_DEFAULT_MDB (-6000)

static const char *text_of(json_t *v, size_t max)
{
	const char *s = json_string_value(v);
	return s && *s && json_string_length(v) <= max ? s : NULL;
}

static int read_script(json_t *v, struct narrate_params *p, struct err *e)
{
	if (!json_is_string(v))
		return err_set(e, ERR_INVALID, "script: expected text");
	int r = script_parse(json_string_value(v), json_string_length(v), &p->parsed, e);
	if (r < 0)
		return err_wrap(e, "script");
	p->script = mr_strndup(json_string_value(v), json_string_length(v));
	return 0;
}

static int read_voice(json_t *v, struct narrate_params *p, struct err *e)
{
	const char *s = text_of(v, VOICE_MAX_BYTES);
	if (!s)
		return err_set(e, ERR_INVALID, "voice: expected a name of 1 to %d bytes", VOICE_MAX_BYTES);
	p->voice = mr_strdup(s);
	return 0;
}

static int read_music(json_t *v, struct narrate_params *p, struct err *e)
{
	const char *s = json_string_value(v);
	if (!s || !uuid_valid(s))
		return err_set(e, ERR_INVALID, "music_file_id: expected the id of a file");
	memcpy(p->music_file_id, s, UUID_SIZE);
	return 0;
}

static int read_seconds(const char *name, json_t *v, double max, uint32_t *ret_ms, struct err *e)
{
	int32_t ms = 0;
	int r = params_milli(name, v, 0, max, &ms, e);
	if (r == 0)
		*ret_ms = (uint32_t)ms;
	return r;
}

/* true, false, or the gain itself. */
static int read_duck(json_t *v, struct narrate_params *p, struct err *e)
{
	if (json_is_boolean(v)) {
		p->duck_mdb = json_is_true(v) ? DUCK_DEFAULT_MDB : 0;
		return 0;
	}
	return params_milli("duck", v, -40, 0, &p->duck_mdb, e);
}

/* Those that aren't given follow from fade_seconds. */
struct given {
	bool lead, tail;
};

static int read_time(const char *name, json_t *v, struct narrate_params *p, struct given *g, struct err *e)
{
	if (strcmp(name, "fade_seconds") == 0)
		return read_seconds(name, v, 60, &p->fade_ms, e);
	if (strcmp(name, "crossfade_seconds") == 0)
		return read_seconds(name, v, 30, &p->crossfade_ms, e);
	if (strcmp(name, "min_seconds") == 0)
		return read_seconds(name, v, 6 * 3600 - 60, &p->min_ms, e);
	g->lead = g->lead || strcmp(name, "lead_seconds") == 0;
	if (strcmp(name, "lead_seconds") == 0)
		return read_seconds(name, v, 600, &p->lead_ms, e);
	g->tail = g->tail || strcmp(name, "tail_seconds") == 0;
	if (strcmp(name, "tail_seconds") == 0)
		return read_seconds(name, v, 600, &p->tail_ms, e);
	return err_set(e, ERR_INVALID,
		       "%.64s: not known (script, voice, music_file_id, music_gain_db, duck, target_lufs, bitrate, fade_seconds, "
		       "lead_seconds, tail_seconds, crossfade_seconds, min_seconds)",
		       name);
}

static int read_field(const char *name, json_t *v, struct narrate_params *p, struct given *g, struct err *e)
{
	if (json_is_null(v))
		return 0;
	if (strcmp(name, "script") == 0)
		return read_script(v, p, e);
	if (strcmp(name, "voice") == 0)
		return read_voice(v, p, e);
	if (strcmp(name, "music_file_id") == 0)
		return read_music(v, p, e);
	if (strcmp(name, "music_gain_db") == 0)
		return params_milli(name, v, -60, 0, &p->music_gain_mdb, e);
	if (strcmp(name, "target_lufs") == 0)
		return params_milli(name, v, -40, -10, &p->target_mlufs, e);
	if (strcmp(name, "duck") == 0)
		return read_duck(v, p, e);
	if (strcmp(name, "bitrate") == 0)
		return params_whole(name, v, 64000, 320000, &p->bitrate_bps, e);
	return read_time(name, v, p, g, e);
}

int narrate_params_parse(const char *json, struct narrate_params *ret, struct err *e)
{
	struct narrate_params p = { .music_gain_mdb = -18000, .duck_mdb = DUCK_DEFAULT_MDB, .target_mlufs = -16000,
				    .bitrate_bps = 128000, .fade_ms = 4000, .crossfade_ms = 2000 };
	struct given given = { 0 };
	json_t *o = json_loads(json && *json ? json : "{}", 0, NULL), *item;
	const char *name;
	int r = json_is_object(o) ? 0 : err_set(e, ERR_INVALID, "params: expected an object");
	json_object_foreach(o, name, item)
	{
		if (r == 0)
			r = read_field(name, item, &p, &given, e);
	}
	json_decref(o);
	if (r == 0 && !p.script)
		r = err_set_code(e, ERR_INVALID, "MISSING_FIELD", "script: missing");
	p.lead_ms = given.lead ? p.lead_ms : p.fade_ms;
	p.tail_ms = given.tail && p.tail_ms > p.fade_ms ? p.tail_ms : p.fade_ms; /* the fade's beginning must be behind the voice */
	if (r < 0) {
		narrate_params_release(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void narrate_params_release(struct narrate_params *p)
{
	free(p->script);
	free(p->voice);
	script_release(&p->parsed);
	*p = (struct narrate_params){ 0 };
}

char *narrate_params_format(const struct narrate_params *p, const char *cache_key)
{
	const char *music = p->music_file_id[0] ? p->music_file_id : NULL;
	json_t *o = json_pack("{ss sI si ss? ss? sf sf sf si sf sf sf sf sf}", "tts_cache_key", cache_key, "script_bytes",
			      (json_int_t)strlen(p->script), "sentences", (int)p->parsed.sentence_count, "voice", p->voice,
			      "music_file_id", music, "music_gain_db", p->music_gain_mdb / 1000.0, "duck", p->duck_mdb / 1000.0,
			      "target_lufs", p->target_mlufs / 1000.0, "bitrate", (int)p->bitrate_bps, "fade_seconds",
			      p->fade_ms / 1000.0, "lead_seconds", p->lead_ms / 1000.0, "tail_seconds", p->tail_ms / 1000.0,
			      "crossfade_seconds", p->crossfade_ms / 1000.0, "min_seconds", p->min_ms / 1000.0);
	char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(o);
	if (!text)
		abort(); /* out of memory: nothing else can fail here */
	return text;
}
