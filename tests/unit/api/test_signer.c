/* api/signer: keys, and what each of them reaches; what it signs is accepted by the checker that the server uses. */
#include "api/signer.h"

#include <stdio.h>
#include <string.h>

#include "../job/repo_fixture.h"

#define NOW_MS 1700000000000ll

static struct signer *signer_of(struct repo_fixture *f, const char *const *keys, size_t count)
{
	struct signer *s = NULL;
	OK(signer_new(f->repo, keys, count, &s, &f->e));
	return s;
}
#define SIGNER(f, ...) \
	signer_of((f), (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* A pre-signed URL's pairs, decoded in place; values point into `url`. */
static size_t pairs_of(char *url, struct sigv4_pair *pairs, size_t max)
{
	size_t n = 0;
	char *at = strchr(url, '?');
	assert_non_null(at);
	*at++ = '\0';
	while (at && *at && n < max) {
		char *end = strchr(at, '&'), *equals = strchr(at, '=');
		assert_non_null(equals);
		if (end)
			*end++ = '\0';
		*equals = '\0';
		for (char *from = equals + 1, *to = from;; from++, to++) {
			unsigned byte;
			if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
				*to = (char)byte;
				from += 2;
			} else if ((*to = *from) == '\0') {
				break;
			}
		}
		pairs[n++] = (struct sigv4_pair){ at, equals + 1 };
		at = end;
	}
	return n;
}

static int verify(const struct signer *s, const char *presigned, const char *method, const char *path, int64_t now_ms,
		  struct sigv4_verified *ret, struct err *e)
{
	_cleanup_free_ char *url = mr_strdup(presigned);
	struct sigv4_pair query[16], headers[] = { { "host", "media.example:8080" } };
	size_t count = pairs_of(url, query, MR_ARRAY_SIZE(query));
	struct sigv4_request req = { .method = method,
				     .path = path,
				     .query = query,
				     .query_count = count,
				     .headers = headers,
				     .header_count = 1 };
	return sigv4_verify_query(&req, SIGNER_SERVICE, signer_lookup, (void *)(uintptr_t)s, now_ms, ret, e);
}

static void what_it_signs_is_accepted_until_it_expires(void **state)
{
	struct repo_fixture *f = *state;
	struct signer *s = signer_of(f, NULL, 0);
	_cleanup_buf_ struct buf url;
	struct sigv4_verified v;
	buf_init(&url, 4096);
	OK(signer_presign(s, "GET", "media.example:8080", "/hls/j/a b.m3u8", NOW_MS, 60, &url, &f->e));
	assert_memory_equal(url.data, "/hls/j/a%20b.m3u8?X-Amz-", 24);
	OK(verify(s, url.data, "GET", "/hls/j/a b.m3u8", NOW_MS + 59000, &v, &f->e));
	assert_int_equal(v.expires_at_ms, NOW_MS + 60000);
	assert_true(signer_may_reach(s, v.access_key_id, "hls/anybody/j/master.m3u8"));
	REFUSED(ERR_DENIED, verify(s, url.data, "GET", "/hls/j/a b.m3u8", NOW_MS + 61000, &v, &f->e));
	REFUSED(ERR_DENIED, verify(s, url.data, "GET", "/hls/j/b b.m3u8", NOW_MS, &v, &f->e));
	REFUSED(ERR_DENIED, verify(s, url.data, "PUT", "/hls/j/a b.m3u8", NOW_MS, &v, &f->e));
	signer_free(s);
}

static void the_servers_key_outlives_it(void **state)
{
	struct repo_fixture *f = *state;
	_cleanup_buf_ struct buf url;
	struct sigv4_verified v;
	buf_init(&url, 4096);
	struct signer *s = signer_of(f, NULL, 0);
	OK(signer_presign(s, "GET", "media.example:8080", "/hls/j/m", NOW_MS, 60, &url, &f->e));
	signer_free(s);
	s = SIGNER(f, "CLIENT:secret");
	OK(verify(s, url.data, "GET", "/hls/j/m", NOW_MS, &v, &f->e));
	signer_free(s);
	/* another database, another key */
	void *elsewhere;
	(void)repo_fixture_setup(&elsewhere);
	s = signer_of(elsewhere, NULL, 0);
	REFUSED(ERR_DENIED, verify(s, url.data, "GET", "/hls/j/m", NOW_MS, &v, &f->e));
	CODE("InvalidAccessKeyId");
	signer_free(s);
	(void)repo_fixture_teardown(&elsewhere);
}

static void a_key_reaches_what_it_was_given_for(void **state)
{
	struct repo_fixture *f = *state;
	struct signer *s = SIGNER(f, "ALL:secret-1", "BOUND:secret-2:ann@example", "ANN:secret-3:ann");
	static const struct {
		const char *id, *key;
		bool reach, replace;
	} t[] = {
		{ "ALL", "uploads/ann/f.mp4", true, true },
		{ "ALL", "hls/ann/j/master.m3u8", true, true },
		{ "ANN", "uploads/ann/f.mp4", true, true },
		{ "ANN", "hls/ann/j/master.m3u8", true, false }, /* rows vouch for it */
		{ "ANN", "uploads/anna/f.mp4", false, false },
		{ "ANN", "uploads/an/f.mp4", false, false },
		{ "ANN", "uploads/bob/ann/f.mp4", false, false },
		{ "ANN", "uploads/ann", false, false },
		{ "ANN", "ann/uploads/f.mp4", false, false },
		{ "ANN", "ann", false, false },
		{ "ANN", "uploadsx/ann/f.mp4", true, false },
		{ "BOUND", "uploads/ann~40example/f.mp4", true, true },
		{ "BOUND", "uploads/ann@example/f.mp4", false, false },
		{ "BOUND", "uploads/ann/f.mp4", false, false },
		{ "NOBODY", "uploads/ann/f.mp4", false, false },
		{ "", "uploads/ann/f.mp4", false, false },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		if (signer_may_reach(s, t[i].id, t[i].key) != t[i].reach)
			fail_msg("%s reaching %s", t[i].id, t[i].key);
		if (signer_may_replace(s, t[i].id, t[i].key) != t[i].replace)
			fail_msg("%s replacing %s", t[i].id, t[i].key);
	}
	signer_free(s);
}

static void a_configured_key_is_found_with_its_secret(void **state)
{
	struct repo_fixture *f = *state;
	struct signer *s = SIGNER(f, "ONE:se/cr+et", "TWO:x:u:with:colons");
	struct sigv4_key k = { 0 };
	assert_true(signer_lookup(s, "ONE", &k));
	assert_string_equal(k.secret, "se/cr+et");
	assert_string_equal(k.region, SIGNER_REGION);
	assert_string_equal(k.service, SIGNER_SERVICE);
	assert_true(signer_lookup(s, "TWO", &k));
	assert_string_equal(k.secret, "x");
	assert_true(signer_may_reach(s, "TWO", "uploads/u~3Awith~3Acolons/f"));
	assert_false(signer_lookup(s, "one", &k));
	assert_false(signer_lookup(s, "", &k));
	signer_free(s);
}

static void malformed_keys_are_refused_without_being_repeated(void **state)
{
	struct repo_fixture *f = *state;
	static const char *const bad[] = { "", "hunter2", ":hunter2", "ID:", "ID::user", "ID:hunter2:" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		struct signer *s = NULL;
		const char *keys[] = { "GOOD:secret", bad[i] };
		if (signer_new(f->repo, keys, 2, &s, &f->e) != -ERR_INVALID)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_null(s);
		assert_null(strstr(f->e.message, "hunter2"));
	}
	struct signer *s = NULL;
	const char *twice[] = { "ID:a", "ID:b:u" };
	REFUSED(ERR_INVALID, signer_new(f->repo, twice, 2, &s, &f->e));
	assert_non_null(strstr(f->e.message, "\"ID\" is given twice"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_it_signs_is_accepted_until_it_expires),
		T(the_servers_key_outlives_it),
		T(a_key_reaches_what_it_was_given_for),
		T(a_configured_key_is_found_with_its_secret),
		T(malformed_keys_are_refused_without_being_repeated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
