/* A narration's segments as one continuous stream, for making its MP3. In the server and worker process.
 *
 *   struct object_chain chain;
 *   if (stream_chain_open(runner, download, &spec, &chain, e) < 0) ...      // what one chunk needs of it
 *   …
 *   object_chain_release(&chain);
 */
#pragma once

#include "job/model.h"
#include "worker/object_chain.h"
#include "worker/runner.h"

/* The segments that hold the spec's range and DOWNLOAD_MARGIN_SAMPLES around it. ERR_GONE with SEGMENT_MISSING names the one that
 * isn't in the store any more. */
int stream_chain_open(const struct runner *r, const struct job *download, const struct convert_spec *spec, struct object_chain *ret,
		      struct err *e) MR_MUST_USE;
