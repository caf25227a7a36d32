/* CRC-16, joined: see crc16.h. Runs in the task. */
#include "media/crc16.h"

#include <libavutil/crc.h>
#include <string.h>

uint16_t crc16(uint16_t crc, const void *data, size_t len)
{
	return (uint16_t)av_crc(av_crc_get_table(AV_CRC_16_ANSI_LE), crc, data, len);
}

/* A linear map of registers: the image of each bit. */
struct map {
	uint16_t of[16];
};

static uint16_t apply(const struct map *m, uint16_t v)
{
	uint16_t r = 0;
	for (int i = 0; v; i++, v >>= 1)
		if (v & 1)
			r ^= m->of[i];
	return r;
}

/* A CRC is linear: appending zeros maps the register, and doing so 2^n times is squaring the map n times. */
uint16_t crc16_join(uint16_t first, uint16_t second, uint64_t second_len)
{
	struct map zeros;
	const uint8_t zero = 0;
	for (int i = 0; i < 16; i++)
		zeros.of[i] = crc16((uint16_t)(1u << i), &zero, 1);
	for (; second_len; second_len >>= 1) {
		if (second_len & 1)
			first = apply(&zeros, first);
		struct map twice;
		for (int i = 0; i < 16; i++)
			twice.of[i] = apply(&zeros, zeros.of[i]);
		zeros = twice;
	}
	return first ^ second;
}
