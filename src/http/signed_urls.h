/* Pre-signed URLs that were asked for before: what taking one apart and checking its signature gave, remembered.
 *
 *   struct signed_url *u = signed_urls_find(all, target, host, clock_wall_ms());   // NULL: take it apart, check it
 *   ... u->uri, u->match and u->verified are what that would give; u is to be released ...
 *
 * A signature's check says the same every time it is asked: it depends on the method, the target with its whole query, the
 * signed headers, the key and the clock. So a URL is found only by its complete target (compared in constant time, since
 * the signature is in it) and the host that it was signed for; only GETs that sign no header but the host are here; keys stay
 * what they are for as long as a server runs; and the clock is looked at each time. A header that must be signed where it comes
 * along (x-amz-…) is the caller's to look for: such a request is checked anew. Guarantees: what is found was checked by
 * signature_check() once; at most SIGNED_URLS_MAX of at most SIGNED_URL_BYTES are kept, those that were asked for twice. Any
 * thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "http/router.h"
#include "http/uri.h"

#define SIGNED_URLS_MAX 256
#define SIGNED_URL_BYTES 1024

struct signed_urls;

/* Immutable but for its count; it owns everything that it points to. */
struct signed_url {
	atomic_uint references;
	struct arena arena;
	uint64_t hash;
	const char *target, *host;
	size_t target_len;
	struct uri uri;
	struct router_match match;
	struct sigv4_verified verified;
};

struct signed_urls *signed_urls_new(void) __attribute__((returns_nonnull));
/* After everything that was found has been released. NULL is fine. */
void signed_urls_free(struct signed_urls *all);

/* A reference, or NULL: not known, or not valid at this time. */
struct signed_url *signed_urls_find(struct signed_urls *all, const char *target, const char *host, int64_t now_ms);
/* A GET whose signature is good: remembered if it isn't the first time. `router` finds its route. */
void signed_urls_put(struct signed_urls *all, const struct router *router, const char *target, const char *host,
		     const struct sigv4_verified *verified);
void signed_url_release(struct signed_url *u);
