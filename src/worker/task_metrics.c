/* What becomes of tasks, counted. Server and worker process, and one-shot commands. */
#include "worker/task_metrics.h"

#include <string.h>

#include "base/metrics.h"
#include "base/timed.h"

static struct metric kills =
	METRIC_COUNTER("millrace_sandbox_kills_total", "Tasks that were stopped: forbidden calls, limits, crashes.", 1, "reason");
static struct metric zygotes =
	METRIC_COUNTER("millrace_zygote_starts_total", "Starts of the process that tasks are forked from.", 1);

static const char *name_of(enum task_kind kind)
{
	switch (kind) {
	case TASK_PROBE:
		return "probe";
	case TASK_LADDER:
		return "ladder";
	case TASK_ANALYZE:
		return "analyze";
	case TASK_CONVERT:
		return "convert";
	case TASK_MEASURE:
		return "measure";
	case TASK_JOIN:
		return "join";
	case TASK_NARRATE:
		return "narrate";
	case TASK_VOICE:
		return "voice";
	case TASK_SPEAK:
		return "speak";
	case TASK_LIVE:
		return "live";
	case TASK_LISTEN:
		return "listen";
	case TASK_CHECK:
		return "check";
	}
	return "other";
}

/* By their codes (worker/task_client.h). TASK_LOST is somebody else's kill, or the server's own end. */
static bool is_kill(const struct err *why)
{
	return strncmp(why->code, "TASK_", 5) == 0 || strcmp(why->code, "SANDBOX_VIOLATION") == 0;
}

void task_count(enum task_kind kind, int64_t took_ms, int result, const struct err *why)
{
	timed_done(TIMED_TASK, name_of(kind), result < 0 ? err_code(why) : NULL, took_ms * 1000000, result);
	if (result < 0 && is_kill(why))
		metric_add(metric_of(&kills, why->code), 1);
}

void task_count_zygote(void)
{
	metric_add(metric_of(&zygotes, NULL), 1);
}
