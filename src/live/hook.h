/* The webhook of fragments: each new fragment of the built-in store's streams is told to a URL of the operator's, signed.
 *
 *   hook_start(&(struct hook_opts){ .url = "https://app.example/fragments/{stream}", .secret = secret, .repo = repo,
 *                                   .bus = bus }, &h, e);
 *   hook_stop(h);
 *
 *   POST /fragments/session-17
 *   Millrace-Timestamp: 1732622783
 *   Millrace-Signature: sha256=<hex of HMAC-SHA256(secret, timestamp + "." + body)>
 *   {"stream":"session-17","user_id":"ann","fragment_number":"…","producer_timestamp":"…","duration":2.04,…}
 *
 * At least once, in order for each stream: it follows the rows of fragments behind a mark of its own, which is saved when a 2xx
 * has come. So no stream waits for it, nothing is queued in memory, and a restart goes on where it was; a fragment whose answer
 * was lost is told again, with the same number. Of all servers that have the same database one tells at a time, for all (a lease;
 * another goes on twelve seconds after that one has died, at once where it has ended). What fails is tried again, with rests
 * that grow from 0.5 to 60 s for each stream, until the fragment's retention is over. A stream whose endpoint refuses, or takes
 * long, doesn't hold up the others. A few threads of the server.
 */
#pragma once

#include "base/err.h"
#include "bus/bus.h"
#include "job/repo.h"

#define HOOK_SECRET_MIN 16

struct hook;
struct hook_opts {
	const char *url;    /* {stream} and {user} are put in, percent-encoded */
	const char *secret; /* at least HOOK_SECRET_MIN bytes */
	struct repo *repo;
	struct bus *bus;
};
/* Copies the strings. ERR_INVALID: no http(s) URL, or too short a secret. */
int hook_start(const struct hook_opts *opts, struct hook **ret, struct err *e) MR_MUST_USE;
/* Ends a request that is under way. NULL is fine. */
void hook_stop(struct hook *h);
