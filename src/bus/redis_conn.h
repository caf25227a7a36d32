/* One connection to Redis, plain or over TLS. The protocol is hiredis' (its formatter and reader); the bytes go by our own socket,
 * because Debian 12's hiredis (0.14) knows no TLS and takes no read and write functions.
 *
 *   redis_conn_open(&url, stop_fd, clock_mono_ms() + 3000, &c, e);
 *   redis_conn_send(c, (const char *const[]){ "PING" }, 1, e);
 *   poll: redis_conn_fd(c), redis_conn_events(c)  →  redis_conn_flush, redis_conn_receive until it gives 0
 *
 * Only opening blocks. One thread at a time. Any failure ends the connection: close it. Errors never hold the password. */
#pragma once

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/redis_url.h"

struct redis_conn;
/* Connects, speaks TLS, authenticates and selects the database. ERR_CANCELED once `stop_fd` can be read; ERR_TIMEOUT at `due`
 * (looking up the name may take longer); ERR_AUTH, ERR_UNAVAILABLE, ERR_PROTOCOL. */
int redis_conn_open(const struct redis_url *u, int stop_fd, int64_t due_mono_ms, struct redis_conn **ret,
		    struct err *e) MR_MUST_USE;
void redis_conn_close(struct redis_conn *c);
int redis_conn_fd(const struct redis_conn *c);
short redis_conn_events(const struct redis_conn *c); /* for poll(2) */

/* Puts a command in line. ERR_UNAVAILABLE: so much waits that nobody reads there. */
int redis_conn_send(struct redis_conn *c, const char *const *words, int count, struct err *e) MR_MUST_USE;
/* Writes what can be written now. */
int redis_conn_flush(struct redis_conn *c, struct err *e) MR_MUST_USE;
/* 1: a reply, to be freed by freeReplyObject; 0: none yet; negative: failed. */
int redis_conn_receive(struct redis_conn *c, redisReply **ret, struct err *e) MR_MUST_USE;
