/* Events between processes through Redis (publish and subscribe). Private to bus/, but for the URL's form:
 *
 *   redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB][?prefix=NAME&ca=FILE]     rediss: over TLS, the certificate is checked
 *
 * A login needs PUBLISH, SUBSCRIBE, PING and SET (of PREFIX:progress:*).
 *
 * `prefix` ("millrace") keeps installations that share a Redis apart; `ca` is the file of certificates that are trusted in place
 * of the system's. Parts are percent-encoded where needed.
 *
 * One thread with two connections: a subscribed one can't publish. What is published here waits in a queue of some hundred events
 * for that thread; a newer state of the same job or stream takes the older one's place, and what is too much is dropped. A
 * connection that is silent is asked (PING), and given up when it doesn't answer. Between tries to connect are 0.2 s to 15 s, with
 * jitter, and after each the work may have changed: subscribers of BUS_WORK and BUS_DOOMED are told so.
 */
#pragma once

#include "bus/bus.h"

struct bus_redis;
int bus_redis_start(struct bus *b, const struct bus_opts *opts, struct bus_redis **ret, struct err *e) MR_MUST_USE;
/* NULL is fine. */
void bus_redis_stop(struct bus_redis *r);
void bus_redis_state(struct bus_redis *r, struct bus_state *ret);
