/* A narration's plan, and its constants as the job's row keeps them. Pure. The numbers here decide the bytes of every output:
 * changing one changes them for new jobs only. */
#include "job/plan_narrate.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ATTACK_MS 300
#define RELEASE_MS 900
#define HOLD_MS 300
#define GAP_MS 350
#define PEAK_MDBTP (-1000)
#define MUSIC_LEAST_NS INT64_C(1000000000)
/* About what a voice needs for a byte of text. */
#define MS_PER_BYTE 65
/* Tables, clocks and stuffing of TS, against the sound's own rate: for players that choose by it. */
#define TS_OVERHEAD_PERCENT 25

/* ---- constants ---- */

static json_t *items_json(const struct script *s)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < s->item_count; i++)
		json_array_append_new(list, s->items[i].text ? json_string(s->items[i].text)
							      : json_integer((json_int_t)s->items[i].pause_ms));
	return list;
}

static char *format_constants(const struct narrate_spec *s, const struct script *script, const char *provider, const char *voice)
{
	json_t *o = json_pack("{ss ss si si si si sI si si si si si si si si si si si si so}", "provider", provider, "voice", voice,
			      "bitrate_bps", (int)s->bitrate_bps, "target_mlufs", (int)s->target_mlufs, "peak_mdbtp",
			      (int)s->peak_mdbtp, "music_stream", (int)s->music_stream, "music_origin_ns",
			      (json_int_t)s->music_origin_ns, "music_below_mdb", (int)s->music_below_mdb, "music_mlufs",
			      (int)s->music_mlufs, "duck_mdb", (int)s->duck_mdb, "attack_ms", (int)s->attack_ms, "release_ms",
			      (int)s->release_ms, "hold_ms", (int)s->hold_ms, "fade_in_ms", (int)s->fade_in_ms, "fade_out_ms",
			      (int)s->fade_out_ms, "crossfade_ms", (int)s->crossfade_ms, "lead_ms", (int)s->lead_ms, "tail_ms",
			      (int)s->tail_ms, "gap_ms", (int)s->gap_ms, "items", items_json(script));
	json_object_set_new(o, "min_ms", json_integer((json_int_t)s->min_ms));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!text)
		abort(); /* out of memory: all of it is UTF-8 */
	return text;
}

static int unreadable(struct err *e)
{
	return err_set(e, ERR_INTERNAL, "the narration's stored plan cannot be read");
}

static int number(const json_t *o, const char *name, int32_t *ret)
{
	const json_t *v = json_object_get(o, name);
	*ret = (int32_t)json_integer_value(v);
	return json_is_integer(v) ? 0 : -1;
}

static int read_spec(const json_t *o, struct narrate_spec *s)
{
	const struct {
		const char *name;
		int32_t *value;
	} fields[] = { { "bitrate_bps", (int32_t *)&s->bitrate_bps },
		       { "target_mlufs", &s->target_mlufs },
		       { "peak_mdbtp", &s->peak_mdbtp },
		       { "music_stream", &s->music_stream },
		       { "music_below_mdb", &s->music_below_mdb },
		       { "music_mlufs", &s->music_mlufs },
		       { "duck_mdb", &s->duck_mdb },
		       { "attack_ms", (int32_t *)&s->attack_ms },
		       { "release_ms", (int32_t *)&s->release_ms },
		       { "hold_ms", (int32_t *)&s->hold_ms },
		       { "fade_in_ms", (int32_t *)&s->fade_in_ms },
		       { "fade_out_ms", (int32_t *)&s->fade_out_ms },
		       { "crossfade_ms", (int32_t *)&s->crossfade_ms },
		       { "lead_ms", (int32_t *)&s->lead_ms },
		       { "tail_ms", (int32_t *)&s->tail_ms },
		       { "gap_ms", (int32_t *)&s->gap_ms },
		       { "min_ms", (int32_t *)&s->min_ms } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(fields); i++)
		if (number(o, fields[i].name, fields[i].value) < 0)
			return -1;
	const json_t *origin = json_object_get(o, "music_origin_ns");
	s->music_origin_ns = json_integer_value(origin);
	return json_is_integer(origin) ? 0 : -1;
}

static int read_items(const json_t *list, struct script *s)
{
	size_t i;
	json_t *item;
	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > NARRATE_ITEMS_MAX)
		return -1;
	s->items = mr_calloc(json_array_size(list), sizeof(*s->items));
	json_array_foreach(list, i, item)
	{
		struct script_item *x = &s->items[s->item_count++];
		if (json_is_string(item)) {
			x->text = mr_strdup(json_string_value(item));
			s->sentence_count++;
		} else if (json_is_integer(item) && json_integer_value(item) > 0) {
			x->pause_ms = (uint32_t)json_integer_value(item);
			s->pause_ms += x->pause_ms;
		} else {
			return -1;
		}
	}
	return 0;
}

int narrate_constants_parse(const char *json, struct narrate_constants *ret, struct err *e)
{
	struct narrate_constants c = { 0 };
	const char *provider, *voice;
	json_t *o = json_loads(json, 0, NULL);
	int r = json_unpack(o, "{ss ss}", "provider", &provider, "voice", &voice);
	if (r == 0)
		r = read_spec(o, &c.spec);
	if (r == 0)
		r = read_items(json_object_get(o, "items"), &c.script);
	if (r == 0) {
		c.provider = mr_strdup(provider);
		c.voice = mr_strdup(voice);
	}
	json_decref(o);
	if (r < 0) {
		narrate_constants_release(&c);
		return unreadable(e);
	}
	*ret = c;
	return 0;
}

void narrate_constants_release(struct narrate_constants *c)
{
	script_release(&c->script);
	free(c->provider);
	free(c->voice);
	*c = (struct narrate_constants){ 0 };
}

struct narrate_spec narrate_chunk_spec(const struct narrate_constants *c, uint32_t resume_segment)
{
	struct narrate_spec s = c->spec;
	s.resume_segment = resume_segment;
	s.item_count = c->script.item_count;
	s.items = mr_calloc(s.item_count, sizeof(*s.items));
	for (uint32_t i = 0; i < s.item_count; i++)
		s.items[i] = c->script.items[i].text ? 0 : c->script.items[i].pause_ms;
	return s;
}

/* ---- the plan ---- */

static int64_t about_ms(const struct narrate_params *p)
{
	int64_t ms = (int64_t)p->lead_ms + p->tail_ms + p->parsed.pause_ms;
	for (uint32_t i = 0; i < p->parsed.item_count; i++)
		if (p->parsed.items[i].text)
			ms += GAP_MS + MS_PER_BYTE * (int64_t)strlen(p->parsed.items[i].text);
	return ms > p->min_ms ? ms : p->min_ms;
}

static int plan_music(const struct narrate_music *m, struct narrate_spec *s, struct err *e)
{
	const struct probe_result *probe = m->probe;
	if (probe->best_audio < 0)
		return err_set_code(e, ERR_MEDIA, "NO_AUDIO", "the music has no sound that can be decoded");
	if (probe->duration_ns < MUSIC_LEAST_NS)
		return err_set_code(e, ERR_MEDIA, "MUSIC_TOO_SHORT", "the music is shorter than a second");
	const int64_t start_ns = probe->streams[probe->best_audio].start_ns;
	s->music_stream = probe->best_audio;
	s->music_origin_ns = start_ns == TICKS_UNKNOWN ? probe->start_ns : start_ns;
	s->music_mlufs = m->mlufs;
	return 0;
}

int narrate_plan(const struct narrate_params *p, const struct narrate_music *music, const char *provider, struct narrate_plan *ret,
		 struct err *e)
{
	struct narrate_spec s = { .bitrate_bps = p->bitrate_bps,
				  .target_mlufs = p->target_mlufs,
				  .peak_mdbtp = PEAK_MDBTP,
				  .music_stream = -1,
				  .music_below_mdb = p->music_gain_mdb,
				  .music_mlufs = NARRATE_GAIN_UNKNOWN,
				  .duck_mdb = p->duck_mdb,
				  .attack_ms = ATTACK_MS,
				  .release_ms = RELEASE_MS,
				  .hold_ms = HOLD_MS,
				  .fade_in_ms = p->fade_ms,
				  .fade_out_ms = p->fade_ms,
				  .crossfade_ms = p->crossfade_ms,
				  .lead_ms = p->lead_ms,
				  .tail_ms = p->tail_ms,
				  .gap_ms = GAP_MS,
				  .min_ms = p->min_ms };
	int r = music ? plan_music(music, &s, e) : 0;
	if (r < 0)
		return r;
	const int64_t ms = about_ms(p);
	if (ms / 1000 >= NARRATE_SEGMENTS_MAX * NARRATE_SEGMENT_SECONDS)
		return err_set_code(e, ERR_MEDIA, "TOO_LONG", "the narration would be longer than %d hours",
				    NARRATE_SEGMENTS_MAX * NARRATE_SEGMENT_SECONDS / 3600);
	*ret = (struct narrate_plan){
		.rendition = { .kind = RENDITION_AUDIO,
			       .channels = 2,
			       .is_default = true,
			       .timescale = NARRATE_RATE,
			       .declared_bps = (uint64_t)s.bitrate_bps * (100 + TS_OVERHEAD_PERCENT) / 100 },
		.duration_ticks = ms * (VIDEO_TIMESCALE / 1000),
		.chunks = { { .kind = CHUNK_NARRATE, .last = true, .weight_ticks = ms * (VIDEO_TIMESCALE / 1000) },
			    { .kind = CHUNK_FINISH, .waits = true } },
		.spec_json = format_constants(&s, &p->parsed, provider, p->voice),
	};
	return 0;
}

void narrate_plan_release(struct narrate_plan *p)
{
	free(p->spec_json);
	*p = (struct narrate_plan){ 0 };
}

struct job_plan narrate_job_plan(const struct narrate_plan *p)
{
	return (struct job_plan){ .spec_json = p->spec_json,
				  .duration_ticks = p->duration_ticks,
				  .target_duration_s = NARRATE_SEGMENT_SECONDS,
				  .rendition_count = 1,
				  .renditions = &p->rendition,
				  .chunk_count = MR_ARRAY_SIZE(p->chunks),
				  .chunks = p->chunks };
}
