/* Between decoder.c (sessions, as their users see them) and decoder_host.c (a process and the thread that speaks with
 * it). Private to these two.
 *
 * A session's bytes are in its log until they are taken, and in a sound session for longer: from the mark before the last
 * on, so that it can be taken up in another process. Positions count all bytes of the session from 0.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "live/decoder.h"
#include "worker/task_hold.h"

#define LOSTS_MAX 16
#define ENDS_MAX 64
#define BUCKETS 1024

struct live_mark {
	uint64_t at;  /* position */
	bool earlier; /* the state that the session was opened with */
	size_t state_len;
	uint8_t state[LIVE_STATE_MAX_BYTES];
};

struct live_session {
	struct live_host *host;
	uint32_t id;
	enum live_kind kind;
	struct live_sound_handlers sound; /* of its kind */
	struct live_split_handlers split;
	int64_t given; /* host's thread: end of the samples given so far */
	uint64_t told; /* host's thread: position up to which `taken` has been called */

	/* protected by the host's lock */
	struct live_session *chain;	 /* of its bucket */
	struct live_session *ready_next; /* of those that have something to be said to the process */
	bool ready;
	struct buf log;
	size_t log_dropped;   /* bytes at its front that are no part of it any more */
	uint64_t log_start;   /* position of its first byte */
	uint64_t sent, taken; /* positions */
	uint64_t base;	      /* position of the process' byte 0 */
	uint64_t losts[LOSTS_MAX]; /* positions where bytes are missing, rising; those that are said keep their place */
	uint32_t lost_count, losts_sent;
	/* Where calls of live_sound_bytes end, beyond `taken`: each is a message of its own, so that it is told of alone. */
	uint64_t ends[ENDS_MAX];
	uint32_t end_count;
	struct live_mark marks[2]; /* the last, and the one before */
	bool opened, closing, close_sent, abandoned, full;
	bool removed; /* its end is being told: what is still said of it meanwhile goes nowhere */
	unsigned strikes; /* processes that died of it */
};

struct live_sound {
	struct live_session s;
};
struct live_split {
	struct live_session s;
};

/* A message that the process hasn't taken. */
struct live_sent {
	uint32_t session;
	uint64_t from;
	uint32_t len;
};
#define SENT_MAX 256 /* a power of two */

struct live_host {
	struct live_decoder *decoder;
	pthread_t thread;
	int wake; /* eventfd */

	pthread_mutex_t lock;
	/* protected by lock */
	bool stopping;
	bool woken;
	uint32_t next_id, session_count;
	struct live_session *buckets[BUCKETS];
	struct live_session *ready_first, *ready_last;
	struct live_session *abandoned; /* in no bucket any more; by ready_next */
	pid_t pid; /* 0: none */
	uint32_t in_flight_now; /* as of the thread's last round */

	/* the thread's own */
	struct task_hold process;
	bool running;
	int64_t started_ms, start_at_ms, heard_ms;
	unsigned failures; /* starts and short lives in a row */
	struct buf in, out;
	struct live_sent in_flight[SENT_MAX];
	uint32_t flight_first, flight_count;
};

struct live_decoder {
	struct zygote *zygote;
	uint32_t host_count;
	struct live_host *hosts;
	atomic_uint_fast64_t deaths, reestablished;
};

/* decoder.c */
uint64_t session_end_locked(const struct live_session *s);
/* Drops what is needed no more. */
void session_trim_locked(struct live_session *s);
/* The first end beyond `from`; the session's, if there is none. */
uint64_t session_next_end_locked(const struct live_session *s, uint64_t from);
void session_free(struct live_session *s);
struct live_session *host_find_locked(struct live_host *h, uint32_t id);
/* Into the line of those that have something to say. */
void host_enqueue_locked(struct live_host *h, struct live_session *s);
void host_remove_locked(struct live_host *h, struct live_session *s);

/* decoder_host.c */
void *host_thread(void *arg);
