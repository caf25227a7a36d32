/* One stream's header as values (see probe_stream.h). Everything here comes from the file: ranges are cut to what the channel
 * takes, texts are cleaned. */
#include "media/probe_stream.h"

#include <libavutil/channel_layout.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"

#define NS_PER_SECOND 1000000000
#define TIME_LIMIT_NS (INT64_MAX / 4) /* the channel's */

void probe_text(char *out, size_t size, const char *found)
{
	size_t used = 0, len = found ? strnlen(found, 4096) : 0;
	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence(found + i, len - i);
		const unsigned char c = (unsigned char)found[i];
		const bool control = c < 0x20 || c == 0x7F || (n == 2 && c == 0xC2 && (unsigned char)found[i + 1] < 0xA0);
		const size_t step = n ? n : 1;
		if (used + (n && !control ? n : 1) >= size)
			break;
		if (n && !control) {
			memcpy(out + used, found + i, n);
			used += n;
		} else {
			out[used++] = '?';
		}
		i += step;
	}
	out[used] = '\0';
}

int64_t probe_ns(int64_t ts, AVRational time_base)
{
	if (ts == AV_NOPTS_VALUE || time_base.num <= 0 || time_base.den <= 0)
		return TICKS_UNKNOWN;
	int64_t ns = av_rescale_q(ts, time_base, (AVRational){ 1, NS_PER_SECOND });
	return ns > -TIME_LIMIT_NS && ns < TIME_LIMIT_NS ? ns : TICKS_UNKNOWN;
}

/* Side data of a stream moved to its parameters in libavformat 60.15. */
static const uint8_t *side_data(const AVStream *st, enum AVPacketSideDataType type, size_t *ret_size)
{
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
	const AVPacketSideData *d = av_packet_side_data_get(st->codecpar->coded_side_data, st->codecpar->nb_coded_side_data, type);
	*ret_size = d ? d->size : 0;
	return d ? d->data : NULL;
#else
	return av_stream_get_side_data(st, type, ret_size);
#endif
}

bool probe_stream_encrypted(const AVStream *st)
{
	size_t size;
	const uint32_t tag = st->codecpar->codec_tag;
	return side_data(st, AV_PKT_DATA_ENCRYPTION_INIT_INFO, &size) || tag == MKTAG('e', 'n', 'c', 'v') ||
	       tag == MKTAG('e', 'n', 'c', 'a') || tag == MKTAG('d', 'r', 'm', 's') || tag == MKTAG('d', 'r', 'm', 'i');
}

static enum stream_kind kind_of(enum AVMediaType type)
{
	switch (type) {
	case AVMEDIA_TYPE_VIDEO:
		return STREAM_VIDEO;
	case AVMEDIA_TYPE_AUDIO:
		return STREAM_AUDIO;
	case AVMEDIA_TYPE_SUBTITLE:
		return STREAM_SUBTITLE;
	default:
		return STREAM_OTHER;
	}
}

static uint32_t positive(int64_t v)
{
	return v > 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

static void set_fraction(AVRational r, uint32_t *num, uint32_t *den, uint32_t otherwise)
{
	const bool ok = r.num > 0 && r.den > 0;
	*num = ok ? (uint32_t)r.num : otherwise;
	*den = ok ? (uint32_t)r.den : 1;
}

/* The matrix turns the picture counter-clockwise by what libav reports; we want what the viewer has to do. */
static uint32_t rotation(const AVStream *st)
{
	size_t size;
	const uint8_t *d = side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &size);
	int32_t matrix[9];
	if (!d || size < sizeof(matrix))
		return 0;
	memcpy(matrix, d, sizeof(matrix));
	const double theta = av_display_rotation_get(matrix);
	if (isnan(theta))
		return 0;
	const long quarter = lround(-theta / 90.0);
	return (uint32_t)(((quarter % 4) + 4) % 4) * 90;
}

static AVRational frame_rate(const AVStream *st)
{
	const AVRational avg = st->avg_frame_rate, base = st->r_frame_rate;
	if (avg.num > 0 && avg.den > 0 && av_q2d(avg) <= 1000)
		return avg;
	if (base.num > 0 && base.den > 0 && av_q2d(base) <= 1000)
		return base;
	return (AVRational){ 0, 1 };
}

static void fill_video(AVFormatContext *f, AVStream *st, struct probe_stream *s)
{
	const AVCodecParameters *p = st->codecpar;
	s->width = p->width > 0 && p->width <= UINT16_MAX ? (uint32_t)p->width : 0;
	s->height = p->height > 0 && p->height <= UINT16_MAX ? (uint32_t)p->height : 0;
	set_fraction(av_guess_sample_aspect_ratio(f, st, NULL), &s->sar_num, &s->sar_den, 1);
	set_fraction(frame_rate(st), &s->fps_num, &s->fps_den, 0);
	s->rotation_degrees = rotation(st);
	s->interlaced = p->field_order > AV_FIELD_PROGRESSIVE;
	probe_text(s->pixel_format, sizeof(s->pixel_format), av_get_pix_fmt_name((enum AVPixelFormat)p->format));
	if (p->color_trc != AVCOL_TRC_UNSPECIFIED)
		probe_text(s->color_transfer, sizeof(s->color_transfer), av_color_transfer_name(p->color_trc));
	if (p->color_primaries != AVCOL_PRI_UNSPECIFIED)
		probe_text(s->color_primaries, sizeof(s->color_primaries), av_color_primaries_name(p->color_primaries));
	if (p->color_space != AVCOL_SPC_UNSPECIFIED)
		probe_text(s->color_space, sizeof(s->color_space), av_color_space_name(p->color_space));
}

static void fill_audio(const AVStream *st, struct probe_stream *s)
{
	const AVCodecParameters *p = st->codecpar;
	char layout[64] = "";
	s->sample_rate = positive(p->sample_rate);
	s->channels = positive(p->ch_layout.nb_channels);
	if (av_channel_layout_describe(&p->ch_layout, layout, sizeof(layout)) > 0)
		probe_text(s->channel_layout, sizeof(s->channel_layout), layout);
}

static const char *tag(const AVDictionary *d, const char *key)
{
	const AVDictionaryEntry *t = av_dict_get(d, key, NULL, 0);
	return t ? t->value : NULL;
}

void probe_stream_fill(AVFormatContext *f, AVStream *st, struct probe_stream *ret)
{
	const AVCodecParameters *p = st->codecpar;
	struct probe_stream s = {
		.index = (uint32_t)st->index,
		.kind = kind_of(p->codec_type),
		/* thumbnails for a scrubber are pictures with times, and as little the film */
		.attached_picture = st->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS),
		.is_default = st->disposition & AV_DISPOSITION_DEFAULT,
		.forced = st->disposition & AV_DISPOSITION_FORCED,
		.commentary = st->disposition & AV_DISPOSITION_COMMENT,
		.hearing_impaired = st->disposition & AV_DISPOSITION_HEARING_IMPAIRED,
		.visual_impaired = st->disposition & (AV_DISPOSITION_VISUAL_IMPAIRED | AV_DISPOSITION_DESCRIPTIONS),
		.start_ns = probe_ns(st->start_time, st->time_base),
		.duration_ns = st->duration > 0 ? probe_ns(st->duration, st->time_base) : TICKS_UNKNOWN,
		.bit_rate_bps = p->bit_rate > 0 ? (uint64_t)p->bit_rate : 0,
		.sar_den = 1,
		.fps_den = 1,
	};
	set_fraction(st->time_base, &s.time_base_num, &s.time_base_den, 0);
	probe_text(s.codec, sizeof(s.codec), avcodec_get_name(p->codec_id));
	probe_text(s.profile, sizeof(s.profile), avcodec_profile_name(p->codec_id, p->profile));
	probe_text(s.language, sizeof(s.language), tag(st->metadata, "language"));
	probe_text(s.title, sizeof(s.title), tag(st->metadata, "title"));
	if (s.kind == STREAM_VIDEO)
		fill_video(f, st, &s);
	else if (s.kind == STREAM_AUDIO)
		fill_audio(st, &s);
	*ret = s;
}
