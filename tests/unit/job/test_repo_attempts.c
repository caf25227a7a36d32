/* job/repo_attempt: what became of claims that came to nothing. */
#include <stdio.h>
#include <string.h>

#include "job/figures.h"
#include "repo_fixture.h"

#define KEPT 20

struct seen {
	int64_t count, first_claim, last_claim;
	char text[1024]; /* "claim outcome worker code log; …" */
};

static void look(void *ctx, const struct attempt_row *t)
{
	struct seen *s = ctx;
	size_t len = strlen(s->text);
	s->first_claim = s->count ? s->first_claim : t->claim;
	s->last_claim = t->claim;
	s->count++;
	(void)snprintf(s->text + len, sizeof(s->text) - len, "%lld %s %s %s %s; ", (long long)t->claim, t->outcome, t->worker,
		       t->code, t->log);
	assert_true(t->ended_ms > 0 && t->chunk == 0);
}

static struct seen attempts(struct repo_fixture *f, const char *job_id)
{
	struct seen s = { 0 };
	OK(repo_attempts(f->repo, job_id, look, &s, &f->e));
	return s;
}

static bool gone(void *ctx, const char *worker_id)
{
	return strcmp(worker_id, ctx) == 0;
}

static void each_ends_as_it_did(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], killed[] = "killed";
	MAKE_JOB(f, "u", id, 1);
	_cleanup_claim_ struct claim paused = claim_as(f, "paused");
	assert_int_equal(attempts(f, id).count, 0);
	age(f, LEASE_MS + 1);
	_cleanup_claim_ struct claim second = claim_as(f, killed);
	assert_string_equal(second.worker_id, killed);
	assert_string_equal(attempts(f, id).text, "1 lost   ; ");
	uint32_t count;
	OK(repo_release_workers(f->repo, gone, killed, &count, &f->e));
	assert_int_equal(count, 1);
	_cleanup_claim_ struct claim third = claim_as(f, "w");
	struct err why = failure(ERR_IO);
	bool final;
	OK(repo_chunk_failed(f->repo, &third, &why, &final, &f->e));
	OK(repo_attempt_note(f->repo, &third, "failed", &why, "a line\n", &f->e));
	/* Who wakes up late tells what it was. */
	struct err late = failure(ERR_LOST);
	OK(repo_attempt_note(f->repo, &paused, "dropped", &late, "", &f->e));
	struct seen s = attempts(f, id);
	char want[256];
	(void)snprintf(want, sizeof(want), "1 dropped paused %s ; 2 lost killed  ; 3 failed w %s a line\n; ", err_code(&late),
		       err_code(&why));
	assert_string_equal(s.text, want);
}

static void the_last_ones_stay_and_go_with_the_job(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1);
	struct err why = failure(ERR_UNAVAILABLE);
	for (int i = 0; i < KEPT + 5; i++) {
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		OK(repo_chunk_release(f->repo, &c, &f->e));
		OK(repo_attempt_note(f->repo, &c, "released", &why, "", &f->e));
	}
	struct seen s = attempts(f, id);
	assert_int_equal(s.count, KEPT);
	assert_int_equal(s.last_claim, KEPT + 5);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	sql(f, "DELETE FROM job");
	assert_int_equal(number(f, "SELECT COUNT(*) FROM attempt"), 0);
	OK(repo_attempt_note(f->repo, &c, "dropped", &why, "", &f->e));
	assert_int_equal(number(f, "SELECT COUNT(*) FROM attempt"), 0);
}

static void what_is_done_leaves_none(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	job_in_status(f, JOB_COMPLETED, id);
	assert_int_equal(attempts(f, id).count, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(each_ends_as_it_did),
		T(the_last_ones_stay_and_go_with_the_job),
		T(what_is_done_leaves_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
