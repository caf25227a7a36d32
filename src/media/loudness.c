/* The loudness meter. Runs in a sandboxed child of millrace-task. */
#include "media/loudness.h"

#include <ebur128.h>
#include <math.h>

#include "base/mem.h"

#define CHANNELS_MAX 64 /* libebur128's */
#define RATE_MAX 768000

struct loudness_meter {
	ebur128_state *state;
	unsigned channels;
};

static int weight_of(enum AVChannel c)
{
	switch (c) {
	case AV_CHAN_FRONT_LEFT:
	case AV_CHAN_STEREO_LEFT:
		return EBUR128_LEFT;
	case AV_CHAN_FRONT_RIGHT:
	case AV_CHAN_STEREO_RIGHT:
		return EBUR128_RIGHT;
	case AV_CHAN_BACK_LEFT:
	case AV_CHAN_SIDE_LEFT:
	case AV_CHAN_SURROUND_DIRECT_LEFT:
		return EBUR128_LEFT_SURROUND;
	case AV_CHAN_BACK_RIGHT:
	case AV_CHAN_SIDE_RIGHT:
	case AV_CHAN_SURROUND_DIRECT_RIGHT:
		return EBUR128_RIGHT_SURROUND;
	case AV_CHAN_LOW_FREQUENCY:
	case AV_CHAN_LOW_FREQUENCY_2:
		return EBUR128_UNUSED;
	default:
		return EBUR128_CENTER; /* what BS.1770 doesn't name weighs 1 */
	}
}

static int map_channels(struct loudness_meter *m, const AVChannelLayout *layout)
{
	AVChannelLayout usual = { 0 };
	if (layout->order == AV_CHANNEL_ORDER_UNSPEC)
		av_channel_layout_default(&usual, layout->nb_channels);
	const AVChannelLayout *l = usual.nb_channels ? &usual : layout;
	int r = EBUR128_SUCCESS;
	for (unsigned i = 0; r == EBUR128_SUCCESS && i < m->channels; i++)
		r = ebur128_set_channel(m->state, i, weight_of(av_channel_layout_channel_from_index(l, i)));
	av_channel_layout_uninit(&usual);
	return r;
}

static int meter_new(int sample_rate, const AVChannelLayout *layout, int mode, struct loudness_meter **ret, struct err *e)
{
	if (sample_rate < 1 || sample_rate > RATE_MAX || layout->nb_channels < 1 || layout->nb_channels > CHANNELS_MAX)
		return err_set_code(e, ERR_UNSUPPORTED, "UNSUPPORTED_SOUND", "loudness of %d channels at %d Hz",
				    layout->nb_channels, sample_rate);
	struct loudness_meter *m = mr_calloc(1, sizeof(*m));
	m->channels = (unsigned)layout->nb_channels;
	m->state = ebur128_init(m->channels, (unsigned long)sample_rate, mode | EBUR128_MODE_HISTOGRAM);
	if (!m->state || map_channels(m, layout) != EBUR128_SUCCESS) {
		loudness_meter_free(&m);
		return err_set_code(e, ERR_MEDIA, "TASK_MEMORY", "loudness: no memory for a meter of %d channels",
				    layout->nb_channels);
	}
	*ret = m;
	return 0;
}

int loudness_meter_new(int sample_rate, const AVChannelLayout *layout, struct loudness_meter **ret, struct err *e)
{
	return meter_new(sample_rate, layout, EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_TRUE_PEAK, ret, e);
}

int loudness_meter_new_plain(int sample_rate, const AVChannelLayout *layout, struct loudness_meter **ret, struct err *e)
{
	return meter_new(sample_rate, layout, EBUR128_MODE_I, ret, e);
}

int loudness_meter_add(struct loudness_meter *m, const float *interleaved, size_t frames, struct err *e)
{
	if (ebur128_add_frames_float(m->state, interleaved, frames) != EBUR128_SUCCESS)
		return err_set(e, ERR_INTERNAL, "loudness: the meter refuses its samples");
	return 0;
}

static int32_t milli(double v)
{
	return isfinite(v) && fabs(v) < 1000000 ? (int32_t)lround(v * 1000) : LOUDNESS_UNKNOWN;
}

static int32_t peak(const struct loudness_meter *m, int (*of)(ebur128_state *, unsigned, double *))
{
	double max = 0, v;
	for (unsigned i = 0; i < m->channels; i++)
		if (of(m->state, i, &v) == EBUR128_SUCCESS && v > max)
			max = v;
	return max > 0 ? milli(20 * log10(max)) : LOUDNESS_UNKNOWN;
}

int loudness_meter_read(const struct loudness_meter *m, struct loudness *ret, struct err *e)
{
	double integrated, range;
	if (ebur128_loudness_global(m->state, &integrated) != EBUR128_SUCCESS ||
	    ebur128_loudness_range(m->state, &range) != EBUR128_SUCCESS)
		return err_set(e, ERR_INTERNAL, "loudness: the meter cannot be read");
	*ret = (struct loudness){ .integrated_mlufs = milli(integrated),
				  .range_mlu = milli(range),
				  .true_peak_mdbtp = peak(m, ebur128_true_peak),
				  .sample_peak_mdbfs = peak(m, ebur128_sample_peak) };
	return 0;
}

int loudness_meter_integrated(const struct loudness_meter *m, int32_t *ret_mlufs, struct err *e)
{
	double integrated;
	if (ebur128_loudness_global(m->state, &integrated) != EBUR128_SUCCESS)
		return err_set(e, ERR_INTERNAL, "loudness: the meter cannot be read");
	*ret_mlufs = milli(integrated);
	return 0;
}

void loudness_meter_free(struct loudness_meter **m)
{
	if (!*m)
		return;
	if ((*m)->state)
		ebur128_destroy(&(*m)->state);
	free(*m);
	*m = NULL;
}
