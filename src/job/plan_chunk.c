/* A chunk's specification for its task, from the job's constants and the planned rows; and the constants as JSON. Pure.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/plan.h"

uint32_t ladder_runs(uint32_t total, const struct ladder_spec *constants, uint32_t first_segment, uint32_t count,
		     uint32_t *runs)
{
	uint32_t n = 0;
	for (uint32_t s = 0; s < total && s < first_segment + count; s += ladder_chunk_segments(s, total, constants))
		if (s >= first_segment)
			runs[n++] = s;
	return n;
}

static int64_t *boundaries(const struct segment *segments, uint32_t count, int64_t unit)
{
	int64_t *b = mr_calloc((size_t)count + 1, sizeof(*b));
	for (uint32_t i = 0; i < count; i++)
		b[i] = segments[i].start_ticks / unit;
	b[count] = (segments[count - 1].start_ticks + segments[count - 1].duration_ticks) / unit;
	return b;
}

int ladder_chunk_spec(const struct ladder_spec *constants, const struct chunk *chunk, const struct segment *video,
		      const struct segment *audio, uint32_t resume_segment, struct ladder_spec *ret, struct err *e)
{
	if (!chunk->segment_count || (!video && !audio))
		return err_set(e, ERR_INTERNAL, "chunk %u has no planned segments", chunk->index);
	struct ladder_spec s = *constants;
	s.first_segment = chunk->first_segment;
	s.segment_count = chunk->segment_count;
	s.last = chunk->last;
	s.resume_segment = resume_segment;
	if (video)
		s.video_ticks = boundaries(video, chunk->segment_count, 1);
	if (audio)
		s.audio_frames = boundaries(audio, chunk->segment_count, AAC_FRAME_SAMPLES);
	s.runs = mr_calloc(chunk->segment_count, sizeof(*s.runs));
	s.run_count = ladder_runs(chunk->first_segment + chunk->segment_count, constants, chunk->first_segment,
				  chunk->segment_count, s.runs);
	if (!s.sequential || !s.run_count || s.runs[0] != chunk->first_segment) {
		/* A chunk of a source that can be sought is one run; the first, which goes on after the first segment, is two. */
		s.runs[0] = chunk->first_segment;
		s.run_count = 1;
		if (chunk->first_segment == 0 && chunk->segment_count > 1)
			s.runs[s.run_count++] = 1;
	}
	*ret = s;
	return 0;
}

char *ladder_spec_format(const struct ladder_spec *s)
{
	json_t *rungs = json_array();
	for (uint32_t i = 0; i < s->rung_count; i++) {
		const struct ladder_rung *r = &s->rungs[i];
		json_array_append_new(rungs, json_pack("{si si si si si ss si si sb si}", "width", (int)r->width, "height",
						       (int)r->height, "crf_x10", (int)r->crf_x10, "maxrate_bps",
						       (int)r->maxrate_bps, "bufsize_bits", (int)r->bufsize_bits,
						       "profile", r->profile, "level_x10", (int)r->level_x10,
						       "codec", (int)r->codec, "copy",
						       (int)r->copy, "frame_ticks", (int)r->frame_ticks));
	}
	json_t *audios = json_array(), *subtitles = json_array();
	for (uint32_t i = 0; i < s->audio_count; i++)
		json_array_append_new(audios, json_pack("{si si si}", "stream", s->audios[i].stream, "channels",
							(int)s->audios[i].channels, "bitrate_bps",
							(int)s->audios[i].bitrate_bps));
	for (uint32_t i = 0; i < s->subtitle_count; i++)
		json_array_append_new(subtitles, json_integer(s->subtitle_streams[i]));
	json_t *root = json_pack(
		"{si si sI si sb si si si si si so si so so}", "container", (int)s->container, "video_stream",
		s->video_stream, "origin_ns", (json_int_t)s->origin_ns, "rotation_degrees", (int)s->rotation_degrees,
		"sequential", (int)s->sequential, "video_threads", (int)s->video_threads, "frame_ticks",
		(int)s->frame_ticks, "gop_ticks", (int)s->gop_ticks, "segment_ticks", (int)s->segment_ticks,
		"reorder_frames", (int)s->reorder_frames, "rungs", rungs, "audio_rate", (int)s->audio_rate, "audios", audios,
		"subtitles", subtitles);
	char *text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (!text)
		abort(); /* out of memory: nothing else can fail here */
	return text;
}

static int read_rung(json_t *item, struct ladder_rung *r)
{
	int width, height, crf, maxrate, bufsize, level, codec = VIDEO_H264, copy = 0, frame = 0; /* older plans lack the last */
	const char *profile;
	if (json_unpack(item, "{si si si si si ss si s?i s?b s?i}", "width", &width, "height", &height, "crf_x10", &crf,
			"maxrate_bps", &maxrate, "bufsize_bits", &bufsize, "profile", &profile, "level_x10",
			&level, "codec", &codec, "copy", &copy, "frame_ticks", &frame) < 0)
		return -1;
	*r = (struct ladder_rung){ .width = (uint32_t)width,
				    .height = (uint32_t)height,
				    .crf_x10 = (uint32_t)crf,
				    .maxrate_bps = (uint32_t)maxrate,
				    .bufsize_bits = (uint32_t)bufsize,
				    .level_x10 = (uint32_t)level,
				    .codec = codec == VIDEO_HEVC ? VIDEO_HEVC : VIDEO_H264,
				    .copy = copy != 0,
				    .frame_ticks = (uint32_t)frame };
	(void)snprintf(r->profile, sizeof(r->profile), "%s", profile);
	return 0;
}

/* Plans of before there were several tracks name the one sound beside its parameters. */
static int read_single_audio(json_t *root, struct ladder_spec *s)
{
	int stream, channels, bitrate;
	if (json_unpack(root, "{si si si}", "audio_stream", &stream, "audio_channels", &channels,
			"audio_bitrate_bps", &bitrate) < 0)
		return -1;
	s->audio_count = stream >= 0;
	s->audios[0] = (struct ladder_audio){ stream, (uint32_t)channels, (uint32_t)bitrate };
	return 0;
}

static int read_tracks(json_t *root, struct ladder_spec *s)
{
	json_t *audios = json_object_get(root, "audios"), *subtitles = json_object_get(root, "subtitles"), *item;
	size_t i;
	if (!audios)
		return read_single_audio(root, s);
	if (json_array_size(audios) > TASK_AUDIOS_MAX || json_array_size(subtitles) > TASK_SUBTITLES_MAX)
		return -1;
	json_array_foreach(audios, i, item)
	{
		int stream, channels, bitrate;
		if (json_unpack(item, "{si si si}", "stream", &stream, "channels", &channels, "bitrate_bps", &bitrate) < 0)
			return -1;
		s->audios[s->audio_count++] = (struct ladder_audio){ stream, (uint32_t)channels, (uint32_t)bitrate };
	}
	json_array_foreach(subtitles, i, item)
		s->subtitle_streams[s->subtitle_count++] = (int32_t)json_integer_value(item);
	return 0;
}

int ladder_spec_parse(const char *json, struct ladder_spec *ret, struct err *e)
{
	struct ladder_spec s = { 0 };
	json_error_t je;
	json_t *root = json_loads(json, 0, &je), *rungs = NULL, *item;
	int container, video, rotation, sequential, threads, frame, gop, segment, rate;
	int reorder = VIDEO_REORDER_FRAMES; /* older plans don't have it */
	json_int_t origin;
	int bad = json_unpack_ex(root, &je, 0, "{si si sI si sb si si si si s?i so si}", "container", &container,
				 "video_stream", &video, "origin_ns", &origin, "rotation_degrees", &rotation,
				 "sequential", &sequential, "video_threads", &threads, "frame_ticks", &frame,
				 "gop_ticks", &gop, "segment_ticks", &segment, "reorder_frames", &reorder, "rungs", &rungs,
				 "audio_rate", &rate);
	if (!bad) {
		s = (struct ladder_spec){ .container = (enum segment_container)container,
					   .video_stream = video,
					   .origin_ns = origin,
					   .rotation_degrees = (uint32_t)rotation,
					   .sequential = sequential != 0,
					   .video_threads = (uint32_t)threads,
					   .frame_ticks = (uint32_t)frame,
					   .gop_ticks = (uint32_t)gop,
					   .segment_ticks = (uint32_t)segment,
					   .reorder_frames = (uint32_t)reorder,
					   .audio_rate = (uint32_t)rate };
		size_t i;
		json_array_foreach(rungs, i,
				   item) if (i >= TASK_RUNGS_MAX || read_rung(item, &s.rungs[s.rung_count++]) < 0)
		{
			bad = 1;
			break;
		}
		bad = bad || read_tracks(root, &s) < 0;
	}
	json_decref(root);
	if (bad || s.segment_ticks == 0)
		return err_set(e, ERR_INTERNAL, "the job's stored plan cannot be read: %s", je.text);
	*ret = s;
	return 0;
}
