/* A narration's sentences as one input of its tasks (proto/narrate.h): a read of one that isn't spoken yet is answered when it is;
 * meanwhile the lease is prolonged as ever, and a cancelation seen. Belongs to the chunk's thread.
 *
 *   r = sentence_reader_open(&s, c, &constants, e);
 *   …  r = sentence_reader_read(&s, input, offset, buf, len, &got, e);      // as struct chunk_objects' read
 *   sentence_reader_close(&s);
 */
#pragma once

#include <stdint.h>

#include "job/plan_narrate.h"
#include "worker/chunk_run.h"
#include "worker/speech.h"

struct sentence_reader {
	struct chunk_run *c;
	struct speech_source *speech;
	uint32_t count, open; /* all; the one that `reader` reads */
	struct store_reader *reader;
};

/* Speaking begins. Zeroed before; sentence_reader_close is right whether or not this succeeded. */
int sentence_reader_open(struct sentence_reader *s, struct chunk_run *c, const struct narrate_constants *constants,
			 struct err *e) MR_MUST_USE;
/* Why a sentence wasn't spoken is what the chunk failed of (its verdict), whatever the task says of its input. */
int sentence_reader_read(struct sentence_reader *s, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
			 struct err *e) MR_MUST_USE;
void sentence_reader_close(struct sentence_reader *s);
