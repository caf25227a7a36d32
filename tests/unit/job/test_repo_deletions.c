/* job/repo_job: what is remembered of jobs that are gone; on real SQLite files. */
#include "repo_fixture.h"

static void purge(void *ctx, const struct job *j)
{
	struct repo_fixture *f = ctx;
	OK(repo_job_purge(f->repo, j->id, &f->e));
}

static void deletions_are_remembered_for_streams(void **state)
{
	struct repo_fixture *f = *state;
	char deleted[UUID_SIZE], expired[UUID_SIZE];
	int64_t before, after;
	uint32_t count = 9;
	struct job_deletion list[4];
	job_in_status(f, JOB_COMPLETED, expired);
	job_in_status(f, JOB_CANCELED, deleted);
	OK(repo_revision(f->repo, &before, &f->e));
	OK(repo_job_deletions(f->repo, "u", 0, list, 4, &count, &f->e));
	assert_int_equal(count, 0);
	OK(repo_job_delete(f->repo, "u", deleted, &f->e));
	sql(f, "UPDATE job SET expires_ms = 1 WHERE status = 4");
	OK(repo_job_doomed(f->repo, 10, purge, f, &f->e));
	OK(repo_revision(f->repo, &after, &f->e));
	OK(repo_job_deletions(f->repo, "u", before, list, 4, &count, &f->e));
	assert_int_equal(count, 2);
	assert_string_equal(list[0].job_id, deleted);
	assert_string_equal(list[1].job_id, expired);
	assert_true(before < list[0].revision && list[0].revision < list[1].revision && list[1].revision == after);
	OK(repo_job_deletions(f->repo, "u", before, list, 1, &count, &f->e));
	assert_int_equal(count, 1);
	OK(repo_job_deletions(f->repo, "u", list[0].revision, list, 4, &count, &f->e));
	assert_int_equal(count, 1);
	OK(repo_job_deletions(f->repo, "v", 0, list, 4, &count, &f->e));
	assert_int_equal(count, 0);
	sql(f, "UPDATE deleted_job SET deleted_ms = deleted_ms - 3600000");
	OK(repo_job_doomed(f->repo, 10, purge, f, &f->e));
	assert_int_equal(number(f, "SELECT COUNT(*) FROM deleted_job"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(deletions_are_remembered_for_streams, repo_fixture_setup,
						repo_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
