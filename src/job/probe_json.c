/* struct probe_result ⇄ JSON. Pure; runs in the server and worker. Field by field and in seconds where people read it,
 * in nanoseconds beside it where the planner needs exactness. */
#include "job/probe_json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const kind_names[] = {
	[STREAM_VIDEO] = "video", [STREAM_AUDIO] = "audio", [STREAM_SUBTITLE] = "subtitle", [STREAM_OTHER] = "other"
};

static void set_text(json_t *o, const char *name, const char *value)
{
	if (*value)
		json_object_set_new(o, name, json_string(value));
}

static void set_ns(json_t *o, const char *seconds_name, const char *ns_name, int64_t ns)
{
	if (ns == TICKS_UNKNOWN) {
		json_object_set_new(o, seconds_name, json_null());
		return;
	}
	json_object_set_new(o, seconds_name, json_real((double)ns / 1e9));
	json_object_set_new(o, ns_name, json_integer(ns));
}

static void set_ratio(json_t *o, const char *name, uint32_t num, uint32_t den)
{
	json_object_set_new(o, name, json_pack("[ii]", (int)num, (int)den));
}

static json_t *stream_json(const struct probe_stream *s)
{
	json_t *o = json_pack("{si ss ss sb sb sb}", "index", (int)s->index, "kind", kind_names[s->kind], "codec",
			      s->codec, "decodable", (int)s->decodable, "default", (int)s->is_default,
			      "attached_picture", (int)s->attached_picture);
	json_object_set_new(o, "forced", json_boolean(s->forced));
	json_object_set_new(o, "commentary", json_boolean(s->commentary));
	json_object_set_new(o, "hearing_impaired", json_boolean(s->hearing_impaired));
	json_object_set_new(o, "visual_impaired", json_boolean(s->visual_impaired));
	json_object_set_new(o, "other_program", json_boolean(s->other_program));
	set_text(o, "profile", s->profile);
	set_text(o, "language", s->language);
	set_text(o, "title", s->title);
	set_ns(o, "start", "start_ns", s->start_ns);
	set_ns(o, "duration", "duration_ns", s->duration_ns);
	json_object_set_new(o, "bit_rate", json_integer((json_int_t)s->bit_rate_bps));
	set_ratio(o, "time_base", s->time_base_num, s->time_base_den);
	if (s->kind == STREAM_VIDEO) {
		json_object_set_new(o, "width", json_integer(s->width));
		json_object_set_new(o, "height", json_integer(s->height));
		set_ratio(o, "sample_aspect_ratio", s->sar_num, s->sar_den);
		json_object_set_new(o, "rotation", json_integer(s->rotation_degrees));
		set_ratio(o, "frame_rate", s->fps_num, s->fps_den);
		json_object_set_new(o, "max_frame_rate", json_real(s->max_fps_milli / 1000.0));
		json_object_set_new(o, "constant_frame_rate", json_boolean(s->constant_frame_rate));
		set_text(o, "pixel_format", s->pixel_format);
		set_text(o, "color_transfer", s->color_transfer);
		set_text(o, "color_primaries", s->color_primaries);
		set_text(o, "color_space", s->color_space);
		json_object_set_new(o, "interlaced", json_boolean(s->interlaced));
	}
	if (s->kind == STREAM_AUDIO) {
		json_object_set_new(o, "sample_rate", json_integer(s->sample_rate));
		json_object_set_new(o, "channels", json_integer(s->channels));
		set_text(o, "channel_layout", s->channel_layout);
		json_object_set_new(o, "frame_samples", json_integer(s->frame_samples));
	}
	return o;
}

/* The list is for the planner alone: [ticks since the one before, bytes, …], flat, to be short. */
static json_t *copy_json(const struct probe_copy *c)
{
	if (!c->count)
		return json_pack("{ss}", "obstacle", c->obstacle);
	json_t *list = json_array();
	for (uint32_t i = 0; i < c->count; i++) {
		json_array_append_new(list, json_integer(c->ticks[i] - (i ? c->ticks[i - 1] : 0)));
		json_array_append_new(list, json_integer(c->bytes[i]));
	}
	return json_pack("{si si so}", "reorder_frames", (int)c->reorder_frames, "gop_ticks", (int)c->gop_ticks, "keyframes", list);
}

char *probe_json_format(const struct probe_result *p)
{
	json_t *streams = json_array();
	for (uint32_t i = 0; i < p->stream_count; i++)
		json_array_append_new(streams, stream_json(&p->streams[i]));
	json_t *o = json_pack("{ss sf sI sI sI sb sb si si so}", "format", p->format, "duration",
			      (double)p->duration_ns / 1e9, "duration_ns", (json_int_t)p->duration_ns, "start_ns",
			      (json_int_t)p->start_ns, "bit_rate", (json_int_t)p->bit_rate_bps, "seekable",
			      (int)p->seekable, "scanned", (int)p->scanned, "best_video", p->best_video, "best_audio",
			      p->best_audio, "streams", streams);
	set_text(o, "title", p->title);
	json_object_set_new(o, "copy", copy_json(&p->copy));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!text)
		abort(); /* out of memory: the texts were checked to be UTF-8 when they were decoded */
	return text;
}

static void get_text(const json_t *o, const char *name, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(o, name));
	(void)snprintf(out, size, "%s", s ? s : "");
}

static uint32_t get_u32(const json_t *o, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(o, name));
	return v > 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

static int64_t get_ns(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);
	return json_is_integer(v) ? json_integer_value(v) : TICKS_UNKNOWN;
}

static void get_ratio(const json_t *o, const char *name, uint32_t *num, uint32_t *den)
{
	const json_t *v = json_object_get(o, name);
	*num = (uint32_t)json_integer_value(json_array_get(v, 0));
	*den = (uint32_t)json_integer_value(json_array_get(v, 1));
}

static bool flag(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

static void read_stream(const json_t *o, struct probe_stream *s)
{
	char kind[16];
	get_text(o, "kind", kind, sizeof(kind));
	s->kind = STREAM_OTHER;
	for (int k = STREAM_VIDEO; k <= STREAM_OTHER; k++)
		if (strcmp(kind, kind_names[k]) == 0)
			s->kind = (enum stream_kind)k;
	s->index = get_u32(o, "index");
	get_text(o, "codec", s->codec, sizeof(s->codec));
	get_text(o, "profile", s->profile, sizeof(s->profile));
	get_text(o, "language", s->language, sizeof(s->language));
	get_text(o, "title", s->title, sizeof(s->title));
	s->decodable = flag(o, "decodable");
	s->is_default = flag(o, "default");
	s->forced = flag(o, "forced");
	s->commentary = flag(o, "commentary");
	s->hearing_impaired = flag(o, "hearing_impaired");
	s->visual_impaired = flag(o, "visual_impaired");
	s->other_program = flag(o, "other_program");
	s->attached_picture = flag(o, "attached_picture");
	s->start_ns = get_ns(o, "start_ns");
	s->duration_ns = get_ns(o, "duration_ns");
	s->bit_rate_bps = (uint64_t)json_integer_value(json_object_get(o, "bit_rate"));
	get_ratio(o, "time_base", &s->time_base_num, &s->time_base_den);
	s->width = get_u32(o, "width");
	s->height = get_u32(o, "height");
	get_ratio(o, "sample_aspect_ratio", &s->sar_num, &s->sar_den);
	s->rotation_degrees = get_u32(o, "rotation");
	get_ratio(o, "frame_rate", &s->fps_num, &s->fps_den);
	s->max_fps_milli = (uint32_t)(json_number_value(json_object_get(o, "max_frame_rate")) * 1000 + 0.5);
	s->constant_frame_rate = flag(o, "constant_frame_rate");
	get_text(o, "pixel_format", s->pixel_format, sizeof(s->pixel_format));
	get_text(o, "color_transfer", s->color_transfer, sizeof(s->color_transfer));
	get_text(o, "color_primaries", s->color_primaries, sizeof(s->color_primaries));
	get_text(o, "color_space", s->color_space, sizeof(s->color_space));
	s->interlaced = flag(o, "interlaced");
	s->sample_rate = get_u32(o, "sample_rate");
	s->channels = get_u32(o, "channels");
	get_text(o, "channel_layout", s->channel_layout, sizeof(s->channel_layout));
	s->frame_samples = get_u32(o, "frame_samples");
}

static void read_copy(const json_t *o, struct probe_copy *c)
{
	const json_t *list = json_object_get(o, "keyframes");
	const size_t n = json_array_size(list) / 2;
	get_text(o, "obstacle", c->obstacle, sizeof(c->obstacle));
	if (!n || n > COPY_KEYFRAMES_MAX)
		return;
	c->reorder_frames = get_u32(o, "reorder_frames");
	c->gop_ticks = get_u32(o, "gop_ticks");
	c->count = (uint32_t)n;
	c->ticks = mr_calloc(n, sizeof(*c->ticks));
	c->bytes = mr_calloc(n, sizeof(*c->bytes));
	int64_t at = 0;
	for (size_t i = 0; i < n; i++) {
		at += json_integer_value(json_array_get(list, 2 * i));
		c->ticks[i] = at;
		c->bytes[i] = (uint32_t)json_integer_value(json_array_get(list, 2 * i + 1));
	}
}

int probe_json_parse(const char *json, struct probe_result *ret, struct err *e)
{
	json_error_t je;
	json_t *o = json_loads(json, 0, &je), *streams = json_object_get(o, "streams"), *item;
	if (!json_is_object(o) || !json_is_array(streams) || json_array_size(streams) > TASK_STREAMS_MAX) {
		json_decref(o);
		return err_set(e, ERR_INTERNAL, "the file's stored probe cannot be read");
	}
	memset(ret, 0, sizeof(*ret));
	get_text(o, "format", ret->format, sizeof(ret->format));
	get_text(o, "title", ret->title, sizeof(ret->title));
	ret->start_ns = json_integer_value(json_object_get(o, "start_ns"));
	ret->duration_ns = json_integer_value(json_object_get(o, "duration_ns"));
	ret->bit_rate_bps = (uint64_t)json_integer_value(json_object_get(o, "bit_rate"));
	ret->seekable = flag(o, "seekable");
	ret->scanned = flag(o, "scanned");
	ret->best_video = (int32_t)json_integer_value(json_object_get(o, "best_video"));
	ret->best_audio = (int32_t)json_integer_value(json_object_get(o, "best_audio"));
	size_t i;
	json_array_foreach(streams, i, item) read_stream(item, &ret->streams[ret->stream_count++]);
	read_copy(json_object_get(o, "copy"), &ret->copy);
	json_decref(o);
	return 0;
}
