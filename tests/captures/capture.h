/* A recording of a browser, blob by blob, for tests: tests/captures/NAME.webm and NAME.sizes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct capture {
	uint8_t *data;
	size_t len;
	size_t count;
	size_t ends[256]; /* of its blobs */
};

/* Fails the test if it isn't there. */
void capture_load(struct capture *c, const char *folder, const char *name);
void capture_free(struct capture *c);
