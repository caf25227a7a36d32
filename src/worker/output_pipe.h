/* Where a joined file goes that has no key of the store: standard output of a one-shot conversion.
 *
 *   struct output_pipe *p = output_pipe_new(STDOUT_FILENO, interrupted);
 *   output_pipe_write(p, &head, keep_alive, c, e);
 *   output_pipe_write(p, &parts, keep_alive, c, e);
 *   output_pipe_free(&p);
 *
 * Guarantees: the bytes of the chains in the order of the calls, each once; memory is one buffer; nothing is written anywhere else.
 * Does not guarantee that a reader who stops gets whole objects. Belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "worker/object_chain.h"

struct output_pipe;
/* Borrows the descriptor. `interrupted` may be NULL; once it says true, writes fail with ERR_CANCELED. */
struct output_pipe *output_pipe_new(int fd, bool (*interrupted)(void));
void output_pipe_free(struct output_pipe **p);
/* All of the chain. Waits for a slow reader; `keep_alive` is called a few times a second meanwhile, and ends the wait by failing.
 * What fails leaves part of it written and can't be done again: every later call fails with the same, which is never retriable and,
 * of the pipe itself, ERR_IO. */
int output_pipe_write(struct output_pipe *p, struct object_chain *chain, int (*keep_alive)(void *ctx, struct err *e), void *ctx,
		      struct err *e) MR_MUST_USE;
