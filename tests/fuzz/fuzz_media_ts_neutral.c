/* libFuzzer target: whatever ts_neutral takes comes out in whole packets, each PID's counters in sixteens from 0, and
 * a second time unchanged. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "media/ts_neutral.h"

static void check_counters(const struct buf *b)
{
	static uint8_t counter[0x2000];
	memset(counter, 0, sizeof(counter));
	if (b->len % TS_PACKET_SIZE != 0)
		abort();
	for (size_t at = 0; at < b->len; at += TS_PACKET_SIZE) {
		const uint8_t *p = (const uint8_t *)b->data + at;
		if (p[0] != 0x47)
			abort();
		if ((p[3] & 0x10) && (p[3] & 15) != (counter[(p[1] & 0x1f) << 8 | p[2]]++ & 15))
			abort();
	}
	for (size_t i = 0; i < sizeof(counter); i++)
		if (counter[i] % 16 != 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;
	_cleanup_buf_ struct buf once;
	_cleanup_buf_ struct buf twice;
	buf_init(&once, 8 << 20);
	buf_init(&twice, 8 << 20);
	if (ts_neutral(data, size, &once, &e) < 0 || once.len == 0)
		return 0;
	check_counters(&once);
	if (ts_neutral((const uint8_t *)once.data, once.len, &twice, &e) < 0 || twice.len != once.len ||
	    memcmp(twice.data, once.data, once.len) != 0)
		abort();
	return 0;
}
