/* A file in memory as a task's input: see memory_input.h. */
#include "media/memory_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int read_bytes(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	const struct memory_input *m = ctx;
	(void)input;
	(void)e;
	size_t n = offset < m->len ? m->len - (size_t)offset : 0;
	n = n < len ? n : len;
	if (n)
		memcpy(buf, (const char *)m->data + offset, n);
	*ret_len = (uint32_t)n;
	return 0;
}

void memory_input_init(struct memory_input *m, const char *name, const void *data, size_t len)
{
	*m = (struct memory_input){ .io = { .ctx = m, .read = read_bytes },
				    .spec = mr_calloc(1, sizeof(*m->spec)),
				    .data = data,
				    .len = len };
	m->spec->input_count = 1;
	m->spec->inputs[0].size_bytes = len;
	(void)snprintf(m->spec->inputs[0].name, sizeof(m->spec->inputs[0].name), "%s", name);
}

void memory_input_release(struct memory_input *m)
{
	free(m->spec);
	m->spec = NULL;
}
