/* Fuzz entry: request targets and the router behind them. What comes out must hold what the store and the handlers rely
 * on: no "." or ".." segment, no control characters, valid UTF-8. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "http/router.h"
#include "http/uri.h"

static int handler(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)req;
	(void)e;
	return 0;
}

static const struct http_route routes[] = {
	{ "GET", "/a/{id}", handler, .access = HTTP_ACCESS_PUBLIC, .public_param = true },
	{ "GET", "/a/{id}/b", handler, .access = HTTP_ACCESS_PUBLIC, .public_param = true },
	{ "GET", "/m/{key...}", handler, .access = HTTP_ACCESS_SIGNED },
};

static void check_path(const char *path)
{
	assert(path[0] == '/' && utf8_valid(path, strlen(path)));
	for (const char *s = path; *s; s++) {
		assert((unsigned char)*s >= 0x20);
		if (*s == '/')
			assert(strncmp(s, "/../", 4) != 0 && strcmp(s, "/..") != 0 && strncmp(s, "/./", 3) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct router *router;
	if (!router)
		router = router_new(routes, MR_ARRAY_SIZE(routes));
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	struct arena a = { 0 };
	struct uri u;
	struct router_match m;
	struct err e;
	if (uri_parse(&a, text, &u, &e) == 0) {
		check_path(u.path);
		if (router_find(router, "GET", u.raw_path, &a, &m, &e) == 0 && m.route)
			for (size_t i = 0; i < m.param_count; i++)
				assert(m.params[i].value && *m.params[i].value);
		for (size_t i = 0; i < u.query_count; i++)
			assert(utf8_valid(u.query[i].value, strlen(u.query[i].value)));
	}
	arena_release(&a);
	free(text);
	return 0;
}
