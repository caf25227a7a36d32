/* Listening: what the server and a process that encodes for listeners (TASK_LISTEN) say to each other. One process serves many
 * encoders until its channel closes; there is no result. Frames are proto/channel.h's.
 *
 *   parent → child   MSG_LISTEN_BYTES   bytes                   of the fragment that the next order is about
 *                    MSG_LISTEN_ORDER   struct listen_order
 *   child → parent   MSG_LISTEN_FRAMES  struct listen_frames, then per frame a u16 and so many bytes
 *                    MSG_LISTEN_DONE    nothing, or why the order failed (task_failure_encode)
 *
 * Question and answer: an order is answered by any number of FRAMES and one DONE; the parent waits for it. Positions are
 * samples at LISTEN_RATE on the producer's clock since 1970, so frame f, which holds samples [1024 f, 1024 (f + 1)), is the same
 * moment in every encoder that is ever made for a stream. The child is not trusted: what it says is bounded and checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define LISTEN_RATE 48000
#define LISTEN_FRAME_SAMPLES 1024
#define LISTEN_SLOTS 256			/* encoders of one process */
#define LISTEN_MESSAGE_MAX_BYTES (256u << 10)	/* of a BYTES or FRAMES */
#define LISTEN_FRAGMENT_MAX_BYTES (64u << 20) /* a fragment with its header and tags */
#define LISTEN_FRAME_MAX_BYTES 2048		/* AAC: 6144 bits a channel */
#define LISTEN_LENGTH_MAX (INT64_C(30) * LISTEN_RATE)
/* Behind the end of what an encoder has heard, so many frames at most are not out yet: the encoder's delay and look-ahead, the
 * resampler's, and what a fragment may be shorter than its row says before it is filled up (LISTEN_SHORT). */
#define LISTEN_BEHIND_FRAMES 6
#define LISTEN_SHORT (60 * LISTEN_RATE / 1000)
/* Frames after its start that an encoder's output isn't used of: its windows and its rate control don't agree yet. */
#define LISTEN_LEAD_FRAMES 8

enum listen_op {
	LISTEN_FRAGMENT = 1, /* the bytes are a fragment: decode and encode it */
	LISTEN_PAD = 2,	     /* silence up to position + length: all before it comes out */
	LISTEN_CLOSE = 3,    /* forget the encoder */
};

struct listen_order {
	uint32_t slot;
	enum listen_op op;
	bool restart;	  /* FRAGMENT: nothing of what was before has to do with it */
	int64_t position; /* of the fragment's first sample */
	int64_t length;	  /* of the fragment, as its row has it; at most LISTEN_LENGTH_MAX */
};

struct listen_frames {
	int64_t first; /* the others follow on it */
	uint32_t count;
	uint32_t channels; /* 1 or 2 */
};

int listen_order_encode(const struct listen_order *o, struct buf *out, struct err *e) MR_MUST_USE;
int listen_order_decode(const void *data, size_t len, struct listen_order *ret, struct err *e) MR_MUST_USE;
/* `frames`: the u16s and bytes. */
int listen_frames_encode(const struct listen_frames *f, const void *frames, size_t len, struct buf *out,
			 struct err *e) MR_MUST_USE;
/* Checks that there are `count` frames; *ret_bytes is borrowed. */
int listen_frames_decode(const void *data, size_t len, struct listen_frames *ret, const uint8_t **ret_bytes, size_t *ret_len,
			 struct err *e) MR_MUST_USE;
/* The next frame of those bytes; false behind the last. */
bool listen_frame_next(const uint8_t **at, const uint8_t *end, const uint8_t **ret, uint32_t *ret_len);
