/* Where a narration's sentences begin: each behind the one before, as long as that turns out to be. Pure; one thread.
 *
 *   struct narrate_order o;
 *   narrate_order_init(&o, spec);
 *   while (narrate_order_next(&o)) {
 *           place(o.sentence, o.at);      // sample of NARRATE_RATE
 *           o.at += length_of(o.sentence);
 *   }
 *   // o.at: where all of it ends, pauses behind the last sentence included
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/narrate.h"

struct narrate_order {
	const struct narrate_spec *spec;
	int64_t at;
	uint32_t sentence; /* whose turn it is */
	uint32_t next, item; /* of the sentences and the items to come */
	bool joined;	     /* no pause since the last sentence */
};

static inline int64_t narrate_samples(uint32_t ms)
{
	return (int64_t)ms * (NARRATE_RATE / 1000);
}

static inline void narrate_order_init(struct narrate_order *o, const struct narrate_spec *spec)
{
	*o = (struct narrate_order){ .spec = spec, .at = narrate_samples(spec->lead_ms) };
}

/* Moves `at` to where the next sentence begins; false: there is none. */
static inline bool narrate_order_next(struct narrate_order *o)
{
	while (o->item < o->spec->item_count) {
		uint32_t pause_ms = o->spec->items[o->item++];
		if (pause_ms) {
			o->at += narrate_samples(pause_ms);
			o->joined = false;
			continue;
		}
		o->at += o->joined ? narrate_samples(o->spec->gap_ms) : 0;
		o->joined = true;
		o->sentence = o->next++;
		return true;
	}
	return false;
}
