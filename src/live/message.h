/* The JSON messages of a speaker's WebSocket (docs/API.md, "Live"). Pure; any thread.
 *
 *   struct live_message m;
 *   if (live_message_parse(text, len, &m, e) < 0) ...          // the client is told, and may go on
 *   ...
 *   live_message_release(&m);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define LIVE_SESSION_MAX 128

enum live_action {
	LIVE_CHUNK, /* audioChunk, writeToStream */
	LIVE_STOP,  /* the recording is over: what is left becomes the last fragment */
	LIVE_PING,  /* for clients that can't send the protocol's own */
};

struct live_message {
	enum live_action action;
	char session[LIVE_SESSION_MAX + 1]; /* "" if none is named */
	int64_t index;			    /* chunkIndex; -1: none */
	struct buf audio;
};

/* ERR_INVALID naming the field, ERR_UNSUPPORTED code UNSUPPORTED_FORMAT. *ret is to be released only after success. */
int live_message_parse(const char *text, size_t len, struct live_message *ret, struct err *e) MR_MUST_USE;
void live_message_release(struct live_message *m);

/* {"type":"error",…}; appends. */
bool live_error_format(struct buf *out, const struct err *why, bool fatal);

/* 1–128 of A–Z a–z 0–9 . _ - */
bool live_session_valid(const char *id);
