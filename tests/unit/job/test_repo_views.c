/* sql/: the views that people look at, on every database. */
#include <string.h>

#include "repo_fixture.h"

static void expect_row(struct repo_fixture *f, const char *sql, const char *id, const char *want)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	assert_int_equal(db_first(c, sql, DB_PARAMS(DB_TEXT(id)), &rows, &f->e), 1);
	assert_string_equal(db_text(rows, 0), want);
}

static void jobs_are_in_one_view_or_the_other(void **state)
{
	struct repo_fixture *f = *state;
	static const struct {
		enum job_status status;
		const char *active, *history;
	} cases[] = {
		{ JOB_PENDING, "pending", NULL },     { JOB_STREAMING, "streaming", NULL }, { JOB_COMPLETED, NULL, "completed" },
		{ JOB_FAILED, NULL, "failed" },	      { JOB_CANCELED, NULL, "canceled" },   { JOB_DELETING, NULL, NULL },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		char id[UUID_SIZE];
		sql(f, "DELETE FROM job");
		job_in_status(f, cases[i].status, id);
		assert_int_equal(number(f, "SELECT COUNT(*) FROM active_transcoding_jobs"), cases[i].active != NULL);
		assert_int_equal(number(f, "SELECT COUNT(*) FROM transcoding_history"), cases[i].history != NULL);
		if (cases[i].active)
			expect_row(f, "SELECT status FROM active_transcoding_jobs WHERE job_id = $1", id, cases[i].active);
		if (cases[i].history)
			expect_row(f, "SELECT status FROM transcoding_history WHERE job_id = $1 AND kind = 'ladder'", id,
				   cases[i].history);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(jobs_are_in_one_view_or_the_other, repo_fixture_setup, repo_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
