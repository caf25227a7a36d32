/* Which encoder makes which format, and what it has to hear around its chunk: see encode.h. */
#include "media/encode.h"

/* Frames before a chunk's first one. LAME forgets within six (measured: packets equal a single run's from then on, whatever the
 * bit rate); AAC's windows and rate control agree after eight. */
#define MP3_LEAD 12
#define AAC_LEAD 8
/* Frames behind a chunk's last one that the encoder looks at: its delay and its look-ahead. */
#define MP3_AHEAD 4
#define AAC_AHEAD 3
/* A constant rate at a multiple of 11025 Hz isn't a whole number of bytes a frame: frames have a byte more or not in a
 * pattern that repeats after 49 frames (gcd of 144 × rate in bit/s and the sample rate). An encoder that begins in step has
 * the single run's. */
#define MP3_PADDING_PERIOD 49

static int64_t mp3_lead(const struct convert_spec *s, int64_t first_frame)
{
	bool pattern = s->bitrate_bps && s->rate % 11025 == 0;
	int64_t start = first_frame - MP3_LEAD;
	if (start <= 0)
		return first_frame;
	return first_frame - (pattern ? start - start % MP3_PADDING_PERIOD : start);
}

struct encode_range encode_range(const struct convert_spec *s)
{
	const int64_t grid = convert_grid_samples(s->format, s->rate);
	int64_t lead = 0, ahead = 0;
	if (s->format == CONVERT_MP3) {
		lead = mp3_lead(s, s->first_sample / grid) * grid;
		ahead = MP3_AHEAD * grid;
	} else if (s->format == CONVERT_AAC || s->format == CONVERT_M4A) {
		lead = AAC_LEAD * grid;
		ahead = AAC_AHEAD * grid;
	}
	const int64_t from = s->first_sample - lead;
	return (struct encode_range){
		.from = from > 0 ? from : 0,
		.to = s->last ? INT64_MAX : s->first_sample + s->sample_count + ahead,
	};
}

const struct encode_family *encode_family(enum convert_format format)
{
	switch (format) {
	case CONVERT_WAV:
		return &encode_pcm;
	case CONVERT_OGG:
	case CONVERT_OPUS:
		return &encode_ogg;
	case CONVERT_MP3:
	case CONVERT_AAC:
	case CONVERT_M4A:
	case CONVERT_FLAC:
		break;
	}
	return &encode_packets;
}
