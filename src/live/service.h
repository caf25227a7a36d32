/* Live ingest as a whole: threads, connections of speakers, their sessions. Runs in the server process.
 *
 *   live_service_new(&opts, &svc, e);
 *   struct live_speaker *who;                                             // GET /api/live, on a pool thread
 *   live_speaker_new(svc, &(struct live_speaker_opts){ .user = user, … }, &who, e);
 *   const struct http_websocket_opts ws = { .accept = live_speaker_take, .drop = live_speaker_drop, .ctx = who };
 *   http_respond_websocket(req, &ws, e);
 *   …
 *   live_service_drain(svc, 10000);      // sessions flush their last fragments; no new ones
 *   live_decoder_free(decoder);          // what is left of them ends
 *   live_service_free(svc);
 *
 * A session belongs to its speaker: to whom a token names as such, and, beyond that, to the user who opened it first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/repo.h"
#include "live/decoder.h"
#include "live/session.h"
#include "live/sink.h"
#include "live/websocket.h"
#include "os/pool.h"

struct live_service;
struct live_service_opts {
	struct repo *repo;
	struct live_decoder *decoder;
	struct sink *sink;
	struct pool *pool;	    /* for rows and look-ups; all of these are borrowed */
	uint32_t threads;	    /* 0: 2 */
	uint32_t max_connections;   /* 0: 2000 */
	uint32_t leave_ms;	    /* session.h */
	const char *session_url;    /* asked whether a session may be opened: "https://…/{session}?user={user}"; NULL: nobody */
	struct websocket_limits limits;
};
int live_service_new(const struct live_service_opts *opts, struct live_service **ret, struct err *e) MR_MUST_USE;
/* Sessions flush what they have and end, connections are closed; 0 once none is left, -ERR_TIMEOUT after timeout_ms. */
int live_service_drain(struct live_service *svc, int64_t timeout_ms) MR_MUST_USE;
/* The decoder has been freed, so every session is over or soon will be; waits for that. NULL is fine. */
void live_service_free(struct live_service *svc);

struct live_service_stats {
	unsigned connections, sessions;
	uint64_t chunks, duplicates, lost_chunks, fragments, failed_sessions;
};
/* Any thread. */
void live_service_get_stats(struct live_service *svc, struct live_service_stats *ret);

/* ---- a speaker's connection ---- */

struct live_speaker_opts {
	const char *user;
	bool by_token;	     /* the token must name role and session */
	const char *role;    /* its claims; "": none */
	const char *session; /* likewise */
	int64_t expires_ms;  /* wall clock: the connection is closed then */
	const char *wanted;  /* the session that the request names; NULL: the first message will */
	const char *request_id;
};
struct live_speaker;
/* May block (database, look-up). ERR_DENIED (codes NOT_A_SPEAKER, NOT_YOUR_SESSION, SESSION_REFUSED), ERR_INVALID, ERR_BUSY,
 * ERR_UNAVAILABLE while draining. Copies. */
int live_speaker_new(struct live_service *svc, const struct live_speaker_opts *opts, struct live_speaker **ret,
		     struct err *e) MR_MUST_USE;
/* As http_websocket_opts want them. */
void live_speaker_take(void *speaker, int take_fd, const void *early, size_t early_len);
void live_speaker_drop(void *speaker);
