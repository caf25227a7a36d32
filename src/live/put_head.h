/* The head of a PutMedia request: headers as libhttp-parser finds them, and what they say once they are complete.
 *
 *   struct put_head h;
 *   put_head_init(&h);
 *   http_parser_execute(...)            // its callbacks call put_head_url, put_head_field, put_head_value
 *   put_head_verify(&h, lookup, ctx, now_ms, &key, e);
 *   put_head_read(&h, &target, e);
 *   put_head_release(&h);
 *
 * Pure but for digests; one thread at a time. Input that anybody may send: at most PUT_HEAD_BYTES and PUT_HEADERS_MAX
 * headers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "job/stream.h"
#include "net/sigv4.h"

#define PUT_HEAD_BYTES (16u << 10)
#define PUT_HEADERS_MAX 64

struct put_head {
	struct buf url;
	struct buf text;                                        /* "name\0value\0name\0value\0" */
	size_t names[PUT_HEADERS_MAX], values[PUT_HEADERS_MAX]; /* offsets */
	size_t count;
	bool in_value; /* the last piece was of a value */
};

void put_head_init(struct put_head *h);
void put_head_release(struct put_head *h);
/* Pieces, as the parser hands them out; false: too large. */
bool put_head_url(struct put_head *h, const char *data, size_t len);
bool put_head_field(struct put_head *h, const char *data, size_t len);
bool put_head_value(struct put_head *h, const char *data, size_t len);
/* The first header of that name, in any case, or NULL. */
const char *put_head_get(const struct put_head *h, const char *name);

/* The signature of POST /putMedia: service kinesisvideo, payload hash of nothing, Host as sent or without its port. What
 * names the stream must be signed. ERR_DENIED with net/sigv4.h's codes. */
int put_head_verify(const struct put_head *h, sigv4_lookup_fn lookup, void *ctx, int64_t now_ms, struct sigv4_verified *ret,
		    struct err *e) MR_MUST_USE;

struct put_target {
	char name[STREAM_NAME_MAX + 1];
	int64_t created_ms; /* of the ARN; 0: it was named by name */
	bool relative;      /* timecodes count from start_ms */
	int64_t start_ms;
	bool acknowledge;
	bool expects_continue;
};
int put_head_read(const struct put_head *h, struct put_target *ret, struct err *e) MR_MUST_USE;
/* "1732622783.456" in ms. Fewer than three decimals are a number of milliseconds that wasn't padded (".19" is 19 ms), as
 * AWS's client in C writes them; more are cut; an exponent makes it a plain number of seconds. False: it isn't one. */
bool put_timestamp_parse(const char *text, int64_t *ret_ms);
