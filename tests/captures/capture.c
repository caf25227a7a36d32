/* Recordings of browsers, read for tests. */
#include "capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/base/cm.h"
#include "base/mem.h"
#include "os/fd.h"

void capture_load(struct capture *c, const char *folder, const char *name)
{
	struct err e;
	char *path = mr_asprintf("%s/%s.webm", folder, name);
	char *data = NULL;
	*c = (struct capture){ 0 };
	if (file_read_all(path, 1 << 20, &data, &c->len, &e) < 0)
		fail_msg("%s", e.message);
	c->data = (uint8_t *)data;
	free(path);
	path = mr_asprintf("%s/%s.sizes", folder, name);
	if (file_read_all(path, 1 << 16, &data, NULL, &e) < 0)
		fail_msg("%s", e.message);
	size_t at = 0;
	for (char *p = data; *p && c->count < MR_ARRAY_SIZE(c->ends);) {
		char *end;
		at += strtoul(p, &end, 10);
		if (end == p)
			break;
		c->ends[c->count++] = at;
		p = end + 1;
	}
	free(data);
	free(path);
	assert_true(c->count > 1 && at == c->len);
}

void capture_free(struct capture *c)
{
	free(c->data);
}
