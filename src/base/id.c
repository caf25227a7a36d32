/* UUIDv7 and random bytes. */
#include "base/id.h"

#include <pthread.h>
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

#define RANDOM_BYTES 10 /* of an id: 8, and 2 for the counter's start */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Protected by lock. Milliseconds and a 12-bit counter (RFC 9562, 6.2, method 1), and random bytes for the next ids. */
static int64_t last_ms;
static uint32_t counter;
static uint8_t stock[24][RANDOM_BYTES];
static size_t stock_left;

/* One system call for many ids. Each is used once; the millisecond keeps the ids of a forked process apart. */
static const uint8_t *next_random_locked(void)
{
	if (!stock_left) {
		random_bytes(stock, sizeof(stock));
		stock_left = sizeof(stock) / sizeof(stock[0]);
	}
	return stock[--stock_left];
}

static void put_hex(char *out, uint64_t value, size_t digits)
{
	while (digits--) {
		out[digits] = "0123456789abcdef"[value & 15];
		value >>= 4;
	}
}

void uuid7_new(char out[UUID_SIZE])
{
	uint8_t r[RANDOM_BYTES];
	(void)pthread_mutex_lock(&lock);
	memcpy(r, next_random_locked(), sizeof(r));
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
	r[0] = (uint8_t)(0x80U | (r[0] & 0x3FU));
	put_hex(out, t >> 16, 8);
	put_hex(out + 9, t & 0xFFFF, 4);
	put_hex(out + 14, 0x7000U | c, 4);
	put_hex(out + 19, (uint64_t)r[0] << 8 | r[1], 4);
	for (size_t i = 2; i < 8; i++)
		put_hex(out + 20 + 2 * i, r[i], 2);
	out[8] = out[13] = out[18] = out[23] = '-';
	out[36] = '\0';
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
