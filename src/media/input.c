/* An input of the task as an opened container. Runs in the task, inside the sandbox; everything it reads is hostile.
 *
 * Guarantees: only demuxers of the list below run, nothing but io->read is asked for bytes, and what probing may read, decode
 * and allocate is bounded by the constants here. Does not guarantee that a decoder accepts what was found: probe.c tries that.
 */
#include "media/input.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <libavutil/avstring.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"

/* One read of the store; a demuxer that hops between audio and video within it asks for nothing new. */
#define BUFFER_BYTES (256u << 10)
#define PROBE_MAX_BYTES (1u << 20)	/* to recognise the format */
#define ANALYZE_MAX_BYTES (10u << 20)	/* to find the streams' parameters */
#define ANALYZE_MAX_US 10000000
#define PIXELS_MAX (8192 * 8192) /* twice 8K; what claims more is a bomb */
#define ERROR_CHARS 256

/* Containers and elementary streams that carry sound or moving pictures by themselves. Left out on purpose: what names further
 * resources (hls, dash, concat, image2, webm_dash_manifest, sdp…), still pictures, subtitles, and devices. */
static const char *const demuxers =
	"mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,wav,w64,aiff,au,caf,flac,ogg,mp3,aac,ac3,eac3,"
	"dts,truehd,mlp,amr,amrnb,amrwb,ape,wv,tta,tak,mpc,mpc8,loas,latm,voc,gsm,m4v,h263,h264,hevc,vvc,obu,av1,ivf,vc1,"
	"mpegvideo,mjpeg,dv,mxf,gxf,rm,nut,yuv4mpegpipe,gif,wtv,swf";

struct media_input {
	const struct task_spec *spec;
	const struct media_io *io;
	uint32_t number;
	uint64_t size, position, bytes_read;
	bool failed;
	struct err failure; /* why io->read failed */
	struct mp4_window *window; /* laid over the file, or NULL */
	AVIOContext *avio;
	AVFormatContext *format;
};

int media_averror(struct err *e, int averror, const char *fmt, ...)
{
	char what[ERROR_CHARS], text[AV_ERROR_MAX_STRING_SIZE] = "";
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	(void)av_strerror(averror, text, sizeof(text));
	if (averror == AVERROR(ENOMEM))
		return err_set_code(e, ERR_MEDIA, "TASK_MEMORY", "%s: it needs more memory than a task may have", what);
	return err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "%s: %s", what, text);
}

int media_input_error(const struct media_input *in, int averror, struct err *e, const char *what)
{
	if (in->failed) {
		(void)err_copy(e, &in->failure);
		return err_wrap(e, "%s", what);
	}
	return media_averror(e, averror, "%s", what);
}

bool media_input_failed(const struct media_input *in)
{
	return in->failed;
}

uint64_t media_input_bytes_read(const struct media_input *in)
{
	return in->bytes_read;
}

AVFormatContext *media_input_format(struct media_input *in)
{
	return in->format;
}

/* After a failure every further read fails at once, so that no demuxer retries its way past it. */
static int read_packet(void *opaque, uint8_t *buf, int len)
{
	struct media_input *in = opaque;
	if (in->failed)
		return AVERROR_EXTERNAL;
	if (in->position >= in->size || len <= 0)
		return AVERROR_EOF;
	uint32_t want = (uint32_t)len < TASK_READ_MAX_BYTES ? (uint32_t)len : TASK_READ_MAX_BYTES, got = 0;
	if (in->window && mp4_window_overlay(in->window, in->position, buf, &want)) {
		in->position += want;
		return (int)want;
	}
	if (in->io->read(in->io->ctx, in->number, in->position, buf, want, &got, &in->failure) < 0) {
		in->failed = true;
		return AVERROR_EXTERNAL;
	}
	assert(got <= want);
	in->position += got;
	in->bytes_read += got;
	return got ? (int)got : AVERROR_EOF;
}

bool media_input_forward(const struct media_input *in)
{
	return in->size == TASK_INPUT_FORWARD;
}

static int64_t seek(void *opaque, int64_t offset, int whence)
{
	struct media_input *in = opaque;
	if (whence & AVSEEK_SIZE)
		return (int64_t)in->size;
	int64_t base = 0;
	whence &= ~AVSEEK_FORCE;
	if (whence == SEEK_CUR)
		base = (int64_t)in->position;
	else if (whence == SEEK_END)
		base = (int64_t)in->size;
	int64_t target;
	if (__builtin_add_overflow(base, offset, &target) || target < 0)
		return AVERROR(EINVAL);
	in->position = (uint64_t)target;
	return target;
}

static int refuse_open(AVFormatContext *s, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
	(void)s;
	(void)pb;
	(void)url;
	(void)flags;
	(void)options;
	return AVERROR(EPERM);
}

/* What a file that is no media looks like, for a message that helps: its first bytes say more than its name. */
static void describe_start(struct media_input *in, char *out, size_t size)
{
	uint8_t head[64];
	uint32_t got = 0, text = 0;
	struct err ignored;
	const uint32_t want = in->size < sizeof(head) ? (uint32_t)in->size : (uint32_t)sizeof(head);
	if (in->io->read(in->io->ctx, in->number, 0, head, want, &got, &ignored) < 0 || got < 4) {
		(void)snprintf(out, size, "it has %llu bytes", (unsigned long long)in->size);
		return;
	}
	static const struct {
		const char *magic, *what;
		size_t len;
	} known[] = {
		{ "%PDF", "a PDF document", 4 },	 { "PK\3\4", "a ZIP archive or office document", 4 },
		{ "\x89PNG", "a PNG picture", 4 },	 { "\xff\xd8\xff", "a JPEG picture", 3 },
		{ "\x1f\x8b", "gzip-compressed data", 2 }, { "\x7f" "ELF", "a program", 4 },
		{ "#EXTM3U", "a playlist", 7 },		 { "<?xml", "an XML document", 5 },
		{ "<!DOC", "an HTML page", 5 },		 { "<html", "an HTML page", 5 },
		{ "{", "plain text", 1 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(known); i++)
		if (got >= known[i].len && memcmp(head, known[i].magic, known[i].len) == 0) {
			(void)snprintf(out, size, "it starts like %s", known[i].what);
			return;
		}
	for (uint32_t i = 0; i < got; i++)
		text += isprint(head[i]) || isspace(head[i]);
	if (text == got) {
		(void)snprintf(out, size, "it starts with plain text");
		return;
	}
	char hex[17];
	hex_encode(head, got < 8 ? got : 8, hex);
	(void)snprintf(out, size, "it starts with the bytes %s", hex);
}

static int not_media(struct media_input *in, struct err *e)
{
	char start[96];
	describe_start(in, start, sizeof(start));
	return err_set_code(e, ERR_UNSUPPORTED, "UNSUPPORTED_FORMAT", "not a media file that is known here: %s", start);
}

/* Recognises the format by content alone; a name from outside decides nothing. */
static int recognise(struct media_input *in, const AVInputFormat **ret, struct err *e)
{
	const AVInputFormat *found = NULL;
	int r = av_probe_input_buffer2(in->avio, &found, "", NULL, 0, PROBE_MAX_BYTES);
	if (in->failed)
		return media_input_error(in, r, e, "read the input");
	if (r == AVERROR(ENOMEM))
		return media_averror(e, r, "recognise the format");
	if (r < 0 || !found)
		return not_media(in, e);
	if (!av_match_list(found->name, demuxers, ','))
		return err_set_code(e, ERR_UNSUPPORTED, "UNSUPPORTED_FORMAT", "%s is not a format that is taken",
				    found->long_name ? found->long_name : found->name);
	*ret = found;
	return 0;
}

/* Looks into the packets; the decoders that it opens for that get the same bounds as ours. */
static int find_streams(AVFormatContext *f)
{
	AVDictionary *options[TASK_STREAMS_MAX] = { NULL };
	const unsigned count = f->nb_streams;
	int r = 0;
	for (unsigned i = 0; i < count && i < TASK_STREAMS_MAX && r >= 0; i++)
		r = av_dict_set_int(&options[i], "max_pixels", PIXELS_MAX, 0);
	if (r >= 0)
		r = avformat_find_stream_info(f, count ? options : NULL);
	for (unsigned i = 0; i < TASK_STREAMS_MAX; i++)
		av_dict_free(&options[i]);
	return r;
}

/* What libav derives from the whole of an index and the overlay doesn't have. ERR_UNSUPPORTED if the streams aren't the tracks. */
static int restore_streams(struct media_input *in, struct err *e)
{
	const struct mp4_window_stream *s;
	for (uint32_t i = 0; (s = mp4_window_stream(in->window, i)); i++) {
		AVStream *st = i < in->format->nb_streams ? in->format->streams[i] : NULL;
		if (!st || st->id != (int)s->id)
			return err_set(e, ERR_UNSUPPORTED, "stream %u isn't track %u", i, s->id);
		if (!s->cut)
			continue;
		st->nb_frames = s->frames;
		if (st->codecpar->codec_type != AVMEDIA_TYPE_VIDEO)
			continue;
		if (s->duration > 0)
			(void)av_reduce(&st->avg_frame_rate.num, &st->avg_frame_rate.den, (int64_t)s->timescale * s->frames,
					s->duration, INT_MAX);
		if (s->constant_step)
			(void)av_reduce(&st->r_frame_rate.num, &st->r_frame_rate.den, s->timescale, s->constant_step, INT_MAX);
	}
	return 0;
}

static int open_format(struct media_input *in, struct err *e)
{
	const AVInputFormat *found = NULL;
	int r = recognise(in, &found, e);
	if (r < 0)
		return r;
	assert(found);
	in->format = avformat_alloc_context();
	if (!in->format)
		return media_averror(e, AVERROR(ENOMEM), "open the input");
	in->format->pb = in->avio;
	in->format->io_open = refuse_open;
	in->format->probesize = ANALYZE_MAX_BYTES;
	in->format->max_analyze_duration = ANALYZE_MAX_US;
	in->format->max_streams = TASK_STREAMS_MAX;
	/* io_open refuses already; and no protocol may be named, should a demuxer open one by itself */
	in->format->protocol_whitelist = av_strdup("none");
	in->format->format_whitelist = av_strdup(demuxers);
	if (!in->format->protocol_whitelist || !in->format->format_whitelist)
		return media_averror(e, AVERROR(ENOMEM), "open the input");
	char what[ERROR_CHARS];
	(void)snprintf(what, sizeof(what), "read the header (%s)", found->long_name ? found->long_name : found->name);
	/* on failure it frees the context, but not our pb */
	r = avformat_open_input(&in->format, "", found, NULL);
	if (r == AVERROR(ENOMEM)) /* libav has one answer for both */
		return err_set_code(e, ERR_MEDIA, "TASK_MEMORY",
				    "%s: more than %d streams, or more memory than a task may have", what, TASK_STREAMS_MAX);
	if (r == AVERROR_EOF && !in->failed)
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "%s: the file ends before any media", what);
	if (r < 0)
		return media_input_error(in, r, e, what);
	r = in->window ? restore_streams(in, e) : 0;
	if (r < 0)
		return r;
	r = find_streams(in->format);
	if (r < 0 || in->failed)
		return media_input_error(in, r, e, "find the streams");
	return 0;
}

static int open_file(struct media_input *in, struct err *e)
{
	uint8_t *buffer = av_malloc(BUFFER_BYTES);
	if (buffer)
		in->avio = avio_alloc_context(buffer, BUFFER_BYTES, 0, in, read_packet, NULL,
					      media_input_forward(in) ? NULL : seek);
	if (!in->avio) {
		av_free(buffer);
		return media_averror(e, AVERROR(ENOMEM), "open the input");
	}
	return open_format(in, e);
}

static void close_file(struct media_input *in)
{
	avformat_close_input(&in->format);
	if (in->avio) {
		av_freep(&in->avio->buffer); /* probing may have replaced the one that we gave */
		avio_context_free(&in->avio);
	}
	mp4_window_free(&in->window);
	in->position = 0;
}

int media_input_open_range(const struct task_spec *spec, uint32_t input, const struct media_io *io,
			   const struct mp4_window_opts *range, struct media_input **ret, struct err *e)
{
	if (input >= spec->input_count)
		return err_set(e, ERR_INTERNAL, "input %u of %u", input, spec->input_count);
	if (spec->inputs[input].size_bytes == 0)
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "the file is empty");
	_cleanup_media_input_ struct media_input *in = mr_calloc(1, sizeof(*in));
	*in = (struct media_input){ .spec = spec, .io = io, .number = input, .size = spec->inputs[input].size_bytes };
	int r = range ? mp4_window_new(io, input, in->size, range, &in->window, e) : 0;
	if (r < 0 && r != -(int)ERR_UNSUPPORTED)
		return err_wrap(e, "read the index");
	if (in->window) {
		in->bytes_read = mp4_window_bytes_read(in->window);
		r = open_file(in, e);
		if (r < 0 && !in->failed)
			close_file(in); /* what is wrong is for the plain way to say */
	}
	if (!in->avio)
		r = open_file(in, e);
	if (r < 0)
		return r;
	*ret = mr_steal(in);
	return 0;
}

int media_input_open(const struct task_spec *spec, uint32_t input, const struct media_io *io, struct media_input **ret,
		     struct err *e)
{
	return media_input_open_range(spec, input, io, NULL, ret, e);
}

bool media_input_holds(const struct media_input *in, const AVPacket *p, bool at_start)
{
	return !in->window || mp4_window_holds(in->window, p->stream_index, p->pos, at_start);
}

bool media_input_ranged(const struct media_input *in)
{
	return in->window;
}

bool media_input_complete(const struct media_input *in)
{
	return !in->window || mp4_window_complete(in->window);
}

void media_input_close(struct media_input **in)
{
	if (!*in)
		return;
	close_file(*in);
	free(*in);
	*in = NULL;
}

int media_decoder_open(const AVStream *st, int threads, AVCodecContext **ret, struct err *e)
{
	const enum AVCodecID id = st->codecpar->codec_id;
	const AVCodec *codec = avcodec_find_decoder(id);
	if (!codec)
		return err_set_code(e, ERR_MEDIA, "UNDECODABLE", "stream %d: no decoder for %s", st->index, avcodec_get_name(id));
	AVCodecContext *c = avcodec_alloc_context3(codec);
	if (!c)
		return media_averror(e, AVERROR(ENOMEM), "open the decoder");
	int r = avcodec_parameters_to_context(c, st->codecpar);
	if (r >= 0) {
		c->pkt_timebase = st->time_base;
		c->thread_count = threads;
		c->max_pixels = PIXELS_MAX;
		r = avcodec_open2(c, codec, NULL);
	}
	if (r < 0) {
		avcodec_free_context(&c);
		if (r == AVERROR(ENOMEM))
			return media_averror(e, r, "stream %d: open the %s decoder", st->index, codec->name);
		char text[AV_ERROR_MAX_STRING_SIZE] = "";
		(void)av_strerror(r, text, sizeof(text));
		return err_set_code(e, ERR_MEDIA, "UNDECODABLE", "stream %d: the %s decoder refuses it: %s", st->index, codec->name,
				    text);
	}
	*ret = c;
	return 0;
}
