/* libFuzzer target: whatever an MP3 holds behind its first packet, the walk over its frames' headers reads nothing beyond its end,
 * and what it adds to the stream's index lies within the file, in order. The first byte says how far it shall walk. */
#include <libavformat/avformat.h>
#include <stdlib.h>

#include "fuzz.h"
#include "media/memory_input.h"
#include "media/mp3_index.h"

#define FRAME_TICKS 368640 /* libav's clock for MP3 is 1/14112000 s: 1152 samples at 44.1 kHz */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	AVFormatContext *f = avformat_alloc_context();
	AVStream *st = f ? avformat_new_stream(f, NULL) : NULL;
	if (!st)
		abort();
	st->codecpar->codec_type = AVMEDIA_TYPE_AUDIO;
	st->codecpar->codec_id = AV_CODEC_ID_MP3;
	st->codecpar->sample_rate = 44100;
	st->time_base = (AVRational){ 1, 14112000 };
	const AVPacket first = { .pos = 0, .duration = FRAME_TICKS, .size = (int)(size - 1) };
	struct memory_input m;
	memory_input_init(&m, "source", data + 1, size - 1);
	uint64_t bytes_read = 0;
	(void)mp3_index_add(st, &first, &m.io, size - 1, (int64_t)data[0] * FRAME_TICKS, &bytes_read);
	int64_t before = -1;
	for (int i = 0; i < avformat_index_get_entries_count(st); i++) {
		const AVIndexEntry *at = avformat_index_get_entry(st, i);
		if (at->pos < 0 || (uint64_t)at->pos >= size - 1 || at->timestamp <= before)
			abort();
		before = at->timestamp;
	}
	memory_input_release(&m);
	avformat_free_context(f);
	return 0;
}
