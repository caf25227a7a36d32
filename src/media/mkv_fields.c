/* Fields of a producer's Matroska. Runs in the sandbox, on bytes of anybody. How long a frame lasts is what its group
 * says, else what its track says, else (PCM) what its bytes make, else the time since the one before it. */
#include "media/mkv_fields.h"

#include <math.h>
#include <string.h>

#include "proto/wire.h"

#define DEFAULT_SCALE_NS 1000000
#define BLOCK_HEAD_BYTES 16 /* track, time, flags, number of laced frames */
#define NAME_MAX_BYTES 256
#define VALUE_MAX_BYTES 1024
#define FRAME_MAX_NS (LIVE_FRAGMENT_MAX_MS * 1000000ll)

void mkv_fields_reset(struct mkv_fields *f)
{
	*f = (struct mkv_fields){ .scale_ns = DEFAULT_SCALE_NS };
}

struct ebml_choice mkv_fields_choose(uint32_t id, bool in_cluster)
{
	const struct ebml_choice enter = { .enter = true }, skip = { 0 };
	switch (id) {
	case EBML_HEADER:
	case MKV_SEGMENT:
	case MKV_CLUSTER:
		return enter;
	case MKV_BLOCK_GROUP:
		return in_cluster ? enter : skip;
	case MKV_INFO:
	case MKV_TRACKS:
	case MKV_TRACK_ENTRY:
	case MKV_VIDEO:
	case MKV_AUDIO:
	case MKV_TAGS:
	case MKV_TAG:
	case MKV_SIMPLE_TAG:
		return in_cluster ? skip : enter;
	case MKV_SIMPLE_BLOCK:
	case MKV_BLOCK:
		return (struct ebml_choice){ .collect = in_cluster, .max_bytes = BLOCK_HEAD_BYTES };
	case MKV_TAG_STRING:
		return (struct ebml_choice){ .collect = true, .max_bytes = VALUE_MAX_BYTES };
	case MKV_TAG_NAME:
	case MKV_CODEC_ID:
		return (struct ebml_choice){ .collect = true, .max_bytes = NAME_MAX_BYTES };
	case EBML_DOCTYPE:
	case MKV_TIMESTAMP:
	case MKV_TIMESTAMP_SCALE:
	case MKV_TRACK_NUMBER:
	case MKV_TRACK_TYPE:
	case MKV_DEFAULT_DURATION:
	case MKV_PIXEL_WIDTH:
	case MKV_PIXEL_HEIGHT:
	case MKV_SAMPLING_FREQUENCY:
	case MKV_CHANNELS:
	case MKV_BIT_DEPTH:
	case MKV_BLOCK_DURATION:
		return (struct ebml_choice){ .collect = true, .max_bytes = 16 };
	default:
		return skip;
	}
}

/* ---- tracks ---- */

bool mkv_fields_begin_track(struct mkv_fields *f)
{
	if (f->track_count == LIVE_TRACKS_MAX)
		return false;
	f->tracks[f->track_count++] = (struct mkv_track){ .last_ns = INT64_MIN, .about = { .channels = 1, .rate_hz = 8000 } };
	return true;
}

bool mkv_fields_end_track(struct mkv_fields *f)
{
	struct live_track *t = &f->tracks[f->track_count - 1].about;
	for (uint32_t i = 0; i + 1 < f->track_count; i++)
		if (f->tracks[i].about.number == t->number)
			return false;
	if (!t->is_audio)
		t->rate_hz = t->channels = t->bit_depth = 0;
	return t->number != 0;
}

static enum mkv_field take_u32(uint32_t *out, const uint8_t *p, size_t len)
{
	uint64_t v;
	if (!ebml_uint(p, len, &v) || v > UINT32_MAX)
		return MKV_FIELD_WRONG;
	*out = (uint32_t)v;
	return MKV_FIELD_OK;
}

static enum mkv_field take_track(struct mkv_track *t, uint32_t id, const uint8_t *p, size_t len)
{
	uint64_t v;
	double rate;
	switch (id) {
	case MKV_TRACK_NUMBER:
		return take_u32(&t->about.number, p, len);
	case MKV_TRACK_TYPE:
		if (!ebml_uint(p, len, &v))
			return MKV_FIELD_WRONG;
		t->about.is_video = v == 1;
		t->about.is_audio = v == 2;
		return MKV_FIELD_OK;
	case MKV_DEFAULT_DURATION:
		if (!ebml_uint(p, len, &v))
			return MKV_FIELD_WRONG;
		t->default_ns = v <= FRAME_MAX_NS ? (int64_t)v : 0;
		return MKV_FIELD_OK;
	case MKV_CODEC_ID:
		ebml_text(p, len, t->about.codec, sizeof(t->about.codec));
		return MKV_FIELD_OK;
	case MKV_PIXEL_WIDTH:
		return take_u32(&t->about.width, p, len);
	case MKV_PIXEL_HEIGHT:
		return take_u32(&t->about.height, p, len);
	case MKV_SAMPLING_FREQUENCY:
		if (!ebml_float(p, len, &rate) || !(rate > 0 && rate < 1e9))
			return MKV_FIELD_WRONG;
		t->about.rate_hz = (uint32_t)lrint(rate);
		return MKV_FIELD_OK;
	case MKV_CHANNELS:
		return take_u32(&t->about.channels, p, len);
	case MKV_BIT_DEPTH:
		return take_u32(&t->about.bit_depth, p, len);
	default:
		return MKV_FIELD_OK;
	}
}

/* ---- frames ---- */

void mkv_fields_begin_cluster(struct mkv_fields *f, int64_t time_ns)
{
	f->cluster_ns = time_ns;
	f->group_track = NULL;
	for (uint32_t i = 0; i < f->track_count; i++) {
		f->tracks[i].has_frame = false;
		f->tracks[i].end_ns = time_ns;
	}
}

bool mkv_fields_all_have_frames(const struct mkv_fields *f)
{
	for (uint32_t i = 0; i < f->track_count; i++)
		if (!f->tracks[i].has_frame)
			return false;
	return f->track_count > 0;
}

int64_t mkv_fields_duration_ms(const struct mkv_fields *f)
{
	int64_t end = f->cluster_ns;
	for (uint32_t i = 0; i < f->track_count; i++)
		if (f->tracks[i].end_ns > end)
			end = f->tracks[i].end_ns;
	const int64_t ms = (end - f->cluster_ns + 500000) / 1000000;
	return ms < LIVE_FRAGMENT_MAX_MS ? ms : LIVE_FRAGMENT_MAX_MS;
}

static struct mkv_track *find_track(struct mkv_fields *f, uint64_t number)
{
	for (uint32_t i = 0; i < f->track_count; i++)
		if (f->tracks[i].about.number == number)
			return &f->tracks[i];
	return NULL;
}

/* Of a block with so many bytes of frames. */
static int64_t lasts(const struct mkv_track *t, uint64_t bytes, unsigned frames)
{
	const struct live_track *a = &t->about;
	const uint64_t sample = (uint64_t)a->channels * a->bit_depth / 8;
	if (t->default_ns)
		return t->default_ns * frames;
	if (strncmp(a->codec, "A_PCM/", 6) == 0 && sample && a->rate_hz)
		return (int64_t)(bytes / sample * 1000000000 / a->rate_hz); /* of one block: far from overflowing */
	return t->step_ns;
}

static enum mkv_field take_block(struct mkv_fields *f, const struct ebml_element *el, const uint8_t *p, size_t len)
{
	uint64_t number;
	const unsigned n = ebml_vint(p, len, false, &number);
	if (n == 0 || len < n + 3u)
		return MKV_FIELD_WRONG;
	struct mkv_track *t = find_track(f, number);
	if (!t)
		return MKV_FIELD_UNKNOWN_TRACK;
	const int64_t relative = (int16_t)(p[n] << 8 | p[n + 1]) * f->scale_ns;
	const unsigned frames = (p[n + 2] & 6) && len > n + 3u ? p[n + 3] + 1u : 1;
	if (relative >= FRAME_MAX_NS)
		return MKV_FIELD_TOO_LONG;
	const int64_t time = f->cluster_ns + relative;
	if (t->last_ns != INT64_MIN && time > t->last_ns && time - t->last_ns <= FRAME_MAX_NS)
		t->step_ns = time - t->last_ns;
	t->last_ns = time;
	t->has_frame = true;
	int64_t end = time + lasts(t, el->size - n - 3, frames);
	if (end > t->end_ns)
		t->end_ns = end;
	f->group_track = el->id == MKV_BLOCK ? t : NULL;
	f->group_ns = 0;
	return MKV_FIELD_OK;
}

void mkv_fields_end_group(struct mkv_fields *f)
{
	if (f->group_track && f->group_ns)
		f->group_track->end_ns = f->group_track->last_ns + f->group_ns;
	f->group_track = NULL;
}

/* ---- tags ---- */

/* Padding ends it; what isn't clean text becomes '?'. False if it is longer than the room. */
static bool take_text(char *out, size_t size, const uint8_t *p, size_t len)
{
	const size_t n = strnlen((const char *)p, len);
	const bool fits = n < size;
	if (fits && wire_text_valid((const char *)p, n)) {
		memcpy(out, p, n);
		out[n] = '\0';
	} else {
		ebml_text(p, n, out, size);
	}
	return fits;
}

enum mkv_field mkv_fields_take(struct mkv_fields *f, const struct ebml_element *el, const uint8_t *p, size_t len)
{
	uint64_t v;
	char text[16];
	switch (el->id) {
	case EBML_DOCTYPE:
		ebml_text(p, len, text, sizeof(text));
		return strcmp(text, "matroska") == 0 || strcmp(text, "webm") == 0 ? MKV_FIELD_OK : MKV_FIELD_WRONG;
	case MKV_TIMESTAMP_SCALE:
		if (!ebml_uint(p, len, &v) || v == 0 || v > 1000000000)
			return MKV_FIELD_WRONG;
		f->scale_ns = (int64_t)v;
		return MKV_FIELD_OK;
	case MKV_SIMPLE_BLOCK:
	case MKV_BLOCK:
		return take_block(f, el, p, len);
	case MKV_BLOCK_DURATION:
		if (!ebml_uint(p, len, &v))
			return MKV_FIELD_WRONG;
		f->group_ns = v <= (uint64_t)(FRAME_MAX_NS / f->scale_ns) ? (int64_t)v * f->scale_ns : 0;
		return MKV_FIELD_OK;
	case MKV_TAG_NAME:
		f->tag.value[0] = '\0';
		f->tag_too_long = !take_text(f->tag.name, sizeof(f->tag.name), p, len);
		return MKV_FIELD_OK;
	case MKV_TAG_STRING:
		f->tag_too_long |= !take_text(f->tag.value, sizeof(f->tag.value), p, len);
		return MKV_FIELD_OK;
	default:
		return f->track_count ? take_track(&f->tracks[f->track_count - 1], el->id, p, len) : MKV_FIELD_OK;
	}
}
