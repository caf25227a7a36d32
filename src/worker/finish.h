/* The last chunk of a job: measures the bit rates, ends the playlists, stores their last version, completes the job.
 * Idempotent: killed anywhere, the next claim does it again with the same result. */
#pragma once

#include "base/err.h"
#include "job/repo.h"
#include "worker/publisher.h"

int finish_job(struct repo *repo, struct publisher *publisher, const struct claim *c, struct err *e) MR_MUST_USE;
