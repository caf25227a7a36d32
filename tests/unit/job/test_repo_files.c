/* job/repo_file: a user's files in pages, and by name; on real databases. */
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "repo_fixture.h"

struct seen {
	char ids[64][UUID_SIZE];
	uint32_t count;
};

static void see_file(void *ctx, const struct file *file)
{
	struct seen *s = ctx;
	assert_true(s->count < 64);
	memcpy(s->ids[s->count++], file->id, UUID_SIZE);
}

static void file_pages(void **state)
{
	struct repo_fixture *f = *state;
	char mine[5][UUID_SIZE], other[UUID_SIZE], cursor[64] = "";
	for (int i = 0; i < 5; i++) {
		make_file(f, "u", mine[i]);
		make_file(f, "v", other);
	}
	struct seen s = { 0 };
	do {
		OK(repo_file_list(f->repo, "u", NULL, 2, cursor, see_file, &s, cursor, &f->e));
		make_file(f, "u", other);
	} while (cursor[0]);
	assert_int_equal(s.count, 5);
	for (int i = 0; i < 5; i++)
		assert_string_equal(s.ids[i], mine[4 - i]); /* newest first */
	s.count = 0;
	OK(repo_file_list(f->repo, NULL, NULL, 50, NULL, see_file, &s, cursor, &f->e));
	assert_int_equal(s.count, 13);
}

static uint32_t named(struct repo_fixture *f, const char *name)
{
	char cursor[64];
	struct seen s = { 0 };
	OK(repo_file_list(f->repo, "u", name, 50, NULL, see_file, &s, cursor, &f->e));
	return s.count;
}

static void files_by_name(void **state)
{
	struct repo_fixture *f = *state;
	static const char *const names[] = { "Wheel 50%.wav", "wheel 500.wav", "a_b!c.mp3", "Mühle.ogg" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *name = mr_strdup(names[i]);
		struct file file = { .name = name, .content_type = (char[]){ "audio/x" }, .key = name };
		uuid7_new(file.id);
		memcpy(file.user_id, "u", 2);
		OK(repo_file_create(f->repo, &file, &f->e));
		OK(repo_file_ready(f->repo, file.id, 1, "", "{}", NULL, &f->e));
	}
	assert_int_equal(named(f, ""), 4);
	assert_int_equal(named(f, "WHEEL 5"), 2);
	assert_int_equal(named(f, "50%"), 1);
	assert_int_equal(named(f, "_"), 1);
	assert_int_equal(named(f, "b!C"), 1);
	assert_int_equal(named(f, "mühle"), 1);
	assert_int_equal(named(f, "' OR 1=1 --"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(file_pages),
		T(files_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
