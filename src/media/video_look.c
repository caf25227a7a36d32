/* Colours, light and orientation of a source's pictures: see video_look.h. */
#include "media/video_look.h"

#include <libavutil/display.h>
#include <libavutil/dovi_meta.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>
#include <string.h>

#define WHITE_NITS 100.0   /* what becomes 1.0 in linear light */
#define PEAK_NITS 1000.0   /* where nobody says: HLG's nominal peak, and most PQ's */
#define PEAK_NITS_MIN 200.0 /* what tells less isn't HDR but a wrong number */
#define PEAK_NITS_MAX 10000.0

static const struct video_color BT709 = { AVCOL_SPC_BT709, AVCOL_PRI_BT709, AVCOL_TRC_BT709 };

/* Side data of a stream moved to its parameters in libavformat 60.15. */
static const void *side_data(const AVStream *st, enum AVPacketSideDataType type, size_t least)
{
	size_t size = 0;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
	const AVPacketSideData *d = av_packet_side_data_get(st->codecpar->coded_side_data, st->codecpar->nb_coded_side_data, type);
	const uint8_t *data = d ? d->data : NULL;
	size = d ? d->size : 0;
#else
	const uint8_t *data = av_stream_get_side_data(st, type, &size);
#endif
	return size >= least ? data : NULL;
}

static bool is_rgb(int format)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
	return d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

static struct video_color own_color(const AVCodecParameters *par)
{
	bool rgb = par->color_space == AVCOL_SPC_RGB || is_rgb(par->format);
	bool tagged = !rgb && par->color_space != AVCOL_SPC_UNSPECIFIED && par->color_space != AVCOL_SPC_RESERVED;
	bool hd = (par->width < par->height ? par->width : par->height) >= 720;
	struct video_color c = { AVCOL_SPC_SMPTE170M, AVCOL_PRI_SMPTE170M, AVCOL_TRC_SMPTE170M };
	if (hd)
		c = BT709;
	if (tagged && av_color_space_name(par->color_space)) {
		c.space = par->color_space;
		c.primaries = av_color_primaries_name(par->color_primaries) ? par->color_primaries : AVCOL_PRI_UNSPECIFIED;
		c.transfer = av_color_transfer_name(par->color_trc) ? par->color_trc : AVCOL_TRC_UNSPECIFIED;
	}
	return c;
}

static double peak_of(const AVStream *st)
{
	const AVContentLightMetadata *level = side_data(st, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, sizeof(*level));
	const AVMasteringDisplayMetadata *display = side_data(st, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, sizeof(*display));
	double nits = PEAK_NITS;
	if (st->codecpar->color_trc == AVCOL_TRC_ARIB_STD_B67)
		nits = PEAK_NITS; /* relative light: what it was mastered on doesn't matter */
	else if (level && level->MaxCLL)
		nits = level->MaxCLL;
	else if (display && display->has_luminance && display->max_luminance.den > 0)
		nits = av_q2d(display->max_luminance);
	nits = nits < PEAK_NITS_MIN ? PEAK_NITS_MIN : nits > PEAK_NITS_MAX ? PEAK_NITS_MAX : nits;
	return nits / WHITE_NITS;
}

static enum video_light light_of(const AVCodecParameters *par)
{
	if (par->color_trc == AVCOL_TRC_SMPTE2084)
		return LIGHT_PQ;
	if (par->color_trc == AVCOL_TRC_ARIB_STD_B67)
		return LIGHT_HLG;
	bool wide = par->color_primaries == AVCOL_PRI_BT2020 || par->color_primaries == AVCOL_PRI_SMPTE431 ||
		    par->color_primaries == AVCOL_PRI_SMPTE432 || par->color_space == AVCOL_SPC_BT2020_NCL ||
		    par->color_space == AVCOL_SPC_BT2020_CL;
	return wide ? LIGHT_WIDE_GAMUT : LIGHT_AS_IT_IS;
}

/* A matrix that turns and mirrors has a negative determinant. */
static bool mirrored(const AVStream *st)
{
	const void *d = side_data(st, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t));
	int32_t m[9] = { 0 };
	if (d)
		memcpy(m, d, sizeof(m));
	return (double)m[0] * m[4] - (double)m[1] * m[3] < 0;
}

struct video_look video_look_of(const AVStream *stream)
{
	if (!stream)
		return (struct video_look){ .out = BT709 };
	const AVCodecParameters *par = stream->codecpar;
	struct video_look look = { .out = own_color(par), .light = light_of(par), .mirrored = mirrored(stream) };
	if (look.light == LIGHT_AS_IT_IS)
		return look;
	bool coded = par->color_space == AVCOL_SPC_BT709 || par->color_space == AVCOL_SPC_BT2020_CL ||
		     par->color_space == AVCOL_SPC_SMPTE170M;
	look.out = BT709;
	look.space = coded ? par->color_space : AVCOL_SPC_BT2020_NCL;
	look.primaries = av_color_primaries_name(par->color_primaries) && par->color_primaries != AVCOL_PRI_UNSPECIFIED
				 ? par->color_primaries
				 : AVCOL_PRI_BT2020;
	look.peak = peak_of(stream);
	return look;
}

bool video_look_unsupported(const AVStream *stream)
{
	const AVDOVIDecoderConfigurationRecord *d = side_data(stream, AV_PKT_DATA_DOVI_CONF, sizeof(*d));
	return d && d->dv_profile == 5;
}

void video_look_upright(const struct video_look *look, uint32_t degrees, struct buf *out)
{
	static const char *const filters[4][2] = {
		{ "", "vflip," },
		{ "transpose=clock,", "transpose=cclock_flip," },
		{ "hflip,vflip,", "hflip," },
		{ "transpose=cclock,", "transpose=clock_flip," },
	};
	buf_printf(out, "%s", filters[degrees / 90 % 4][look->mirrored]);
}

/* Only RGB needs to be told its way into YUV; YUV keeps the matrix it came with. */
static void scale_as_it_is(const struct video_look *look, const AVFrame *in, uint32_t width, uint32_t height, const char *scaler,
			   struct buf *out)
{
	const char *matrix = "";
	if (is_rgb(in->format))
		matrix = look->out.space == AVCOL_SPC_BT709 ? ":out_color_matrix=bt709" : ":out_color_matrix=smpte170m";
	buf_printf(out, "scale=%u:%u:%s:out_range=tv%s,format=yuv420p,setsar=1", width, height, scaler, matrix);
}

/* Scaled first, still in its own light, since linear light takes 12 bytes a pixel. Frames' tags are not relied on: they
 * may differ from the header's. */
static void scale_and_convert(const struct video_look *look, const AVFrame *in, uint32_t width, uint32_t height,
			      const char *scaler, struct buf *out)
{
	const char *matrix = is_rgb(in->format) ? ":out_color_matrix=bt2020" : "";
	const enum AVColorSpace space = is_rgb(in->format) ? AVCOL_SPC_BT2020_NCL : look->space;
	buf_printf(out, "scale=%u:%u:%s:out_range=tv%s,format=yuv420p10,", width, height, scaler, matrix);
	buf_printf(out, "zscale=min=%d:pin=%d:rin=limited:cin=left:", (int)space, (int)look->primaries);
	const char *transfer = look->light == LIGHT_PQ ? "smpte2084" : "arib-std-b67";
	if (look->light == LIGHT_WIDE_GAMUT)
		buf_printf(out, "tin=bt709:m=bt709:p=bt709:t=bt709:r=limited:c=left");
	else
		buf_printf(out,
			   "tin=%s:m=gbr:p=bt709:t=linear:r=full:npl=%.0f,format=gbrpf32,tonemap=hable:desat=0:peak=%.3f,"
			   "zscale=min=gbr:pin=bt709:tin=linear:rin=full:m=bt709:p=bt709:t=bt709:r=limited:c=left",
			   transfer, WHITE_NITS, look->peak);
	buf_printf(out, ",format=yuv420p,setsar=1");
}

void video_look_scale(const struct video_look *look, const AVFrame *in, uint32_t width, uint32_t height, const char *scaler,
		      struct buf *out)
{
	(look->light == LIGHT_AS_IT_IS ? scale_as_it_is : scale_and_convert)(look, in, width, height, scaler, out);
}
