/* One small document by HTTP: the blocking use of libcurl, for what is fetched rarely and on a thread of its own (a JWKS).
 *
 *   _cleanup_buf_ struct buf body;
 *   buf_init(&body, 256 * 1024);
 *   if (net_fetch("https://login.example/jwks.json", 10, &body, e) < 0) ...
 *
 * Any thread; blocks for at most timeout_s. http and https alone, no redirects; 4xx and 5xx are failures.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Appends the body to `out`, whose maximum holds. ERR_UNAVAILABLE with libcurl's reason. */
int net_fetch(const char *url, long timeout_s, struct buf *out, struct err *e) MR_MUST_USE;
/* Whether somebody listens at the URL's host and port (of https with a certificate that holds); asks for nothing. */
int net_reach(const char *url, long timeout_ms, struct err *e) MR_MUST_USE;
