/* The last chunk of a job with playlists. Runs on a worker thread of the server and worker process. */
#include "base/clock.h"
#include "base/log.h"
#include "worker/chunk_run.h"
#include "worker/finish.h"
#include "worker/narration_voice.h"

int chunk_finish(struct chunk_run *c, struct err *e)
{
	const struct job *j = &c->claim->job;
	int r = j->kind == JOB_NARRATION ? narration_voice(c, e) : 0;
	if (r == 0)
		r = finish_job(c->runner->repo, c->runner->publisher, c->claim, e);
	if (r < 0)
		return r;
	log_info("job_completed", LOG_S("job", j->id), LOG_S("user", j->user_id), LOG_I("segments", j->segment_count),
		 LOG_I("ms", clock_wall_ms() - j->started_ms));
	return 0;
}
