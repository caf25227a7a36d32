/* An input that can be read once, forwards: standard input of a one-shot conversion.
 *
 *   struct source_pipe *p = source_pipe_new(STDIN_FILENO, interrupted);
 *   source_pipe_fill(p, &size, e);
 *   source_pipe_read(p, true, offset, buf, len, &got, NULL, NULL, e);      // the probe
 *   source_pipe_read(p, false, offset, buf, len, &got, keep_alive, c, e);  // what converts it
 *   source_pipe_free(&p);
 *
 * Guarantees: at most SOURCE_PIPE_KEPT_BYTES are held, those of its beginning, so that it can be probed before it is converted, and
 * its tags be read behind that; what is no longer than that is all there, and as good as a file. Nothing is written anywhere.
 * Several threads may read what is all there; else one task follows on another.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define SOURCE_PIPE_KEPT_BYTES (16u << 20)

struct source_pipe;
/* Borrows the descriptor. `interrupted` may be NULL; once it says true, reads fail with ERR_CANCELED. */
struct source_pipe *source_pipe_new(int fd, bool (*interrupted)(void));
void source_pipe_free(struct source_pipe **p);
/* Reads the beginning, as much as is kept (at once, if it is there already). *ret_bytes: of all, or TASK_INPUT_FORWARD where more
 * follows. */
int source_pipe_fill(struct source_pipe *p, uint64_t *ret_bytes, struct err *e) MR_MUST_USE;
/* At least one byte, unless it is at its end. Waits for what comes; `keep_alive` (or NULL) is called a few times a second while
 * nothing does, and ends the wait by failing. ERR_MEDIA/NOT_STREAMABLE: what is asked for has been read and isn't kept, or
 * `probing` goes beyond what is kept. */
int source_pipe_read(struct source_pipe *p, bool probing, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		     int (*keep_alive)(void *ctx, struct err *e), void *ctx, struct err *e) MR_MUST_USE;
