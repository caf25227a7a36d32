/* Planning a narration's MP3: a conversion of its segments, read as one continuous stream. Pure.
 *
 *   struct convert_plan plan;
 *   download_plan(&narration, &plan, e);
 *   repo_download_start(repo, user, narration.id, &(struct job_new){ …, .plan = convert_job_plan(&plan) }, …);
 */
#pragma once

#include "job/plan_convert.h"

/* Where sound begins in the stream's own time. */
#define DOWNLOAD_ORIGIN_NS INT64_C(10000000000)
/* So much of the stream on either side of a chunk is read with it: encoders and decoders begin early. */
#define DOWNLOAD_MARGIN_SAMPLES (3 * NARRATE_RATE)

/* `narration` is complete: its duration is its own. */
int download_plan(const struct job *narration, struct convert_plan *ret, struct err *e) MR_MUST_USE;
