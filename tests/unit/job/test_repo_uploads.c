/* job/repo's resumable uploads: who may write, who may join, and what is left when one is deleted. */
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "job/analysis.h"
#include "job/keys.h"
#include "repo_fixture.h"

#define OTHER_MS 20000

static void make_upload(struct repo_fixture *f, uint64_t length, char id[UUID_SIZE])
{
	uuid7_new(id);
	char name[] = "film.mp4", type[] = "video/mp4";
	_cleanup_free_ char *key = mr_asprintf("uploads/u/%s.mp4", id);
	struct file file = { .name = name, .content_type = type, .key = key, .user_id = "u" };
	memcpy(file.id, id, UUID_SIZE);
	OK(repo_upload_create(f->repo, &file, length, "", &f->e));
}

static void add_piece(struct repo_fixture *f, const char *id, const char *writer, uint64_t offset, uint64_t bytes)
{
	_cleanup_free_ char *key = key_upload_piece(id, offset, writer);
	const struct upload_piece piece = { .key = key, .bytes = bytes };
	OK(repo_upload_take(f->repo, id, writer, offset, &f->e));
	OK(repo_upload_extend(f->repo, id, writer, &piece, 1, &f->e));
}

static int join(struct repo_fixture *f, const char *id, const char *joiner)
{
	struct resumable u = { 0 };
	int r = repo_upload_join_claim(f->repo, id, joiner, OTHER_MS, &u, &f->e);
	resumable_release(&u);
	return r;
}

static void expire_lease(struct repo_fixture *f)
{
	sql(f, "UPDATE upload SET join_due_ms = 1");
}

static int joined(struct repo_fixture *f, const char *id, const char *joiner)
{
	char json[] = "{}", prefix[] = "analysis/u/x";
	struct analysis_plan analysis = { 0 };
	const struct probe_result probe = { .stream_count = 0 };
	analysis_plan(&probe, prefix, &analysis);
	int r = repo_upload_joined(f->repo, id, joiner, "abc", json, &analysis, &f->e);
	analysis_plan_release(&analysis);
	return r;
}

static void a_joiner_that_was_overtaken_changes_nothing(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_upload(f, 10, id);
	add_piece(f, id, "w", 0, 10);
	OK(join(f, id, "slow"));
	REFUSED(ERR_BUSY, join(f, id, "quick"));
	expire_lease(f);
	OK(join(f, id, "quick"));
	REFUSED(ERR_BUSY, join(f, id, "slow"));
	REFUSED(ERR_LOST, joined(f, id, "slow"));
	assert_int_equal(number(f, "SELECT ready FROM file"), 0);
	OK(joined(f, id, "quick"));
	REFUSED(ERR_LOST, joined(f, id, "slow"));
	REFUSED(ERR_LOST, joined(f, id, "quick"));
	assert_int_equal(number(f, "SELECT ready FROM file"), 1);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM job"), 1); /* one analysis */
	assert_int_equal(number(f, "SELECT COUNT(*) FROM upload_piece"), 0);
}

static void a_request_behind_the_last_byte_takes_nothing_from_the_joiner(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_upload(f, 10, id);
	add_piece(f, id, "w", 0, 4);
	add_piece(f, id, "v", 4, 6);
	OK(join(f, id, "joiner"));
	OK(repo_upload_take(f->repo, id, "late", 10, &f->e));
	OK(join(f, id, "joiner"));
	OK(joined(f, id, "joiner"));
}

/* Whoever sent the last byte waits to hear what the file is; the janitor comes when nobody has begun for a while. */
static void the_request_goes_before_the_janitor(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_upload(f, 10, id);
	add_piece(f, id, "w", 0, 10);
	REFUSED(ERR_NOT_FOUND, join(f, NULL, "janitor"));
	OK(join(f, id, "request"));
	expire_lease(f);
	sql(f, "UPDATE file SET updated_ms = 1");
	OK(join(f, NULL, "janitor"));
	OK(joined(f, id, "janitor"));
}

static void what_a_joiner_stores_after_the_deletion_goes_too(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	char *key = NULL;
	make_upload(f, 10, id);
	add_piece(f, id, "w", 0, 10);
	OK(join(f, id, "joiner"));
	OK(repo_file_delete(f->repo, "u", id, &key, &f->e));
	OK(repo_object_gone(f->repo, key, &f->e)); /* that was the object of this moment */
	REFUSED(ERR_NOT_FOUND, join(f, id, "joiner"));
	REFUSED(ERR_NOT_FOUND, joined(f, id, "joiner"));
	assert_int_equal(number(f, "SELECT COUNT(*) FROM doomed_object WHERE object_key LIKE 'uploads/%'"), 1);
	sql(f, "UPDATE doomed_object SET doomed_ms = 1");
	OK(repo_object_gone(f->repo, key, &f->e));
	assert_int_equal(number(f, "SELECT COUNT(*) FROM doomed_object WHERE object_key LIKE 'uploads/%'"), 0);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM upload"), 0);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM upload_piece"), 0);
	free(key);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, repo_fixture_setup, repo_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_joiner_that_was_overtaken_changes_nothing),
		T(a_request_behind_the_last_byte_takes_nothing_from_the_joiner),
		T(the_request_goes_before_the_janitor),
		T(what_a_joiner_stores_after_the_deletion_goes_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
