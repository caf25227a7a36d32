/* Numbers of FLAC frames: see flac_frame.h. Runs in the task. */
#include "media/flac_frame.h"

#include <libavutil/crc.h>

#define HEADER_MIN 6 /* sync and codes, a number of one byte, CRC-8 */
#define CRC16_BYTES 2

/* How many bytes a number coded like UTF-8 has (up to 36 bits in seven), 0: none. */
static size_t number_length(uint8_t first)
{
	if (first < 0x80)
		return 1;
	size_t n = 0;
	while (n < 8 && first & (0x80 >> n))
		n++;
	return n >= 2 && n <= 7 ? n : 0;
}

static size_t put_number(uint8_t *out, uint64_t number)
{
	if (number < 0x80) {
		out[0] = (uint8_t)number;
		return 1;
	}
	size_t n = 2;
	while (n < 6 && number >> (5 * n + 1))
		n++;
	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (uint8_t)(0x80 | (number & 0x3f));
		number >>= 6;
	}
	out[0] = (uint8_t)(0xff00u >> n | number);
	return n;
}

/* What stands between the number and the CRC-8: block size and rate where their codes say so. */
static size_t extra_length(const uint8_t *frame)
{
	unsigned block = frame[2] >> 4, rate = frame[2] & 15;
	size_t n = block == 6 ? 1 : block == 7 ? 2 : 0;
	return n + (rate == 12 ? 1 : rate == 13 || rate == 14 ? 2 : 0);
}

bool flac_frame_renumber(const uint8_t *frame, size_t size, uint64_t number, struct buf *out)
{
	if (size < HEADER_MIN + CRC16_BYTES || frame[0] != 0xff || frame[1] != 0xf8 || number > FLAC_NUMBER_MAX)
		return false;
	const size_t old = number_length(frame[4]), extra = extra_length(frame);
	if (!old || size < 4 + old + extra + 1 + CRC16_BYTES)
		return false;
	uint8_t header[4 + 6 + 4 + 1] = { frame[0], frame[1], frame[2], frame[3] };
	size_t n = 4 + put_number(header + 4, number);
	for (size_t i = 0; i < extra; i++)
		header[n++] = frame[4 + old + i];
	header[n] = (uint8_t)av_crc(av_crc_get_table(AV_CRC_8_ATM), 0, header, n);
	n++;
	const uint8_t *body = frame + 4 + old + extra + 1;
	const size_t body_size = size - CRC16_BYTES - (size_t)(body - frame);
	/* libav keeps the registers of CRCs whose first bit is the highest in reverse byte order */
	const AVCRC *table = av_crc_get_table(AV_CRC_16_ANSI);
	uint32_t crc = av_crc(table, av_crc(table, 0, header, n), body, body_size);
	const uint8_t tail[CRC16_BYTES] = { (uint8_t)crc, (uint8_t)(crc >> 8) };
	return buf_append(out, header, n) && buf_append(out, body, body_size) && buf_append(out, tail, sizeof(tail));
}
