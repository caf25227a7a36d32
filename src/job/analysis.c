/* Planning an analysis and its result as JSON. Pure; runs in the server and worker. */
#include "job/analysis.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- plan ---- */

static int32_t cover_of(const struct probe_result *probe)
{
	for (uint32_t i = 0; i < probe->stream_count; i++)
		if (probe->streams[i].attached_picture)
			return (int32_t)probe->streams[i].index;
	return -1;
}

static char *text_of(json_t *take_value)
{
	char *text = json_dumps(take_value, JSON_COMPACT);
	json_decref(take_value);
	if (!text)
		abort(); /* out of memory: the texts were checked to be UTF-8 when they were decoded */
	return text;
}

static uint32_t rotation_of(const struct probe_result *probe)
{
	for (uint32_t i = 0; i < probe->stream_count; i++)
		if ((int32_t)probe->streams[i].index == probe->best_video)
			return probe->streams[i].rotation_degrees;
	return 0;
}

void analysis_plan(const struct probe_result *probe, const char *prefix, struct analysis_plan *ret)
{
	struct analysis_plan p = { .duration_ticks = probe->duration_ns / 100000 * 9, .prefix = mr_strdup(prefix) };
	p.chunk = (struct plan_chunk){ .kind = CHUNK_ANALYZE, .last = true, .weight_ticks = p.duration_ticks };
	p.spec_json = text_of(json_pack("{si si si si sb sI sI}", "video_stream", probe->best_video, "audio_stream",
					probe->best_audio, "cover_stream", cover_of(probe), "rotation_degrees",
					(int)rotation_of(probe), "seekable", (int)probe->seekable, "origin_ns",
					(json_int_t)probe->start_ns, "duration_ns", (json_int_t)probe->duration_ns));
	*ret = p;
}

void analysis_plan_release(struct analysis_plan *p)
{
	free(p->spec_json);
	free(p->prefix);
	*p = (struct analysis_plan){ 0 };
}

struct job_plan analysis_job_plan(const struct analysis_plan *p)
{
	return (struct job_plan){ .spec_json = p->spec_json,
				  .duration_ticks = p->duration_ticks,
				  .chunk_count = 1,
				  .chunks = &p->chunk };
}

int analysis_spec_parse(const char *json, struct analyze_spec *ret, struct err *e)
{
	int video, audio, cover, rotation, seekable;
	json_int_t origin, duration;
	json_t *o = json_loads(json, 0, NULL);
	int r = json_unpack(o, "{si si si si sb sI sI}", "video_stream", &video, "audio_stream", &audio, "cover_stream",
			    &cover, "rotation_degrees", &rotation, "seekable", &seekable, "origin_ns", &origin,
			    "duration_ns", &duration);
	json_decref(o);
	if (r < 0)
		return err_set(e, ERR_INTERNAL, "the job's stored plan cannot be read");
	*ret = (struct analyze_spec){ .video_stream = video,
				      .audio_stream = audio,
				      .cover_stream = cover,
				      .rotation_degrees = (uint32_t)rotation,
				      .seekable = seekable,
				      .origin_ns = origin,
				      .duration_ns = duration };
	return 0;
}

/* ---- result ---- */

/* Two digits: more would only look exact. */
static json_t *milli(int32_t v)
{
	if (v == LOUDNESS_UNKNOWN)
		return json_null();
	const int32_t hundredths = (v < 0 ? v - 5 : v + 5) / 10;
	return json_real(hundredths / 100.0);
}

static void add_problem(json_t *list, const char *part, const char *code, const char *message)
{
	if (*code)
		json_array_append_new(list, json_pack("{ss ss ss}", "part", part, "code", code, "message", message));
}

static json_t *storyboard_json(const struct analyze_result *r)
{
	json_t *ticks = json_array();
	for (uint32_t i = 0; i < r->tile_count; i++)
		json_array_append_new(ticks, json_integer(r->tile_ticks[i]));
	return json_pack("{si si si si so}", "tile_width", (int)r->tile_width, "tile_height", (int)r->tile_height, "columns",
			 (int)r->columns, "rows", (int)r->rows, "tile_ticks", ticks);
}

char *analysis_json_format(const struct analyze_result *r)
{
	const struct loudness *l = &r->loudness;
	json_t *problems = json_array();
	add_problem(problems, "picture", r->picture.code, r->picture.message);
	add_problem(problems, "sound", r->sound.code, r->sound.message);
	json_t *o = json_pack("{so}", "problems", problems);
	if (r->poster_width)
		json_object_set_new(o, "poster",
				    json_pack("{si si sf}", "width", (int)r->poster_width, "height",
					      (int)r->poster_height, "time", (double)r->poster_ticks / VIDEO_TIMESCALE));
	if (r->tile_count)
		json_object_set_new(o, "storyboard", storyboard_json(r));
	if (r->point_count)
		json_object_set_new(o, "waveform", json_pack("{si}", "points", (int)r->point_count));
	if (r->has_loudness)
		json_object_set_new(o, "loudness",
				    json_pack("{so so so so}", "integrated_lufs", milli(l->integrated_mlufs), "range_lu",
					      milli(l->range_mlu), "true_peak_dbtp", milli(l->true_peak_mdbtp),
					      "sample_peak_dbfs", milli(l->sample_peak_mdbfs)));
	return text_of(o);
}

char *analysis_json_failure(const struct err *why)
{
	json_t *problems = json_array();
	add_problem(problems, "all", err_code(why), why->message);
	return text_of(json_pack("{so}", "problems", problems));
}

bool analysis_made_anything(const struct analyze_result *r)
{
	return r->poster_width || r->tile_count || r->point_count;
}

int analysis_json_storyboard(const char *json, struct analyze_result *ret, struct err *e)
{
	int width = 0, height = 0, columns = 0, rows = 0;
	json_t *ticks = NULL, *item;
	json_t *o = json ? json_loads(json, 0, NULL) : json_object();
	json_t *board = json_object_get(o, "storyboard");
	struct analyze_result *r = mr_calloc(1, sizeof(*r));
	int bad = board ? json_unpack(board, "{si si si si so}", "tile_width", &width, "tile_height", &height, "columns",
				      &columns, "rows", &rows, "tile_ticks", &ticks)
			: 0;
	if (!o || bad || json_array_size(ticks) > ANALYZE_TILES_MAX || (ticks && (columns < 1 || rows < 1))) {
		json_decref(o);
		free(r);
		return err_set(e, ERR_INTERNAL, "the file's stored analysis cannot be read");
	}
	r->tile_width = (uint32_t)width;
	r->tile_height = (uint32_t)height;
	r->columns = (uint32_t)columns;
	r->rows = (uint32_t)rows;
	size_t i;
	json_array_foreach(ticks, i, item) r->tile_ticks[r->tile_count++] = json_integer_value(item);
	json_decref(o);
	*ret = *r;
	free(r);
	return 0;
}
