/* The trusted side of live decoding: sessions that are parsed and decoded in sandboxed processes (task kind TASK_LIVE,
 * proto/live.h), one process a core, each serving many sessions. Runs in the server; no media byte is looked at here.
 *
 *   struct live_decoder *d;
 *   live_decoder_new(zygote, &(struct live_decoder_opts){ .processes = 0 }, &d, e);
 *   struct live_sound *s;
 *   live_sound_open(d, &(struct live_sound_handlers){ .ctx = me, .pcm = on_pcm, .end = on_end }, NULL, 0, &s, e);
 *   live_sound_bytes(s, chunk, len, e);     // as they come, cut anywhere; -ERR_BUSY: too much waits
 *   live_sound_finish(s);                   // what was given is still decoded; then on_end(me, NULL)
 *
 * Handlers are called from threads of the decoder, those of one session one at a time and in order. They must not block: hand
 * over, and wake your own thread. They may call any function of their session. `end` is called exactly once, and last;
 * the session's pointer is invalid from then on: whoever uses it from another thread makes sure, by a lock of his own that
 * his `end` takes, that he doesn't any more. No call here waits for a handler, so it may be made under that lock.
 *
 * If a process dies, its sessions go on in another one: sound sessions from kept state and the bytes since the mark
 * before the last (a second or so), without losing or doubling a sample that was already given, and without a gap unless
 * more bytes would have been needed than are kept (LIVE_KEPT_MAX_BYTES). The message that a process died of is left out,
 * which is a gap; a session at whose messages processes died three times ends with ERR_MEDIA/TASK_CRASHED. A split
 * session ends with ERR_UNAVAILABLE/TASK_LOST: its producer sends again what isn't persisted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proto/live.h"
#include "worker/task_client.h"

#define LIVE_KEPT_MAX_BYTES (256u << 10)  /* of a sound session, for its re-establishment */
#define LIVE_QUEUED_MAX_BYTES (1u << 20) /* given to a sound session but not yet taken by its process; a split session: 4 MiB */

#define LIVE_PROCESSES_MAX 64

struct live_decoder;
struct live_sound;
struct live_split;
struct live_decoder_opts {
	uint32_t processes; /* 0: one a core */
};
/* Borrows the zygote, which must outlive it. Starts the processes in the background: sessions may be opened at once. */
int live_decoder_new(struct zygote *z, const struct live_decoder_opts *opts, struct live_decoder **ret,
		     struct err *e) MR_MUST_USE;
/* Sessions that are left end with ERR_CANCELED before this returns. Not from a handler, nor under a lock that handlers take. */
void live_decoder_free(struct live_decoder *d);

struct live_decoder_stats {
	uint32_t processes, sessions;
	uint32_t in_flight; /* messages that were passed on and aren't done with */
	uint64_t deaths;	/* of processes, since the start */
	uint64_t reestablished; /* sessions, after these */
	pid_t pids[LIVE_PROCESSES_MAX]; /* 0: one that isn't running now */
};
void live_decoder_stats(struct live_decoder *d, struct live_decoder_stats *ret);

/* ---- Sound: a browser's WebM with Opus → 16 kHz mono s16 ---- */

struct live_pcm {
	/* Of the session's timeline at LIVE_RATE. Never less than the end of the one before; what is between is a gap of
	 * silence (more frames lost than are concealed). */
	int64_t first_sample;
	const int16_t *samples; /* borrowed for the call */
	uint32_t count;
	uint32_t concealed; /* of them, at the front: made up for lost frames */
	/* A new recording (fresh header) begins here: how much time went by since the sample before isn't known. */
	bool restart;
};

struct live_sound_handlers {
	void *ctx;
	void (*pcm)(void *ctx, const struct live_pcm *p);
	/* All that these bytes (of live_sound_bytes, in order) led to has been handed over. May be NULL. */
	void (*taken)(void *ctx, size_t bytes);
	/* Something is amiss and the session goes on: "resumed behind 812 bytes that were no WebM", "2 late frames". For
	 * the log. May be NULL. */
	void (*notice)(void *ctx, const char *text);
	/* Exactly once, last. NULL: finished as asked. Codes: NOT_WEBM (no header at all within the first 64 KiB),
	 * UNSUPPORTED_CODEC, TASK_CRASHED; ERR_CANCELED: live_sound_abandon. */
	void (*end)(void *ctx, const struct err *why);
};

/* `state` is what live_sound_state gave in an earlier life of the session, on this or another front, or of length 0. With
 * it a client that continues without a fresh header is understood from its next cluster on. The timeline goes on as with a
 * recording that begins there: the first samples have `restart`, none is left out and none made up. Whoever doesn't know that
 * its first bytes follow on those of the earlier life calls live_sound_lost before them. */
int live_sound_open(struct live_decoder *d, const struct live_sound_handlers *h, const void *state, size_t state_len,
		    struct live_sound **ret, struct err *e) MR_MUST_USE;
/* Copies. -ERR_BUSY if too much waits (the caller chooses: drop it and call live_sound_lost, or cut the client off). */
int live_sound_bytes(struct live_sound *s, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* Bytes are missing here (a chunk that never came): parsing goes on at the next cluster. */
void live_sound_lost(struct live_sound *s);
/* An opaque value that a session can be opened with, LIVE_STATE_MAX bytes at most: as of a recent cluster; returns its
 * length, 0 before the header was understood. */
size_t live_sound_state(struct live_sound *s, uint8_t ret[LIVE_STATE_MAX_BYTES]);
/* No more bytes will come: all that was given is decoded, then `end`. */
void live_sound_finish(struct live_sound *s);
/* Nobody wants it any more: `end` (ERR_CANCELED) comes soon, nothing else does. */
void live_sound_abandon(struct live_sound *s);

/* ---- Split: the body of a PutMedia → fragments ---- */

struct live_split_handlers {
	void *ctx;
	/* EBML header, Segment's head, Info, Tracks, byte for byte; again if the producer begins anew within the body. */
	void (*header)(void *ctx, const struct live_header *h, const void *data, size_t len);
	void (*fragment_begin)(void *ctx, int64_t timecode_ms);
	/* The cluster from its first byte to its last, in pieces. */
	void (*fragment_data)(void *ctx, const void *data, size_t len);
	/* A tag of the fragment (from Tags in front of its end). AWS_KINESISVIDEO_END_OF_FRAGMENT isn't given: it ends
	 * the fragment. */
	void (*fragment_tag)(void *ctx, const struct live_tag *t);
	void (*fragment_end)(void *ctx, const struct live_fragment *f);
	/* The body may go on: what waited has been taken. Called when it falls below half of the maximum after an -ERR_BUSY. */
	void (*writable)(void *ctx);
	/* Exactly once, last. NULL: finished as asked. Else the fragment that has begun is void, and `error_id` is KVS's,
	 * or 0 if the body isn't at fault; `timecode_ms` is that of the fragment which is refused, -1 if it isn't known. */
	void (*end)(void *ctx, uint32_t error_id, int64_t timecode_ms, const struct err *why);
};
int live_split_open(struct live_decoder *d, const struct live_split_handlers *h, struct live_split **ret,
		    struct err *e) MR_MUST_USE;
/* Copies all or nothing. -ERR_BUSY: too much waits, stop reading the body until `writable`. */
int live_split_bytes(struct live_split *s, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* The body has ended: an open fragment is ended too (if it is whole), then `end`. */
void live_split_finish(struct live_split *s);
void live_split_abandon(struct live_split *s);
