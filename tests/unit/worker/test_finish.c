/* worker/finish: the end of a job, done at once, again after a failure anywhere in it, and refused to whoever lost the claim. */
#include "worker/finish.h"

#include <string.h>

#include "worker_fixture.h"

static const char *const objects[] = { "hls/u/j/720p/playlist.m3u8", "hls/u/j/360p/playlist.m3u8",
				       "hls/u/j/audio/playlist.m3u8", "hls/u/j/master.m3u8" };

static void a_job_is_finished(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	_cleanup_claim_ struct claim c = job_to_finish(f, id, 3);
	OK(finish_job(f->rows->repo, f->publisher, &c, &f->e));
	expect_lists(f, 3, true);
	/* 1000 bytes in 4 s, the sound's in a little more */
	_cleanup_free_ char *master = text_of(f, "hls/u/j/master.m3u8");
	assert_non_null(strstr(master, "BANDWIDTH=3995,AVERAGE-BANDWIDTH=3995,"));
	assert_int_equal(number(f->rows, "SELECT peak_bps FROM rendition WHERE idx = 0"), 2000);
	assert_int_equal(number(f->rows, "SELECT average_bps FROM rendition WHERE idx = 2"), 1995);
	struct job j = get_job(f->rows, id);
	assert_int_equal(j.status, JOB_COMPLETED);
	assert_int_equal(j.published_segments, 3);
	assert_true(j.ended);
	assert_true(j.percent == 100);
	job_release(&j);
}

static void a_failure_in_between_changes_nothing_about_the_result(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	char *wanted[MR_ARRAY_SIZE(objects)];
	_cleanup_claim_ struct claim c = job_to_finish(f, id, 3);
	OK(finish_job(f->rows->repo, f->publisher, &c, &f->e));
	for (size_t i = 0; i < MR_ARRAY_SIZE(objects); i++)
		wanted[i] = text_of(f, objects[i]);
	OK(store_delete_prefix(f->store, "hls/u/j", &f->e));
	sql(f->rows, "DELETE FROM job");

	_cleanup_claim_ struct claim again = job_to_finish(f, id, 3);
	put(f, "hls/u/j/master.m3u8/x", "in the way of the object");
	REFUSED(ERR_CONFLICT, finish_job(f->rows->repo, f->publisher, &again, &f->e));
	assert_int_equal(status_of(f->rows, id), JOB_STREAMING);
	expect_lists(f, 3, true);
	OK(store_delete_prefix(f->store, "hls/u/j/master.m3u8", &f->e));
	OK(finish_job(f->rows->repo, f->publisher, &again, &f->e));
	for (size_t i = 0; i < MR_ARRAY_SIZE(objects); i++) {
		_cleanup_free_ char *text = text_of(f, objects[i]);
		assert_string_equal(text, wanted[i]);
		free(wanted[i]);
	}
	assert_int_equal(status_of(f->rows, id), JOB_COMPLETED);
}

static void who_lost_the_claim_finishes_nothing(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	_cleanup_claim_ struct claim c = job_to_finish(f, id, 3);
	OK(repo_chunk_release(f->rows->repo, &c, &f->e));
	_cleanup_claim_ struct claim other = claim_as(f->rows, "w2");
	assert_int_equal(other.chunk.kind, CHUNK_FINISH);
	REFUSED(ERR_LOST, finish_job(f->rows->repo, f->publisher, &c, &f->e));
	assert_false(stored(f, "hls/u/j/master.m3u8"));
	OK(finish_job(f->rows->repo, f->publisher, &other, &f->e));
	assert_int_equal(status_of(f->rows, id), JOB_COMPLETED);
}

static void a_job_without_segments_is_refused(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	_cleanup_claim_ struct claim c = job_to_finish(f, id, 1);
	c.job.segment_count = 0;
	REFUSED(ERR_MEDIA, finish_job(f->rows->repo, f->publisher, &c, &f->e));
	CODE("EMPTY_MEDIA");
}

#define T(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_job_is_finished),
		T(a_failure_in_between_changes_nothing_about_the_result),
		T(who_lost_the_claim_finishes_nothing),
		T(a_job_without_segments_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
