/* Encoding of a narration: its specification (parent → task) and its result (task → parent). */
#include "proto/codec_narrate.h"

#define MS_MAX (24u * 3600 * 1000)
#define RAMP_MAX_MS 60000u
#define GAIN_MAX_MDB 100000

void walk_narrate_spec(struct wire *w, struct narrate_spec *s)
{
	wire_u32(w, &s->bitrate_bps);
	wire_i32(w, &s->target_mlufs);
	wire_i32(w, &s->peak_mdbtp);
	wire_i32(w, &s->music_stream);
	wire_i64(w, &s->music_origin_ns);
	wire_i32(w, &s->music_below_mdb);
	wire_i32(w, &s->music_mlufs);
	wire_i32(w, &s->duck_mdb);
	wire_u32(w, &s->attack_ms);
	wire_u32(w, &s->release_ms);
	wire_u32(w, &s->hold_ms);
	wire_u32(w, &s->fade_in_ms);
	wire_u32(w, &s->fade_out_ms);
	wire_u32(w, &s->crossfade_ms);
	wire_u32(w, &s->lead_ms);
	wire_u32(w, &s->tail_ms);
	wire_u32(w, &s->gap_ms);
	wire_u32(w, &s->min_ms);
	wire_u32(w, &s->resume_segment);
	wire_u32(w, &s->item_count);
	if (s->item_count > NARRATE_ITEMS_MAX) {
		wire_fault(w, "more sentences and pauses than there can be");
		s->item_count = 0;
	}
	wire_u32_array(w, &s->items, s->item_count);
}

static bool within(int32_t v, int32_t min, int32_t max)
{
	return v >= min && v <= max;
}

const char *check_narrate_spec(const struct narrate_spec *s, uint32_t input_count)
{
	if (input_count != NARRATE_INPUTS)
		return "a narration with too few or too many inputs";
	if (s->bitrate_bps < 32000 || s->bitrate_bps > 320000 || !within(s->target_mlufs, -70000, 0) ||
	    !within(s->peak_mdbtp, -20000, 0))
		return "bit rate, loudness or peak out of range";
	if (s->music_stream < -1 || s->music_stream >= TASK_STREAMS_MAX || s->music_origin_ns == TICKS_UNKNOWN ||
	    !within(s->music_below_mdb, -GAIN_MAX_MDB, GAIN_MAX_MDB) || !within(s->duck_mdb, -GAIN_MAX_MDB, 0) ||
	    (s->music_mlufs != NARRATE_GAIN_UNKNOWN && !within(s->music_mlufs, -GAIN_MAX_MDB, GAIN_MAX_MDB)))
		return "the music's stream, time or gain out of range";
	if (s->attack_ms > RAMP_MAX_MS || s->release_ms > RAMP_MAX_MS || s->hold_ms > RAMP_MAX_MS || s->fade_in_ms > RAMP_MAX_MS ||
	    s->fade_out_ms > RAMP_MAX_MS || s->crossfade_ms > RAMP_MAX_MS)
		return "a ramp longer than a minute";
	if (s->lead_ms > MS_MAX || s->tail_ms > MS_MAX || s->gap_ms > MS_MAX || s->min_ms > MS_MAX)
		return "a pause longer than a day";
	if (s->tail_ms < s->fade_out_ms)
		return "an end that begins to fade before it is known";
	if (s->resume_segment > NARRATE_SEGMENTS_MAX || !s->item_count || s->item_count > NARRATE_ITEMS_MAX || !s->items)
		return "nothing to say, or too much";
	for (uint32_t i = 0; i < s->item_count; i++)
		if (s->items[i] > MS_MAX)
			return "a pause longer than a day";
	return NULL;
}

void walk_narrate_result(struct wire *w, struct narrate_result *r)
{
	wire_u32(w, &r->next_segment);
	wire_i64(w, &r->frames);
	wire_i32(w, &r->music_mlufs);
	wire_u32(w, &r->decode_errors);
}

const char *check_narrate_result(const struct narrate_result *r)
{
	if (!r->next_segment || r->next_segment > NARRATE_SEGMENTS_MAX || r->frames < 1 ||
	    r->frames > narrate_boundary(NARRATE_SEGMENTS_MAX))
		return "where the narration ended is out of range";
	return NULL;
}

void walk_voice_result(struct wire *w, struct voice_result *r)
{
	wire_i64(w, &r->samples);
	wire_u64(w, &r->bytes);
}

const char *check_voice_result(const struct voice_result *r)
{
	if (r->samples < 1 || r->samples > narrate_boundary(NARRATE_SEGMENTS_MAX) * AAC_FRAME_SAMPLES || !r->bytes ||
	    r->bytes > INT64_MAX)
		return "the voice's length is out of range";
	return NULL;
}
