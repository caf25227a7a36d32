/* A line for every operation of the database, the store and tasks (base/timed.h) at the level debug; at info for those of database
 * and store that take long. "event=store op=put what=hls/… ms=12.3". */
#pragma once

#include "cmd/options.h"

#define TIMED_OPTION_DEFS                                                                                      \
	{                                                                                                      \
		"slow-ms", "N", "1000", "operations of database and store that take as long are logged; 0: none" \
	}
/* By the option. Lines of jobs are kept from then on (log_keep). */
int log_timed_start(const struct options *o, struct err *e) MR_MUST_USE;
