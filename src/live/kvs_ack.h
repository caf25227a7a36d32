/* The acknowledgements of a PutMedia, as they come on its answer: JSON objects one after the other, cut anywhere.
 *
 *   struct kvs_acks acks;
 *   kvs_acks_init(&acks);
 *   if (kvs_acks_feed(&acks, data, len, on_ack, me, e) < 0) ...         // no JSON: the connection is of no use any more
 *   kvs_acks_release(&acks);
 *
 * What Kinesis Video Streams' errors mean for who sends is here, too. Pure; one thread at a time. Source: "PutMedia" (Amazon
 * Kinesis Video Streams API Reference).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "live/sink.h"

enum kvs_event { KVS_BUFFERING, KVS_RECEIVED, KVS_PERSISTED, KVS_ERROR, KVS_IDLE, KVS_UNKNOWN };

struct kvs_ack {
	enum kvs_event event;
	bool has_timecode;
	int64_t timecode_ms;
	char number[SINK_NUMBER_SIZE];
	uint32_t error_id;
	char error_code[64];
};

struct kvs_acks {
	struct buf text; /* of the object that isn't complete */
	unsigned depth;
	bool in_string, escaped;
};
void kvs_acks_init(struct kvs_acks *a);
void kvs_acks_release(struct kvs_acks *a);
/* Calls `ack` for each object that is complete. ERR_PROTOCOL: something else than objects, or one of more than 4 KiB. */
int kvs_acks_feed(struct kvs_acks *a, const char *data, size_t len, void (*ack)(void *ctx, const struct kvs_ack *ack), void *ctx,
		  struct err *e) MR_MUST_USE;

enum kvs_verdict {
	KVS_AGAIN,	/* it can pass: tried again for as long as it takes */
	KVS_AGAIN_NOW,	/* nothing is wrong: go on over a new connection */
	KVS_AGAIN_FEW,	/* perhaps: a few times */
	KVS_NEW_KEYS,	/* with other credentials, a few times */
	KVS_NOT_ACTIVE, /* the stream isn't ready, or not there: look */
	KVS_END,	/* no use: the stream has failed */
};
/* Of an ERROR acknowledgement. */
enum kvs_verdict kvs_verdict_of_error(uint32_t error_id);
/* Of an answer that is no 200; `type` is its x-amzn-ErrorType, NULL: it has none. */
enum kvs_verdict kvs_verdict_of_answer(int status, const char *type);
