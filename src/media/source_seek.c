/* Finding a place to begin decoding at: see source.h. A container's index and keyframe flags are hints; what the
 * decoder gives is the proof. (In transport streams the first seek fails ten times out of twelve.) */
#include <libavformat/avformat.h>
#include <libavutil/mathematics.h>
#include <string.h>

#include "media/mp3_index.h"
#include "media/source_internal.h"

/* After so many packets without a sound there is none near. */
#define AUDIO_SEARCH_MAX_PACKETS 2000
/* Silence before the place that is longer than this isn't a bad seek but silence. */
#define AUDIO_BACKOFF_MAX_TICKS (16 * 90000)

enum verdict { UNDECIDED, GOOD, TOO_LATE };

/* The first audio that can be decoded, -1: none. */
static int first_sound(const struct source *s)
{
	for (int t = SOURCE_AUDIO; t < SOURCE_TRACKS_MAX; t++)
		if (s->decoder[t])
			return t;
	return -1;
}

static int64_t needed_from(const struct source *s)
{
	int64_t video = s->decoder[SOURCE_VIDEO] ? s->from.video_ticks : INT64_MAX;
	int64_t audio = first_sound(s) >= 0 ? s->from.audio_ticks - SOURCE_PREROLL_TICKS : INT64_MAX;
	return video < audio ? video : audio;
}

static bool is_mp4(const struct source *s)
{
	return strstr(media_input_format(s->input)->iformat->name, "mp4");
}

/* How much before the place to look first: reordering and edit lists where there is an index, a GOP where there is
 * none. */
static int64_t first_margin(const struct source *s)
{
	return is_mp4(s) || !s->decoder[SOURCE_VIDEO] ? VIDEO_TIMESCALE / 4 : 2 * VIDEO_TIMESCALE;
}

/* Before the packets that were read at the file's start are forgotten: the first one says where frames begin. */
static void index_mp3(struct source *s, int track, int64_t ts)
{
	AVFormatContext *f = media_input_format(s->input);
	uint64_t bytes = 0;
	const AVPacket *first = s->at_start && s->ahead.count ? packet_queue_at(&s->ahead, 0) : NULL;
	if (strcmp(f->iformat->name, "mp3") != 0 || !first || first->stream_index != s->stream[track])
		return;
	(void)mp3_index_add(f->streams[s->stream[track]], first, s->io, s->task->inputs[0].size_bytes, ts, &bytes);
	s->bytes_before += bytes;
}

static bool seek_to(struct source *s, int64_t ticks)
{
	int track = s->decoder[SOURCE_VIDEO] ? SOURCE_VIDEO : first_sound(s);
	int64_t ns = s->task->ladder.origin_ns + av_rescale(ticks, 1000000000, VIDEO_TIMESCALE);
	int64_t ts = av_rescale_q(ns, av_make_q(1, 1000000000), source_time_base(s, track));
	index_mp3(s, track, ts);
	source_forget(s);
	s->at_start = s->join.active = false;
	return av_seek_frame(media_input_format(s->input), s->stream[track], ts, AVSEEK_FLAG_BACKWARD) >= 0;
}

/* A millisecond of grace: timestamps are rounded to that in Matroska. */
static enum verdict judge_video(struct source *s, AVFrame *frame, const AVPacket *packet)
{
	(void)avcodec_send_packet(s->decoder[SOURCE_VIDEO], packet);
	av_frame_unref(frame);
	if (avcodec_receive_frame(s->decoder[SOURCE_VIDEO], frame) < 0)
		return UNDECIDED;
	int64_t ticks = source_rescale(frame->best_effort_timestamp, source_time_base(s, SOURCE_VIDEO),
				       s->task->ladder.origin_ns, VIDEO_TIMESCALE);
	if (ticks == INT64_MIN)
		return UNDECIDED;
	return ticks <= s->from.video_ticks + VIDEO_TIMESCALE / 1000 ? GOOD : TOO_LATE;
}

static enum verdict judge_audio(const struct source *s, const AVPacket *packet)
{
	int64_t ticks = source_packet_ticks(s, packet);
	if (ticks == INT64_MIN)
		return UNDECIDED;
	return ticks <= s->from.audio_ticks - SOURCE_PREROLL_TICKS ? GOOD : TOO_LATE;
}

/* The worst of all sounds: one that begins too late, else one that hasn't shown itself yet. */
static enum verdict worst_of(const struct source *s, const enum verdict *v)
{
	enum verdict worst = GOOD;
	for (int t = SOURCE_AUDIO; t < SOURCE_TRACKS_MAX; t++)
		if (s->decoder[t] && v[t] != GOOD && worst != TOO_LATE)
			worst = v[t];
	return worst;
}

static bool undecided(const struct source *s, const enum verdict *v)
{
	if (v[SOURCE_VIDEO] == UNDECIDED)
		return true;
	for (int t = SOURCE_AUDIO; t < SOURCE_TRACKS_MAX; t++)
		if (s->decoder[t] && v[t] == UNDECIDED)
			return s->ahead.count < AUDIO_SEARCH_MAX_PACKETS;
	return false;
}

/* Reads and decodes until it is clear whether the place is early enough. The packets stay in the queue, the decoders
 * are fresh again afterwards. *ret_good is false for a place that is too late or shows nothing. */
static int prove(struct source *s, int64_t margin, AVFrame *frame, bool *ret_good, struct err *e)
{
	enum verdict v[SOURCE_TRACKS_MAX] = { s->decoder[SOURCE_VIDEO] ? UNDECIDED : GOOD };
	while (undecided(s, v)) {
		AVPacket *p = NULL;
		int r = source_read(s, &p, e);
		if (r < 0)
			return r;
		bool apart = source_latest_sound(s) > s->from.video_ticks + SOURCE_APART_TICKS;
		bool no_picture = v[SOURCE_VIDEO] == UNDECIDED;
		if (!p || s->ahead.bytes > SOURCE_AHEAD_MAX_BYTES || (no_picture && apart)) {
			if (no_picture && !p)
				v[SOURCE_VIDEO] = judge_video(s, frame, NULL);
			av_packet_free(&p);
			break;
		}
		int track = source_packet_track(s, p);
		if (v[track] == UNDECIDED)
			v[track] = track == SOURCE_VIDEO ? judge_video(s, frame, p) : judge_audio(s, p);
		packet_queue_push(&s->ahead, p);
	}
	if (s->decoder[SOURCE_VIDEO])
		avcodec_flush_buffers(s->decoder[SOURCE_VIDEO]);
	enum verdict sound = worst_of(s, v);
	if (margin >= AUDIO_BACKOFF_MAX_TICKS || (sound == UNDECIDED && s->decoder[SOURCE_VIDEO]))
		sound = GOOD;
	*ret_good = v[SOURCE_VIDEO] == GOOD && sound == GOOD;
	return 0;
}

/* ---- The last keyframe before the place ---- */

/* One more packet into the queue; false where the file or the room is at its end. */
static bool read_on(struct source *s, int *io_result, struct err *e)
{
	AVPacket *p = NULL;
	if (*io_result < 0 || s->ahead.bytes > SOURCE_AHEAD_MAX_BYTES ||
	    source_latest_sound(s) > s->from.video_ticks + SOURCE_APART_TICKS)
		return false;
	*io_result = source_read(s, &p, e);
	if (*io_result < 0 || !p)
		return false;
	packet_queue_push(&s->ahead, p);
	return true;
}

/* Which packet in the queue is the last of the picture's keyframes that is shown at or before the place; 0: none but the first. */
static size_t last_keyframe(const struct source *s)
{
	for (size_t i = s->ahead.count; i-- > 1;) {
		const AVPacket *p = packet_queue_at(&s->ahead, i);
		if (p->stream_index != s->stream[SOURCE_VIDEO] || !(p->flags & AV_PKT_FLAG_KEY) || p->pts == AV_NOPTS_VALUE)
			continue;
		if (source_packet_ticks(s, p) <= s->from.video_ticks)
			return i;
	}
	return 0;
}

/* The sound's place may be a GOP or more before the picture's: what lies between needn't be decoded. The keyframe is only
 * believed after decoding has shown it, like the seek. */
static int pass_over_gops(struct source *s, AVFrame *frame, struct err *e)
{
	enum verdict v = UNDECIDED;
	int r = 0;
	while (s->latest_read[SOURCE_VIDEO] <= s->from.video_ticks && read_on(s, &r, e))
		;
	const size_t key = last_keyframe(s);
	for (size_t i = key; key && v == UNDECIDED && (i < s->ahead.count || read_on(s, &r, e)); i++)
		if (packet_queue_at(&s->ahead, i)->stream_index == s->stream[SOURCE_VIDEO])
			v = judge_video(s, frame, packet_queue_at(&s->ahead, i));
	avcodec_flush_buffers(s->decoder[SOURCE_VIDEO]);
	if (v == GOOD)
		packet_queue_drop(&s->ahead, key, s->stream[SOURCE_VIDEO]);
	return r;
}

int source_position(struct source *s, struct err *e)
{
	AVFrame *frame = av_frame_alloc();
	if (!frame)
		return media_averror(e, AVERROR(ENOMEM), "seek");
	bool good = false;
	int r = 0;
	for (int64_t margin = first_margin(s); r == 0 && !good; margin *= 2) {
		int64_t target = needed_from(s) - margin;
		if (target <= 0 || !seek_to(s, target))
			break;
		r = prove(s, margin, frame, &good, e);
	}
	if (r == 0 && good && is_mp4(s) && s->decoder[SOURCE_VIDEO] && !s->from.undecoded)
		r = pass_over_gops(s, frame, e);
	av_frame_free(&frame);
	if (r < 0 || good)
		return r;
	return source_rewind(s, e);
}
