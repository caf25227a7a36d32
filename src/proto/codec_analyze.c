/* Encoding of an analysis: its specification (parent → task) and its result (task → parent). What the result's decoder lets
 * through is in range; so a storyboard can be rendered from it without further checks. */
#include "proto/codec_analyze.h"

#define TICKS_MAX (INT64_MAX / 8)
#define TILE_SIDE_MAX 1024u
#define POSTER_SIDE_MAX 4096u

void walk_analyze_spec(struct wire *w, struct analyze_spec *s)
{
	wire_i32(w, &s->video_stream);
	wire_i32(w, &s->audio_stream);
	wire_i32(w, &s->cover_stream);
	wire_u32(w, &s->rotation_degrees);
	wire_bool(w, &s->seekable);
	wire_i64(w, &s->origin_ns);
	wire_i64(w, &s->duration_ns);
}

static bool stream_or_none(int32_t index)
{
	return index >= -1 && index < TASK_STREAMS_MAX;
}

const char *check_analyze_spec(const struct analyze_spec *s)
{
	if (!stream_or_none(s->video_stream) || !stream_or_none(s->audio_stream) || !stream_or_none(s->cover_stream))
		return "stream numbers out of range";
	if (s->rotation_degrees % 90 || s->rotation_degrees > 270 || s->origin_ns == TICKS_UNKNOWN || s->duration_ns < 0)
		return "rotation, origin or duration out of range";
	return NULL;
}

static void walk_problem(struct wire *w, struct analyze_problem *p)
{
	wire_text(w, p->code, sizeof(p->code));
	wire_text(w, p->message, sizeof(p->message));
}

void walk_loudness(struct wire *w, struct loudness *l)
{
	wire_i32(w, &l->integrated_mlufs);
	wire_i32(w, &l->range_mlu);
	wire_i32(w, &l->true_peak_mdbtp);
	wire_i32(w, &l->sample_peak_mdbfs);
}

/* The count comes before the times that it sizes. */
void walk_analyze_result(struct wire *w, struct analyze_result *r)
{
	wire_u32(w, &r->poster_width);
	wire_u32(w, &r->poster_height);
	wire_i64(w, &r->poster_ticks);
	wire_u32(w, &r->tile_width);
	wire_u32(w, &r->tile_height);
	wire_u32(w, &r->columns);
	wire_u32(w, &r->rows);
	wire_u32(w, &r->tile_count);
	if (r->tile_count > ANALYZE_TILES_MAX) {
		wire_fault(w, "too many tiles");
		r->tile_count = 0;
	}
	for (uint32_t i = 0; i < r->tile_count; i++)
		wire_i64(w, &r->tile_ticks[i]);
	wire_u32(w, &r->point_count);
	wire_bool(w, &r->has_loudness);
	walk_loudness(w, &r->loudness);
	walk_problem(w, &r->picture);
	walk_problem(w, &r->sound);
}

static const char *check_storyboard(const struct analyze_result *r)
{
	if (!r->tile_count)
		return NULL;
	if (!r->tile_width || !r->tile_height || r->tile_width > TILE_SIDE_MAX || r->tile_height > TILE_SIDE_MAX)
		return "a tile's size is out of range";
	if (!r->columns || !r->rows || r->columns > ANALYZE_TILES_MAX || r->rows > ANALYZE_TILES_MAX ||
	    r->tile_count > r->columns * r->rows * ANALYZE_SPRITES_MAX)
		return "sheets that cannot hold their tiles";
	for (uint32_t i = 0; i < r->tile_count; i++)
		if (r->tile_ticks[i] < 0 || r->tile_ticks[i] > TICKS_MAX || (i && r->tile_ticks[i] <= r->tile_ticks[i - 1]))
			return "a tile's time is out of range";
	return NULL;
}

static const char *check_problem(const struct analyze_problem *p)
{
	for (const char *c = p->code; *c; c++)
		if (!((*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_'))
			return "a problem's code that isn't UPPER_SNAKE";
	return NULL;
}

const char *check_analyze_result(const struct analyze_result *r)
{
	if (!r->poster_width != !r->poster_height || r->poster_width > POSTER_SIDE_MAX ||
	    r->poster_height > POSTER_SIDE_MAX || r->poster_ticks < 0 || r->poster_ticks > TICKS_MAX)
		return "the poster's size or time is out of range";
	if (r->point_count > ANALYZE_POINTS_MAX)
		return "too many points";
	const char *wrong = check_storyboard(r);
	if (!wrong)
		wrong = check_problem(&r->picture);
	return wrong ? wrong : check_problem(&r->sound);
}
