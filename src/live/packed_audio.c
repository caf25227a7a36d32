/* See packed_audio.h. */
#include "live/packed_audio.h"

#include <string.h>

#include "proto/listen.h"

#define OWNER "com.apple.streaming.transportStreamTimestamp"
#define TICKS_PER_FRAME (90000 * LISTEN_FRAME_SAMPLES / LISTEN_RATE)
#define PRIV_BYTES (sizeof(OWNER) + 8)
#define ID3_HEADER 10
#define FRAME_HEADER 10
#define ADTS_BYTES 7
#define RATE_INDEX 3 /* 48 kHz */
_Static_assert(LISTEN_RATE == 48000 && 90000 * LISTEN_FRAME_SAMPLES % LISTEN_RATE == 0, "the index says so, and ticks are exact");
_Static_assert(PRIV_BYTES + FRAME_HEADER < 128, "sizes are one digit of their synchsafe numbers");

bool packed_audio_begin(struct buf *out, int64_t first_frame)
{
	/* ID3v2.4 with one PRIV frame: its owner, and 33 bits of a 90 kHz clock in eight bytes. */
	uint8_t tag[ID3_HEADER + FRAME_HEADER + PRIV_BYTES] = { 'I', 'D', '3', 4, 0, 0, 0, 0, 0, FRAME_HEADER + PRIV_BYTES,
								'P', 'R', 'I', 'V', 0, 0, 0, PRIV_BYTES };
	uint64_t ticks = ((uint64_t)first_frame * TICKS_PER_FRAME) & ((UINT64_C(1) << 33) - 1);
	uint8_t *at = tag + ID3_HEADER + FRAME_HEADER;
	memcpy(at, OWNER, sizeof(OWNER));
	at += sizeof(OWNER);
	for (int i = 7; i >= 0; i--)
		*at++ = (uint8_t)(ticks >> (8 * i));
	return buf_append(out, tag, sizeof(tag));
}

/* ISO/IEC 14496-3, 1.A.2: AAC LC, without CRC, one raw data block. */
bool packed_audio_frame(struct buf *out, uint32_t channels, const void *data, size_t len)
{
	const size_t size = len + ADTS_BYTES;
	const uint8_t head[ADTS_BYTES] = {
		0xFF,
		0xF1,
		(uint8_t)(1u << 6 | RATE_INDEX << 2 | channels >> 2),
		(uint8_t)((channels & 3) << 6 | size >> 11),
		(uint8_t)(size >> 3),
		(uint8_t)((size & 7) << 5 | 0x1F),
		0xFC,
	};
	return buf_append(out, head, sizeof(head)) && buf_append(out, data, len);
}
