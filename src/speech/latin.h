/* UTF-8 for a voice that knows ASCII alone. Pure. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* Appends `text` with letters of Latin scripts without their accents, typographic quotes, dashes and dots as ASCII's,
 * and everything else that isn't ASCII as a space. */
void latin_to_ascii(const char *text, size_t len, struct buf *out);
