/* Counting of chunks. Server and worker process. */
#include "worker/work_metrics.h"

#include <string.h>

#include "base/metrics.h"

#define TICKS_PER_MS 90

static const int64_t long_ms[] = METRIC_LONG_MS;
static const int64_t speeds_milli[] = { 250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 512000 };

static struct metric chunk_seconds = METRIC_HISTOGRAM("millrace_chunk_seconds", "Time from claim to end of a chunk.", 1e-3, long_ms,
						       "kind", "outcome");
static struct metric media_seconds =
	METRIC_COUNTER("millrace_chunk_media_seconds_total", "Media made by chunks that are done.", 1e-3, "kind");
static struct metric speed = METRIC_HISTOGRAM("millrace_encode_speed", "Seconds of media made in a second by a chunk.", 1e-3,
					      speeds_milli, "kind");
static struct metric recovered =
	METRIC_COUNTER("millrace_recovered_total", "Claims given back, and processes found dead.", 1, "what");

static _Atomic int64_t done, failed, done_ms, media_ms;

const char *work_chunk_kind(enum chunk_kind kind)
{
	static const char *const names[] = { [CHUNK_LADDER] = "ladder",	  [CHUNK_FINISH] = "finish",   [CHUNK_ANALYZE] = "analyze",
					     [CHUNK_MEASURE] = "measure", [CHUNK_CONVERT] = "convert", [CHUNK_JOIN] = "join",
					     [CHUNK_NARRATE] = "narrate" };
	return kind > 0 && (size_t)kind < MR_ARRAY_SIZE(names) ? names[kind] : "unknown";
}

const char *work_job_kind(enum job_kind kind)
{
	if (kind == JOB_ANALYZE)
		return "analyze";
	return kind == JOB_DOWNLOAD ? "download" : job_kind_name(kind);
}

/* Steps that make no media of their own have a weight, too, of which no speed can be told. */
static bool makes_media(enum chunk_kind kind)
{
	return kind == CHUNK_LADDER || kind == CHUNK_CONVERT || kind == CHUNK_NARRATE;
}

void work_count_chunk(const struct chunk *c, const char *outcome, int64_t took_ms)
{
	const char *kind = work_chunk_kind(c->kind);
	metric_observe(metric_of(&chunk_seconds, kind, outcome), took_ms);
	if (strcmp(outcome, "failed") == 0 || strcmp(outcome, "job_failed") == 0)
		atomic_fetch_add(&failed, 1);
	if (strcmp(outcome, "done") != 0)
		return;
	atomic_fetch_add(&done, 1);
	atomic_fetch_add(&done_ms, took_ms);
	if (!makes_media(c->kind))
		return;
	int64_t media = (c->weight_ticks - c->done_ticks) / TICKS_PER_MS; /* an earlier attempt may have made some */
	atomic_fetch_add(&media_ms, media);
	metric_add(metric_of(&media_seconds, kind), media);
	metric_observe(metric_of(&speed, kind), media * 1000 / (took_ms > 0 ? took_ms : 1));
}

void work_count_recovered(const char *what, int64_t count)
{
	metric_add(metric_of(&recovered, what), count);
}

struct work_sums work_sums_now(void)
{
	return (struct work_sums){ .done = atomic_load(&done),
				   .failed = atomic_load(&failed),
				   .done_ms = atomic_load(&done_ms),
				   .media_ms = atomic_load(&media_ms) };
}
