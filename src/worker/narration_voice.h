/* A narration's voice without its music, kept beside the stream (KEY_VOICE): made when all of it has been mixed, from sounds that
 * are in the store by then. */
#pragma once

#include "worker/chunk_run.h"

/* Within the finishing step, as often as that is done, with the same bytes. What media is at fault for costs only this file, and a
 * line in the log. */
int narration_voice(struct chunk_run *c, struct err *e) MR_MUST_USE;
