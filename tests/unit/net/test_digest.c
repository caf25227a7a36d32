/* Digests against the published vectors of FIPS 180-4 and RFC 4231. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "net/digest.h"

static void test_sha256(void **state)
{
	(void)state;
	static const struct {
		const char *text, *hex;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char hex[SHA256_HEX_SIZE];
		sha256_hex(cases[i].text, strlen(cases[i].text), hex);
		assert_string_equal(hex, cases[i].hex);
	}
}

static void test_sha256_stream(void **state)
{
	(void)state;
	char block[1000];
	memset(block, 'a', sizeof(block));
	struct sha256_stream *s = sha256_stream_new();
	for (int i = 0; i < 1000; i++)
		sha256_stream_update(s, block, sizeof(block));
	sha256_stream_update(s, NULL, 0);
	uint8_t sum[SHA256_BYTES];
	sha256_stream_final(s, sum);
	char hex[SHA256_HEX_SIZE];
	hex_encode(sum, sizeof(sum), hex);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");

	sha256_stream_free(sha256_stream_new());
	sha256_stream_free(NULL);
}

static void assert_hmac(const void *key, size_t key_len, const char *text, const char *expected)
{
	uint8_t mac[SHA256_BYTES];
	char hex[SHA256_HEX_SIZE];
	hmac_sha256(key, key_len, text, strlen(text), mac);
	hex_encode(mac, sizeof(mac), hex);
	assert_string_equal(hex, expected);
}

static void test_hmac_sha256(void **state)
{
	(void)state;
	char key[131];
	memset(key, 0x0B, 20);
	assert_hmac(key, 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_hmac("Jefe", 4, "what do ya want for nothing?",
		    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xAA, sizeof(key));
	assert_hmac(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First",
		    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_hmac("", 0, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_digest_equal(void **state)
{
	(void)state;
	assert_int_equal(digest_equal("abc", "abc", 3), 1);
	assert_int_equal(digest_equal("abc", "abd", 3), 0);
	assert_int_equal(digest_equal("abc", "abd", 2), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_sha256_stream),
		cmocka_unit_test(test_hmac_sha256),
		cmocka_unit_test(test_digest_equal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
