/* The bucket's rules as the server's own lifetimes ask for them: they remove what it would have removed, had it lived.
 */
#include "cmd/store_needs.h"

#include <stdio.h>
#include <string.h>

#define MULTIPART_DAYS 1
#define STREAM_DAYS_MAX 3650

int store_needs_from_options(const struct options *o, struct store_needs_made *ret, struct err *e)
{
	/* None for uploads/, hls/ and analysis/: those stay until their rows go. */
	static const struct store_lifetime fixed[STORE_LIFETIMES] = { { "narrations", 1 },  { "parts", 1 },
								      { "streams", 1 },     { "downloads", 7 },
								      { "conversions", 7 }, { "speech", 30 } };
	const struct option_values *origins = options_all(o, "cors-origin");
	uint64_t stream_days = 0;
	int r = options_number(o, "stream-days", 1, STREAM_DAYS_MAX, &stream_days, e);
	if (r < 0)
		return r;
	*ret = (struct store_needs_made) { 0 };
	memcpy(ret->lifetimes, fixed, sizeof(fixed));
	for (size_t i = 0; i < STORE_LIFETIMES; i++)
		if (strcmp(fixed[i].folder, "streams") == 0)
			ret->lifetimes[i].days = (uint32_t)stream_days;
	for (size_t i = 0; i < origins->count; i++)
		ret->origins[i] = origins->v[i];
	ret->needs = (struct store_needs) { .lifetimes = ret->lifetimes,
					    .lifetime_count = STORE_LIFETIMES,
					    .multipart_days = MULTIPART_DAYS,
					    .origins = ret->origins,
					    .origin_count = origins->count };
	return 0;
}

void place_name(const char *url, char out[PLACE_SIZE])
{
	const char *scheme_end = strstr(url, "://");
	const char *rest = scheme_end ? scheme_end + 3 : url;
	size_t len = strcspn(rest, "?");
	const char *at = scheme_end ? memrchr(rest, '@', len) : NULL;
	const char *shown = at ? at + 1 : rest;
	(void)snprintf(out, PLACE_SIZE, "%.*s%.*s", (int)(rest - url), url, (int)(rest + len - shown), shown);
}
