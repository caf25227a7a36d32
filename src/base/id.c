/* UUIDv7 and random bytes. */
#include "base/id.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

void random_bytes(void *out, size_t len)
{
	uint8_t *p = out;
	while (len) {
		ssize_t n = getrandom(p, len < 256 ? len : 256, 0);
		if (n <= 0)
			abort();
		p += n;
		len -= (size_t)n;
	}
}

/* Milliseconds and a 12-bit counter (RFC 9562, 6.2, method 1); protected by lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t last_ms;
static uint32_t counter;

void uuid7_new(char out[UUID_SIZE])
{
	uint8_t r[10];
	random_bytes(r, sizeof(r));
	(void)pthread_mutex_lock(&lock);
	int64_t ms = clock_wall_ms();
	if (ms > last_ms) {
		last_ms = ms;
		counter = (uint32_t)(r[8] << 8 | r[9]) & 0x7FF;
	} else if (++counter > 0xFFF) {
		last_ms++;
		counter = 0;
	}
	ms = last_ms;
	uint32_t c = counter;
	(void)pthread_mutex_unlock(&lock);

	uint64_t t = (uint64_t)ms;
	(void)snprintf(out, UUID_SIZE, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", (uint32_t)(t >> 16),
		       (uint32_t)(t & 0xFFFF), 0x7000U | c, 0x80U | (r[0] & 0x3FU), (unsigned)r[1], (unsigned)r[2],
		       (unsigned)r[3], (unsigned)r[4], (unsigned)r[5], (unsigned)r[6], (unsigned)r[7]);
}

bool uuid_valid(const char *s)
{
	for (size_t i = 0; i < UUID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool digit = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f');
		if (dash ? s[i] != '-' : !digit)
			return false;
	}
	return s[UUID_SIZE - 1] == '\0';
}
