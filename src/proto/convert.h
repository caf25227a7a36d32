/* Conversion of a file's sound into one file of another format: what its tasks are asked and what they answer. Part of
 * proto/task.h.
 *
 *   TASK_MEASURE   (only where loudness is to be normalised) the sound that would be encoded, measured
 *   TASK_CONVERT   one chunk: parts of the file (TASK_OBJECT_PART 0, 1, …) and what is known about them (TASK_OBJECT_INDEX)
 *   TASK_JOIN      what comes before all parts (TASK_OBJECT_HEAD) and behind them (TASK_OBJECT_TAIL)
 *
 * The file is HEAD, every chunk's parts in order, TAIL. An object of no bytes isn't sent: a chunk behind the source's end has no
 * part (but an index), ADTS has no head, and hardly anything has a tail.
 *
 * Samples are counted at the output's rate, one for all channels. "Output sample" 0 is the first one of the file: the source's
 * sample start_sample, counted from origin_ns.
 *
 * Inputs, by number: 0 the source. TASK_JOIN: 1 the chunks' indexes, one behind the other; 2 the chunks' parts, one behind the
 * other (read for FLAC alone, whose header holds a digest of all samples).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/analyze.h"

#define CONVERT_PART_MAX_BYTES (16ull << 20)
#define CONVERT_PARTS_MAX 65536 /* of one chunk */
#define CONVERT_CHANNELS_MAX 8
#define CONVERT_TO_END INT64_MAX
#define CONVERT_GAIN_MAX_MB 10000 /* 100 dB */
/* Of a join. */
#define CONVERT_INPUT_SOURCE 0
#define CONVERT_INPUT_INDEX 1
#define CONVERT_INPUT_PARTS 2
#define CONVERT_JOIN_INPUTS 3

enum convert_format {
	CONVERT_MP3 = 1,
	CONVERT_WAV,
	CONVERT_AAC, /* ADTS */
	CONVERT_M4A, /* AAC in MP4 */
	CONVERT_OGG, /* Vorbis */
	CONVERT_OPUS,
	CONVERT_FLAC,
};

/* How samples are stored: WAV any, FLAC integers, the others SAMPLE_CODED. */
enum convert_sample { SAMPLE_CODED = 0, SAMPLE_S16, SAMPLE_S24, SAMPLE_F32 };

struct convert_spec {
	enum convert_format format;
	enum convert_sample sample;
	int32_t stream; /* index in the source: sound */
	uint32_t rate;
	uint32_t channels;
	uint32_t bitrate_bps; /* AAC, M4A, OPUS; MP3 and OGG: constant (nominal) rate, or 0: `quality` decides. else 0 */
	uint32_t quality;     /* where bitrate_bps is 0: MP3 0 (best) to 9, as LAME's V0–V9; OGG 0 to 10 (best). else 0 */
	int32_t gain_mb;      /* of every sample, in hundredths of a decibel */
	bool quick;	      /* MP3: LAME's quick algorithms, half the work (its -q 7; else its usual 3) */
	bool tags;	      /* carry tags and cover art over */
	int64_t origin_ns;    /* source time (of the container) that is the source's sample 0 */
	int64_t start_sample; /* of the source; ≥ 0 */
	int64_t end_sample;   /* of the source, one past the last one wanted; CONVERT_TO_END: as far as it goes */
	/* The chunk, in output samples: on the codec's grid (convert_grid_samples). sample_count is what is planned;
	 * where `last` is set, the chunk goes on to the sound's end, be that before or behind. A JOIN has the whole file's: 0 and
	 * the planned total, `last`. */
	int64_t first_sample, sample_count;
	bool last;
	bool sequential; /* the source cannot be sought exactly: decode from its start */
};

/* The unit of chunk boundaries: 0 for formats that are made in one piece. */
static inline uint32_t convert_grid_samples(enum convert_format format, uint32_t rate)
{
	switch (format) {
	case CONVERT_MP3:
		return rate < 32000 ? 576 : 1152; /* MPEG-2 and 2.5 have one granule a frame */
	case CONVERT_AAC:
	case CONVERT_M4A:
		return 1024;
	case CONVERT_FLAC:
		return 4096;
	case CONVERT_WAV:
		return 1;
	case CONVERT_OGG:
	case CONVERT_OPUS:
		break;
	}
	return 0;
}

/* How many channels the format gets for so many of the source: MP3 has two; libav's encoder for Opus mixes up the speakers of
 * five and seven, and ADTS has no number for four and seven (an empty speaker more is no loss). */
static inline uint32_t convert_channels(enum convert_format format, uint32_t channels)
{
	if (channels > CONVERT_CHANNELS_MAX)
		channels = CONVERT_CHANNELS_MAX;
	if (format == CONVERT_MP3)
		return channels < 2 ? channels : 2;
	if ((format == CONVERT_OPUS && (channels == 5 || channels == 7)) ||
	    (format == CONVERT_AAC && (channels == 4 || channels == 7)))
		return channels + 1;
	return channels;
}

struct convert_result {
	int64_t samples;    /* of the range that the source had: less than planned if it ended, more only if `last` */
	uint64_t bytes;	    /* of all parts */
	uint32_t part_count;
	uint32_t decode_errors; /* frames that could not be decoded and were passed over */
	bool end_of_media;	/* the sound ended in the chunk, or before it */
};

struct measure_result {
	int64_t samples;
	bool has_loudness; /* false: silence */
	struct loudness loudness; /* before any gain */
};

struct join_result {
	int64_t samples;
	uint64_t head_bytes, tail_bytes;
	uint64_t bytes; /* of the whole file */
	uint32_t bitrate_bps; /* on average, of the sound */
};
