/* Text encodings: hex, base64 and base64url (RFC 4648), percent-encoding (RFC 3986), JSON string escapes (RFC 8259).
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Lower-case hex of `len` bytes into `out`, which holds 2 * len + 1 bytes. */
void hex_encode(const void *data, size_t len, char *out);
/* Decodes exactly 2 * len digits of either case; false on anything else. */
bool hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len);

/* Appends; `url` chooses the URL-safe alphabet without padding. */
bool base64_encode(struct buf *out, const void *data, size_t len, bool url);
/* Appends the bytes; both alphabets, padding optional, nothing else tolerated. False on a bad input or a full buffer.
 */
bool base64_decode(struct buf *out, const char *text, size_t len);

/* Percent-encodes everything outside the unreserved set A–Z a–z 0–9 - . _ ~ (as AWS SigV4 wants it), with '/' kept if
 * keep_slash. */
bool uri_encode(struct buf *out, const char *s, size_t len, bool keep_slash);
/* Decodes %XX; a '+' stays a '+'. False on a truncated or non-hex escape, or on %00. */
bool uri_decode(struct buf *out, const char *s, size_t len);

/* Appends s as a quoted JSON string; invalid UTF-8 becomes U+FFFD. */
bool json_quote(struct buf *out, const char *s, size_t len);
/* Length of the valid UTF-8 sequence at s (1–4), or 0 if it isn't one (overlong and surrogates are not). */
size_t utf8_sequence(const char *s, size_t len);
bool utf8_valid(const char *s, size_t len);
