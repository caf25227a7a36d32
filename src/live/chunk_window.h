/* Puts a recording's chunks in order: those that come twice are left out, those that come late are waited for, those that never
 * come are given up, so that they block nothing.
 *
 *   switch (chunk_window_put(w, index, data, len, now_ms)) { case CHUNK_DUPLICATE: ... }
 *   while (chunk_window_take(w, now_ms, &c)) {
 *           if (c.lost) ...                     // this many are missing in front of it
 *           use(c.data, c.len); free(c.data);
 *   }
 *
 * A chunk in order goes through at once. One that is ahead is held until those before it are there, for CHUNK_WAIT_MS at most, and
 * while no more than CHUNK_HELD_MAX chunks and CHUNK_HELD_BYTES wait. Times are monotonic. Pure; one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_HELD_MAX 32
#define CHUNK_HELD_BYTES (256u << 10)
#define CHUNK_WAIT_MS 1500

struct sound_chunk {
	int64_t index;
	int64_t lost; /* chunks given up in front of it */
	void *data;   /* the taker frees */
	size_t len;
};

struct chunk_window {
	int64_t next; /* the index that is due; -1: that of the first to come, whatever it is */
	int64_t last; /* the index of the chunk that was put in last */
	struct {
		struct sound_chunk chunk;
		int64_t since_ms;
	} held[CHUNK_HELD_MAX]; /* in order */
	size_t count, bytes;
};

enum chunk_verdict { CHUNK_KEPT, CHUNK_DUPLICATE, CHUNK_FULL };

/* `next`: the first that is due; 0 for a new recording, -1 where that isn't known. */
void chunk_window_init(struct chunk_window *w, int64_t next);
void chunk_window_release(struct chunk_window *w);
/* Copies. index -1: the one behind all that came. CHUNK_FULL: its taker has fallen behind by CHUNK_HELD_MAX, nothing was done. */
enum chunk_verdict chunk_window_put(struct chunk_window *w, int64_t index, const void *data, size_t len, int64_t now_ms);
/* The next in order, if it is there or those before it are given up. `all`: nothing is waited for any more. */
bool chunk_window_take(struct chunk_window *w, int64_t now_ms, bool all, struct sound_chunk *ret);
