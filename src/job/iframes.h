/* The I-frames of a segment as its row keeps them: "[[ticks, offset, bytes], …]". Pure; any thread.
 *
 *   _cleanup_free_ char *text = iframes_format(&s);
 *   …
 *   if (iframes_parse(text, &s, e) < 0)
 *           return -e->kind;
 */
#pragma once

#include "base/err.h"
#include "job/model.h"

/* "" if it has none. The caller frees. */
char *iframes_format(const struct segment *s);
/* Sets s->iframes. ERR_INTERNAL for what iframes_format didn't write. */
int iframes_parse(const char *text, struct segment *s, struct err *e) MR_MUST_USE;
/* How long the i-th is shown: to the next one of the segment, or to the segment's end. */
int64_t iframes_duration(const struct segment *s, uint32_t i);
