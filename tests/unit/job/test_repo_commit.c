/* job/repo_commit, repo_publish: segments, early and late ends, what is visible when; on real SQLite files. */
#include <string.h>

#include "repo_fixture.h"

static void segments_planned_and_committed(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 2, 200);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	work_chunk(f, &c);
	_cleanup_free_ struct segment *list = NULL;
	uint32_t count = 0;
	OK(repo_segments(f->repo, id, 2, 0, 500, &list, &count, &f->e));
	assert_int_equal(count, 203);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(list[i].index, i);
		assert_int_equal(list[i].committed, i == 0);
		assert_int_equal(list[i].start_ticks, (int64_t)i * SEGMENT_FRAMES * 1024);
		assert_int_equal(list[i].duration_ticks, SEGMENT_FRAMES * 1024);
	}
	assert_int_equal(list[0].bytes, 1000);
	assert_int_equal(strlen(list[0].sha256), 63);
	struct segment *part = NULL;
	OK(repo_segments(f->repo, id, 0, 201, 500, &part, &count, &f->e));
	assert_int_equal(count, 2);
	assert_int_equal(part[0].start_ticks, 201 * SEGMENT_TICKS);
	free(part);
	part = NULL;
	OK(repo_segments(f->repo, id, 0, 203, 1, &part, &count, &f->e));
	assert_int_equal(count, 0);
	free(part);
}

static void what_a_task_may_not_commit(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 2, 2);
	_cleanup_claim_ struct claim first = claim_as(f, "w"), middle = claim_as(f, "w"), last = claim_as(f, "w");
	const struct {
		const struct claim *claim;
		uint32_t rendition, index;
		int64_t duration;
	} wrong[] = {
		{ &middle, 0, 0, 1 }, { &middle, 0, 3, 1 },  { &middle, 3, 1, 1 },
		{ &middle, 0, 1, 0 }, { &middle, 0, 1, -1 }, { &first, 0, 5, 1 },
		{ &last, 0, 2, 1 },   { &last, 0, 6, 1 },    { &last, 0, UINT32_MAX, 1 },
	};
	int64_t committed = number(f, "SELECT COUNT(*) FROM segment");
	for (size_t i = 0; i < MR_ARRAY_SIZE(wrong); i++) {
		struct segment s = segment_at(wrong[i].rendition, wrong[i].index);
		s.duration_ticks = wrong[i].duration;
		REFUSED(ERR_PROTOCOL, repo_commit_segment(f->repo, wrong[i].claim, &s, &f->e));
	}
	assert_int_equal(number(f, "SELECT COUNT(*) FROM segment"), committed);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM segment WHERE committed = 1"), 0);
	/* Other bytes than before. */
	struct segment s = segment_at(0, 1);
	OK(repo_commit_segment(f->repo, &middle, &s, &f->e));
	OK(repo_commit_segment(f->repo, &middle, &s, &f->e));
	s.sha256[0] = 'x';
	REFUSED(ERR_INTERNAL, repo_commit_segment(f->repo, &middle, &s, &f->e));
	CODE("NOT_REPRODUCIBLE");
	OK(repo_commit_init(f->repo, &middle, 0, "avc1", 5, "x", &f->e));
	OK(repo_commit_init(f->repo, &first, 0, "avc1", 5, "x", &f->e));
	REFUSED(ERR_MEDIA, repo_commit_init(f->repo, &first, 0, "avc2", 5, "x", &f->e));
	CODE("INIT_MISMATCH");
	REFUSED(ERR_MEDIA, repo_commit_init(f->repo, &first, 0, "avc1", 6, "x", &f->e));
	REFUSED(ERR_MEDIA, repo_commit_init(f->repo, &first, 0, "avc1", 5, "y", &f->e));
	REFUSED(ERR_PROTOCOL, repo_commit_init(f->repo, &first, 3, "avc1", 5, "x", &f->e));
	/* Done without having made it, or more than was asked. */
	REFUSED(ERR_PROTOCOL, repo_chunk_done(f->repo, &middle, 3, &f->e));
	CODE("SEGMENTS_MISSING");
	REFUSED(ERR_PROTOCOL, repo_chunk_done(f->repo, &middle, 4, &f->e));
	REFUSED(ERR_PROTOCOL, repo_chunk_done(f->repo, &last, 6, &f->e));
	REFUSED(ERR_MEDIA, repo_chunk_done(f->repo, &first, 0, &f->e));
	CODE("NO_SEGMENTS");
	assert_int_equal(number(f, "SELECT COUNT(*) FROM chunk WHERE state = 3"), 3);
}

static void the_source_ends_early(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 3, 3, 3);
	_cleanup_claim_ struct claim a = claim_as(f, "w"), b = claim_as(f, "w"), c = claim_as(f, "w");
	work_chunk(f, &a);
	commit_inits(f, &c);
	commit_segments(f, &b, 1, 3);
	/* The third finds nothing (and says that it ended even before); the fourth is not begun; the second ends after
	 * two of its three. */
	OK(repo_chunk_done(f->repo, &c, 3, &f->e));
	struct job j = get_job(f, id);
	assert_int_equal(j.segment_count, 4);
	assert_string_equal(j.stage, "encoding");
	job_release(&j);
	OK(repo_chunk_done(f->repo, &b, 3, &f->e));
	j = get_job(f, id);
	assert_int_equal(j.segment_count, 3);
	assert_string_equal(j.stage, "finishing");
	assert_true(j.percent > 99);
	job_release(&j);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM segment"), 9);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM chunk WHERE state = 4"), 4);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM job WHERE done_ticks <> weight_ticks"), 0);
	work_finish(f);
	assert_int_equal(status_of(f, id), JOB_COMPLETED);
}

static void an_early_end_never_hides_what_is_visible(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 3);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	commit_inits(f, &c);
	commit_segments(f, &c, 0, 2);
	bool changed;
	int64_t wait;
	OK(repo_advance(f->repo, id, 0, false, &changed, &wait, &f->e));
	REFUSED(ERR_INTERNAL, repo_chunk_done(f->repo, &c, 1, &f->e));
	CODE("NOT_REPRODUCIBLE");
	OK(repo_chunk_done(f->repo, &c, 2, &f->e));
}

static void the_source_goes_on_behind_the_plan(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 1);
	_cleanup_claim_ struct claim a = claim_as(f, "w"), b = claim_as(f, "w");
	work_chunk(f, &a);
	commit_segments(f, &b, 1, 4);
	/* Of the fifth one rendition only: visible is what all have. */
	struct segment s = segment_at(1, 4);
	OK(repo_commit_segment(f->repo, &b, &s, &f->e));
	struct job j = get_job(f, id);
	assert_int_equal(j.segment_count, 5);
	job_release(&j);
	bool changed;
	int64_t wait;
	OK(repo_advance(f->repo, id, 0, true, &changed, &wait, &f->e));
	j = get_job(f, id);
	assert_int_equal(j.visible_segments, 4);
	job_release(&j);
	/* Lost, and begun again: what is committed is no error, the plan of the chunk is as it was. */
	age(f, LEASE_MS + 1);
	_cleanup_claim_ struct claim again = claim_as(f, "w");
	assert_int_equal(again.chunk.index, 1);
	assert_int_equal(again.chunk.segment_count, 1);
	assert_int_equal(again.job.segment_count, 5);
	commit_segments(f, &again, 1, 5);
	REFUSED(ERR_PROTOCOL, repo_chunk_done(f->repo, &again, 6, &f->e));
	OK(repo_chunk_done(f->repo, &again, 5, &f->e));
	work_finish(f);
	j = get_job(f, id);
	assert_int_equal(j.visible_segments, 5);
	assert_true(j.percent == 100);
	job_release(&j);
}

static void visible_is_what_all_renditions_have_and_not_too_often(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 4);
	_cleanup_claim_ struct claim a = claim_as(f, "w"), b = claim_as(f, "w");
	bool changed = true;
	int64_t wait = 0;
	commit_inits(f, &b);
	commit_segments(f, &b, 1, 4); /* all but the first */
	OK(repo_advance(f->repo, id, 2000, true, &changed, &wait, &f->e));
	assert_false(changed);
	for (uint32_t r = 0; r < 3; r++) {
		struct segment s = segment_at(r, 0);
		OK(repo_commit_segment(f->repo, &a, &s, &f->e));
		OK(repo_advance(f->repo, id, 2000, false, &changed, &wait, &f->e));
		assert_int_equal(changed, r == 2);
	}
	struct job j = get_job(f, id);
	assert_int_equal(j.visible_segments, 4); /* several in one version */
	int64_t streaming_ms = j.streaming_ms, revision = j.revision;
	job_release(&j);
	commit_segments(f, &b, 4, 5);
	OK(repo_advance(f->repo, id, 60000, false, &changed, &wait, &f->e));
	assert_false(changed);
	assert_true(wait > 50000 && wait <= 60000);
	j = get_job(f, id);
	assert_int_equal(j.revision, revision);
	job_release(&j);
	age(f, 60001);
	OK(repo_advance(f->repo, id, 60000, false, &changed, &wait, &f->e));
	assert_true(changed);
	assert_int_equal(wait, -1);
	j = get_job(f, id);
	assert_int_equal(j.visible_segments, 5);
	assert_int_equal(j.streaming_ms, streaming_ms);
	job_release(&j);
	/* Published never exceeds visible, and only rises. */
	OK(repo_published(f->repo, id, 6, &f->e));
	OK(repo_published(f->repo, id, 5, &f->e));
	OK(repo_published(f->repo, id, 3, &f->e));
	j = get_job(f, id);
	assert_int_equal(j.published_segments, 5);
	job_release(&j);
	REFUSED(ERR_NOT_FOUND, repo_advance(f->repo, "none", 0, false, &changed, &wait, &f->e));
}

static void flush_does_not_wait(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 1);
	bool changed;
	int64_t wait;
	for (int i = 0; i < 2; i++) {
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		work_chunk(f, &c);
		OK(repo_advance(f->repo, id, 60000, true, &changed, &wait, &f->e));
		assert_true(changed);
	}
}

static void count_job(void *ctx, const struct job *j)
{
	(void)j;
	++*(int *)ctx;
}

static int lagging(struct repo_fixture *f)
{
	int count = 0;
	OK(repo_job_lagging(f->repo, 10, count_job, &count, &f->e));
	return count;
}

static void lagging_jobs(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 1);
	bool changed;
	int64_t wait;
	assert_int_equal(lagging(f), 0);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	commit_segments(f, &c, 0, 1);
	assert_int_equal(lagging(f), 0); /* without the init segments nothing can be shown */
	commit_inits(f, &c);
	assert_int_equal(lagging(f), 1);
	OK(repo_advance(f->repo, id, 0, false, &changed, &wait, &f->e));
	assert_int_equal(lagging(f), 1);
	OK(repo_published(f->repo, id, 1, &f->e));
	assert_int_equal(lagging(f), 0);
	OK(repo_chunk_done(f->repo, &c, 1, &f->e));
	work_all_media(f);
	assert_int_equal(lagging(f), 1);
	struct job j = { 0 };
	OK(repo_job_cancel(f->repo, "u", id, &j, &f->e));
	job_release(&j);
	assert_int_equal(lagging(f), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(segments_planned_and_committed),
		T(what_a_task_may_not_commit),
		T(the_source_ends_early),
		T(an_early_end_never_hides_what_is_visible),
		T(the_source_goes_on_behind_the_plan),
		T(visible_is_what_all_renditions_have_and_not_too_often),
		T(flush_does_not_wait),
		T(lagging_jobs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
