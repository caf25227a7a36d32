/* A live session: the chunks of one speaker's recording in, fragments in the stream session-{id} out. It belongs to one loop; a
 * connection (live/speaker.h) comes and goes while the session goes on.
 *
 *   struct ingest_session *s = ingest_session_new(&opts, &row);
 *   ingest_session_join(s, &peer, reply_to);                    // replaces the peer before
 *   ingest_session_chunk(s, index, bytes, len);                 // acknowledged through peer.text
 *   ingest_session_leave(s);  …  ingest_session_join(s, …);       // the browser has reconnected
 *   ingest_session_stop(s, true);                               // the last fragment is flushed; then opts.over
 *
 * Life:
 *
 *   LIVE ── stop, left for LEAVE_MS, refused by decoder or sink ──► FINISHING ── decoder: end ──► STORING ── sink: closed ──►
 *   SAVING ── row written ──► over (and freed)
 *
 * Chunks go: window (order, doubles, losses) → decoder → fragmenter → sink. Each hands on only what the next one can take; where
 * the sink falls behind the peer is paused, so memory stays bounded and TCP slows the browser down. What comes back (sound, stored
 * fragments) is posted to the loop. So everything here runs on the loop's thread, without locks but the one that guards the
 * decoder's handle.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job/live_session.h"
#include "job/repo.h"
#include "live/decoder.h"
#include "live/loop.h"
#include "live/message.h"
#include "live/sink.h"
#include "live/websocket.h"
#include "os/pool.h"

#define LIVE_STREAM_PREFIX "session-"

struct ingest_session;

/* Who speaks at the moment. Called on the loop; may not call the session back. */
struct live_peer {
	void *ctx;
	void (*text)(void *ctx, const char *json, size_t len);
	void (*pause)(void *ctx, bool paused);
	/* The peer is not the session's any more. */
	void (*close)(void *ctx, enum websocket_code code, const char *reason);
};

/* Counted over all sessions; atomically. */
struct live_counters {
	_Atomic uint64_t chunks, duplicates, lost_chunks, fragments, failed_sessions;
};

struct ingest_session_opts {
	struct loop *loop;
	struct live_decoder *decoder;
	struct sink *sink;
	struct repo *repo;
	struct pool *pool; /* for the row */
	struct live_counters *counters;
	uint32_t leave_ms; /* without a connection for so long: it is over; 0: 30 s */
	/* It is over and freed behind this call. */
	void (*over)(void *ctx, struct ingest_session *s);
	void *ctx;
};

/* `row`: as claimed. */
int ingest_session_new(const struct ingest_session_opts *opts, const struct live_session_row *row, struct ingest_session **ret,
		     struct err *e) MR_MUST_USE;
const char *ingest_session_id(const struct ingest_session *s);
const char *ingest_session_user(const struct ingest_session *s);
/* It takes no chunks any more: wait for `over`, and begin anew. */
bool ingest_session_is_ending(const struct ingest_session *s);

void ingest_session_join(struct ingest_session *s, const struct live_peer *peer);
/* The peer is gone without a word: it may come back. */
void ingest_session_leave(struct ingest_session *s);
/* index -1: none was given. Copies. False: too much waits, the peer is to be cut off. */
bool ingest_session_chunk(struct ingest_session *s, int64_t index, const void *data, size_t len);
/* No more chunks come. `ended`: the recording is over, so nothing of it is kept; else it may go on with another server. */
void ingest_session_stop(struct ingest_session *s, bool ended);
void ingest_session_tick(struct ingest_session *s, int64_t now_ms);
