/* Who may sign URLs, and signing them: AWS SigV4 query signatures for /media and /hls, in the form that S3 itself uses.
 *
 * Keys: the server's own (made at the first start, kept in the database, shared by all fronts), and those that were
 * configured for clients (--access-key ID:SECRET[:USER]); a client's key with a USER reaches that user's objects alone.
 * Immutable after signer_new; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "job/repo.h"
#include "net/sigv4.h"

#define SIGNER_REGION "us-east-1"
#define SIGNER_SERVICE "s3"

struct signer;
/* `access_keys`: "ID:SECRET[:USER]" each. ERR_INVALID names a malformed one. */
int signer_new(struct repo *repo, const char *const *access_keys, size_t count, struct signer **ret,
	       struct err *e) MR_MUST_USE;
void signer_free(struct signer *s);
/* Appends "{path}?X-Amz-…", signed for `host` with the server's own key. */
int signer_presign(const struct signer *s, const char *method, const char *host, const char *path, int64_t signed_at_ms,
		   uint32_t expires_s, struct buf *out, struct err *e) MR_MUST_USE;
/* The same with further query parameters, which are signed, too. */
int signer_presign_with(const struct signer *s, const char *method, const char *host, const char *path,
			const struct sigv4_pair *extra, size_t extra_count, int64_t signed_at_ms, uint32_t expires_s,
			struct buf *out, struct err *e) MR_MUST_USE;
/* For http_server_opts.key_lookup; ctx is the signer. */
bool signer_lookup(void *ctx, const char *access_key_id, struct sigv4_key *ret_key);
/* The same for AWS's services by header: configured keys alone, of any region. */
bool signer_lookup_service(void *ctx, const char *access_key_id, struct sigv4_key *ret_key);
/* Whose key it is; NULL: everybody's. Owned by the signer. */
const char *signer_user(const struct signer *s, const char *access_key_id);
/* True if a request signed with this key may reach the object. */
bool signer_may_reach(const struct signer *s, const char *access_key_id, const char *object_key);
/* True if it may put it, too: what jobs made is not a user's to replace, because rows vouch for it. */
bool signer_may_replace(const struct signer *s, const char *access_key_id, const char *object_key);
