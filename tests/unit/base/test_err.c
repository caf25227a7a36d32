/* base/err: kinds, codes, clauses, truncation. */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "cm.h"
#include "base/mem.h"

static void set_fills_everything(void **state)
{
	(void)state;
	struct err e;
	memset(&e, 0xAA, sizeof(e));
	assert_int_equal(err_set(&e, ERR_NOT_FOUND, "object %s: %d", "a/b", 7), -ERR_NOT_FOUND);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_false(e.retriable);
	assert_string_equal(e.message, "object a/b: 7");
	assert_string_equal(e.code, "");
	assert_string_equal(err_code(&e), "NOT_FOUND");
}

static void set_without_err_gives_the_kind(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_BUSY, "x"), -ERR_BUSY);
	assert_int_equal(err_set_code(NULL, ERR_MEDIA, "NO_STREAMS", "x"), -ERR_MEDIA);
	assert_int_equal(err_errno(NULL, ENOENT, "x"), -ERR_NOT_FOUND);
	assert_int_equal(err_wrap(NULL, "x"), -ERR_INTERNAL);
	err_clear(NULL);
}

static void code_of_its_own(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(err_set_code(&e, ERR_MEDIA, "NO_STREAMS", "nothing to play"), -ERR_MEDIA);
	assert_string_equal(err_code(&e), "NO_STREAMS");
	/* A later error in the same struct doesn't inherit it. */
	assert_int_equal(err_set(&e, ERR_IO, "read"), -ERR_IO);
	assert_string_equal(err_code(&e), "IO_ERROR");
	assert_true(e.retriable);
	char longest[80];
	memset(longest, 'A', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(err_set_code(&e, ERR_MEDIA, longest, "x"), -ERR_MEDIA);
	assert_int_equal(strlen(e.code), sizeof(e.code) - 1);
}

static void impossible_kinds_become_internal(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(err_set(&e, ERR_OK, "success is no error"), -ERR_INTERNAL);
	assert_int_equal(err_set(&e, (enum err_kind)999, "x"), -ERR_INTERNAL);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_string_equal(err_kind_name((enum err_kind)999), "UNKNOWN");
	assert_string_equal(err_kind_name(ERR_OK), "OK");
	assert_false(err_kind_retriable((enum err_kind)999));
}

static void every_kind_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int k = ERR_OK; k < ERR_KINDS; k++) {
		const char *name = err_kind_name((enum err_kind)k);
		assert_non_null(name);
		assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(name));
		for (int other = k + 1; other < ERR_KINDS; other++)
			assert_string_not_equal(name, err_kind_name((enum err_kind)other));
	}
}

static void retriable_is_what_time_can_mend(void **state)
{
	(void)state;
	static const enum err_kind yes[] = { ERR_BUSY, ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_NO_SPACE, ERR_IO };
	unsigned count = 0;
	for (int k = ERR_OK; k < ERR_KINDS; k++)
		count += err_kind_retriable((enum err_kind)k);
	assert_int_equal(count, MR_ARRAY_SIZE(yes));
	for (size_t i = 0; i < MR_ARRAY_SIZE(yes); i++)
		assert_true(err_kind_retriable(yes[i]));
}

static void errno_becomes_a_kind(void **state)
{
	(void)state;
	static const struct {
		int errnum;
		enum err_kind kind;
	} cases[] = {
		{ ENOENT, ERR_NOT_FOUND },    { ENOTDIR, ERR_NOT_FOUND },	 { EACCES, ERR_DENIED },
		{ EPERM, ERR_DENIED },	      { EEXIST, ERR_CONFLICT },		 { ENOSPC, ERR_NO_SPACE },
		{ EDQUOT, ERR_NO_SPACE },     { EFBIG, ERR_TOO_LARGE },		 { ENAMETOOLONG, ERR_TOO_LARGE },
		{ ETIMEDOUT, ERR_TIMEOUT },   { EMFILE, ERR_UNAVAILABLE },	 { ENFILE, ERR_UNAVAILABLE },
		{ ENOMEM, ERR_UNAVAILABLE },  { ECONNREFUSED, ERR_UNAVAILABLE }, { EAGAIN, ERR_UNAVAILABLE },
		{ EINVAL, ERR_INTERNAL },     { EIO, ERR_IO },			 { 99999, ERR_IO },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct err e;
		assert_int_equal(err_errno(&e, cases[i].errnum, "open %s", "/x"), -(int)cases[i].kind);
		assert_int_equal(strncmp(e.message, "open /x: ", 9), 0);
		assert_true(strlen(e.message) > 9);
	}
	struct err e;
	assert_int_equal(err_errno(&e, ENOENT, "open /x"), -ERR_NOT_FOUND);
	assert_string_equal(e.message, "open /x: No such file or directory");
}

static void wrap_puts_a_clause_in_front(void **state)
{
	(void)state;
	struct err e;
	int r = err_set_code(&e, ERR_UNAVAILABLE, "STORE_AWAY", "HTTP 503");
	assert_int_equal(r, -ERR_UNAVAILABLE);
	assert_int_equal(err_wrap(&e, "put"), r);
	assert_int_equal(err_wrap(&e, "publish %s", "hls/segment_004.m4s"), r);
	assert_string_equal(e.message, "publish hls/segment_004.m4s: put: HTTP 503");
	assert_string_equal(err_code(&e), "STORE_AWAY");
	assert_true(e.retriable);
}

static void long_messages_are_cut_and_terminated(void **state)
{
	(void)state;
	struct err e;
	char longest[2000];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(err_set(&e, ERR_IO, "%s", longest), -ERR_IO);
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
	/* The outermost clause survives, the innermost is cut. */
	assert_int_equal(err_wrap(&e, "outer"), -ERR_IO);
	assert_int_equal(strncmp(e.message, "outer: xxx", 10), 0);
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
	assert_int_equal(err_wrap(&e, "%s", longest), -ERR_IO);
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
	assert_int_equal(err_errno(&e, ENOENT, "%s", longest), -ERR_NOT_FOUND);
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
}

static void copy_and_clear(void **state)
{
	(void)state;
	struct err a, b;
	assert_int_equal(err_set_code(&a, ERR_CONFLICT, "NOT_COMPLETED", "later"), -ERR_CONFLICT);
	assert_int_equal(err_copy(&b, &a), -ERR_CONFLICT);
	assert_string_equal(b.message, "later");
	assert_string_equal(err_code(&b), "NOT_COMPLETED");
	assert_int_equal(err_copy(NULL, &a), -ERR_CONFLICT);
	err_clear(&b);
	assert_int_equal(b.kind, ERR_OK);
	assert_string_equal(b.message, "");
	/* Returning an error that was never set is our bug, and still not a success. */
	assert_int_equal(err_wrap(&b, "x"), -ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_everything),
		cmocka_unit_test(set_without_err_gives_the_kind),
		cmocka_unit_test(code_of_its_own),
		cmocka_unit_test(impossible_kinds_become_internal),
		cmocka_unit_test(every_kind_has_a_name_of_its_own),
		cmocka_unit_test(retriable_is_what_time_can_mend),
		cmocka_unit_test(errno_becomes_a_kind),
		cmocka_unit_test(wrap_puts_a_clause_in_front),
		cmocka_unit_test(long_messages_are_cut_and_terminated),
		cmocka_unit_test(copy_and_clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
