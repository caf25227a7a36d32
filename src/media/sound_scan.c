/* Decoding a whole sound. Runs in a sandboxed child of millrace-task. */
#include "media/sound_scan.h"

#include <assert.h>
#include <libswresample/swresample.h>
#include <math.h>

#include "media/averror.h"
#include "media/input.h"

#define READ_ERRORS_MAX 64 /* so many in a row without a packet are the end */

struct reader {
	const struct sound_scan *scan;
	AVCodecContext *decoder;
	AVFrame *frame;
	SwrContext *convert;
	/* what comes out; set with the first frame */
	int rate;
	AVChannelLayout layout;
	/* what `convert` was made for */
	int in_rate, in_format;
	AVChannelLayout in_layout;
	float *samples;
	int capacity; /* of samples, in frames */
};

static bool same_input(const struct reader *r)
{
	return r->convert && r->in_rate == r->frame->sample_rate && r->in_format == r->frame->format &&
	       av_channel_layout_compare(&r->in_layout, &r->frame->ch_layout) == 0;
}

static int begin(struct reader *r, struct err *e)
{
	r->rate = r->frame->sample_rate;
	int res = av_channel_layout_copy(&r->layout, &r->frame->ch_layout);
	if (res >= 0 && r->layout.order == AV_CHANNEL_ORDER_UNSPEC)
		av_channel_layout_default(&r->layout, r->frame->ch_layout.nb_channels);
	if (res < 0)
		return averror_internal(e, res, "read the sound");
	return r->scan->open(r->scan->ctx, r->rate, &r->layout, e);
}

static int make_converter(struct reader *r, struct err *e)
{
	AVChannelLayout from = { 0 };
	swr_free(&r->convert);
	int res = av_channel_layout_copy(&from, &r->frame->ch_layout);
	if (res >= 0 && from.order == AV_CHANNEL_ORDER_UNSPEC)
		av_channel_layout_default(&from, from.nb_channels);
	if (res >= 0)
		res = swr_alloc_set_opts2(&r->convert, &r->layout, AV_SAMPLE_FMT_FLT, r->rate, &from, r->frame->format,
					  r->frame->sample_rate, 0, NULL);
	if (res >= 0)
		res = swr_init(r->convert);
	if (res >= 0)
		res = av_channel_layout_copy(&r->in_layout, &r->frame->ch_layout);
	av_channel_layout_uninit(&from);
	if (res < 0)
		return averror_internal(e, res, "convert the sound");
	r->in_rate = r->frame->sample_rate;
	r->in_format = r->frame->format;
	return 0;
}

/* Damaged or hostile floats would stay in a filter for ever. */
static void make_finite(float *samples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!isfinite(samples[i]) || fabsf(samples[i]) > 1e6f)
			samples[i] = 0;
}

static int take_frame(struct reader *r, struct err *e)
{
	AVFrame *f = r->frame;
	if (f->nb_samples < 1 || f->sample_rate < 1 || f->ch_layout.nb_channels < 1)
		return 0;
	int res = r->rate ? 0 : begin(r, e);
	if (res == 0 && !same_input(r))
		res = make_converter(r, e);
	if (res < 0)
		return res;
	int room = swr_get_out_samples(r->convert, f->nb_samples);
	if (room > r->capacity) {
		float *p = av_realloc_array(r->samples, (size_t)room * (size_t)r->layout.nb_channels, sizeof(float));
		if (!p)
			return averror_internal(e, AVERROR(ENOMEM), "convert the sound");
		r->samples = p;
		r->capacity = room;
	}
	uint8_t *out = (uint8_t *)r->samples;
	int n = swr_convert(r->convert, &out, room, (const uint8_t **)(void *)f->extended_data, f->nb_samples);
	if (n < 0)
		return averror_internal(e, n, "convert the sound");
	make_finite(r->samples, (size_t)n * (size_t)r->layout.nb_channels);
	return n ? r->scan->add(r->scan->ctx, r->samples, (size_t)n, e) : 0;
}

/* `packet` NULL: the decoder's last frames. */
static int decode(struct reader *r, const AVPacket *packet, struct err *e)
{
	if (avcodec_send_packet(r->decoder, packet) < 0)
		return 0;
	int res = 0;
	while (res == 0 && avcodec_receive_frame(r->decoder, r->frame) >= 0) {
		res = take_frame(r, e);
		av_frame_unref(r->frame);
	}
	return res;
}

static int read_all(struct reader *r, struct media_input *in, int32_t stream, AVPacket *packet, struct err *e)
{
	unsigned errors = 0;
	for (;;) {
		int res = av_read_frame(media_input_format(in), packet);
		if (media_input_failed(in) || res == AVERROR(ENOMEM))
			return media_input_error(in, res, e, "read the sound");
		if (res == AVERROR_EOF || (res < 0 && ++errors >= READ_ERRORS_MAX))
			return decode(r, NULL, e);
		if (res < 0)
			continue;
		errors = 0;
		res = packet->stream_index == stream ? decode(r, packet, e) : 0;
		av_packet_unref(packet);
		if (res < 0)
			return res;
	}
}

static void release(struct reader *r)
{
	avcodec_free_context(&r->decoder);
	av_frame_free(&r->frame);
	swr_free(&r->convert);
	av_channel_layout_uninit(&r->layout);
	av_channel_layout_uninit(&r->in_layout);
	av_freep(&r->samples);
}

int sound_scan_run(const struct task_spec *task, const struct media_io *io, int32_t stream, const struct sound_scan *scan,
		   struct err *e)
{
	_cleanup_media_input_ struct media_input *in = NULL;
	int res = media_input_open(task, 0, io, &in, e);
	if (res < 0)
		return res;
	AVFormatContext *f = media_input_format(in);
	if (stream < 0 || (unsigned)stream >= f->nb_streams)
		return err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "the source has no stream %d any more", stream);
	for (unsigned i = 0; i < f->nb_streams; i++)
		f->streams[i]->discard = (int)i == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
	struct reader r = { .scan = scan, .frame = av_frame_alloc() };
	AVPacket *packet = av_packet_alloc();
	res = r.frame && packet ? media_decoder_open(f->streams[stream], 1, &r.decoder, e)
				: averror_internal(e, AVERROR(ENOMEM), "read the sound");
	if (res == 0) {
		assert(packet && r.frame);
		res = read_all(&r, in, stream, packet, e);
	}
	if (res == 0 && !r.rate)
		res = err_set_code(e, ERR_MEDIA, "UNDECODABLE", "stream %d: no sound could be decoded", stream);
	av_packet_free(&packet);
	release(&r);
	return res;
}
