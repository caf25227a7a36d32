/* Log lines of timed operations. Server and worker process, on whatever thread does them. */
#include "cmd/log_timed.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/timed.h"

static _Atomic int64_t slow_ns; /* 0: nothing is slow */

static void on_timed(const struct timed *t)
{
	int64_t limit = atomic_load_explicit(&slow_ns, memory_order_relaxed);
	/* A task takes as long as its work, and its chunk's line tells. */
	bool slow = limit && t->took_ns >= limit && t->area != TIMED_TASK;
	if (!slow && !log_is_on(LOG_DEBUG))
		return;
	bool failed = t->result < 0;
	log_at(slow ? LOG_INFO : LOG_DEBUG, timed_area_names[t->area], LOG_S("op", t->operation),
	       LOG_S("what", t->what ? t->what : "-"), LOG_F("ms", (double)t->took_ns / 1e6),
	       LOG_S("result", failed ? err_kind_name((enum err_kind)-t->result) : "ok"), LOG_I("slow", slow));
}

int log_timed_start(const struct options *o, struct err *e)
{
	uint64_t ms = 0;
	int r = options_number(o, "slow-ms", 0, 3600000, &ms, e);
	if (r < 0)
		return r;
	atomic_store(&slow_ns, (int64_t)ms * 1000000);
	timed_listen(on_timed);
	log_keep();
	return 0;
}
