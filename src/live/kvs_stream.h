/* One session's stream at Kinesis Video Streams: its fragments go over a PutMedia, and are let go of when they are persisted there.
 *
 * Everything here is for the client's loop (live/kvs_client.h): live/sink_kvs.c posts to it, and calls kvs_stream_tick.
 *
 *   IDLE ─ fragment ─► CREATING ► DESCRIBING ► LOCATING ► CONNECTING ─ 200 ─► (LOCATING_LIST ► LISTING) ► SENDING
 *
 *   SENDING ─ nothing to send for 20 s, an old connection, closing ─► ENDING ─► IDLE
 *   anywhere ─ refused, cut, not acknowledged ─► RESTING ─ the wait is over ─► the first step that is to be taken
 *
 * Steps that are known (the stream is there, its endpoint) are left out.
 *
 * Nothing lost: a fragment is kept until the service says PERSISTED (RECEIVED where the stream keeps nothing); after a cut those
 * that weren't are sent again, in order. Nothing doubled: whether one that was under way has been persisted after all is asked
 * first (ListFragments), once the new PutMedia has been let in, because then the old one is over. Where the credentials may not
 * ask, it is sent again: readers of the service prefer the later of two with one time stamp.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "live/kvs_ack.h"
#include "live/kvs_client.h"
#include "live/sink.h"

struct kvs_stream_opts {
	struct kvs_client *client;
	const char *name; /* copied */
	uint32_t retention_hours;
	int64_t rotate_ms; /* the age at which a connection is replaced */
	void (*stored)(void *ctx, uint64_t sequence, const char *number);
	void (*failed)(void *ctx, const struct err *why);
	void (*closed)(void *ctx); /* last; the stream is gone behind it */
	void *ctx;
};

struct kvs_stream;
struct kvs_stream *kvs_stream_new(const struct kvs_stream_opts *opts) __attribute__((returns_nonnull));
/* Takes the samples. */
void kvs_stream_append(struct kvs_stream *s, const struct sink_fragment *f);
void kvs_stream_close(struct kvs_stream *s);
/* Called every KVS_TICK_MS. `hurry`: what can't be sent now is given up. */
void kvs_stream_tick(struct kvs_stream *s, int64_t now_ms, bool hurry);
#define KVS_TICK_MS 50
