/* A file that its chunks write into, each at its own place, where all of them stand alone on one machine: no parts, and so no
 * copy of everything by the join. For formats whose bytes before and between the chunks are known while they are made: WAV. In
 * the process of a one-shot command.
 *
 *   in_place_new(path, &p);
 *   if (in_place_fits(p, &spec) && in_place_head(p, told_by_the_task, e) == 0)
 *           in_place_write(p, offset_in_the_body, data, len, e);         // any thread, any order, again with the same bytes
 *   if (in_place_used(p))
 *           in_place_finish(p, head, head_bytes, tail, tail_bytes, body_bytes, e);
 *
 * Guarantees: nothing is at `path` before the first write; after in_place_finish it is head, what was written in the order of its
 * places without gaps, and tail. Does not guarantee anything of the file in between, nor that it is on the disk: the process that
 * dies leaves a file that nobody looks at (cmd/convert.c gives it its name when it is whole).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/task.h"

struct in_place;

struct in_place *in_place_new(const char *path);
void in_place_free(struct in_place **p);

/* Whether the whole's length is known well enough that its head can't change while it is made (RIFF's sizes have 32 bits). `whole`:
 * the conversion's, not a chunk's. False for NULL. */
bool in_place_fits(const struct in_place *p, const struct convert_spec *whole);
/* How long the file's head will be, as a chunk's task tells; all have to say the same, else ERR_PROTOCOL. */
int in_place_head(struct in_place *p, uint64_t head_bytes, struct err *e) MR_MUST_USE;
/* True once in_place_head has succeeded. False for NULL. */
bool in_place_used(struct in_place *p);
/* After in_place_head. `offset` counts from the head's end. */
int in_place_write(struct in_place *p, uint64_t offset, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* When all chunks are there and nobody writes any more. ERR_INTERNAL if the head isn't as long as was said, or what was written
 * hasn't body_bytes. It may be done again. */
int in_place_finish(struct in_place *p, const void *head, size_t head_bytes, const void *tail, size_t tail_bytes,
		    uint64_t body_bytes, struct err *e) MR_MUST_USE;
