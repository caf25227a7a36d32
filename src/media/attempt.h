/* What is made from a part of the source's index, and made again from all of it where the part wasn't enough
 * (SOURCE_LEFT_RANGE in media/source.h). Runs in the task; one thread.
 *
 *   static int make(void *ctx, const struct media_io *io, bool whole, struct err *e);   // opens with from.whole = whole
 *   return media_attempt(io, make, &mine, e);
 *
 * Guarantees: the second attempt hands nothing over a second time, and progress doesn't fall. For that the attempts must give the
 * same objects in the same order, as far as either goes.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "media/media_io.h"

typedef int attempt_fn(void *ctx, const struct media_io *io, bool whole, struct err *e);

int media_attempt(const struct media_io *io, attempt_fn *make, void *ctx, struct err *e) MR_MUST_USE;
