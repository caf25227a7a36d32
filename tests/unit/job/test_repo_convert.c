/* job: a conversion's chunks come in their order, hand on what they found, and leave a file that can be removed once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/keys.h"
#include "job/plan_convert.h"
#include "repo_fixture.h"

static void make_conversion_of(struct repo_fixture *f, int64_t seconds, const char *params, char id[UUID_SIZE])
{
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	struct convert_params p;
	struct convert_plan plan;
	*probe = (struct probe_result){ .seekable = true, .best_video = -1, .stream_count = 1 };
	probe->duration_ns = seconds * 1000000000;
	probe->streams[0] = (struct probe_stream){ .kind = STREAM_AUDIO, .sample_rate = 48000, .channels = 2,
						   .duration_ns = probe->duration_ns };
	OK(convert_params_parse(params, &p, &f->e));
	OK(convert_plan(probe, &p, &plan, &f->e));
	struct job_new n = { .user_id = "u",
			     .kind = JOB_CONVERT,
			     .file_id = "",
			     .source_key = "uploads/u/song.flac",
			     .source_name = "song.flac",
			     .params_json = "{}",
			     .expires_ms = 1,
			     .plan = convert_job_plan(&plan) };
	uuid7_new(n.id);
	_cleanup_free_ char *key = key_conversion("u", n.id, "mp3");
	n.prefix = key;
	struct job j;
	bool existing;
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	memcpy(id, j.id, UUID_SIZE);
	job_release(&j);
	convert_plan_release(&plan);
	free(probe);
}

static void make_conversion(struct repo_fixture *f, const char *params, char id[UUID_SIZE])
{
	make_conversion_of(f, 20, params, id);
}

static void nothing_to_do(struct repo_fixture *f)
{
	struct claim c;
	REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_JOBS, 0, "w", LEASE_MS, &c, &f->e));
}

static void stage_is(struct repo_fixture *f, const char *id, const char *stage)
{
	struct job j = get_job(f, id);
	assert_string_equal(j.stage, stage);
	job_release(&j);
}

static void work_step(struct repo_fixture *f, enum chunk_kind kind, const char *json)
{
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	assert_int_equal(c.chunk.kind, kind);
	OK(repo_step_done(f->repo, &c, json, &f->e));
	REFUSED(ERR_LOST, repo_step_done(f->repo, &c, json, &f->e));
}

static void doomed_are(struct repo_fixture *f, const char *want)
{
	_cleanup_free_ char *keys = doomed_keys(f);
	assert_string_equal(keys, want);
}

static void in_their_order(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_conversion(f, "{\"format\":\"mp3\",\"normalize\":true}", id);
	{
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		nothing_to_do(f);
		stage_is(f, id, "measuring");
		OK(repo_chunk_release(f->repo, &c, &f->e));
	}
	work_step(f, CHUNK_MEASURE, "{\"gain_mb\":5}");
	stage_is(f, id, "converting");
	{
		_cleanup_claim_ struct claim first = claim_as(f, "w"), second = claim_as(f, "w");
		assert_int_equal(first.chunk.kind, CHUNK_CONVERT);
		assert_true(second.chunk.last);
		nothing_to_do(f);
		OK(repo_step_done(f->repo, &second, "{\"b\":2}", &f->e));
		nothing_to_do(f);
		OK(repo_step_done(f->repo, &first, "{\"a\":1}", &f->e));
	}
	stage_is(f, id, "finishing");
	struct step_result *steps;
	uint32_t count;
	OK(repo_step_results(f->repo, id, CHUNK_CONVERT, &steps, &count, &f->e));
	assert_int_equal(count, 2);
	assert_string_equal(steps[0].json, "{\"a\":1}");
	assert_int_equal(steps[1].chunk, 2);
	step_results_free(steps, count);
	_cleanup_claim_ struct claim join = claim_as(f, "w");
	assert_int_equal(join.chunk.kind, CHUNK_JOIN);
	assert_true(join.job.percent > 97 && join.job.percent < 100);
	OK(repo_convert_complete(f->repo, &join, "{\"c\":3}", &f->e));
	struct job j = get_job(f, id);
	assert_int_equal(j.status, JOB_COMPLETED);
	assert_string_equal(j.result_json, "{\"c\":3}");
	assert_true(j.percent == 100);
	assert_int_equal(j.expires_ms - j.finished_ms, CONVERSION_LIFETIME_MS);
	job_release(&j);
	_cleanup_free_ char *parts = mr_asprintf("parts/%s/ ", id);
	doomed_are(f, parts);
}

static void a_step_that_failed_is_tried_again_in_order(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	bool final;
	make_conversion(f, "{\"format\":\"mp3\"}", id);
	work_step(f, CHUNK_CONVERT, "{}");
	{
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		struct err why = failure(ERR_MEDIA);
		why.retriable = false;
		OK(repo_chunk_failed(f->repo, &c, &why, &final, &f->e));
		assert_true(final);
	}
	assert_int_equal(status_of(f, id), JOB_FAILED);
	doomed_are(f, ""); /* what is made is kept for a retry */
	struct job j;
	OK(repo_job_retry(f->repo, "u", id, &j, &f->e));
	job_release(&j);
	work_step(f, CHUNK_CONVERT, "{}");
	_cleanup_claim_ struct claim join = claim_as(f, "w");
	assert_int_equal(join.chunk.kind, CHUNK_JOIN);
}

static void canceled(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	struct job j;
	make_conversion(f, "{\"format\":\"mp3\"}", id);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	OK(repo_job_cancel(f->repo, "u", id, &j, &f->e));
	job_release(&j);
	REFUSED(ERR_CANCELED, repo_step_done(f->repo, &c, "{}", &f->e));
	REFUSED(ERR_CONFLICT, repo_result_remove(f->repo, "u", id, &f->e));
	doomed_are(f, ""); /* somebody may still be storing some */
	sql(f, "UPDATE doomed_object SET doomed_ms = doomed_ms - 60000");
	_cleanup_free_ char *parts = mr_asprintf("parts/%s/ ", id);
	doomed_are(f, parts);
}

static void removed_after_a_download(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_conversion(f, "{\"format\":\"mp3\"}", id);
	work_step(f, CHUNK_CONVERT, "{}");
	work_step(f, CHUNK_CONVERT, "{}");
	REFUSED(ERR_CONFLICT, repo_result_remove(f->repo, "u", id, &f->e));
	_cleanup_claim_ struct claim join = claim_as(f, "w");
	OK(repo_convert_complete(f->repo, &join, "{}", &f->e));
	sql(f, "DELETE FROM doomed_object");
	REFUSED(ERR_NOT_FOUND, repo_result_remove(f->repo, "other", id, &f->e));
	OK(repo_result_remove(f->repo, "u", id, &f->e));
	OK(repo_result_remove(f->repo, "u", id, &f->e));
	_cleanup_free_ char *file = mr_asprintf("conversions/u/%s.mp3 ", id);
	doomed_are(f, file);
	struct job j = get_job(f, id);
	assert_true(j.removed_ms > 0);
	job_release(&j);
}

static void only_its_own_steps(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f, "u", id, 1);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	REFUSED(ERR_INTERNAL, repo_step_done(f->repo, &c, "{}", &f->e));
	REFUSED(ERR_INTERNAL, repo_convert_complete(f->repo, &c, "{}", &f->e));
}

/* The thread for short ones sees them alone, whoever is before them. */
static void short_ones_alone(void **state)
{
	struct repo_fixture *f = *state;
	char film[UUID_SIZE], long_id[UUID_SIZE], short_id[UUID_SIZE];
	struct claim none;
	int64_t due;
	make_job(f, "u", (const uint32_t[]){ 1, 0 }, film);
	make_conversion_of(f, 61, "{\"format\":\"mp3\"}", long_id);
	OK(repo_next_due(f->repo, WORK_SHORT, &due, &f->e));
	assert_int_equal(due, -1);
	REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_SHORT, 0, "s", LEASE_MS, &none, &f->e));
	make_conversion_of(f, 60, "{\"format\":\"mp3\"}", short_id);
	OK(repo_next_due(f->repo, WORK_SHORT, &due, &f->e));
	assert_int_equal(due, 0);
	for (uint32_t i = 0; i < 2; i++) {
		_cleanup_claim_ struct claim c = { 0 };
		OK(repo_claim(f->repo, WORK_SHORT, 0, "s", LEASE_MS, &c, &f->e));
		assert_string_equal(c.job.id, short_id);
		assert_int_equal(c.chunk.index, i);
		OK(repo_step_done(f->repo, &c, "{}", &f->e));
	}
	_cleanup_claim_ struct claim other = claim_as(f, "w");
	assert_string_not_equal(other.job.id, short_id);
}

/* Somebody listens for it. */
static void a_narration_is_short(void **state)
{
	struct repo_fixture *f = *state;
	char film[UUID_SIZE], narration[UUID_SIZE];
	make_job(f, "u", (const uint32_t[]){ 1, 0 }, film);
	make_job(f, "v", (const uint32_t[]){ 1, 0 }, narration);
	char text[128];
	(void)snprintf(text, sizeof(text), "UPDATE job SET kind = %d WHERE id = '%s'", JOB_NARRATION, narration);
	sql(f, text);
	_cleanup_claim_ struct claim c = { 0 };
	OK(repo_claim(f->repo, WORK_SHORT, 0, "s", LEASE_MS, &c, &f->e));
	assert_string_equal(c.job.id, narration);
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(in_their_order), T(a_step_that_failed_is_tried_again_in_order), T(canceled), T(removed_after_a_download),
		T(only_its_own_steps), T(short_ones_alone), T(a_narration_is_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
