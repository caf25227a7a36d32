/* A file in memory as input 0 of media code that reads by callback: a sentence's sound, a fragment. Task process.
 *
 *   struct memory_input m;
 *   memory_input_init(&m, "speech", data, len);
 *   r = sound_scan_run(m.spec, &m.io, 0, &scan, e);
 *   memory_input_release(&m);
 */
#pragma once

#include <stddef.h>

#include "media/media_io.h"

struct memory_input {
	struct media_io io;
	struct task_spec *spec;
	const void *data;
	size_t len;
};

/* `data` is borrowed; the structure must stay where it is until it is released. */
void memory_input_init(struct memory_input *m, const char *name, const void *data, size_t len);
void memory_input_release(struct memory_input *m);
