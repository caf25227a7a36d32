/* SHA-256 and HMAC over OpenSSL's EVP. Runs in every process but the task. Stateless but for the running digest, so any
 * thread. OpenSSL fails here only when memory is out or its providers are broken; both abort, as every small allocation
 * does.
 */
#include "net/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"

#define HMAC_BLOCK 64

struct sha256_stream {
	EVP_MD_CTX *ctx;
};

static void must(int ok)
{
	if (ok != 1)
		abort();
}

/* EVP_sha256() makes OpenSSL look its implementation up, under locks, whenever a digest begins; this one is looked up
 * once and lives as long as the process. */
static EVP_MD *implementation;

static void find_implementation(void)
{
	implementation = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(implementation != NULL);
}

static const EVP_MD *sha256_md(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, find_implementation);
	return implementation;
}

void sha256(const void *data, size_t len, uint8_t out[SHA256_BYTES])
{
	must(EVP_Digest(len ? data : "", len, out, NULL, sha256_md(), NULL));
}

void sha256_hex(const void *data, size_t len, char out[SHA256_HEX_SIZE])
{
	uint8_t sum[SHA256_BYTES];
	sha256(data, len, sum);
	hex_encode(sum, sizeof(sum), out);
}

/* H(key XOR pad, data). */
static void keyed_digest(EVP_MD_CTX *ctx, const uint8_t key[HMAC_BLOCK], uint8_t pad, const void *data, size_t len,
			 uint8_t out[SHA256_BYTES])
{
	uint8_t block[HMAC_BLOCK];
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		block[i] = key[i] ^ pad;
	must(EVP_DigestInit_ex2(ctx, sha256_md(), NULL));
	must(EVP_DigestUpdate(ctx, block, sizeof(block)));
	must(EVP_DigestUpdate(ctx, len ? data : "", len));
	must(EVP_DigestFinal_ex(ctx, out, NULL));
	OPENSSL_cleanse(block, sizeof(block));
}

/* RFC 2104, section 2, by hand: OpenSSL's HMAC() looks two implementations up each time, which takes longer than the
 * digests of a short text. */
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[SHA256_BYTES])
{
	uint8_t padded[HMAC_BLOCK] = { 0 }, inner[SHA256_BYTES];
	if (key_len > sizeof(padded))
		sha256(key, key_len, padded);
	else if (key_len)
		memcpy(padded, key, key_len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	must(ctx != NULL);
	keyed_digest(ctx, padded, 0x36, data, len, inner);
	keyed_digest(ctx, padded, 0x5C, inner, sizeof(inner), out);
	EVP_MD_CTX_free(ctx);
	OPENSSL_cleanse(padded, sizeof(padded));
	OPENSSL_cleanse(inner, sizeof(inner));
}

int digest_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

struct sha256_stream *sha256_stream_new(void)
{
	struct sha256_stream *s = mr_calloc(1, sizeof(*s));
	s->ctx = EVP_MD_CTX_new();
	must(s->ctx && EVP_DigestInit_ex2(s->ctx, sha256_md(), NULL) == 1);
	return s;
}

void sha256_stream_update(struct sha256_stream *s, const void *data, size_t len)
{
	if (len)
		must(EVP_DigestUpdate(s->ctx, data, len));
}

void sha256_stream_final(struct sha256_stream *s, uint8_t out[SHA256_BYTES])
{
	must(EVP_DigestFinal_ex(s->ctx, out, NULL));
	sha256_stream_free(s);
}

void sha256_stream_free(struct sha256_stream *s)
{
	if (!s)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

struct digest_stream {
	EVP_MD_CTX *ctx;
};

static const EVP_MD *by_name(const char *algorithm)
{
	if (strcmp(algorithm, "md5") == 0)
		return EVP_md5();
	if (strcmp(algorithm, "sha1") == 0)
		return EVP_sha1();
	return strcmp(algorithm, "sha256") == 0 ? EVP_sha256() : NULL;
}

struct digest_stream *digest_stream_new(const char *algorithm)
{
	const EVP_MD *md = by_name(algorithm);
	if (!md)
		return NULL;
	struct digest_stream *s = mr_calloc(1, sizeof(*s));
	s->ctx = EVP_MD_CTX_new();
	must(s->ctx && EVP_DigestInit_ex(s->ctx, md, NULL) == 1);
	return s;
}

void digest_stream_update(struct digest_stream *s, const void *data, size_t len)
{
	if (len)
		must(EVP_DigestUpdate(s->ctx, data, len));
}

size_t digest_stream_final(struct digest_stream *s, uint8_t out[DIGEST_MAX_BYTES])
{
	unsigned len;
	must(EVP_DigestFinal_ex(s->ctx, out, &len));
	digest_stream_free(s);
	return len;
}

void digest_stream_free(struct digest_stream *s)
{
	if (!s)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}
