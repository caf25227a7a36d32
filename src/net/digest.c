/* SHA-256 and HMAC over OpenSSL's EVP. Runs in every process but the task. Stateless but for the running digest, so any
 * thread. OpenSSL fails here only when memory is out or its providers are broken; both abort, as every small allocation
 * does.
 */
#include "net/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/mem.h"

struct sha256_stream {
	EVP_MD_CTX *ctx;
};

static void must(int ok)
{
	if (ok != 1)
		abort();
}

void sha256(const void *data, size_t len, uint8_t out[SHA256_BYTES])
{
	must(EVP_Digest(len ? data : "", len, out, NULL, EVP_sha256(), NULL));
}

void sha256_hex(const void *data, size_t len, char out[SHA256_HEX_SIZE])
{
	uint8_t sum[SHA256_BYTES];
	sha256(data, len, sum);
	hex_encode(sum, sizeof(sum), out);
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[SHA256_BYTES])
{
	/* HMAC() takes the key's length as int; a longer key is hashed first by definition (RFC 2104, section 2). */
	uint8_t hashed[SHA256_BYTES];
	if (key_len > 64) {
		sha256(key, key_len, hashed);
		key = hashed;
		key_len = sizeof(hashed);
	}
	unsigned out_len = SHA256_BYTES;
	const uint8_t *mac =
		HMAC(EVP_sha256(), key_len ? key : "", (int)key_len, len ? data : (const void *)"", len, out, &out_len);
	must(mac != NULL);
	OPENSSL_cleanse(hashed, sizeof(hashed));
}

int digest_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

struct sha256_stream *sha256_stream_new(void)
{
	struct sha256_stream *s = mr_calloc(1, sizeof(*s));
	s->ctx = EVP_MD_CTX_new();
	must(s->ctx && EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) == 1);
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
