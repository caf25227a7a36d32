/* Encoding of what a task sends to its parent, and of errors in both directions. The decoders here stand between an
 * untrusted process and everything else: whatever they let through is in range, clean text, and bounded. */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "proto/channel.h"
#include "proto/codec_analyze.h"
#include "proto/codec_convert.h"
#include "proto/codec_narrate.h"
#include "proto/codec_speak.h"
#include "proto/wire.h"

#define NS_MAX (INT64_MAX / 4) /* 73 years; sums of two don't overflow */

static bool time_known(int64_t ns)
{
	return ns > -NS_MAX && ns < NS_MAX;
}

static bool time_or_unknown(int64_t ns)
{
	return ns == TICKS_UNKNOWN || time_known(ns);
}

static int finish(struct wire *w, const char *wrong, const char *what, struct err *e)
{
	int r = wire_finish(w, e);
	if (r == 0 && wrong)
		r = err_set(e, ERR_PROTOCOL, "%s", wrong);
	if (r < 0)
		(void)err_wrap(e, "%s", what);
	return r;
}

/* ---- read ---- */

static void walk_read(struct wire *w, struct task_read *r)
{
	wire_u32(w, &r->input);
	wire_u64(w, &r->offset);
	wire_u32(w, &r->length);
}

static const char *check_read(const struct task_read *r)
{
	if (r->input >= TASK_INPUTS_MAX || r->offset > INT64_MAX || r->length < 1 || r->length > TASK_READ_MAX_BYTES)
		return "input, offset or length out of range";
	return NULL;
}

int task_read_encode(const struct task_read *r, struct buf *out, struct err *e)
{
	struct task_read copy = *r;
	struct wire w = wire_writer(out);
	walk_read(&w, &copy);
	return finish(&w, check_read(r), "read", e);
}

int task_read_decode(const void *data, size_t len, struct task_read *ret, struct err *e)
{
	struct task_read r = { 0 };
	struct wire w = wire_reader(data, len);
	walk_read(&w, &r);
	int res = finish(&w, check_read(&r), "read", e);
	if (res == 0)
		*ret = r;
	return res;
}

/* ---- progress ---- */

static void walk_progress(struct wire *w, struct task_progress *p)
{
	wire_i64(w, &p->done_ticks);
	wire_u64(w, &p->bytes_read);
}

static const char *check_progress(const struct task_progress *p)
{
	return p->done_ticks < 0 ? "negative" : NULL;
}

int task_progress_encode(const struct task_progress *p, struct buf *out, struct err *e)
{
	struct task_progress copy = *p;
	struct wire w = wire_writer(out);
	walk_progress(&w, &copy);
	return finish(&w, check_progress(p), "progress", e);
}

int task_progress_decode(const void *data, size_t len, struct task_progress *ret, struct err *e)
{
	struct task_progress p = { 0 };
	struct wire w = wire_reader(data, len);
	walk_progress(&w, &p);
	int res = finish(&w, check_progress(&p), "progress", e);
	if (res == 0)
		*ret = p;
	return res;
}

/* ---- object ---- */

/* Each kind carries its own fields; the others are zero on the far side. */
static void walk_object(struct wire *w, struct task_object *o)
{
	uint32_t kind = (uint32_t)o->kind;
	wire_u32(w, &kind);
	if (kind < TASK_OBJECT_INIT || kind > TASK_OBJECT_FINDING) {
		wire_fault(w, "an unknown kind of object");
		kind = TASK_OBJECT_INIT;
	}
	o->kind = (enum task_object_kind)kind;
	wire_u32(w, &o->rendition);
	wire_u64(w, &o->size_bytes);
	if (o->kind == TASK_OBJECT_INIT) {
		wire_text(w, o->codecs, sizeof(o->codecs));
		return;
	}
	wire_u32(w, &o->index);
	if (o->kind == TASK_OBJECT_BYPRODUCT) {
		uint32_t byproduct = (uint32_t)o->byproduct;
		wire_u32(w, &byproduct);
		o->byproduct = (enum byproduct)byproduct;
	}
	if (o->kind == TASK_OBJECT_PART)
		wire_u64(w, &o->head_bytes);
	if (o->kind != TASK_OBJECT_SEGMENT)
		return;
	wire_i64(w, &o->start_ticks);
	wire_i64(w, &o->duration_ticks);
	wire_u32(w, &o->iframe_count);
	if (o->iframe_count > TASK_IFRAMES_MAX) {
		wire_fault(w, "too many I-frames");
		o->iframe_count = 0;
	}
	for (uint32_t i = 0; i < o->iframe_count; i++) {
		wire_i64(w, &o->iframes[i].ticks);
		wire_u64(w, &o->iframes[i].offset);
		wire_u64(w, &o->iframes[i].size_bytes);
	}
}

static bool iframes_valid(const struct task_object *o)
{
	uint64_t end = 0;
	int64_t last = -1;
	for (uint32_t i = 0; i < o->iframe_count; i++) {
		const struct task_iframe *f = &o->iframes[i];
		bool inside = f->size_bytes > 0 && f->offset < o->size_bytes && f->size_bytes <= o->size_bytes - f->offset;
		if (!inside || f->offset < end || f->ticks <= last || f->ticks >= o->duration_ticks)
			return false;
		end = f->offset + f->size_bytes;
		last = f->ticks;
	}
	return o->iframe_count == 0 || o->iframes[0].ticks == 0;
}

static const char *check_byproduct(const struct task_object *o)
{
	if (o->byproduct < BYPRODUCT_POSTER || o->byproduct > BYPRODUCT_WAVEFORM_IMAGE || !o->size_bytes || o->rendition)
		return "an unknown or empty by-product";
	if (o->index >= (o->byproduct == BYPRODUCT_SPRITE ? ANALYZE_SPRITES_MAX : 1))
		return "more of a by-product than there can be";
	return NULL;
}

static const char *check_object(const struct task_object *o)
{
	if (o->rendition >= TASK_RENDITIONS_MAX || o->size_bytes > TASK_OBJECT_MAX_BYTES)
		return "rendition or size out of range";
	if (o->kind == TASK_OBJECT_INIT)
		return o->codecs[0] ? NULL : "an init segment without codecs";
	if (o->kind == TASK_OBJECT_BYPRODUCT)
		return check_byproduct(o);
	if (o->kind == TASK_OBJECT_SPEECH)
		return check_speak_object(o);
	if (o->kind == TASK_OBJECT_FINDING)
		return o->size_bytes && o->size_bytes <= CHECK_FINDING_MAX_BYTES ? NULL : "a finding that is empty or too long";
	if (o->kind != TASK_OBJECT_SEGMENT)
		return check_convert_object(o);
	if (o->index >= TASK_SEGMENTS_MAX || !o->size_bytes || o->start_ticks < 0 || o->duration_ticks <= 0 ||
	    !time_known(o->start_ticks) || !time_known(o->duration_ticks))
		return "a segment whose number, size or times are out of range";
	if (!iframes_valid(o))
		return "a segment whose I-frames don't lie in it one behind the other";
	return NULL;
}

int task_object_encode(const struct task_object *o, struct buf *out, struct err *e)
{
	struct task_object copy = *o;
	struct wire w = wire_writer(out);
	walk_object(&w, &copy);
	return finish(&w, check_object(o), "object", e);
}

int task_object_decode(const void *data, size_t len, struct task_object *ret, struct err *e)
{
	struct task_object o = { 0 };
	struct wire w = wire_reader(data, len);
	walk_object(&w, &o);
	int res = finish(&w, check_object(&o), "object", e);
	if (res == 0)
		*ret = o;
	return res;
}

/* ---- result ---- */

static void walk_stream(struct wire *w, struct probe_stream *s)
{
	uint32_t kind = (uint32_t)s->kind;
	wire_u32(w, &s->index);
	wire_u32(w, &kind);
	if (kind < STREAM_VIDEO || kind > STREAM_OTHER) {
		wire_fault(w, "an unknown kind of stream");
		kind = STREAM_OTHER;
	}
	s->kind = (enum stream_kind)kind;
	wire_text(w, s->codec, sizeof(s->codec));
	wire_text(w, s->profile, sizeof(s->profile));
	wire_text(w, s->language, sizeof(s->language));
	wire_text(w, s->title, sizeof(s->title));
	wire_bool(w, &s->attached_picture);
	wire_bool(w, &s->is_default);
	wire_bool(w, &s->forced);
	wire_bool(w, &s->commentary);
	wire_bool(w, &s->hearing_impaired);
	wire_bool(w, &s->visual_impaired);
	wire_bool(w, &s->other_program);
	wire_bool(w, &s->decodable);
	wire_i64(w, &s->start_ns);
	wire_i64(w, &s->duration_ns);
	wire_u64(w, &s->bit_rate_bps);
	wire_u32(w, &s->time_base_num);
	wire_u32(w, &s->time_base_den);
	wire_u32(w, &s->width);
	wire_u32(w, &s->height);
	wire_u32(w, &s->sar_num);
	wire_u32(w, &s->sar_den);
	wire_u32(w, &s->rotation_degrees);
	wire_u32(w, &s->fps_num);
	wire_u32(w, &s->fps_den);
	wire_u32(w, &s->max_fps_milli);
	wire_bool(w, &s->constant_frame_rate);
	wire_text(w, s->pixel_format, sizeof(s->pixel_format));
	wire_text(w, s->color_transfer, sizeof(s->color_transfer));
	wire_text(w, s->color_primaries, sizeof(s->color_primaries));
	wire_text(w, s->color_space, sizeof(s->color_space));
	wire_bool(w, &s->interlaced);
	wire_u32(w, &s->sample_rate);
	wire_u32(w, &s->channels);
	wire_text(w, s->channel_layout, sizeof(s->channel_layout));
	wire_u32(w, &s->frame_samples);
}

static const char *check_stream(const struct probe_stream *s, uint32_t position)
{
	if (s->index != position)
		return "streams out of order";
	if (!time_or_unknown(s->start_ns) || !time_or_unknown(s->duration_ns))
		return "a stream's times are out of range";
	if (s->width > UINT16_MAX || s->height > UINT16_MAX || s->rotation_degrees % 90 || s->rotation_degrees > 270)
		return "a picture's size or rotation is out of range";
	if (!s->time_base_den || !s->sar_den || !s->fps_den)
		return "a fraction of nothing";
	return NULL;
}

static void walk_copy(struct wire *w, struct probe_copy *c)
{
	wire_text(w, c->obstacle, sizeof(c->obstacle));
	wire_u32(w, &c->reorder_frames);
	wire_u32(w, &c->gop_ticks);
	wire_u32(w, &c->count);
	if (c->count > COPY_KEYFRAMES_MAX) {
		wire_fault(w, "too many keyframes");
		c->count = 0;
	}
	wire_i64_array(w, &c->ticks, c->count);
	wire_u32_array(w, &c->bytes, c->count);
}

static const char *check_copy(const struct probe_copy *c)
{
	if (c->reorder_frames > VIDEO_REORDER_MAX || (c->obstacle[0] && c->count) || (c->count && (!c->ticks || !c->bytes)))
		return "keyframes that don't fit what is said of them";
	for (uint32_t i = 0; i < c->count; i++)
		if (c->ticks[i] < (i ? c->ticks[i - 1] + 1 : 0) || !time_known(c->ticks[i]))
			return "keyframes whose times don't rise";
	return NULL;
}

static bool best_is_kind(const struct probe_result *p, int32_t best, enum stream_kind kind)
{
	if (best == -1)
		return true;
	return best >= 0 && (uint32_t)best < p->stream_count && p->streams[best].kind == kind && p->streams[best].decodable;
}

static void walk_probe(struct wire *w, struct probe_result *p)
{
	wire_text(w, p->format, sizeof(p->format));
	wire_text(w, p->title, sizeof(p->title));
	wire_i64(w, &p->start_ns);
	wire_i64(w, &p->duration_ns);
	wire_u64(w, &p->bit_rate_bps);
	wire_bool(w, &p->seekable);
	wire_bool(w, &p->scanned);
	wire_i32(w, &p->best_video);
	wire_i32(w, &p->best_audio);
	wire_u32(w, &p->stream_count);
	if (p->stream_count > TASK_STREAMS_MAX) {
		wire_fault(w, "too many streams");
		p->stream_count = 0;
	}
	for (uint32_t i = 0; i < p->stream_count; i++)
		walk_stream(w, &p->streams[i]);
	walk_copy(w, &p->copy);
}

void probe_result_release(struct probe_result *p)
{
	free(p->copy.ticks);
	free(p->copy.bytes);
	p->copy = (struct probe_copy){ 0 };
}

static const char *check_probe(const struct probe_result *p)
{
	if (!time_known(p->start_ns) || p->duration_ns < 0 || !time_known(p->duration_ns))
		return "start or duration out of range";
	if (!best_is_kind(p, p->best_video, STREAM_VIDEO) || !best_is_kind(p, p->best_audio, STREAM_AUDIO))
		return "the best stream is none of its kind";
	for (uint32_t i = 0; i < p->stream_count; i++) {
		const char *wrong = check_stream(&p->streams[i], i);
		if (wrong)
			return wrong;
	}
	return check_copy(&p->copy);
}

static void walk_ladder_result(struct wire *w, struct ladder_result *l)
{
	wire_u32(w, &l->next_segment);
	wire_bool(w, &l->end_of_media);
	wire_i64(w, &l->end_video_ticks);
	wire_i64(w, &l->end_audio_frames);
	wire_u32(w, &l->decode_errors);
	wire_u64(w, &l->frames_in);
	wire_u64(w, &l->frames_out);
}

static const char *check_ladder_result(const struct ladder_result *l)
{
	if (l->next_segment > TASK_SEGMENTS_MAX || l->end_video_ticks < 0 || !time_known(l->end_video_ticks) ||
	    l->end_audio_frames < 0 || !time_known(l->end_audio_frames))
		return "where the chunk ended is out of range";
	return NULL;
}

static const char *walk_result(struct wire *w, struct task_result *r)
{
	uint32_t kind = (uint32_t)r->kind;
	wire_u32(w, &kind);
	if (!task_kind_known(kind) || task_kind_serves((enum task_kind)kind)) {
		wire_fault(w, "an unknown kind of task");
		kind = TASK_PROBE;
	}
	r->kind = (enum task_kind)kind;
	if (r->kind == TASK_PROBE) {
		walk_probe(w, &r->probe);
		return check_probe(&r->probe);
	}
	if (r->kind == TASK_ANALYZE) {
		walk_analyze_result(w, &r->analyze);
		return check_analyze_result(&r->analyze);
	}
	if (r->kind == TASK_NARRATE) {
		walk_narrate_result(w, &r->narrate);
		return check_narrate_result(&r->narrate);
	}
	if (r->kind == TASK_VOICE) {
		walk_voice_result(w, &r->voice);
		return check_voice_result(&r->voice);
	}
	if (r->kind == TASK_SPEAK) {
		walk_speak_result(w, &r->speak);
		return check_speak_result(&r->speak);
	}
	if (r->kind == TASK_CHECK) /* its findings are objects */
		return NULL;
	if (task_kind_converts(r->kind)) {
		walk_convert_result(w, r);
		return check_convert_result(r);
	}
	walk_ladder_result(w, &r->ladder);
	return check_ladder_result(&r->ladder);
}

int task_result_encode(const struct task_result *r, struct buf *out, struct err *e)
{
	struct task_result copy = *r;
	struct wire w = wire_writer(out);
	const char *wrong = walk_result(&w, &copy);
	return finish(&w, wrong, "result", e);
}

int task_result_decode(const void *data, size_t len, struct task_result *ret, struct err *e)
{
	struct task_result r = { 0 };
	struct wire w = wire_reader(data, len);
	const char *wrong = walk_result(&w, &r);
	int res = finish(&w, wrong, "result", e);
	if (res == 0)
		*ret = r;
	else
		probe_result_release(&r.probe);
	return res;
}

/* ---- failure ---- */

static void walk_failure(struct wire *w, struct err *f)
{
	uint32_t kind = (uint32_t)f->kind;
	wire_u32(w, &kind);
	if (kind <= ERR_OK || kind >= ERR_KINDS) {
		wire_fault(w, "an unknown kind of error");
		kind = ERR_INTERNAL;
	}
	f->kind = (enum err_kind)kind;
	wire_bool(w, &f->retriable);
	wire_text(w, f->code, sizeof(f->code));
	wire_text(w, f->message, sizeof(f->message));
	for (const char *c = f->code; *c; c++)
		if (!((*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_'))
			wire_fault(w, "an error code that isn't UPPER_SNAKE");
}

/* Messages quote what was found in media and are cut at a byte: whatever isn't clean text becomes '?'. */
static void make_clean(char *s)
{
	size_t len = strlen(s);
	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence(s + i, len - i);
		if (n && wire_text_valid(s + i, n)) {
			i += n;
			continue;
		}
		memset(s + i, '?', n ? n : 1);
		i += n ? n : 1;
	}
}

int task_failure_encode(const struct err *failure, struct buf *out, struct err *e)
{
	struct err copy = *failure;
	make_clean(copy.message);
	struct wire w = wire_writer(out);
	walk_failure(&w, &copy);
	return finish(&w, NULL, "failure", e);
}

int task_failure_decode(const void *data, size_t len, struct err *ret_failure, struct err *e)
{
	struct err f = { 0 };
	struct wire w = wire_reader(data, len);
	walk_failure(&w, &f);
	int res = finish(&w, NULL, "failure", e);
	if (res == 0)
		*ret_failure = f;
	return res;
}
