/* What Millrace needs of its bucket, as setup makes it and doctor looks for it; and how places are named to people.
 *
 *   static const struct option_def defs[] = { …, STORE_NEEDS_OPTION_DEFS };
 *   store_needs_from_options(&o, &needs, e);
 *   store_prepare(store, &needs.needs, true, on_need, ctx, e);
 */
#pragma once

#include "base/err.h"
#include "cmd/options.h"
#include "store/store.h"

#define STORE_LIFETIMES 6

struct store_needs_made {
	struct store_needs needs; /* points into the rest, and into the options */
	struct store_lifetime lifetimes[STORE_LIFETIMES];
	const char *origins[OPTION_VALUES_MAX];
};

#define STORE_NEEDS_OPTION_DEFS                                                                                        \
	{ "cors-origin", "ORIGIN", "*", "a web origin that may read and put objects of the bucket", .repeats = true }, \
	{                                                                                                              \
		"stream-days", "N", "1",                                                                               \
			"the bucket keeps streams/ so long: at least as long as any stream's retention"                \
	}
/* ERR_INVALID names the option. */
int store_needs_from_options(const struct options *o, struct store_needs_made *ret, struct err *e) MR_MUST_USE;

/* A URL without what may be a secret in it: no user, password or options. */
#define PLACE_SIZE 256
void place_name(const char *url, char out[PLACE_SIZE]);
