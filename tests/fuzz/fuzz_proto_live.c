/* libFuzzer target: the messages of live sessions. The first byte chooses one; what decodes must encode to the same bytes
 * again. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proto/live.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return -1;
	const uint8_t which = *data++;
	len--;
	const uint8_t *bytes;
	size_t n;
	int r = -1;
	_cleanup_buf_ struct buf again;
	buf_init(&again, LIVE_MESSAGE_MAX_BYTES + LIVE_HEAD_MAX_BYTES);
	if (which % 3 == 0) {
		struct live_event v;
		if (live_event_decode(data, len, &v, &bytes, &n, NULL) == 0)
			r = live_event_encode(&v, bytes, n, &again, NULL);
		else
			return 0;
	} else if (which % 3 == 1) {
		struct live_open o;
		if (live_open_decode(data, len, &o, &bytes, &n, NULL) == 0)
			r = live_open_encode(&o, bytes, n, &again, NULL);
		else
			return 0;
	} else {
		uint32_t session;
		if (live_session_decode(data, len, &session, &bytes, &n, NULL) == 0)
			r = live_session_encode(session, bytes, n, &again, NULL);
		else
			return 0;
	}
	if (r < 0 || again.len != len || memcmp(again.data, data, len) != 0)
		abort();
	return 0;
}
