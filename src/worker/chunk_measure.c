/* The loudness of what a conversion will encode, before any of it is: one task over the whole sound; its row then tells every
 * other chunk the gain. Runs on a worker thread of the server and worker process.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/convert_json.h"
#include "worker/chunk_run.h"

int chunk_measure(struct chunk_run *c, struct err *e)
{
	struct convert_constants constants;
	int r = convert_constants_parse(c->claim->job.spec_json, &constants, e);
	if (r < 0)
		return r;
	struct task_spec spec = { .kind = TASK_MEASURE, .convert = constants.spec };
	struct task_result *result = mr_calloc(1, sizeof(*result));
	c->range_ticks = c->claim->job.duration_ticks;
	r = chunk_run_task(c, &spec, NULL, NULL, result, e);
	if (r == 0) {
		int32_t gain_mb = convert_gain_mb(&constants, &result->measure);
		_cleanup_free_ char *json = convert_measure_format(&result->measure, gain_mb);
		r = repo_step_done(c->runner->repo, c->claim, json, e);
		if (r == 0)
			log_info("sound_measured", LOG_S("job", c->claim->job.id), LOG_I("attempt", c->claim->chunk.claims),
				 LOG_I("gain_mb", gain_mb), LOG_I("ms", c->usage.wall_ms), LOG_I("cpu_ms", c->usage.cpu_ms),
				 LOG_I("max_rss_kb", c->usage.max_rss_kb));
	}
	free(result);
	return r;
}
