/* libFuzzer target: the messages of listening. The first byte chooses one; what decodes must encode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proto/listen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return -1;
	const uint8_t which = *data++;
	len--;
	int r;
	_cleanup_buf_ struct buf again;
	buf_init(&again, LISTEN_MESSAGE_MAX_BYTES);
	if (which % 2 == 0) {
		struct listen_frames f;
		const uint8_t *bytes;
		size_t n;
		if (listen_frames_decode(data, len, &f, &bytes, &n, NULL) < 0)
			return 0;
		r = listen_frames_encode(&f, bytes, n, &again, NULL);
	} else {
		struct listen_order o;
		if (listen_order_decode(data, len, &o, NULL) < 0)
			return 0;
		r = listen_order_encode(&o, &again, NULL);
	}
	if (len <= LISTEN_MESSAGE_MAX_BYTES && (r < 0 || again.len != len || memcmp(again.data, data, len) != 0))
		abort();
	return 0;
}
