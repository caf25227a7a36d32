/* libFuzzer target: every decoder of the task's channel. The first byte chooses the message; what decodes must encode to the
 * same bytes again. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "proto/channel.h"

static void spec(const uint8_t *data, size_t len, struct buf *again, struct err *e)
{
	struct task_spec s;
	if (task_spec_decode(data, len, &s, e) < 0)
		return;
	if (task_spec_encode(&s, again, e) < 0)
		abort();
	task_spec_release(&s);
}

#define ROUND(name, type)                                       \
	do {                                                    \
		type v;                                         \
		if (task_##name##_decode(data, len, &v, &e) < 0) \
			break;                                  \
		if (task_##name##_encode(&v, &again, &e) < 0)    \
			abort();                                \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return -1;
	const uint8_t which = data[0];
	data++;
	len--;
	struct err e;
	_cleanup_buf_ struct buf again;
	buf_init(&again, MSG_MAX_BYTES);
	switch (which % 7) {
	case 0:
		spec(data, len, &again, &e);
		break;
	case 1:
		ROUND(read, struct task_read);
		break;
	case 2:
		ROUND(progress, struct task_progress);
		break;
	case 3:
		ROUND(object, struct task_object);
		break;
	case 4:
		ROUND(result, struct task_result);
		break;
	case 5: {
		struct err v;
		if (task_failure_decode(data, len, &v, &e) == 0 && task_failure_encode(&v, &again, &e) < 0)
			abort();
		break;
	}
	default: {
		enum msg_type type;
		uint32_t size;
		if (len >= MSG_HEADER_BYTES && channel_header_decode(data, &type, &size, &e) == 0 && size > MSG_MAX_BYTES)
			abort();
		break;
	}
	}
	if (again.len && (again.len != len || memcmp(again.data, data, len) != 0))
		abort();
	return 0;
}
