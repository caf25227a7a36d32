/* PutMedia: a listener of its own, on which producers send Matroska for as long as they like and are acknowledged meanwhile.
 * On the main port an answer can't begin before the request's body has ended (libmicrohttpd).
 *
 *   put_server_start(&(struct put_server_opts){ .listen = "127.0.0.1:0", .repo = repo, .streams = ss, .decoder = d,
 *                                               .key_lookup = lookup, .key_user = user, .key_ctx = signer }, &p, e);
 *   put_server_port(p);
 *   put_server_stop(p);
 *
 * Threads: two epoll threads parse HTTP and move bytes; a pool stores. Media is parsed by the decoder's processes alone.
 * Memory per connection: 64 KiB of the body here, LIVE_QUEUED_MAX_BYTES at the decoder and PUT_QUEUED_BYTES between decoder
 * and store; whoever is slower than the producer makes it wait.
 *
 * Guarantees: PERSISTED is said when object and row are durable; of a connection that is cut, fragments that were whole stay,
 * the last one goes; one producer a stream; who sends faster than the service takes (12.5 MB, five fragments a second) waits.
 * Does not do: TLS (a proxy's), HTTP keep-alive. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "job/repo.h"
#include "live/decoder.h"
#include "live/stream_store.h"
#include "net/sigv4.h"

#define PUT_QUEUED_BYTES (4u << 20)

struct put_server;
struct put_server_opts {
	const char *listen; /* "127.0.0.1:0" */
	struct repo *repo;
	struct stream_store *streams;
	struct live_decoder *decoder;
	sigv4_lookup_fn key_lookup; /* must not block */
	/* Whose streams a key reaches; NULL: everybody's. Must not block. */
	const char *(*key_user)(const void *ctx, const char *access_key_id);
	void *key_ctx;
	uint32_t max_connections; /* 0: 1000 */
	uint32_t idle_ms, age_ms; /* the service's: 30 s without a byte, 45 minutes in all */
};
/* Copies nothing of the strings in opts. ERR_CONFLICT: the address is in use. */
int put_server_start(const struct put_server_opts *opts, struct put_server **ret, struct err *e) MR_MUST_USE;
uint16_t put_server_port(const struct put_server *p);
/* Cuts connections, stores what was whole, ends the threads. Before live_decoder_free. NULL is fine. */
void put_server_stop(struct put_server *p);
