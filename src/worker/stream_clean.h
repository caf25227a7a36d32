/* What streams leave behind: fragments that have expired, streams that were deleted. The janitor's; idempotent, any number at
 * once on any number of machines does no harm. */
#pragma once

#include "job/repo.h"
#include "store/store.h"

/* Removes all that is due, objects before rows. Blocks; failures are logged, and tried again the next time. */
void streams_clean(struct repo *repo, struct store *store);
