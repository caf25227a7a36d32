/* The server's end of one WebSocket (RFC 6455, by wslay) on a loop: whole messages in, text out, pings, limits, closing.
 *
 *   websocket_new(take_fd, early, early_len, &limits, &handlers, &ws);        // after the handshake (http/websocket.h)
 *   websocket_attach(ws, loop, e);                                            // on the loop's thread, as all that follows
 *   websocket_resume(ws);                                                     // it begins paused
 *   websocket_send(ws, text, len);                                            // never blocks
 *   websocket_close(ws, WEBSOCKET_POLICY, "RATE_LIMIT");                      // → ended, and gone soon after
 *   websocket_tick(ws, now_ms);                                               // about four times a second
 *
 * Guarantees: `message` gets whole messages, text being valid UTF-8, none after `ended`; `ended` comes once, `gone` once and last:
 * the socket is freed behind it. Both may come from within resume, tick and the loop, never from attach, send or close.
 * Memory: wslay's 8 KiB, one message of at most limits.message_bytes, limits.queue_bytes to be sent. A client that is too slow to
 * take what is sent, silent, or over a limit is cut off, with a close frame that says why where it can still be sent. What it still
 * sends behind our close is read away for a while, so that a reset doesn't take the close frame from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "live/loop.h"

/* Status codes (RFC 6455, 7.4.1). */
enum websocket_code {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_GOING_AWAY = 1001,
	WEBSOCKET_UNSUPPORTED = 1003,
	WEBSOCKET_NO_CODE = 1005,  /* its close frame had none */
	WEBSOCKET_BROKEN = 1006,   /* no close frame came */
	WEBSOCKET_POLICY = 1008,
	WEBSOCKET_TOO_BIG = 1009,
	WEBSOCKET_INTERNAL = 1011,
	WEBSOCKET_TRY_LATER = 1013,
};

struct websocket_limits {
	uint32_t message_bytes;	  /* of one message; 0: 1 MiB */
	uint32_t bytes_per_s;	  /* averaged, eight seconds' worth at once; 0: 256 KiB */
	uint32_t messages_per_s;  /* frames of all kinds, likewise; 0: 100 */
	uint32_t queue_bytes;	  /* to be sent; 0: 64 KiB */
	uint32_t ping_ms;	  /* 0: 20 s */
	uint32_t silence_ms;	  /* nothing came, not even a pong; 0: 45 s */
	uint32_t close_ms;	  /* from our close frame to the end, and to read away; 0: 2 s */
};

struct websocket_handlers {
	void *ctx;
	/* Borrowed for the call. */
	void (*message)(void *ctx, bool text, const void *data, size_t len);
	/* No more messages come. `code` is the client's, or WEBSOCKET_BROKEN; `why` says what was amiss, "" if nothing. */
	void (*ended)(void *ctx, int code, const char *why);
	void (*gone)(void *ctx);
};

struct websocket;
/* Takes the descriptor, also when it fails. */
int websocket_new(int take_fd, const void *early, size_t early_len, const struct websocket_limits *limits,
		  const struct websocket_handlers *h, struct websocket **ret, struct err *e) MR_MUST_USE;
/* Of one that is not attached: closes it, without a handler's call. */
void websocket_free(struct websocket *ws);

/* From now on the loop moves its bytes; what comes in only once it is resumed. On failure it is not attached. */
int websocket_attach(struct websocket *ws, struct loop *l, struct err *e) MR_MUST_USE;
/* Off its loop and paused, to be attached to another one. Not within `message`. */
void websocket_detach(struct websocket *ws);

/* Stops reading (what wslay has read already, up to 4 KiB, is still delivered) and goes on. */
void websocket_pause(struct websocket *ws);
void websocket_resume(struct websocket *ws);
/* Copies; a text message. Nothing happens on one that is closing. */
void websocket_send(struct websocket *ws, const char *text, size_t len);
/* A close frame behind what is queued. `reason` is at most 123 bytes. */
void websocket_close(struct websocket *ws, enum websocket_code code, const char *reason);
void websocket_tick(struct websocket *ws, int64_t now_ms);
