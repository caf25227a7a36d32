/* libFuzzer target: a FLAC frame that is renumbered stays a frame, has the number asked for, and with its old number back it is
 * what it was, but for check sums that weren't true. The first four bytes are the number. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "media/flac_frame.h"

static uint64_t number_of(const uint8_t *data)
{
	return ((uint64_t)data[0] << 24 | (uint64_t)data[1] << 16 | (uint64_t)data[2] << 8 | data[3]) & FLAC_NUMBER_MAX;
}

/* RFC 9639, 9.1.5: coded as UTF-8 is, up to seven bytes. */
static uint64_t coded_number(const uint8_t *p)
{
	unsigned more = 0;
	while (more < 7 && p[0] & (0x80 >> more))
		more++;
	uint64_t n = more ? p[0] & (0x7fu >> more) : p[0];
	for (unsigned i = 1; i < more; i++)
		n = n << 6 | (p[i] & 0x3f);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	_cleanup_buf_ struct buf once;
	_cleanup_buf_ struct buf again;
	_cleanup_buf_ struct buf zero;
	buf_init(&once, size + 64);
	buf_init(&again, size + 64);
	buf_init(&zero, size + 64);
	const uint64_t number = number_of(data);
	if (!flac_frame_renumber(data + 4, size - 4, number, &once)) {
		if (once.len)
			abort();
		return 0;
	}
	const uint8_t *frame = (const uint8_t *)once.data;
	if (once.len > size + 2 || memcmp(frame, data + 4, 4) != 0 || coded_number(frame + 4) != number)
		abort();
	if (!flac_frame_renumber(frame, once.len, 0, &zero) ||
	    !flac_frame_renumber((const uint8_t *)zero.data, zero.len, number, &again) || again.len != once.len ||
	    memcmp(again.data, once.data, once.len) != 0)
		abort();
	return 0;
}
