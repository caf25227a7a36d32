/* The source as a stream of decoded frames of one video and some audio streams, from a place in time on: opening,
 * seeking with proof, decoding. Runs in the task; one thread (decoders may have slice threads).
 *
 *   struct source_start from = { .video_ticks = 360000, .audio_ticks = 340000 };
 *   struct source *s = NULL;
 *   if (source_open(task, io, &from, &s, e) < 0) ...
 *   while (source_next(s, frame, &track, e) == 0 && track != SOURCE_END) ...
 *   source_close(&s);
 *
 * Tracks are numbered: 0 is the video, 1 + i the spec's audio i.
 *
 * Guarantees: the first video frame that comes lies at or before from.video_ticks, and sound begins at least a second
 * before from.audio_ticks, unless the source has none there. A container's seek is only believed after decoding has
 * shown it; else the search begins further back, at last at the file's start. What cannot be decoded is counted and
 * passed over.
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "media/media_io.h"

/* Streams of one file aren't further apart than this: where one of them is this far past a place without a frame of
 * the other, none will come. (Slideshows are interleaved with their sound to within their encoder's delay: three
 * pictures of ten seconds.) */
#define SOURCE_APART_TICKS (60 * (int64_t)VIDEO_TIMESCALE)

/* The code of an ERR_RANGE: a part of the source was opened, and it isn't enough. What has been made so far is right; to go
 * on, the chunk has to be made again from the whole source. */
#define SOURCE_LEFT_RANGE "LEFT_RANGE"

struct source;

/* Gets every packet of the video that comes to be decoded, before it is; borrows it. */
typedef int source_packet_sink(void *ctx, const AVPacket *packet, struct err *e);

struct source_start {
	bool from_start;      /* don't seek */
	bool whole;           /* the source is opened with all of its index */
	bool undecoded;	      /* no frames of the video are wanted, but its packets: see source_tap */
	int64_t video_ticks;  /* needed from here on; ignored without the stream */
	int64_t audio_ticks;
};

#define SOURCE_VIDEO 0
#define SOURCE_AUDIO 1 /* the first one */
#define SOURCE_TRACKS_MAX (1 + TASK_AUDIOS_MAX)
/* What source_next tells instead of a track's number. */
#define SOURCE_PASSED (-1)
#define SOURCE_END (-2)

/* Opens the spec's input 0 and the streams its ladder names. `task` and `io` are borrowed. Errors as media_input_open
 * and media_decoder_open; a stream whose decoder can't be opened is an error only if it is the only one. */
int source_open(const struct task_spec *task, const struct media_io *io, const struct source_start *from, struct source **ret,
		struct err *e) MR_MUST_USE;
void source_close(struct source **s);

/* The next frame of any track (unreferenced first), SOURCE_PASSED when one packet was read that gave none (yet),
 * or SOURCE_END. */
int source_next(struct source *s, AVFrame *frame, int *ret_track, struct err *e) MR_MUST_USE;
/* From now on the video's packets are shown to `sink`, also once the track is stopped. */
void source_tap(struct source *s, source_packet_sink *sink, void *ctx);
/* No more frames of that track are wanted. */
void source_stop(struct source *s, int track);
/* True if the source has anything later than `ticks`; reads ahead for that, within bounds (then: true). */
int source_reaches(struct source *s, int64_t ticks, bool *ret, struct err *e) MR_MUST_USE;
/* Reads no further: what the decoders hold comes yet, then SOURCE_END. */
void source_finish(struct source *s);
/* Begins again at the file's start, as with from_start. */
int source_rewind(struct source *s, struct err *e) MR_MUST_USE;

/* True if frames come from the file's start on. */
bool source_at_start(const struct source *s);
/* The stream's parameters and time base; NULL if it isn't there or not decodable. */
const AVCodecParameters *source_parameters(const struct source *s, int track);
/* Borrowed until the source is closed or begins again. */
AVFormatContext *source_format(struct source *s);
const AVStream *source_video_stream(const struct source *s);
AVRational source_time_base(const struct source *s, int track);
/* The time stamp of the track's first packet in the file, or AV_NOPTS_VALUE: an audio codec's frames lie on a grid from
 * there. */
int64_t source_first_pts(const struct source *s, int track);
/* The latest time of any packet of a track that has been decoded (or passed over, once it is stopped); INT64_MIN
 * before the first. */
int64_t source_latest_ticks(const struct source *s, int track);
uint32_t source_decode_errors(const struct source *s);
uint64_t source_bytes_read(const struct source *s);

/* In the track's time base, 0 where it isn't known. (libav renamed the field.) */
int64_t source_frame_duration(const AVFrame *f);

/* A stream's time stamp on the presentation's axis, in units of 1/rate (90000 for ticks, a sample rate for samples),
 * rounded to the nearest; INT64_MIN for AV_NOPTS_VALUE or what doesn't fit. */
int64_t source_rescale(int64_t pts, AVRational time_base, int64_t origin_ns, int rate);
