/* job: of a narration that failed nothing is left, and one that is tried again begins anew, below another prefix. */
#include <stdlib.h>
#include <string.h>

#include "job/keys.h"
#include "repo_fixture.h"

static void commit_two_segments(struct repo_fixture *f, const struct claim *c)
{
	bool changed;
	int64_t wait_ms;
	OK(commit_init(f->repo, c, 0, &f->e));
	for (uint32_t i = 0; i < 2; i++) {
		struct segment s = segment_at(0, i);
		OK(repo_commit_segment(f->repo, c, &s, &f->e));
	}
	OK(repo_advance(f->repo, c->job.id, 0, false, &changed, &wait_ms, &f->e));
	OK(repo_published(f->repo, c->job.id, 2, &f->e));
}

static void fail_for_good(struct repo_fixture *f, const struct claim *c)
{
	bool final;
	struct err why = failure(ERR_MEDIA);
	why.retriable = false;
	OK(repo_chunk_failed(f->repo, c, &why, &final, &f->e));
	assert_true(final);
}

static void expect_nothing_left(struct repo_fixture *f, const char *id)
{
	struct job j = get_job(f, id);
	assert_int_equal(j.status, JOB_FAILED);
	assert_string_equal(j.error_code, "GENERATION_FAILED");
	assert_non_null(strstr(j.error_message, "it did not work"));
	assert_false(j.error_retriable);
	assert_int_equal(j.visible_segments, 0);
	assert_int_equal(j.published_segments, 0);
	assert_int_equal(j.segment_count, 0);
	assert_false(j.ended);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM segment"), 0);
	/* what somebody still stores goes a minute later */
	_cleanup_free_ char *at_once = doomed_keys(f);
	assert_string_equal(at_once, "");
	sql(f, "UPDATE doomed_object SET doomed_ms = doomed_ms - 60000");
	_cleanup_free_ char *later = doomed_keys(f), *below = mr_asprintf("%s/ ", j.prefix);
	assert_string_equal(later, below);
	job_release(&j);
}

static void expect_prefix(struct repo_fixture *f, const char *id, const char *suffix)
{
	_cleanup_free_ char *want = mr_asprintf("narrations/u/%s%s", id, suffix);
	struct job j = get_job(f, id);
	assert_string_equal(j.prefix, want);
	job_release(&j);
}

static void retry(struct repo_fixture *f, const char *id)
{
	struct job j;
	OK(repo_job_retry(f->repo, "u", id, &j, &f->e));
	job_release(&j);
}

static void nothing_of_a_failed_one_is_left(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_narration(f, id);
	expect_prefix(f, id, "");
	{
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		commit_two_segments(f, &c);
		fail_for_good(f, &c);
		struct segment late = segment_at(0, 2);
		REFUSED(ERR_LOST, repo_commit_segment(f->repo, &c, &late, &f->e));
	}
	expect_nothing_left(f, id);
}

static void a_retry_has_a_prefix_of_its_own(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_narration(f, id);
	for (int i = 0; i < 2; i++) {
		{
			_cleanup_claim_ struct claim c = claim_as(f, "w");
			commit_two_segments(f, &c);
			fail_for_good(f, &c);
		}
		retry(f, id);
		expect_prefix(f, id, i == 0 ? "-2" : "-3");
	}
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	commit_two_segments(f, &c); /* from the first on */
}

/* Its segments are gone with it, so they are made again, though their chunk was done. */
static void one_that_failed_in_its_last_step_is_made_again(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_narration(f, id);
	{
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		commit_two_segments(f, &c);
		OK(repo_chunk_done(f->repo, &c, 2, &f->e));
	}
	{
		_cleanup_claim_ struct claim finish = claim_as(f, "w");
		assert_int_equal(finish.chunk.kind, CHUNK_FINISH);
		OK(repo_job_end(f->repo, &finish, &f->e));
		fail_for_good(f, &finish);
	}
	expect_nothing_left(f, id);
	retry(f, id);
	{
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		assert_int_equal(c.chunk.kind, CHUNK_NARRATE);
		commit_two_segments(f, &c);
		OK(repo_chunk_done(f->repo, &c, 2, &f->e));
	}
	work_finish(f);
	assert_int_equal(status_of(f, id), JOB_COMPLETED);
	expect_prefix(f, id, "-2");
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_of_a_failed_one_is_left),
		T(a_retry_has_a_prefix_of_its_own),
		T(one_that_failed_in_its_last_step_is_made_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
