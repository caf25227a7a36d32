/* Events' text, from another process: what is taken says the same when it is written again. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bus/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = mr_strndup(size ? (const char *)data : "", size);
	struct bus_event_copy copy, again;
	char out[BUS_EVENT_MAX], twice[BUS_EVENT_MAX];
	if (!bus_event_parse(text, &copy))
		return 0;
	bus_event_format(&copy.event, out);
	if (!bus_event_parse(out, &again) || again.event.topic != copy.event.topic)
		abort();
	bus_event_format(&again.event, twice);
	if (copy.event.topic != BUS_JOB && strcmp(out, twice) != 0)
		abort();
	return 0;
}
