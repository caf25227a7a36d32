/* Fuzz entry: JSON bodies, key sets and tokens. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "http/json.h"
#include "http/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jwt_keys *keys;
	static const char secret[] = "0123456789abcdef0123456789abcdef";
	if (!keys)
		keys = jwt_keys_from_secret(secret, sizeof(secret) - 1);
	struct err e;
	json_t *v;
	struct jwt_keys *set;
	struct http_identity who;
	if (json_parse((const char *)data, size, &v, &e) == 0) {
		const char *s = NULL;
		int64_t n = 0;
		double d = 0;
		if (json_is_object(v)) {
			(void)!json_get_string(v, "kind", JSON_REQUIRED, &s, &e);
			(void)!json_get_int(v, "n", JSON_OPTIONAL, -5, 5, &n, &e);
			(void)!json_get_double(v, "d", JSON_OPTIONAL, -5, 5, &d, &e);
			(void)!jwt_check_claims(v, "i", "a", 1700000000000, &who, &e);
		}
		json_decref(v);
	}
	if (jwt_keys_from_jwks((const char *)data, size, &set, &e) == 0)
		jwt_keys_unref(set);
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (jwt_verify(keys, text, &v, &e) == JWT_OK)
		json_decref(v);
	free(text);
	return 0;
}
