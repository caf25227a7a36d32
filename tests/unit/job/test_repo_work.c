/* job/repo_work: the queue, the fence, failures and retries; on real SQLite files. */
#include <pthread.h>
#include <string.h>

#include "repo_fixture.h"

static void a_job_from_claim_to_completed(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 2, 2);
	struct job j = get_job(f, id);
	assert_int_equal(j.status, JOB_PENDING);
	assert_string_equal(j.stage, "queued");
	assert_true(j.eta_seconds < 0 && j.percent == 0 && j.generation_attempt == 1 && j.started_ms == 0);
	assert_int_equal(j.segment_count, 5);
	assert_int_equal(j.target_duration_s, 4);
	int64_t revision = j.revision;
	assert_true(revision > 0);
	job_release(&j);

	_cleanup_claim_ struct claim c = claim_as(f, "host:1:0");
	assert_string_equal(c.job.id, id);
	assert_string_equal(c.worker_id, "host:1:0");
	assert_int_equal(c.job.status, JOB_PROCESSING);
	assert_string_equal(c.job.stage, "encoding");
	assert_true(c.job.started_ms > 0 && c.job.revision > revision);
	assert_int_equal(c.chunk.index, 0);
	assert_int_equal(c.chunk.claims, 1);
	assert_int_equal(c.chunk.segment_count, 1);
	assert_int_equal(c.lease_ms, LEASE_MS);
	bool changed = true;
	int64_t wait = 0;
	commit_segments(f, &c, 0, 1);
	OK(repo_advance(f->repo, id, 0, true, &changed, &wait, &f->e));
	assert_false(changed); /* the init segments are missing */
	assert_int_equal(wait, -1);
	commit_inits(f, &c);
	OK(repo_advance(f->repo, id, 2000, false, &changed, &wait, &f->e));
	assert_true(changed); /* the first does not wait */
	OK(repo_chunk_done(f->repo, &c, 1, &f->e));
	j = get_job(f, id);
	assert_int_equal(j.status, JOB_STREAMING);
	assert_int_equal(j.visible_segments, 1);
	assert_true(j.streaming_ms > 0 && j.percent == 20);
	job_release(&j);

	work_all_media(f);
	j = get_job(f, id);
	assert_string_equal(j.stage, "finishing");
	assert_true(j.percent > 99 && j.percent < 100);
	job_release(&j);
	_cleanup_claim_ struct claim finish = claim_as(f, "w");
	assert_int_equal(finish.chunk.kind, CHUNK_FINISH);
	REFUSED(ERR_CONFLICT, repo_job_complete(f->repo, &finish, &f->e));
	REFUSED(ERR_INTERNAL, repo_chunk_done(f->repo, &finish, 5, &f->e));
	OK(repo_measured(f->repo, &finish, 1, &(struct measured){ 5000, 4000, 300, 200 }, &f->e));
	REFUSED(ERR_INTERNAL, repo_measured(f->repo, &finish, 3, &(struct measured){ 5000, 4000, 0, 0 }, &f->e));
	OK(repo_job_end(f->repo, &finish, &f->e));
	OK(repo_job_end(f->repo, &finish, &f->e));
	OK(repo_published(f->repo, id, 5, &f->e));
	OK(repo_job_complete(f->repo, &finish, &f->e));
	j = get_job(f, id);
	assert_int_equal(j.status, JOB_COMPLETED);
	assert_string_equal(j.stage, "done");
	assert_true(j.percent == 100 && j.eta_seconds == 0 && j.ended && j.finished_ms > 0);
	assert_int_equal(j.visible_segments, 5);
	assert_int_equal(j.published_segments, 5);
	job_release(&j);
	REFUSED(ERR_LOST, repo_job_complete(f->repo, &finish, &f->e));
	struct claim none = { 0 };
	REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_JOBS, 0, "w", LEASE_MS, &none, &f->e));

	struct rendition r[RENDITIONS_MAX];
	uint32_t count = 0;
	OK(repo_renditions(f->repo, id, r, &count, &f->e));
	assert_int_equal(count, 3);
	assert_string_equal(r[0].name, "720p");
	assert_true(r[0].kind == RENDITION_VIDEO && r[2].kind == RENDITION_AUDIO && r[2].is_default);
	assert_true(r[0].init_committed && r[0].declared_bps == 3000000);
	assert_string_equal(r[2].codecs, "mp4a.40.2");
	assert_string_equal(r[2].language, "en");
	assert_true(r[1].peak_bps == 5000 && r[1].average_bps == 4000 && r[1].init_bytes == 701);
	assert_string_equal(r[1].init_sha256, "1n1t");
}

/* Everything that a worker may write, by one whose claim is over. */
static void all_refused(struct repo_fixture *f, const struct claim *c, enum err_kind kind)
{
	struct segment s = segment_at(0, c->chunk.first_segment);
	struct err why = failure(ERR_IO);
	bool final;
	REFUSED(kind, repo_heartbeat(f->repo, c, 1000, NULL, &f->e));
	REFUSED(kind, repo_commit_init(f->repo, c, 0, "avc1", 1, "x", &f->e));
	REFUSED(kind, repo_commit_segment(f->repo, c, &s, &f->e));
	REFUSED(kind, repo_chunk_done(f->repo, c, c->chunk.first_segment + c->chunk.segment_count, &f->e));
	REFUSED(kind, repo_chunk_failed(f->repo, c, &why, &final, &f->e));
	REFUSED(kind, repo_chunk_release(f->repo, c, &f->e));
	REFUSED(kind, repo_measured(f->repo, c, 0, &(struct measured){ 1, 1, 1, 1 }, &f->e));
	REFUSED(kind, repo_job_end(f->repo, c, &f->e));
	REFUSED(kind, repo_job_complete(f->repo, c, &f->e));
	assert_int_equal(repo_heartbeat(f->repo, c, 1000, NULL, NULL), -(int)kind);
}

/* The sum of everything in the tables that a job consists of: any change shows. */
static int64_t fingerprint(struct repo_fixture *f)
{
	return number(f, "SELECT (SELECT SUM(idx * 31 + state * 7 + claims * 1009 + failures * 77 + done_ticks + "
			 "COALESCE(due_ms, 0)) FROM chunk)"
			 " + (SELECT SUM(committed * (idx * 3 + rendition + 11)) FROM segment)"
			 " + (SELECT SUM(init_committed * 13) FROM rendition)"
			 " + (SELECT SUM(revision * 1000003 + visible_segments + status) FROM job)");
}

static void a_paused_worker_whose_lease_ran_out_changes_nothing(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 2);
	_cleanup_claim_ struct claim paused = claim_as(f, "paused");
	struct claim none = { 0 };
	REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_JOBS, 0, "other", LEASE_MS, &none, &f->e));
	age(f, LEASE_MS + 1);
	_cleanup_claim_ struct claim other = claim_as(f, "other");
	assert_int_equal(other.chunk.index, paused.chunk.index);
	assert_int_equal(other.chunk.claims, 2);
	int64_t before = fingerprint(f);
	all_refused(f, &paused, ERR_LOST);
	assert_int_equal(fingerprint(f), before);
	/* Nor does the same worker under its old number. */
	age(f, LEASE_MS + 1);
	_cleanup_claim_ struct claim again = claim_as(f, "paused");
	before = fingerprint(f);
	all_refused(f, &paused, ERR_LOST);
	all_refused(f, &other, ERR_LOST);
	assert_int_equal(fingerprint(f), before);
	work_chunk(f, &again);
	all_refused(f, &again, ERR_LOST);
}

static void a_late_heartbeat_holds_what_nobody_took(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	age(f, LEASE_MS + 1);
	OK(repo_heartbeat(f->repo, &c, 0, NULL, &f->e));
	struct claim none = { 0 };
	REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_JOBS, 0, "other", LEASE_MS, &none, &f->e));
}

static void canceled_jobs_stop_their_workers(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 1);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	struct job j = { 0 };
	OK(repo_job_cancel(f->repo, "u", id, &j, &f->e));
	assert_int_equal(j.status, JOB_CANCELED);
	assert_true(j.finished_ms > 0);
	job_release(&j);
	int64_t before = fingerprint(f);
	all_refused(f, &c, ERR_CANCELED);
	assert_int_equal(fingerprint(f), before);
	int64_t due = 0;
	OK(repo_next_due(f->repo, WORK_JOBS, &due, &f->e));
	assert_int_equal(due, -1);
	OK(repo_job_delete(f->repo, "u", id, &f->e));
	OK(repo_job_purge(f->repo, id, &f->e));
	all_refused(f, &c, ERR_LOST);
}

static void an_early_end_takes_running_chunks_with_it(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 2, 2);
	_cleanup_claim_ struct claim a = claim_as(f, "w"), b = claim_as(f, "w");
	commit_inits(f, &a);
	commit_segments(f, &a, 0, 1);
	commit_segments(f, &b, 2, 3); /* of a damaged source: a piece behind its end */
	OK(repo_heartbeat(f->repo, &b, SEGMENT_TICKS, NULL, &f->e));
	OK(repo_chunk_done(f->repo, &a, 1, &f->e));
	all_refused(f, &b, ERR_LOST);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM segment"), 3);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM job WHERE done_ticks <> weight_ticks"), 0);
	work_finish(f);
}

static void progress_only_rises(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 4, 5);
	_cleanup_claim_ struct claim first = claim_as(f, "w"), second = claim_as(f, "w");
	OK(repo_heartbeat(f->repo, &second, 2 * SEGMENT_TICKS, NULL, &f->e));
	struct job j = get_job(f, id);
	assert_float_equal(j.percent, 20, 1e-9);
	int64_t revision = j.revision;
	job_release(&j);
	age(f, 4000);
	OK(repo_heartbeat(f->repo, &second, SEGMENT_TICKS, NULL, &f->e)); /* less than before: a chunk that was begun again */
	j = get_job(f, id);
	assert_float_equal(j.percent, 20, 1e-9);
	assert_int_equal(j.revision, revision);
	job_release(&j);
	OK(repo_heartbeat(f->repo, &second, 100 * SEGMENT_TICKS, NULL, &f->e)); /* more than there is */
	j = get_job(f, id);
	assert_float_equal(j.percent, 40, 1e-9);
	assert_true(j.speed > 3.5 && j.speed <= 4.0 && j.eta_seconds >= 6 && j.eta_seconds < 7);
	job_release(&j);
	work_chunk(f, &first);
	work_chunk(f, &second);
	j = get_job(f, id);
	assert_float_equal(j.percent, 50, 1e-9);
	job_release(&j);
}

static uint32_t failures_of(struct repo_fixture *f)
{
	return (uint32_t)number(f, "SELECT failures FROM chunk WHERE idx = 0");
}

static void fail_chunk(struct repo_fixture *f, const struct claim *c, bool want_final)
{
	struct err why = failure(ERR_IO);
	bool final = !want_final;
	OK(repo_chunk_failed(f->repo, c, &why, &final, &f->e));
	assert_int_equal(final, want_final);
}

static void failures_are_counted_and_kills_are_not(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 3, 1);
	struct claim none = { 0 };
	int64_t due = -1;
	/* Lost leases and releases, as many as there may be: no failure. */
	for (int i = 0; i < 10; i++) {
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		assert_int_equal(c.chunk.claims, i + 1);
		if (i % 2)
			OK(repo_chunk_release(f->repo, &c, &f->e));
		else
			age(f, LEASE_MS + 1);
	}
	assert_int_equal(failures_of(f), 0);
	/* Two failures: back-off of 1 s, then 4 s, both ± 20 %. */
	static const int64_t low[] = { 700, 3100 }, high[] = { 1200, 4800 };
	for (int i = 0; i < 2; i++) {
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		fail_chunk(f, &c, false);
		_cleanup_claim_ struct claim other = claim_as(f, "w"); /* the other chunk need not wait */
		assert_int_equal(other.chunk.index, 1);
		REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_JOBS, 0, "w", LEASE_MS, &none, &f->e));
		OK(repo_next_due(f->repo, WORK_JOBS, &due, &f->e));
		assert_true(due > low[i] && due <= high[i]);
		OK(repo_chunk_release(f->repo, &other, &f->e));
		age(f, high[i]);
	}
	assert_int_equal(failures_of(f), 2);
	/* A committed segment: forgotten. The same again is nothing new: not forgotten. */
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	assert_int_equal(c.chunk.failures, 2);
	struct segment s = segment_at(0, 0);
	OK(repo_commit_segment(f->repo, &c, &s, &f->e));
	assert_int_equal(failures_of(f), 0);
	fail_chunk(f, &c, false);
	for (int i = 2; i <= 3; i++) {
		age(f, 5000);
		_cleanup_claim_ struct claim next = claim_as(f, "w");
		OK(repo_commit_segment(f->repo, &next, &s, &f->e));
		OK(repo_heartbeat(f->repo, &next, 1, NULL, &f->e));
		assert_int_equal(failures_of(f), i - 1);
		fail_chunk(f, &next, i == 3);
	}
	struct job j = get_job(f, id);
	assert_int_equal(j.status, JOB_FAILED);
	assert_string_equal(j.error_code, "IO_ERROR");
	assert_string_equal(j.error_message, "it did not work");
	assert_true(j.error_retriable && j.finished_ms > 0);
	job_release(&j);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM chunk WHERE state = 5"), 1);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM chunk WHERE state = 6"), 2);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM segment WHERE committed = 1"), 1);
}

static void bad_media_is_final_at_once_and_retry_goes_on_from_there(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 2, 1);
	_cleanup_claim_ struct claim first = claim_as(f, "w"), second = claim_as(f, "w"), third = claim_as(f, "w");
	work_chunk(f, &first);
	bool changed, final = false;
	int64_t wait;
	OK(repo_advance(f->repo, id, 0, false, &changed, &wait, &f->e));
	commit_segments(f, &second, 1, 2);
	struct err why = failure(ERR_MEDIA);
	OK(repo_chunk_failed(f->repo, &second, &why, &final, &f->e));
	assert_true(final);
	REFUSED(ERR_CANCELED, repo_heartbeat(f->repo, &third, 1, NULL, &f->e));
	struct job j = get_job(f, id);
	double percent = j.percent;
	assert_int_equal(j.status, JOB_FAILED);
	assert_int_equal(j.visible_segments, 1);
	assert_false(j.error_retriable);
	job_release(&j);

	OK(repo_job_retry(f->repo, "u", id, &j, &f->e));
	assert_int_equal(j.status, JOB_PENDING);
	assert_int_equal(j.generation_attempt, 2);
	assert_true(j.percent >= percent && !j.error_code[0] && !j.error_message && j.finished_ms == 0);
	job_release(&j);
	REFUSED(ERR_LOST, repo_heartbeat(f->repo, &third, 1, NULL, &f->e));
	_cleanup_claim_ struct claim again = claim_as(f, "w");
	assert_int_equal(again.chunk.index, 1); /* the first stays done */
	assert_int_equal(again.chunk.failures, 0);
	assert_int_equal(again.job.status, JOB_STREAMING); /* it shows segments already */
	work_chunk(f, &again);
	work_all_media(f);
	work_finish(f);
	assert_int_equal(status_of(f, id), JOB_COMPLETED);
	assert_int_equal(number(f, "SELECT claims FROM chunk WHERE idx = 0"), 1);
}

static void a_finish_chunk_that_fails_is_tried_again(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1);
	work_all_media(f);
	for (int i = 1; i <= 3; i++) {
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		assert_int_equal(c.chunk.kind, CHUNK_FINISH);
		if (i == 2)
			OK(repo_job_end(f->repo, &c, &f->e));
		fail_chunk(f, &c, i == 3);
		age(f, 5000);
	}
	struct job j = { 0 };
	OK(repo_job_retry(f->repo, "u", id, &j, &f->e));
	job_release(&j);
	work_finish(f);
	assert_int_equal(status_of(f, id), JOB_COMPLETED);
}

static bool is_gone(void *ctx, const char *worker_id)
{
	return strcmp(worker_id, ctx) == 0;
}

static void a_restarted_process_takes_its_chunks_back(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1, 1, 1);
	_cleanup_claim_ struct claim a = claim_as(f, "old"), b = claim_as(f, "other"), c = claim_as(f, "old");
	char old[] = "old";
	uint32_t count = 99;
	OK(repo_release_workers(f->repo, is_gone, old, &count, &f->e));
	assert_int_equal(count, 2);
	OK(repo_release_workers(f->repo, is_gone, old, &count, &f->e));
	assert_int_equal(count, 0);
	REFUSED(ERR_LOST, repo_heartbeat(f->repo, &a, 0, NULL, &f->e));
	REFUSED(ERR_LOST, repo_heartbeat(f->repo, &c, 0, NULL, &f->e));
	OK(repo_heartbeat(f->repo, &b, 0, NULL, &f->e));
	_cleanup_claim_ struct claim again = claim_as(f, "new");
	assert_int_equal(again.chunk.index, 0);
	assert_int_equal(again.chunk.claims, 2);
	assert_int_equal(again.chunk.failures, 0);
}

static void users_take_turns_and_new_jobs_come_first(void **state)
{
	struct repo_fixture *f = *state;
	char film[UUID_SIZE], second[UUID_SIZE], song[UUID_SIZE];
	MAKE_JOB(f, "anna", film, 10, 10, 10, 10, 10, 10);
	MAKE_JOB(f, "anna", second, 10, 10);
	/* One worker; each claim is held, so chunks come out once each. */
	const struct {
		const char *id;
		uint32_t chunk;
	} want[] = { { film, 0 }, { second, 0 }, { song, 0 }, { film, 1 },
		     { song, 1 }, { second, 1 }, { song, 2 }, { film, 2 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(want); i++) {
		if (i == 2)
			MAKE_JOB(f, "bert", song, 10, 10, 10);
		age(f, 10); /* claims of the same millisecond would be equals */
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		assert_string_equal(c.job.id, want[i].id);
		assert_int_equal(c.chunk.index, want[i].chunk);
	}
}

/* What is nearly done doesn't wait for a turn of what has much left: of a user's own jobs, and where a user has nothing else
 * also of others'. */
static void little_left_goes_first(void **state)
{
	struct repo_fixture *f = *state;
	char film[UUID_SIZE], epic[UUID_SIZE], clip[UUID_SIZE], song[UUID_SIZE];
	MAKE_JOB(f, "anna", film, 10, 10, 10);
	MAKE_JOB(f, "bert", epic, 10, 10, 10);
	MAKE_JOB(f, "anna", clip, 1, 1, 1);
	const struct {
		const char *id;
		uint32_t chunk;
	} want[] = { { clip, 0 }, { epic, 0 }, { film, 0 }, { epic, 1 }, { clip, 1 }, { song, 0 },
		     { song, 1 }, { song, 2 }, { epic, 2 }, { clip, 2 }, { film, 1 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(want); i++) {
		if (i == 5)
			MAKE_JOB(f, "cara", song, 1, 1, 1);
		age(f, 10);
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		assert_string_equal(c.job.id, want[i].id);
		assert_int_equal(c.chunk.index, want[i].chunk);
	}
}

static void next_due(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	int64_t due = 0;
	OK(repo_next_due(f->repo, WORK_JOBS, &due, &f->e));
	assert_int_equal(due, -1);
	MAKE_JOB(f, "u", id, 1);
	OK(repo_next_due(f->repo, WORK_JOBS, &due, &f->e));
	assert_int_equal(due, 0);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	assert_string_equal(c.job.id, id);
	OK(repo_next_due(f->repo, WORK_JOBS, &due, &f->e));
	assert_true(due > LEASE_MS - 10000 && due <= LEASE_MS);
}

struct crew {
	struct repo *repo;
	pthread_mutex_t lock;
	uint32_t taken[256]; /* by chunk index, protected by lock */
	uint32_t failed;
};

static void *claim_many(void *arg)
{
	struct crew *crew = arg;
	struct claim c = { 0 };
	int r;
	while ((r = repo_claim(crew->repo, WORK_JOBS, 0, "w", LEASE_MS, &c, NULL)) == 0) {
		pthread_mutex_lock(&crew->lock);
		crew->taken[c.chunk.index]++;
		pthread_mutex_unlock(&crew->lock);
		claim_release(&c);
	}
	if (r != -ERR_NOT_FOUND) {
		pthread_mutex_lock(&crew->lock);
		crew->failed++;
		pthread_mutex_unlock(&crew->lock);
	}
	return NULL;
}

static void eight_threads_claim_each_chunk_once(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	uint32_t chunks[201] = { 0 };
	for (int i = 0; i < 200; i++)
		chunks[i] = 1;
	make_job(f, "u", chunks, id);
	struct crew crew = { .repo = f->repo, .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t threads[8];
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, claim_many, &crew), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crew.failed, 0);
	for (int i = 0; i < 200; i++)
		assert_int_equal(crew.taken[i], 1);
	assert_int_equal(crew.taken[200], 0); /* the finish chunk waits */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_job_from_claim_to_completed),
		T(a_paused_worker_whose_lease_ran_out_changes_nothing),
		T(a_late_heartbeat_holds_what_nobody_took),
		T(canceled_jobs_stop_their_workers),
		T(an_early_end_takes_running_chunks_with_it),
		T(progress_only_rises),
		T(failures_are_counted_and_kills_are_not),
		T(bad_media_is_final_at_once_and_retry_goes_on_from_there),
		T(a_finish_chunk_that_fails_is_tried_again),
		T(a_restarted_process_takes_its_chunks_back),
		T(users_take_turns_and_new_jobs_come_first),
		T(little_left_goes_first),
		T(next_due),
		T(eight_threads_claim_each_chunk_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
