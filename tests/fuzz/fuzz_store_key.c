/* Keys: what is accepted cannot leave a folder, however a file system reads it, and belongs to itself as a prefix. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "store/store.h"

static void expect(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *key = mr_strndup(size ? (const char *)data : "", size);
	expect(store_content_type(key)[0] != '\0');
	struct err e = { 0 };
	int r = store_key_check(key, &e);
	if (r < 0) {
		expect(r == -ERR_INVALID && e.kind == ERR_INVALID && e.message[0]);
		return 0;
	}
	size_t len = strlen(key);
	expect(len >= 1 && len <= STORE_KEY_MAX && utf8_valid(key, len));
	expect(key[0] != '/' && key[len - 1] != '/' && !strstr(key, "//"));
	_cleanup_free_ char *framed = mr_asprintf("/%s/", key);
	expect(!strstr(framed, "/../") && !strstr(framed, "/./") &&
	       strncmp(framed, "/" STORE_RESERVED_PART "/", 11) != 0);
	/* Every leading run of whole parts is a key, too. */
	char *slash = strrchr(key, '/');
	if (slash) {
		*slash = '\0';
		expect(store_key_check(key, NULL) == 0);
	}
	return 0;
}
