/* What a plan's tests plan for: a source as its probe tells of it. */
#pragma once

#include <stdlib.h>

#include "base/mem.h"
#include "job/plan.h"

struct source {
	uint32_t width, height, rotation, fps_num, fps_den, sample_rate, channels;
	double seconds, video_start;
	bool vfr, not_seekable;
	uint32_t time_base_den;
};

static inline struct probe_result *probe_of(const struct source *s)
{
	struct probe_result *p = mr_calloc(1, sizeof(*p));
	p->duration_ns = (int64_t)(s->seconds * 1e9);
	p->seekable = !s->not_seekable;
	p->best_video = p->best_audio = -1;
	if (s->width) {
		struct probe_stream *v = &p->streams[p->stream_count];
		p->best_video = (int32_t)p->stream_count;
		*v = (struct probe_stream){ .index = p->stream_count++,
					     .kind = STREAM_VIDEO,
					     .decodable = true,
					     .width = s->width,
					     .height = s->height,
					     .rotation_degrees = s->rotation,
					     .fps_num = s->fps_num,
					     .fps_den = s->fps_den,
					     .constant_frame_rate = !s->vfr,
					     .time_base_num = 1,
					     .time_base_den = s->time_base_den,
					     .sar_num = 1,
					     .sar_den = 1 };
		v->start_ns = (int64_t)(s->video_start * 1e9);
		v->duration_ns = p->duration_ns;
	}
	if (s->sample_rate) {
		struct probe_stream *a = &p->streams[p->stream_count];
		p->best_audio = (int32_t)p->stream_count;
		*a = (struct probe_stream){ .index = p->stream_count++,
					     .kind = STREAM_AUDIO,
					     .decodable = true,
					     .sample_rate = s->sample_rate,
					     .channels = s->channels,
					     .language = "deu" };
		a->duration_ns = p->duration_ns;
	}
	return p;
}

static inline int plan_source(const struct source *s, const struct ladder_params *params, struct ladder_plan *ret, struct err *e)
{
	struct ladder_params defaults;
	ladder_params_default(&defaults);
	struct probe_result *p = probe_of(s);
	int r = ladder_plan(p, params ? params : &defaults, ret, e);
	free(p);
	return r;
}
