/* Has a task try out what tasks stand on (proto/check.h). In the doctor's process; blocks for seconds at most.
 *
 *   task_check(zygote, CHECK_CODECS, &found, e);
 *   if (found.problems[0]) …        // "libx265: the encoder can't be opened"
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "worker/task_client.h"

struct task_check_found {
	uint32_t tried;
	uint32_t wrong;
	char problems[400]; /* of those that are wrong, with "; " between, as many as fit */
};
/* An error: the task didn't come to its end; the message says behind which of them it died. */
int task_check(struct zygote *z, const char *what, struct task_check_found *ret, struct err *e) MR_MUST_USE;
