/* A file that chunks write into: in whatever order they do, a second time, and where one gives less than its place has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "worker/in_place.h"

struct place {
	char folder[64], path[80];
	struct in_place *in_place;
};

static int setup(void **state)
{
	struct place *p = mr_calloc(1, sizeof(*p));
	(void)snprintf(p->folder, sizeof(p->folder), "%s", "/tmp/millrace-in-place-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	(void)snprintf(p->path, sizeof(p->path), "%s/out.wav", p->folder);
	p->in_place = in_place_new(p->path);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	in_place_free(&p->in_place);
	(void)unlink(p->path);
	assert_int_equal(rmdir(p->folder), 0);
	free(p);
	return 0;
}

static void expect_file(const struct place *p, const char *text)
{
	char found[256];
	FILE *f = fopen(p->path, "rb");
	assert_non_null(f);
	const size_t n = fread(found, 1, sizeof(found) - 1, f);
	(void)fclose(f);
	found[n] = '\0';
	assert_string_equal(found, text);
}

static void put(const struct place *p, uint64_t offset, const char *text)
{
	struct err e;
	assert_int_equal(in_place_write(p->in_place, offset, text, strlen(text), &e), 0);
}

static void test_any_order_and_again(void **state)
{
	struct place *p = *state;
	struct err e;
	assert_false(in_place_used(p->in_place));
	assert_int_equal(access(p->path, F_OK), -1);
	assert_int_equal(in_place_head(p->in_place, 4, &e), 0);
	put(p, 6, "ghi");
	assert_int_equal(in_place_head(p->in_place, 4, &e), 0);
	put(p, 0, "abc");
	put(p, 3, "d");
	put(p, 3, "def"); /* that chunk's second attempt */
	put(p, 9, "jkl");
	assert_true(in_place_used(p->in_place));
	for (int i = 0; i < 2; i++)
		assert_int_equal(in_place_finish(p->in_place, "HEAD", 4, "t", 1, 12, &e), 0);
	expect_file(p, "HEADabcdefghijklt");
}

/* Its second attempt begins where its neighbour has ended meanwhile. */
static void test_again_beside_a_neighbour(void **state)
{
	struct place *p = *state;
	struct err e;
	assert_int_equal(in_place_head(p->in_place, 4, &e), 0);
	put(p, 0, "abc");
	put(p, 6, "ghi"); /* then its task is killed */
	put(p, 3, "def");
	put(p, 6, "ghijkl");
	for (int i = 0; i < 2; i++)
		assert_int_equal(in_place_finish(p->in_place, "HEAD", 4, "t", 1, 12, &e), 0);
	expect_file(p, "HEADabcdefghijklt");
}

/* The middle chunk gave a byte less than planned, the last one comes all the same. */
static void test_gaps_are_closed(void **state)
{
	struct place *p = *state;
	struct err e;
	assert_int_equal(in_place_head(p->in_place, 4, &e), 0);
	put(p, 8, "ijklmnop");
	put(p, 4, "efg");
	put(p, 0, "abcd");
	for (int i = 0; i < 2; i++)
		assert_int_equal(in_place_finish(p->in_place, "HEAD", 4, "", 0, 15, &e), 0);
	expect_file(p, "HEADabcdefgijklmnop");
}

static void test_contradictions(void **state)
{
	struct place *p = *state;
	struct err e;
	assert_int_equal(in_place_head(p->in_place, 4, &e), 0);
	assert_int_equal(in_place_head(p->in_place, 5, &e), -ERR_PROTOCOL);
	put(p, 0, "abc");
	assert_int_equal(in_place_write(p->in_place, UINT32_MAX, "x", 1, &e), -ERR_PROTOCOL);
	assert_int_equal(in_place_finish(p->in_place, "HEAD!", 5, "", 0, 3, &e), -ERR_INTERNAL);
	assert_int_equal(in_place_finish(p->in_place, "HEAD", 4, "", 0, 4, &e), -ERR_INTERNAL);
}

static void test_what_fits(void **state)
{
	struct place *p = *state;
	struct convert_spec s = { .format = CONVERT_WAV, .rate = 48000, .channels = 2, .sample_count = 600 * 48000 };
	assert_true(in_place_fits(p->in_place, &s));
	assert_false(in_place_fits(NULL, &s));
	assert_false(in_place_used(NULL));
	s.format = CONVERT_FLAC;
	assert_false(in_place_fits(p->in_place, &s));
	s.format = CONVERT_WAV;
	s.sample_count = INT64_C(3600) * 4 * 48000; /* it might become an RF64 */
	assert_false(in_place_fits(p->in_place, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any_order_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again_beside_a_neighbour, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gaps_are_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contradictions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_fits, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
