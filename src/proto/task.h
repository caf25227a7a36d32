/* What a worker asks of a task and what the task answers: the values. How they travel: proto/channel.h.
 *
 * One task per process: the parent sends one struct task_spec; the child asks for its inputs by name and range, sends
 * init segments, segments and progress, and ends with one result or one failure. The child is not trusted: everything
 * it sends is bounded and checked when it is decoded (proto/codec.c), and the parent answers only input names that the
 * spec lists.
 *
 * Units are in the names. Ticks are of the timescale beside them. "Origin" is the source's media time that becomes
 * zero.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/analyze.h"
#include "proto/check.h"
#include "proto/convert.h"
#include "proto/narrate.h"
#include "proto/speak.h"

#define TASK_INPUTS_MAX 64
#define TASK_INPUT_NAME_SIZE 64
#define TASK_RUNGS_MAX 12
#define TASK_AUDIOS_MAX 8
#define TASK_SUBTITLES_MAX 16
#define TASK_RENDITIONS_MAX (TASK_RUNGS_MAX + TASK_AUDIOS_MAX + TASK_SUBTITLES_MAX)
#define TASK_SEGMENTS_MAX 65536
#define TASK_IFRAMES_MAX 16 /* noted of one segment */
#define TASK_STREAMS_MAX 32
#define TASK_READ_MAX_BYTES (1u << 20)
#define TASK_BLOB_MAX_BYTES (256u << 10)
#define TASK_OBJECT_MAX_BYTES (256ull << 20) /* one segment */
#define VIDEO_TIMESCALE 90000u
#define AAC_FRAME_SAMPLES 1024
#define TICKS_UNKNOWN INT64_MIN

enum task_kind {
	TASK_PROBE = 1,
	TASK_LADDER = 2,
	TASK_ANALYZE = 3,
	TASK_CONVERT = 4,
	TASK_MEASURE = 5,
	TASK_JOIN = 6,
	TASK_SPEAK = 7,
	TASK_NARRATE = 8,
	TASK_LIVE = 9, /* without inputs or a result: proto/live.h says what it does until its channel closes */
	TASK_VOICE = 10,
	TASK_LISTEN = 11, /* as TASK_LIVE: proto/listen.h */
	TASK_CHECK = 12,  /* proto/check.h */
};

static inline bool task_kind_known(uint32_t kind)
{
	return kind >= TASK_PROBE && kind <= TASK_CHECK;
}

/* It has neither inputs nor a result: it serves until its channel closes. */
static inline bool task_kind_serves(enum task_kind kind)
{
	return kind == TASK_LIVE || kind == TASK_LISTEN;
}

static inline bool task_kind_narrates(enum task_kind kind)
{
	return kind == TASK_NARRATE || kind == TASK_VOICE;
}

static inline bool task_kind_converts(enum task_kind kind)
{
	return kind >= TASK_CONVERT && kind <= TASK_JOIN;
}

/* The size of an input that is read once, forwards: where it ends shows when it gives no more. It may answer with fewer bytes than
 * asked for. Of a conversion's source only. */
#define TASK_INPUT_FORWARD ((uint64_t)INT64_MAX)
struct task_input {
	char name[TASK_INPUT_NAME_SIZE]; /* "source" */
	uint64_t size_bytes;
};

enum segment_container { CONTAINER_FMP4 = 0, CONTAINER_TS = 1 };

enum video_codec { VIDEO_H264 = 0, VIDEO_HEVC = 1 };

/* One video rung. The encoder's numbers are part of the plan, so that every chunk and every retry uses the same. */
struct ladder_rung {
	uint32_t width, height; /* even; as displayed (after rotation and sample aspect ratio) */
	uint32_t crf_x10;
	uint32_t maxrate_bps;
	uint32_t bufsize_bits;
	char profile[16];   /* the encoder's name: "high", "main", "baseline"; of HEVC "main" */
	uint32_t level_x10; /* 31 for 3.1 */
	enum video_codec codec; /* HEVC: in fMP4 only */
	bool copy;	    /* the source's own packets; only the first rung can be. The encoder's numbers don't matter then */
	uint32_t frame_ticks; /* from a frame to the next in 1/90000 s, those between left out (media/thinning.h); 0: all frames */
};

/* One sound track and what becomes of it. */
struct ladder_audio {
	int32_t stream; /* index in the source */
	uint32_t channels, bitrate_bps;
};

/* A chunk of a ladder: segments first_segment … first_segment + segment_count - 1 of every rendition. Renditions are
 * numbered: the rungs from 0 in the order given (H.264 before HEVC, each largest first), then the audios, then the subtitles. */
struct ladder_spec {
	enum segment_container container;
	int32_t video_stream; /* index in the source; -1: none */
	int64_t origin_ns;    /* source time (of the container) that becomes zero */
	uint32_t rotation_degrees; /* clockwise, to be applied: 0, 90, 180, 270 */
	bool sequential; /* the source cannot be sought exactly: decode from its start, skip what is before the range */
	bool last;       /* nothing follows: go on until the source ends, though it be longer than planned */
	uint32_t video_threads; /* encoder threads of each rung */
	uint32_t frame_ticks;   /* nominal frame duration in 1/90000 s */
	uint32_t gop_ticks;     /* an IDR at least this often within a segment */
	uint32_t segment_ticks; /* nominal length in 1/90000 s, for what lies beyond the plan */
	uint32_t reorder_frames; /* by which decoding order may differ from presentation order in any rung */
	uint32_t rung_count;
	struct ladder_rung rungs[TASK_RUNGS_MAX];
	uint32_t audio_rate; /* one for all, so that all have the boundaries of audio_frames */
	uint32_t audio_count;
	struct ladder_audio audios[TASK_AUDIOS_MAX]; /* the main one first */
	uint32_t subtitle_count;
	int32_t subtitle_streams[TASK_SUBTITLES_MAX];
	uint32_t first_segment, segment_count;
	/* Boundaries of this chunk's segments, segment_count + 1 of each; the last is the end of the range. Owned by
	 * the spec (task_spec_release). video_ticks: 1/90000 s; NULL without video. audio_frames: AAC frames; NULL
	 * without audio. */
	int64_t *video_ticks;
	int64_t *audio_frames;
	/* The encoders start anew at these segments (rising, first_segment first). The first chunk has two: its first segment,
	 * which is complete as soon as it can be, and the rest. A long sequential chunk is made of the runs that would be chunks
	 * of their own if the source could be sought, so that the bytes are the same either way. */
	uint32_t *runs;
	uint32_t run_count;
	uint32_t ease_off; /* by how much threads step behind (os/thread.h) as a later run begins: others want the cores, too */
	/* Segments below this one are committed in every rendition: don't make or send them. */
	uint32_t resume_segment;
};

/* Of encoded rungs: three B-frames with one as reference. */
#define VIDEO_REORDER_FRAMES 2
#define VIDEO_REORDER_MAX 16 /* what H.264 can hold */
/* Frames that are shown for long (a slideshow's) don't move decoding further ahead than this a frame. */
#define VIDEO_STEP_MAX_TICKS 3750

/* How much decoding leads presentation, 1/90000 s; 0 for a presentation without video. In fMP4 the media's times, sound's
 * too, are later by that than the presentation's (media/segment_times.h). Depends on the plan alone. */
static inline int64_t ladder_lead_ticks(const struct ladder_spec *s)
{
	bool step = s->frame_ticks > 0 && s->frame_ticks < VIDEO_STEP_MAX_TICKS;
	return s->rung_count && s->video_stream >= 0
		       ? s->reorder_frames * (int64_t)(step ? s->frame_ticks : VIDEO_STEP_MAX_TICKS)
		       : 0;
}

/* The first rung is copied: segments begin at the source's keyframes, and their boundaries are those frames' own times. */
static inline bool ladder_copies(const struct ladder_spec *s)
{
	return s->video_stream >= 0 && s->rung_count > 0 && s->rungs[0].copy;
}

struct task_spec {
	enum task_kind kind;
	uint32_t input_count;
	struct task_input inputs[TASK_INPUTS_MAX];
	struct ladder_spec ladder;   /* TASK_LADDER */
	struct analyze_spec analyze; /* TASK_ANALYZE */
	struct convert_spec convert; /* TASK_CONVERT, TASK_MEASURE, TASK_JOIN */
	struct narrate_spec narrate; /* TASK_NARRATE, TASK_VOICE */
	struct speak_spec speak;     /* TASK_SPEAK */
};
/* Frees what the spec owns and zeroes it. */
void task_spec_release(struct task_spec *spec);

/* ---- What the child sends ---- */

struct task_read {
	uint32_t input; /* index into the spec's inputs */
	uint64_t offset;
	uint32_t length; /* ≤ TASK_READ_MAX_BYTES */
};

struct task_progress {
	int64_t done_ticks; /* of this chunk's range, 1/90000 s from its start; never falls */
	uint64_t bytes_read;
};

/* A picture that decodes by itself, and where it lies in its segment: init segment (fMP4) and range are a file of one
 * picture. */
struct task_iframe {
	int64_t ticks; /* from the segment's start, 1/90000 s */
	uint64_t offset, size_bytes;
};

/* The head of an object; its bytes follow as blobs until size_bytes are there. */
enum task_object_kind {
	TASK_OBJECT_INIT = 1,
	TASK_OBJECT_SEGMENT,
	TASK_OBJECT_BYPRODUCT,
	TASK_OBJECT_PART,
	TASK_OBJECT_INDEX,
	TASK_OBJECT_HEAD,
	TASK_OBJECT_TAIL,
	TASK_OBJECT_SPEECH,
	TASK_OBJECT_FINDING,
};
struct task_object {
	enum task_object_kind kind;
	uint32_t rendition;
	char codecs[64];        /* INIT: RFC 6381. TS and subtitles send an INIT of zero bytes, for their codecs */
	enum byproduct byproduct; /* BYPRODUCT */
	uint32_t index;         /* SEGMENT: of the presentation, not of the chunk; BYPRODUCT: of the sprites; PART: of the chunk */
	int64_t start_ticks;    /* video, subtitles: 1/90000 s; audio: samples of audio_rate */
	int64_t duration_ticks; /* > 0 */
	uint64_t size_bytes;
	uint64_t head_bytes; /* PART: how much will come before the first chunk's in the file; 0: not known yet */
	/* SEGMENT of video: at rising times and in rising ranges that don't overlap; the first is at 0. Sound has none. */
	uint32_t iframe_count;
	struct task_iframe iframes[TASK_IFRAMES_MAX];
};

enum stream_kind { STREAM_VIDEO = 1, STREAM_AUDIO = 2, STREAM_SUBTITLE = 3, STREAM_OTHER = 4 };

struct probe_stream {
	uint32_t index;
	enum stream_kind kind;
	char codec[32]; /* libav's name: "h264", "aac" */
	char profile[32];
	char language[16]; /* as found, or empty */
	char title[64];
	bool attached_picture; /* cover art: never video */
	bool is_default, forced, commentary;      /* as the container marks it */
	bool hearing_impaired, visual_impaired;   /* made for them */
	bool other_program;            /* of a broadcast: not of the one that the best video (or sound) belongs to */
	bool decodable;                /* a decoder exists and its parameters are complete; subtitles: they are text */
	int64_t start_ns, duration_ns; /* TICKS_UNKNOWN where not known */
	uint64_t bit_rate_bps;
	uint32_t time_base_num, time_base_den;
	/* video */
	uint32_t width, height; /* as coded */
	uint32_t sar_num, sar_den;
	uint32_t rotation_degrees; /* clockwise rotation that displays it upright: 0, 90, 180, 270 */
	uint32_t fps_num, fps_den; /* average */
	uint32_t max_fps_milli;    /* where frames come fastest, thousandths; 0: not known */
	bool constant_frame_rate;
	char pixel_format[32];
	char color_transfer[32], color_primaries[32], color_space[32];
	bool interlaced;
	/* audio */
	uint32_t sample_rate, channels;
	char channel_layout[64];
	uint32_t frame_samples; /* constant codec frame size, or 0 */
};

/* Where the best video could be cut without being encoded again: its keyframes, those less than half a second behind
 * another left out. */
#define COPY_KEYFRAMES_MAX 65536
struct probe_copy {
	char obstacle[96];	 /* why it can't be copied; empty: it can, as far as a probe sees */
	uint32_t reorder_frames; /* by which its decoding order differs from its presentation order */
	uint32_t gop_ticks;	 /* the longest from keyframe to keyframe, none left out; also from the last to the end */
	uint32_t count;		 /* 0 if there is an obstacle */
	int64_t *ticks;		 /* rising, from the origin, 1/90000 s */
	uint32_t *bytes;	 /* of all packets from there to the next in the list */
};

struct probe_result {
	char format[64]; /* libav's short name: "mov,mp4,m4a,3gp,3g2,mj2" */
	char title[128];
	int64_t start_ns;    /* origin: the earliest presented sample of video or audio */
	int64_t duration_ns; /* from the origin to the end of the longest of video and audio; 0 of TASK_INPUT_FORWARD: not known */
	uint64_t bit_rate_bps;
	bool seekable;                  /* chunks may seek in it exactly; else it is read once, forwards */
	bool scanned;                   /* the duration was counted packet by packet, not taken from a header */
	int32_t best_video, best_audio; /* stream indices, -1: none */
	uint32_t stream_count;
	struct probe_stream streams[TASK_STREAMS_MAX];
	struct probe_copy copy; /* owns its arrays */
};
/* Frees what the result owns; fine with one that is zero. */
void probe_result_release(struct probe_result *p);

struct ladder_result {
	uint32_t next_segment; /* one past the last segment that exists; fewer than planned if the source ended early */
	bool end_of_media;     /* the source ended in this chunk */
	int64_t end_video_ticks, end_audio_frames; /* where it ended, if end_of_media */
	uint32_t decode_errors;                    /* frames that could not be decoded and were passed over */
	uint64_t frames_in, frames_out;
};

struct task_result {
	enum task_kind kind;
	struct probe_result probe;
	struct ladder_result ladder;
	struct analyze_result analyze;
	struct convert_result convert;
	struct measure_result measure;
	struct join_result join;
	struct narrate_result narrate;
	struct voice_result voice;
	struct speak_result speak;
};
