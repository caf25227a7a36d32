/* libFuzzer target: the checker on any bytes, as any kind of playlist, and as two versions of one. Beside not crashing, what
 * it accepts must be what it says. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "fuzz.h"
#include "hls/check.h"

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* The length of the list as it was before its last line. */
static size_t without_last_line(const char *text, size_t len)
{
	while (len && text[len - 1] == '\n')
		len--;
	while (len && text[len - 1] != '\n')
		len--;
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct hls_media_facts f = { 0 };
	struct err e = { 0 };
	bool media = hls_check_media(text, size, &f, &e) == 0;
	bool multivariant = hls_check_multivariant(text, size, &e) == 0;
	demand(!(media && multivariant));
	if (media) {
		demand(f.segment_count > 0 && f.target_duration_s > 0 && f.shortest_seconds > 0);
		demand(f.shortest_seconds <= f.longest_seconds && f.longest_seconds < f.target_duration_s + 0.5);
		demand(f.longest_seconds <= f.total_seconds * 1.000001);
		demand(hls_check_lockstep((struct hls_media_facts[]){ f, f }, 2, 0, &e) == 0);
		demand(hls_check_iframes(&f, &f, &e) < 0);
	}
	demand(hls_check_event_growth(text, size, text, size, &e) < 0);
	size_t before = size;
	for (int lines = 0; lines < 3; lines++) {
		before = without_last_line(text, before);
		if (hls_check_event_growth(text, before, text, size, &e) == 0)
			demand(media && f.event);
	}
	return 0;
}
