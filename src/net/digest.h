/* Digests over OpenSSL: SHA-256, HMAC-SHA-256, and a running SHA-256/MD5 for streams. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_HEX_SIZE 65

void sha256(const void *data, size_t len, uint8_t out[SHA256_BYTES]);
void sha256_hex(const void *data, size_t len, char out[SHA256_HEX_SIZE]);
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[SHA256_BYTES]);
/* Compares in constant time; 1 if equal. */
int digest_equal(const void *a, const void *b, size_t len);

/* Running SHA-256. sha256_stream_new → update… → final (which frees). Not thread-safe. */
struct sha256_stream;
struct sha256_stream *sha256_stream_new(void);
void sha256_stream_update(struct sha256_stream *s, const void *data, size_t len);
void sha256_stream_final(struct sha256_stream *s, uint8_t out[SHA256_BYTES]);
void sha256_stream_free(struct sha256_stream *s);

/* Running digest by a name that a client gives: "md5", "sha1" or "sha256"; NULL: another one. Not thread-safe. */
#define DIGEST_MAX_BYTES 32
struct digest_stream;
struct digest_stream *digest_stream_new(const char *algorithm);
void digest_stream_update(struct digest_stream *s, const void *data, size_t len);
/* Frees the stream; returns the digest's length. */
size_t digest_stream_final(struct digest_stream *s, uint8_t out[DIGEST_MAX_BYTES]);
void digest_stream_free(struct digest_stream *s);
