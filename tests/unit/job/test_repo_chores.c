/* job/repo: what an idle process asks for: whether there is anything to do, by one query each. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repo_fixture.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))
static const struct chore_ages ages = { .upload_ms = DAY_MS, .speech_ms = 30 * DAY_MS };

static bool soon(struct repo_fixture *f)
{
	bool any = false;
	OK(repo_chores_soon(f->repo, &any, &f->e));
	return any;
}

static bool late(struct repo_fixture *f)
{
	bool any = false;
	OK(repo_chores_late(f->repo, &ages, &any, &f->e));
	return any;
}

static void nothing_at_first(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], file[UUID_SIZE];
	assert_false(soon(f) || late(f));
	MAKE_JOB(f, "u", id, 1, 2);
	make_file(f, "u", file);
	assert_false(soon(f) || late(f));
}

static void claims_and_playlists_that_lag(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	bool changed;
	int64_t wait;
	MAKE_JOB(f, "u", id, 1, 2);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	assert_true(soon(f));
	commit_segments(f, &c, 0, 1);
	commit_inits(f, &c);
	OK(repo_chunk_done(f->repo, &c, 1, &f->e));
	assert_true(soon(f)); /* nobody holds anything; what is committed isn't visible */
	OK(repo_advance(f->repo, id, 0, true, &changed, &wait, &f->e));
	assert_true(soon(f)); /* nor published */
	OK(repo_published(f->repo, id, 1, &f->e));
	assert_false(soon(f) || late(f));
}

static void uploads_that_nobody_joins(void **state)
{
	struct repo_fixture *f = *state;
	sql(f, "INSERT INTO file (id, user_id, name, content_type, object_key, size_bytes, sha256, ready, created_ms, updated_ms)"
	       " VALUES ('f', 'u', 'n', 't', 'k', 5, '', 0, 9999999999999, 9999999999999)");
	sql(f, "INSERT INTO upload (id, length, offset_bytes, metadata) VALUES ('f', 5, 4, '')");
	assert_false(soon(f));
	sql(f, "UPDATE upload SET offset_bytes = 5");
	assert_false(soon(f)); /* the request that brought the last byte is about to */
	char minute_ago[80];
	(void)snprintf(minute_ago, sizeof(minute_ago), "UPDATE file SET updated_ms = %lld", (long long)clock_wall_ms() - 60000);
	sql(f, minute_ago);
	assert_true(soon(f));
	sql(f, "UPDATE upload SET join_due_ms = 9999999999999"); /* somebody is at it */
	assert_false(soon(f) || late(f));
}

/* Each by itself, so that none hides that another is forgotten. */
static void what_has_expired(void **state)
{
	static const struct {
		const char *makes, *ends;
	} rows[] = {
		{ "INSERT INTO doomed_object VALUES ('k', 1)", "DELETE FROM doomed_object" },
		{ "INSERT INTO speech (object_key, used_ms) VALUES ('k', 1)", "DELETE FROM speech" },
		{ "INSERT INTO deleted_job VALUES ('j', 'u', 1, 1)", "DELETE FROM deleted_job" },
		{ "UPDATE file SET ready = 0, updated_ms = 1", "UPDATE file SET ready = 1" },
		{ "UPDATE job SET status = 7", "UPDATE job SET status = 4" },
		{ "UPDATE job SET expires_ms = 1", "UPDATE job SET expires_ms = 9999999999999" },
	};
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], file[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1);
	make_file(f, "u", file);
	sql(f, "UPDATE job SET status = 4");
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		assert_false(late(f));
		sql(f, rows[i].makes);
		if (!late(f))
			fail_msg("%s: not seen", rows[i].makes);
		sql(f, rows[i].ends);
	}
	assert_false(late(f));
}

static void kinds_that_are_left_out(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	struct claim none;
	int64_t due[WORK_CLASSES];
	MAKE_JOB(f, "u", id, 1);
	OK(repo_next_dues(f->repo, WITHOUT_KIND(JOB_LADDER), due, &f->e));
	assert_true(due[WORK_JOBS] == -1 && due[WORK_BACKGROUND] == -1 && due[WORK_SHORT] == -1);
	REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_JOBS, WITHOUT_KIND(JOB_LADDER), "w", LEASE_MS, &none, &f->e));
	OK(repo_next_dues(f->repo, WITHOUT_KIND(JOB_CONVERT), due, &f->e));
	assert_true(due[WORK_JOBS] == 0 && due[WORK_SHORT] == -1);
	_cleanup_claim_ struct claim c = { 0 };
	OK(repo_claim(f->repo, WORK_JOBS, WITHOUT_KIND(JOB_CONVERT), "w", LEASE_MS, &c, &f->e));
	assert_string_equal(c.job.id, id);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_at_first), T(claims_and_playlists_that_lag), T(uploads_that_nobody_joins), T(what_has_expired),
		T(kinds_that_are_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
