/* Live sessions as rows: whose a session is, and what is kept of it so that it goes on after a restart or on another front.
 *
 *   struct live_session_row row;
 *   repo_live_session_claim(repo, "17", user, &row, e);      // ERR_DENIED: another's
 *   ...
 *   repo_live_session_save(repo, &row, e);
 *
 * A session is its first speaker's for as long as its row lives, which is LIVE_SESSION_KEPT_MS from the last time it was used.
 * Calls may block for a short query; any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/model.h"
#include "job/repo.h"

#define LIVE_SESSION_ID_MAX 128
#define LIVE_SESSION_STATE_MAX 256
#define LIVE_SESSION_KEPT_MS (24 * 3600 * INT64_C(1000))

struct live_session_row {
	char id[LIVE_SESSION_ID_MAX + 1];
	char user_id[USER_ID_MAX + 1];
	uint8_t state[LIVE_SESSION_STATE_MAX]; /* the decoder's */
	size_t state_len;		       /* 0: none */
	int64_t next_chunk;		       /* the chunkIndex that is due; -1: a new recording */
	int64_t end_ms;			       /* wall clock at which its last fragment ends; 0: it has none */
	int64_t recording;		       /* not of the row but of the last fragment: see struct fragment */
};

/* The session's row, made for this user if there is none. ERR_DENIED code NOT_YOUR_SESSION: it is another's. */
int repo_live_session_claim(struct repo *r, const char *id, const char *user_id, struct live_session_row *ret,
			    struct err *e) MR_MUST_USE;
/* ERR_LOST: it is not there any more, or another's. */
int repo_live_session_save(struct repo *r, const struct live_session_row *row, struct err *e) MR_MUST_USE;
/* Removes those that nobody has used for LIVE_SESSION_KEPT_MS. */
int repo_live_session_expire(struct repo *r, struct err *e) MR_MUST_USE;
