/* One filled value of every message, shared by the codec's tests. */
#pragma once

#include <stdio.h>

#include "proto/channel.h"

static inline void sample_spec(struct task_spec *s)
{
	static int64_t video[] = { 0, 360000, 720000 };
	static int64_t frames[] = { 0, 188, 376 };
	static uint32_t runs[] = { 3, 4 };
	*s = (struct task_spec){
		.kind = TASK_LADDER,
		.input_count = 2,
		.inputs = { { "source", 123456789012ull }, { "música", 0 } },
		.ladder = { .container = CONTAINER_TS, .video_stream = 0, .origin_ns = -21000000,
			    .rotation_degrees = 90, .sequential = true, .last = true, .video_threads = 4, .frame_ticks = 3000,
			    .gop_ticks = 180000, .segment_ticks = 360000, .reorder_frames = 2, .rung_count = 2,
			    .rungs = { { 1280, 720, 210, 3000000, 6000000, "high", 31 },
				       { 640, 360, 230, 800000, 1600000, "main", 30, VIDEO_H264, false, 6000 } },
			    .audio_rate = 48000, .audio_count = 2, .audios = { { 1, 2, 128000 }, { 4, 1, 72000 } },
			    .subtitle_count = 2, .subtitle_streams = { 3, 2 }, .first_segment = 3,
			    .segment_count = 2, .video_ticks = video, .audio_frames = frames, .runs = runs, .run_count = 2,
			    .ease_off = 14, .resume_segment = 4 },
	};
}

static inline void sample_conversion(struct task_spec *s)
{
	*s = (struct task_spec){
		.kind = TASK_CONVERT,
		.input_count = 1,
		.inputs = { { "source", 1000 } },
		.convert = { .format = CONVERT_MP3, .stream = 1, .rate = 44100, .channels = 2, .bitrate_bps = 128000,
			     .gain_mb = -350, .quick = true, .tags = true, .origin_ns = 25057000,
			     .start_sample = 44100, .end_sample = CONVERT_TO_END, .first_sample = 1152 * 383,
			     .sample_count = 1152 * 1000 },
	};
}

static inline void sample_speech(struct task_spec *s)
{
	*s = (struct task_spec){ .kind = TASK_SPEAK, .input_count = 1, .inputs = { { "text", 25 } }, .speak = { .voice = 1 } };
}

static inline void sample_object(struct task_object *o)
{
	*o = (struct task_object){ .kind = TASK_OBJECT_SEGMENT, .rendition = 2, .index = 7, .start_ticks = 90000,
				   .duration_ticks = 360000, .size_bytes = 1000, .iframe_count = 2,
				   .iframes = { { 0, 24, 300 }, { 180000, 500, 500 } } };
}

static inline void sample_probe(struct task_result *r)
{
	*r = (struct task_result){ .kind = TASK_PROBE,
				   .probe = { .format = "mov,mp4", .title = "Ein Fílm", .start_ns = -5, .duration_ns = 30022000000,
					      .bit_rate_bps = 1103000, .seekable = true, .best_video = 0, .best_audio = 1,
					      .stream_count = 2 } };
	struct probe_stream *v = &r->probe.streams[0], *a = &r->probe.streams[1];
	*v = (struct probe_stream){ .index = 0, .kind = STREAM_VIDEO, .codec = "h264", .profile = "High", .decodable = true,
				    .is_default = true, .start_ns = 0, .duration_ns = TICKS_UNKNOWN, .time_base_num = 1,
				    .time_base_den = 12288, .width = 854, .height = 480, .sar_num = 1, .sar_den = 1,
				    .rotation_degrees = 270, .fps_num = 24, .fps_den = 1, .max_fps_milli = 24000,
				    .constant_frame_rate = true,
				    .pixel_format = "yuv420p", .color_transfer = "bt709" };
	*a = (struct probe_stream){ .index = 1, .kind = STREAM_AUDIO, .codec = "aac", .language = "eng", .decodable = true,
				    .start_ns = TICKS_UNKNOWN, .duration_ns = 30000000000, .time_base_num = 1,
				    .time_base_den = 48000, .sar_den = 1, .fps_den = 1, .sample_rate = 48000, .channels = 6,
				    .channel_layout = "5.1", .frame_samples = 1024 };
}
