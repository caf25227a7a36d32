/* Identifiers: UUIDs of version 7 (RFC 9562, 5.7), so that ids sort by their time of creation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_SIZE 37 /* 36 characters and NUL */

/* A new id; ids made by one process strictly rise. Reads the kernel's random source. Any thread. */
void uuid7_new(char out[UUID_SIZE]);
/* True for the canonical form (lower case, any version). */
bool uuid_valid(const char *s);
/* Fills with bytes from the kernel's random source; aborts if there is none. */
void random_bytes(void *out, size_t len);
