/* job: analyses are done when nothing else is to do, are shown to nobody, and leave their result with the file. */
#include <stdlib.h>
#include <string.h>

#include "job/analysis.h"
#include "repo_fixture.h"

#define PREFIX "analysis/u/f"

static void make_analysed(struct repo_fixture *f, const char *user, char id[UUID_SIZE])
{
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	struct analysis_plan plan;
	probe->duration_ns = 1000000000;
	analysis_plan(probe, PREFIX, &plan);
	make_file(f, user, id);
	OK(repo_file_ready(f->repo, id, 777, "abc", "{}", &plan, &f->e));
	analysis_plan_release(&plan);
	free(probe);
}

static struct claim claim_background(struct repo_fixture *f)
{
	struct claim c = { 0 };
	OK(repo_claim(f->repo, WORK_BACKGROUND, 0, "w", LEASE_MS, &c, &f->e));
	assert_int_equal(c.chunk.kind, CHUNK_ANALYZE);
	return c;
}

static void nothing_in_background(struct repo_fixture *f)
{
	struct claim c;
	REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_BACKGROUND, 0, "w", LEASE_MS, &c, &f->e));
}

static enum analysis_state state_of(struct repo_fixture *f, const char *id, const char *json)
{
	struct file file;
	OK(repo_file_get(f->repo, "u", id, &file, &f->e));
	enum analysis_state s = file.analysis;
	if (json)
		assert_string_equal(file.analysis_json, json);
	else
		assert_null(file.analysis_json);
	file_release(&file);
	return s;
}

static void done_when_nothing_else_is_to_do(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], job[UUID_SIZE];
	make_analysed(f, "u", id);
	MAKE_JOB(f, "v", job, 1);
	assert_int_equal(state_of(f, id, NULL), ANALYSIS_PENDING);
	nothing_in_background(f); /* another user's chunk can be claimed */
	work_all_media(f);
	nothing_in_background(f); /* its finish chunk */
	work_finish(f);
	int64_t due;
	OK(repo_next_due(f->repo, WORK_JOBS, &due, &f->e));
	assert_int_equal(due, -1); /* nobody wakes up for it who doesn't do it */
	struct claim none;
	REFUSED(ERR_NOT_FOUND, repo_claim(f->repo, WORK_JOBS, 0, "w", LEASE_MS, &none, &f->e));
	_cleanup_claim_ struct claim c = claim_background(f);
	assert_string_equal(c.job.prefix, PREFIX);
	nothing_in_background(f);
	OK(repo_analysis_done(f->repo, &c, ANALYSIS_DONE, "{\"a\":1}", &f->e));
	assert_int_equal(state_of(f, id, "{\"a\":1}"), ANALYSIS_DONE);
	REFUSED(ERR_LOST, repo_analysis_done(f->repo, &c, ANALYSIS_DONE, "{}", &f->e));
	assert_int_equal(number(f, "SELECT COUNT(*) FROM job WHERE kind = 2"), 0);
}

static void count_job(void *ctx, const struct job *j)
{
	(void)j;
	++*(int *)ctx;
}

static void shown_to_nobody(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], cursor[64];
	int count = 0;
	make_analysed(f, "u", id);
	struct job_filter filter = { .user_id = "u" };
	OK(repo_job_list(f->repo, &filter, 10, NULL, count_job, &count, cursor, &f->e));
	filter.after_revision = 1;
	OK(repo_job_list(f->repo, &filter, 10, NULL, count_job, &count, cursor, &f->e));
	assert_int_equal(count, 0);
	_cleanup_claim_ struct claim c = claim_background(f);
	struct job j;
	REFUSED(ERR_NOT_FOUND, repo_job_get(f->repo, "u", c.job.id, &j, &f->e));
	REFUSED(ERR_NOT_FOUND, repo_job_cancel(f->repo, "u", c.job.id, &j, &f->e));
}

static void a_failure_stays_with_the_file(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	bool final = false;
	make_analysed(f, "u", id);
	struct err why = failure(ERR_MEDIA);
	why.retriable = true;
	for (int i = 1; !final; i++) {
		_cleanup_claim_ struct claim c = claim_background(f);
		OK(repo_chunk_failed(f->repo, &c, &why, &final, &f->e));
		assert_int_equal(final, i == CHUNK_FAILURES_MAX);
		age(f, 3600000);
	}
	_cleanup_free_ char *json = analysis_json_failure(&why);
	assert_int_equal(state_of(f, id, json), ANALYSIS_FAILED);
	nothing_in_background(f);
}

/* The doomed keys of one round, each forgotten. */
static void doomed(struct repo_fixture *f, bool has_upload, bool has_prefix, const char *id)
{
	_cleanup_free_ char *keys = doomed_keys(f);
	_cleanup_free_ char *upload = mr_asprintf("uploads/u/%s.mp4", id);
	_cleanup_free_ char *prefix = mr_asprintf("analysis/u/%s/", id);
	assert_int_equal(strstr(keys, upload) != NULL, has_upload);
	assert_int_equal(strstr(keys, prefix) != NULL, has_prefix);
	OK(repo_object_gone(f->repo, upload, &f->e));
	OK(repo_object_gone(f->repo, prefix, &f->e)); /* changes nothing if it isn't due */
}

static void deleted_with_the_file(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	char *key;
	/* while it waits: nobody writes below its prefix */
	make_analysed(f, "u", id);
	OK(repo_file_delete(f->repo, "u", id, &key, &f->e));
	free(key);
	nothing_in_background(f);
	doomed(f, true, true, id);
	doomed(f, false, false, id);
	/* while it runs: its holder learns of it, and what it stored until then goes a minute later */
	make_analysed(f, "u", id);
	_cleanup_claim_ struct claim c = claim_background(f);
	OK(repo_file_delete(f->repo, "u", id, &key, &f->e));
	free(key);
	REFUSED(ERR_LOST, repo_heartbeat(f->repo, &c, 1, NULL, &f->e));
	REFUSED(ERR_LOST, repo_analysis_done(f->repo, &c, ANALYSIS_DONE, "{}", &f->e));
	doomed(f, true, false, id);
	sql(f, "UPDATE doomed_object SET doomed_ms = doomed_ms - 60000");
	doomed(f, false, true, id);
	doomed(f, false, false, id);
}

static void a_file_in_use_keeps_its_analysis(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_analysed(f, "u", id);
	struct ladder_plan p;
	PLAN(&p, 1);
	struct job_new n = job_new_of("u", &p);
	n.file_id = id;
	struct job j;
	bool existing;
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	job_release(&j);
	ladder_plan_release(&p);
	char *key;
	REFUSED(ERR_CONFLICT, repo_file_delete(f->repo, "u", id, &key, &f->e));
	CODE("FILE_IN_USE");
	assert_int_equal(number(f, "SELECT COUNT(*) FROM job WHERE kind = 2"), 1);
	work_all_media(f);
	work_finish(f);
	_cleanup_claim_ struct claim c = claim_background(f);
	assert_int_equal(c.chunk.kind, CHUNK_ANALYZE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(done_when_nothing_else_is_to_do), T(shown_to_nobody),	      T(a_failure_stays_with_the_file),
		T(deleted_with_the_file),	    T(a_file_in_use_keeps_its_analysis),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
