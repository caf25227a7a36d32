/* Kinesis Video Streams as a client: signed calls, and PutMedia, on one thread for all streams (net/exchange.h).
 *
 *   kvs_client_start(&(struct kvs_client_opts){ .region = "eu-west-1", .tick = on_tick, .ctx = me }, &c, e);
 *   struct exchange *x = kvs_client_call(c, NULL, "/createStream", json, &handlers);      // NULL: no credentials yet, later
 *   struct exchange *x = kvs_client_put(c, data_endpoint, "session-17", start_ms, &handlers);
 *   kvs_client_stop(c);
 *
 * All but start and stop on the loop's thread. Credentials are fetched on a thread of their own, before they expire.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/exchange.h"

struct kvs_client;
struct kvs_client_opts {
	const char *region;
	const char *endpoint; /* of the control plane; NULL: https://kinesisvideo.REGION.amazonaws.com */
	uint32_t tick_ms;
	void (*tick)(void *ctx);
	void *ctx;
};
/* Copies. */
int kvs_client_start(const struct kvs_client_opts *opts, struct kvs_client **ret, struct err *e) MR_MUST_USE;
/* Exchanges that are left end with ERR_CANCELED. NULL is fine. */
void kvs_client_stop(struct kvs_client *c);
struct exchange_loop *kvs_client_loop(struct kvs_client *c);

struct kvs_handlers {
	size_t (*read)(void *ctx, char *out, size_t max); /* PutMedia: exchange_opts.read */
	void (*head)(void *ctx, int status);
	void (*data)(void *ctx, const char *data, size_t len);
	void (*done)(void *ctx, const struct exchange_end *end);
	void *ctx;
};
/* POST of JSON to `base` (NULL: the control plane). NULL: there are no credentials at the moment; *e says what came of asking for
 * them last (kind ERR_OK: they are being asked for). */
struct exchange *kvs_client_call(struct kvs_client *c, const char *base, const char *path, const char *json,
				 const struct kvs_handlers *h, struct err *e);
/* PutMedia with absolute timecodes, acknowledged. NULL as above. */
struct exchange *kvs_client_put(struct kvs_client *c, const char *base, const char *stream, int64_t start_ms,
				const struct kvs_handlers *h, struct err *e);
/* The service refused the keys that are used now. */
void kvs_client_reject_keys(struct kvs_client *c);
