/* Sound and subtitle tracks: see job/plan_tracks.h. */
#include "job/plan_tracks.h"

#include <stdio.h>

#include "job/language.h"

#define AUDIO_MONO_BPS 72000
#define AUDIO_STEREO_BPS 128000
#define SUBTITLES_DECLARED_BPS 16000 /* dense dialogue takes a tenth of that */

const struct probe_stream *plan_find_stream(const struct probe_result *probe, int32_t index)
{
	for (uint32_t i = 0; index >= 0 && i < probe->stream_count; i++)
		if (probe->streams[i].index == (uint32_t)index)
			return &probe->streams[i];
	return NULL;
}

static bool usable(const struct probe_stream *s, enum stream_kind kind)
{
	return s && s->kind == kind && s->decodable && !s->attached_picture;
}

struct choice {
	uint32_t count;
	const struct probe_stream *streams[TASK_SUBTITLES_MAX];
};

/* Those asked for, in that order. */
static int choose_asked(const struct probe_result *probe, enum stream_kind kind, const struct ladder_tracks *asked,
			struct choice *ret, struct err *e)
{
	bool audio = kind == STREAM_AUDIO;
	for (uint32_t i = 0; i < asked->count; i++) {
		const struct probe_stream *s = plan_find_stream(probe, (int32_t)asked->streams[i]);
		if (!usable(s, kind))
			return err_set(e, ERR_INVALID, "%s: stream %u is no %s that can be used",
				       audio ? "audio_tracks" : "subtitle_tracks", asked->streams[i],
				       audio ? "sound" : "text subtitle");
		ret->streams[ret->count++] = s;
	}
	return 0;
}

/* All that can be used, `first` before the others. */
static void choose_all(const struct probe_result *probe, enum stream_kind kind, int32_t first, uint32_t max,
		       struct choice *ret)
{
	const struct probe_stream *best = plan_find_stream(probe, first);
	if (best)
		ret->streams[ret->count++] = best;
	for (uint32_t i = 0; i < probe->stream_count && ret->count < max; i++) {
		const struct probe_stream *s = &probe->streams[i];
		if (usable(s, kind) && !s->other_program && s != best)
			ret->streams[ret->count++] = s;
	}
}

static void add_audio(struct ladder_spec *s, const struct probe_stream *a)
{
	struct ladder_audio *out = &s->audios[s->audio_count++];
	out->stream = (int32_t)a->index;
	out->channels = a->channels == 1 ? 1 : 2;
	out->bitrate_bps = out->channels == 1 ? AUDIO_MONO_BPS : AUDIO_STEREO_BPS;
	/* The 44.1 kHz family stays what it is; everything else becomes 48 kHz. The main track decides for all. */
	if (s->audio_count == 1)
		s->audio_rate = a->sample_rate && a->sample_rate % 11025 == 0 ? 44100 : 48000;
}

int plan_tracks(const struct probe_result *probe, const struct ladder_params *params, struct ladder_spec *spec,
		struct err *e)
{
	struct choice audio = { 0 }, subtitles = { 0 };
	int r = choose_asked(probe, STREAM_AUDIO, &params->audio_tracks, &audio, e);
	if (r == 0)
		r = choose_asked(probe, STREAM_SUBTITLE, &params->subtitle_tracks, &subtitles, e);
	if (r < 0)
		return r;
	if (!params->audio_tracks.chosen)
		choose_all(probe, STREAM_AUDIO, probe->best_audio, TASK_AUDIOS_MAX, &audio);
	if (!params->subtitle_tracks.chosen)
		choose_all(probe, STREAM_SUBTITLE, -1, TASK_SUBTITLES_MAX, &subtitles);
	spec->audio_count = spec->subtitle_count = 0;
	for (uint32_t i = 0; i < audio.count; i++)
		add_audio(spec, audio.streams[i]);
	for (uint32_t i = 0; i < subtitles.count; i++)
		spec->subtitle_streams[spec->subtitle_count++] = (int32_t)subtitles.streams[i]->index;
	return 0;
}

/* The first is called "audio", the second "audio2". */
static struct rendition *add_rendition(struct ladder_plan *p, enum rendition_kind kind, uint32_t i,
				       const struct probe_stream *s)
{
	struct rendition *r = &p->renditions[p->rendition_count];
	*r = (struct rendition){ .index = p->rendition_count++, .kind = kind };
	(void)snprintf(r->name, sizeof(r->name), i ? "%s%u" : "%s", kind == RENDITION_AUDIO ? "audio" : "subs", i + 1);
	if (!s)
		return r;
	r->forced = kind == RENDITION_SUBTITLES && s->forced;
	r->commentary = s->commentary;
	r->hearing_impaired = s->hearing_impaired;
	r->visual_impaired = s->visual_impaired;
	(void)snprintf(r->label, sizeof(r->label), "%s", s->title);
	language_tag(s->language, r->language);
	return r;
}

void plan_add_tracks(struct ladder_plan *p, const struct probe_result *probe)
{
	const struct ladder_spec *s = &p->spec;
	for (uint32_t i = 0; i < s->audio_count; i++) {
		const struct ladder_audio *a = &s->audios[i];
		struct rendition *r = add_rendition(p, RENDITION_AUDIO, i, plan_find_stream(probe, a->stream));
		r->is_default = i == 0;
		r->channels = a->channels;
		r->timescale = s->audio_rate;
		r->declared_bps = a->bitrate_bps + a->bitrate_bps / 4 + 8000;
	}
	/* None is shown unless its viewer wants it: players choose by language, and forced ones by themselves. */
	for (uint32_t i = 0; i < s->subtitle_count; i++) {
		struct rendition *r =
			add_rendition(p, RENDITION_SUBTITLES, i, plan_find_stream(probe, s->subtitle_streams[i]));
		r->timescale = VIDEO_TIMESCALE;
		r->declared_bps = SUBTITLES_DECLARED_BPS;
	}
}
