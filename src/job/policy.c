/* Lifecycle, retry and progress as pure functions; used by the repository in the server and worker process. */
#include "job/policy.h"

#define OPEN(to)                                                                      \
	{                                                                             \
		[JOB_PENDING] = (to), [JOB_PROCESSING] = (to), [JOB_STREAMING] = (to) \
	}
#define DELAY_MAX_MS 3600000
#define PERCENT_UNTIL_COMPLETED 99.9

static const enum job_status after[JOB_EVENTS][JOB_DELETING + 1] = {
	[JOB_EVENT_CLAIM] = { [JOB_PENDING] = JOB_PROCESSING,
			      [JOB_PROCESSING] = JOB_PROCESSING,
			      [JOB_STREAMING] = JOB_STREAMING },
	[JOB_EVENT_SHOW] = { [JOB_PROCESSING] = JOB_STREAMING, [JOB_STREAMING] = JOB_STREAMING },
	[JOB_EVENT_COMPLETE] = { [JOB_PROCESSING] = JOB_COMPLETED, [JOB_STREAMING] = JOB_COMPLETED },
	[JOB_EVENT_FAIL] = OPEN(JOB_FAILED),
	[JOB_EVENT_CANCEL] = OPEN(JOB_CANCELED),
	[JOB_EVENT_RETRY] = { [JOB_FAILED] = JOB_PENDING },
	[JOB_EVENT_DELETE] = { [JOB_COMPLETED] = JOB_DELETING,
			       [JOB_FAILED] = JOB_DELETING,
			       [JOB_CANCELED] = JOB_DELETING },
};

enum job_status job_after(enum job_status status, enum job_event event)
{
	if (event < JOB_EVENT_CLAIM || event >= JOB_EVENTS || status < JOB_PENDING || status > JOB_DELETING)
		return (enum job_status)0;
	return after[event][status];
}

int64_t retry_delay_ms(const struct retry_policy *p, uint32_t failures, double jitter)
{
	double ms = (double)p->first_ms;
	for (uint32_t i = 1; i < failures && ms < DELAY_MAX_MS; i++)
		ms *= p->factor;
	if (ms > DELAY_MAX_MS)
		ms = DELAY_MAX_MS;
	ms *= 1 + jitter * p->jitter_percent / 100;
	return ms < 0 ? 0 : (int64_t)(ms + 0.5);
}

bool retry_is_final(const struct retry_policy *p, uint32_t failures, bool retriable)
{
	return !retriable || failures >= p->failures_max;
}

struct progress progress_of(const struct progress_facts *f)
{
	struct progress p = { .percent = 0, .speed = 0, .eta_seconds = -1 };
	if (f->weight_ticks > 0)
		p.percent = 100.0 * (double)f->done_ticks / (double)f->weight_ticks;
	if (p.percent > PERCENT_UNTIL_COMPLETED)
		p.percent = PERCENT_UNTIL_COMPLETED;
	if (p.percent < f->percent)
		p.percent = f->percent;
	int64_t took_ms = f->now_ms - f->run_ms, did_ticks = f->done_ticks - f->run_ticks;
	if (f->run_ms > 0 && took_ms > 0 && did_ticks > 0) {
		p.speed = (double)did_ticks / VIDEO_TIMESCALE / ((double)took_ms / 1000);
		int64_t left_ticks = f->weight_ticks - f->done_ticks;
		p.eta_seconds = left_ticks > 0 ? (double)left_ticks / VIDEO_TIMESCALE / p.speed : 0;
	}
	return p;
}
