/* job/repo_create, repo_job, repo_file: what users and the janitor do; on real SQLite files. */
#include <stdio.h>
#include <string.h>

#include "repo_fixture.h"

/* ---- lifecycle, as the repository enforces it ---- */

static enum err_kind do_cancel(struct repo_fixture *f, const char *id)
{
	struct job j = { 0 };
	int r = repo_job_cancel(f->repo, "u", id, &j, &f->e);
	if (r >= 0)
		assert_int_equal(j.status, JOB_CANCELED);
	job_release(&j);
	return (enum err_kind) - r;
}

static enum err_kind do_retry(struct repo_fixture *f, const char *id)
{
	struct job j = { 0 };
	int r = repo_job_retry(f->repo, "u", id, &j, &f->e);
	if (r >= 0)
		assert_int_equal(j.status, JOB_PENDING);
	job_release(&j);
	return (enum err_kind) - r;
}

static enum err_kind do_delete(struct repo_fixture *f, const char *id)
{
	return (enum err_kind) - repo_job_delete(f->repo, "u", id, &f->e);
}

static enum err_kind do_purge(struct repo_fixture *f, const char *id)
{
	return (enum err_kind) - repo_job_purge(f->repo, id, &f->e);
}

static enum err_kind do_claim(struct repo_fixture *f, const char *id)
{
	struct claim c = { 0 };
	int r = repo_claim(f->repo, WORK_JOBS, 0, "w", LEASE_MS, &c, &f->e);
	if (r >= 0)
		assert_string_equal(c.job.id, id);
	claim_release(&c);
	return (enum err_kind) - r;
}

static void every_transition_allowed_and_refused(void **state)
{
	struct repo_fixture *f = *state;
	static enum err_kind (*const moves[])(struct repo_fixture *, const char *) = { do_cancel, do_retry, do_delete,
										       do_purge, do_claim };
	static const struct {
		enum job_status status;
		enum err_kind want[MR_ARRAY_SIZE(moves)];
	} table[] = {
		{ JOB_PENDING, { ERR_OK, ERR_CONFLICT, ERR_CONFLICT, ERR_CONFLICT, ERR_OK } },
		{ JOB_PROCESSING, { ERR_OK, ERR_CONFLICT, ERR_CONFLICT, ERR_CONFLICT, ERR_OK } },
		{ JOB_STREAMING, { ERR_OK, ERR_CONFLICT, ERR_CONFLICT, ERR_CONFLICT, ERR_OK } },
		{ JOB_COMPLETED, { ERR_CONFLICT, ERR_CONFLICT, ERR_OK, ERR_CONFLICT, ERR_NOT_FOUND } },
		{ JOB_FAILED, { ERR_CONFLICT, ERR_OK, ERR_OK, ERR_CONFLICT, ERR_NOT_FOUND } },
		{ JOB_CANCELED, { ERR_CONFLICT, ERR_CONFLICT, ERR_OK, ERR_CONFLICT, ERR_NOT_FOUND } },
		{ JOB_DELETING, { ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_OK, ERR_NOT_FOUND } },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(table); i++) {
		for (size_t m = 0; m < MR_ARRAY_SIZE(moves); m++) {
			char id[UUID_SIZE];
			job_in_status(f, table[i].status, id);
			assert_int_equal(number(f, "SELECT status FROM job"), table[i].status);
			int64_t revision = number(f, "SELECT value FROM counter");
			enum err_kind got = moves[m](f, id);
			if (got != table[i].want[m])
				fail_msg("status %d, move %zu: %s", (int)table[i].status, m, err_kind_name(got));
			if (got != ERR_OK) {
				assert_int_equal(number(f, "SELECT status FROM job"), table[i].status);
				assert_int_equal(number(f, "SELECT value FROM counter"), revision);
			}
			sql(f, "DELETE FROM job");
		}
	}
}

/* ---- ownership ---- */

static void nobody_elses(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], file_id[UUID_SIZE];
	job_in_status(f, JOB_FAILED, id);
	make_file(f, "u", file_id);
	struct job j = { 0 };
	struct file file = { 0 };
	_cleanup_free_ char *key = NULL;
	REFUSED(ERR_NOT_FOUND, repo_job_get(f->repo, "v", id, &j, &f->e));
	REFUSED(ERR_NOT_FOUND, repo_job_cancel(f->repo, "v", id, &j, &f->e));
	REFUSED(ERR_NOT_FOUND, repo_job_retry(f->repo, "v", id, &j, &f->e));
	REFUSED(ERR_NOT_FOUND, repo_job_delete(f->repo, "v", id, &f->e));
	REFUSED(ERR_NOT_FOUND, repo_file_get(f->repo, "v", file_id, &file, &f->e));
	REFUSED(ERR_NOT_FOUND, repo_file_delete(f->repo, "v", file_id, &key, &f->e));
	REFUSED(ERR_NOT_FOUND, repo_job_get(f->repo, "", id, &j, &f->e));
	assert_int_equal(status_of(f, id), JOB_FAILED);
	/* A job on another's file. */
	struct ladder_plan p;
	PLAN(&p, 1);
	struct job_new n = job_new_of("v", &p);
	bool existing;
	n.file_id = file_id;
	REFUSED(ERR_NOT_FOUND, repo_job_create(f->repo, &n, &j, &existing, &f->e));
	n.user_id = "u";
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	assert_string_equal(j.file_id, file_id);
	assert_string_equal(j.user_id, "u");
	job_release(&j);
	ladder_plan_release(&p);
	OK(repo_job_get(f->repo, NULL, id, &j, &f->e));
	job_release(&j);
	OK(repo_file_get(f->repo, NULL, file_id, &file, &f->e));
	file_release(&file);
}

/* ---- lists ---- */

struct seen {
	char ids[64][UUID_SIZE];
	uint32_t count;
	int64_t last_revision;
};

static void see_job(void *ctx, const struct job *j)
{
	struct seen *s = ctx;
	assert_true(s->count < 64);
	memcpy(s->ids[s->count++], j->id, UUID_SIZE);
	assert_int_not_equal(j->status, JOB_DELETING);
	assert_true(j->revision != s->last_revision);
	s->last_revision = j->revision;
}

static void see_file(void *ctx, const struct file *file)
{
	struct seen *s = ctx;
	assert_true(s->count < 64);
	memcpy(s->ids[s->count++], file->id, UUID_SIZE);
}

static bool has(const struct seen *s, const char *id)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (strcmp(s->ids[i], id) == 0)
			return true;
	return false;
}

static void pages_stay_in_step_while_jobs_come_and_go(void **state)
{
	struct repo_fixture *f = *state;
	char mine[10][UUID_SIZE], other[UUID_SIZE], late[UUID_SIZE], cursor[64] = "";
	for (int i = 0; i < 10; i++) {
		MAKE_JOB(f, "u", mine[i], 1);
		MAKE_JOB(f, "v", other, 1);
	}
	/* Equal times: the id decides. */
	sql(f, "UPDATE job SET created_ms = 1700000000000 + (created_ms % 2)");
	struct seen s = { 0 };
	const struct job_filter filter = { .user_id = "u" };
	int pages = 0;
	do {
		OK(repo_job_list(f->repo, &filter, 3, cursor, see_job, &s, cursor, &f->e));
		pages++;
		if (pages == 1)
			MAKE_JOB(f, "u", late, 1); /* newer than all: not in what follows */
		if (pages == 2)
			assert_int_equal(do_cancel(f, s.ids[s.count - 1]), ERR_OK); /* the cursor's own row */
	} while (cursor[0]);
	assert_int_equal(pages, 4);
	assert_int_equal(s.count, 10);
	for (int i = 0; i < 10; i++)
		assert_true(has(&s, mine[i]));
	assert_false(has(&s, late));
	/* Exactly as many as there are: no further page. */
	s.count = 0;
	OK(repo_job_list(f->repo, &filter, 11, NULL, see_job, &s, cursor, &f->e));
	assert_string_equal(cursor, "");
	assert_string_equal(s.ids[0], late);
	s.count = 0;
	OK(repo_job_list(f->repo, &(struct job_filter){ 0 }, 0, NULL, see_job, &s, cursor, &f->e));
	assert_int_equal(s.count, 1);
}

static uint32_t listed(struct repo_fixture *f, struct job_filter filter)
{
	struct seen s = { 0 };
	char cursor[64];
	OK(repo_job_list(f->repo, &filter, 60, NULL, see_job, &s, cursor, &f->e));
	return s.count;
}

static void filters(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], file_id[UUID_SIZE];
	job_in_status(f, JOB_COMPLETED, id);
	job_in_status(f, JOB_FAILED, id);
	job_in_status(f, JOB_DELETING, id);
	MAKE_JOB(f, "v", id, 1);
	make_file(f, "u", file_id);
	struct ladder_plan p;
	PLAN(&p, 1);
	struct job_new n = job_new_of("u", &p);
	n.file_id = file_id;
	struct job j = { 0 };
	bool existing;
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	job_release(&j);
	ladder_plan_release(&p);
	assert_int_equal(listed(f, (struct job_filter){ 0 }), 4);
	assert_int_equal(listed(f, (struct job_filter){ .user_id = "u" }), 3);
	assert_int_equal(listed(f, (struct job_filter){ .user_id = "u", .status = JOB_PENDING }), 1);
	assert_int_equal(listed(f, (struct job_filter){ .status = JOB_PENDING }), 2);
	assert_int_equal(listed(f, (struct job_filter){ .status = JOB_DELETING }), 0);
	assert_int_equal(listed(f, (struct job_filter){ .kind = JOB_LADDER, .user_id = "v" }), 1);
	assert_int_equal(listed(f, (struct job_filter){ .kind = 9 }), 0);
	assert_int_equal(listed(f, (struct job_filter){ .file_id = file_id }), 1);
	assert_int_equal(listed(f, (struct job_filter){ .file_id = file_id, .user_id = "v" }), 0);
	assert_int_equal(listed(f, (struct job_filter){ .user_id = "u",
							.status = JOB_PENDING,
							.kind = 1,
							.file_id = file_id,
							.after_revision = 1 }),
			 1);
}

static void revisions_resume(void **state)
{
	struct repo_fixture *f = *state;
	char a[UUID_SIZE], b[UUID_SIZE], c[UUID_SIZE], cursor[64] = "";
	MAKE_JOB(f, "u", a, 1);
	MAKE_JOB(f, "u", b, 1);
	int64_t seen_up_to = number(f, "SELECT MAX(revision) FROM job");
	MAKE_JOB(f, "u", c, 1);
	struct job j = { 0 };
	OK(repo_job_cancel(f->repo, "u", a, &j, &f->e));
	job_release(&j);
	/* What changed since, in the order in which it did: page by page. */
	struct seen s = { 0 };
	const struct job_filter filter = { .user_id = "u", .after_revision = seen_up_to };
	do
		OK(repo_job_list(f->repo, &filter, 1, cursor, see_job, &s, cursor, &f->e));
	while (cursor[0]);
	assert_int_equal(s.count, 2);
	assert_string_equal(s.ids[0], c);
	assert_string_equal(s.ids[1], a);
}

static void cursors_that_are_none(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], good[64] = "", out[64] = "kept";
	for (int i = 0; i < 3; i++) {
		make_file(f, "u", id);
		MAKE_JOB(f, "u", id, 1);
	}
	struct seen s = { 0 };
	const struct job_filter filter = { .user_id = "u" };
	OK(repo_file_list(f->repo, "u", NULL, 1, NULL, see_file, &s, good, &f->e));
	assert_int_equal(good[0], 'f');
	const char *const bad[] = {
		good,
		"j",
		"x",
		"jzz.0190b0a0-0000-7000-8000-000000000000",
		"j12",
		"j12.",
		"j12.nouuid",
		"j.0190b0a0-0000-7000-8000-000000000000",
		"j1111111111111111.0190b0a0-0000-7000-8000-000000000000",
		"j12.0190b0a0-0000-7000-8000-000000000000x",
		"' OR 1=1 --",
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		REFUSED(ERR_INVALID, repo_job_list(f->repo, &filter, 5, bad[i], see_job, &s, out, &f->e));
		CODE("BAD_CURSOR");
	}
	assert_string_equal(out, "kept");
	OK(repo_job_list(f->repo, &filter, 1, NULL, see_job, &s, good, &f->e));
	REFUSED(ERR_INVALID, repo_file_list(f->repo, "u", NULL, 5, good, see_file, &s, out, &f->e));
	REFUSED(ERR_INVALID,
		repo_job_list(f->repo, &(struct job_filter){ .after_revision = 1 }, 5, good, see_job, &s, out, &f->e));
}

/* A callback may use the repository, even where there is but one connection. */
static void delete_it(void *ctx, const struct job *j)
{
	struct repo_fixture *f = ctx;
	OK(repo_job_purge(f->repo, j->id, &f->e));
}

static void callbacks_may_call_back(void **state)
{
	struct repo_fixture outer = { 0 }, *f = &outer;
	(void)state;
	OK(db_open(&(struct db_opts){ .url = "sqlite::memory:", .busy_timeout_ms = 1 }, &f->db, &f->e));
	OK(repo_open(f->db, &f->repo, &f->e));
	char id[UUID_SIZE];
	job_in_status(f, JOB_DELETING, id);
	OK(repo_job_doomed(f->repo, 10, delete_it, f, &f->e));
	assert_int_equal(number(f, "SELECT COUNT(*) FROM job"), 0);
	repo_close(f->repo);
	db_close(f->db);
}

/* ---- idempotency ---- */

static int create_with_key(struct repo_fixture *f, const char *user, const char *key, const char *hash,
			   char id[UUID_SIZE], bool *ret_existing)
{
	struct ladder_plan p;
	PLAN(&p, 1);
	struct job_new n = job_new_of(user, &p);
	n.idempotency_key = key;
	n.request_hash = hash;
	struct job j = { 0 };
	int r = repo_job_create(f->repo, &n, &j, ret_existing, &f->e);
	if (r >= 0)
		memcpy(id, j.id, UUID_SIZE);
	job_release(&j);
	ladder_plan_release(&p);
	return r;
}

static void a_repeated_request_gives_the_first_job(void **state)
{
	struct repo_fixture *f = *state;
	char first[UUID_SIZE], again[UUID_SIZE];
	bool existing = true;
	OK(create_with_key(f, "u", "k", "h", first, &existing));
	assert_false(existing);
	OK(create_with_key(f, "u", "k", "h", again, &existing));
	assert_true(existing);
	assert_string_equal(again, first);
	REFUSED(ERR_CONFLICT, create_with_key(f, "u", "k", "another", again, &existing));
	CODE("IDEMPOTENCY_KEY_REUSED");
	assert_int_equal(number(f, "SELECT COUNT(*) FROM job"), 1);
	/* Another user's key is another key. */
	OK(create_with_key(f, "v", "k", "other", again, &existing));
	assert_false(existing);
	/* The job's state does not matter, until it is deleted or a day has passed. */
	struct job j = { 0 };
	OK(repo_job_cancel(f->repo, "u", first, &j, &f->e));
	job_release(&j);
	OK(create_with_key(f, "u", "k", "h", again, &existing));
	assert_true(existing);
	OK(repo_job_delete(f->repo, "u", first, &f->e));
	OK(create_with_key(f, "u", "k", "h", again, &existing));
	assert_false(existing);
	sql(f, "UPDATE idempotency SET created_ms = created_ms - 24 * 3600 * 1000");
	OK(create_with_key(f, "u", "k", "changed", first, &existing));
	assert_false(existing);
	sql(f, "UPDATE idempotency SET created_ms = created_ms - 24 * 3600 * 1000");
	OK(repo_job_doomed(f->repo, 1, delete_it, f, &f->e));
	assert_int_equal(number(f, "SELECT COUNT(*) FROM idempotency"), 0);
}

static void an_id_is_used_once(void **state)
{
	struct repo_fixture *f = *state;
	struct ladder_plan p;
	PLAN(&p, 1);
	struct job_new n = job_new_of("u", &p);
	struct job j = { 0 };
	bool existing;
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	job_release(&j);
	REFUSED(ERR_CONFLICT, repo_job_create(f->repo, &n, &j, &existing, &f->e));
	ladder_plan_release(&p);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM chunk"), 2);
}

static void what_is_stored_comes_back(void **state)
{
	struct repo_fixture *f = *state;
	struct ladder_plan p;
	PLAN(&p, 1, 2);
	struct job_new n = job_new_of("Zoë ' \"", &p);
	n.params_json = "{\"container\":\"fmp4\"}";
	n.prefix = "";
	n.source_bytes = 5000000000;
	n.expires_ms = 1900000000000;
	struct job j = { 0 };
	bool existing;
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	assert_string_equal(j.id, n.id);
	assert_string_equal(j.user_id, n.user_id);
	assert_string_equal(j.params_json, n.params_json);
	assert_string_equal(j.prefix, "");
	assert_string_equal(j.source_key, n.source_key);
	assert_string_equal(j.source_name, n.source_name);
	assert_true(j.source_bytes == n.source_bytes && j.expires_ms == n.expires_ms);
	assert_int_equal(j.duration_ticks, 3 * SEGMENT_TICKS);
	assert_int_equal(j.rendition_count, 3);
	struct ladder_spec spec;
	OK(ladder_spec_parse(j.spec_json, &spec, &f->e));
	assert_int_equal(spec.audio_rate, 48000);
	assert_true(j.created_ms > 0 && j.created_ms == j.updated_ms && j.finished_ms == 0);
	job_release(&j);
	ladder_plan_release(&p);
}

/* ---- files ---- */

static void files_from_arrival_to_deletion(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE];
	make_file(f, "u", id);
	struct file file = { 0 };
	OK(repo_file_get(f->repo, "u", id, &file, &f->e));
	assert_string_equal(file.name, "film.mp4");
	assert_string_equal(file.content_type, "video/mp4");
	assert_string_equal(file.sha256, "abc");
	assert_string_equal(file.probe_json, "{\"format\":\"mov\"}");
	assert_true(file.ready && file.size_bytes == 777 && file.created_ms > 0);
	_cleanup_free_ char *expected = mr_strdup(file.key);
	file_release(&file);

	struct ladder_plan p;
	PLAN(&p, 1);
	struct job_new n = job_new_of("u", &p);
	n.file_id = id;
	struct job j = { 0 };
	bool existing;
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	char *key = NULL;
	REFUSED(ERR_CONFLICT, repo_file_delete(f->repo, "u", id, &key, &f->e));
	CODE("FILE_IN_USE");
	assert_null(key);
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	struct err why = failure(ERR_MEDIA);
	bool final;
	OK(repo_chunk_failed(f->repo, &c, &why, &final, &f->e));
	OK(repo_file_delete(f->repo, "u", id, &key, &f->e));
	assert_string_equal(key, expected);
	REFUSED(ERR_NOT_FOUND, repo_file_get(f->repo, "u", id, &file, &f->e));
	REFUSED(ERR_NOT_FOUND, repo_file_ready(f->repo, id, 1, "", NULL, NULL, &f->e));
	job_release(&j);
	REFUSED(ERR_CONFLICT, repo_job_retry(f->repo, "u", n.id, &j, &f->e));
	CODE("FILE_GONE");
	uuid7_new(n.id);
	REFUSED(ERR_NOT_FOUND, repo_job_create(f->repo, &n, &j, &existing, &f->e));
	ladder_plan_release(&p);
	free(key);
}

static void note_key(void *ctx, const char *key)
{
	(void)snprintf(ctx, 128, "%s", key);
}

static void objects_of_deleted_files_are_not_forgotten(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], doomed[128] = "";
	char *key = NULL;
	make_file(f, "u", id);
	OK(repo_objects_doomed(f->repo, 10, note_key, doomed, &f->e));
	assert_string_equal(doomed, "");
	OK(repo_file_delete(f->repo, NULL, id, &key, &f->e));
	OK(repo_objects_doomed(f->repo, 10, note_key, doomed, &f->e));
	assert_string_equal(doomed, key);
	OK(repo_object_gone(f->repo, key, &f->e));
	OK(repo_object_gone(f->repo, key, &f->e));
	doomed[0] = '\0';
	OK(repo_objects_doomed(f->repo, 10, note_key, doomed, &f->e));
	assert_string_equal(doomed, "");
	free(key);
}

static void files_that_never_arrived(void **state)
{
	struct repo_fixture *f = *state;
	char ready[UUID_SIZE];
	make_file(f, "u", ready);
	char name[] = "n", key[] = "uploads/u/x.bin";
	struct file arriving = { .name = name, .content_type = name, .key = key };
	uuid7_new(arriving.id);
	(void)snprintf(arriving.user_id, sizeof(arriving.user_id), "u");
	OK(repo_file_create(f->repo, &arriving, &f->e));
	struct seen s = { 0 };
	OK(repo_file_stale(f->repo, 1000, 10, see_file, &s, &f->e));
	assert_int_equal(s.count, 0);
	sql(f, "UPDATE file SET updated_ms = updated_ms - 5000");
	OK(repo_file_stale(f->repo, 1000, 10, see_file, &s, &f->e));
	assert_int_equal(s.count, 1);
	assert_string_equal(s.ids[0], arriving.id);
	/* No job on it before it is there. */
	struct ladder_plan p;
	PLAN(&p, 1);
	struct job_new n = job_new_of("u", &p);
	n.file_id = arriving.id;
	struct job j = { 0 };
	bool existing;
	REFUSED(ERR_CONFLICT, repo_job_create(f->repo, &n, &j, &existing, &f->e));
	CODE("FILE_NOT_READY");
	ladder_plan_release(&p);
}

/* ---- retention, settings ---- */

static void expired_jobs_go_and_open_ones_stay(void **state)
{
	struct repo_fixture *f = *state;
	char old[UUID_SIZE], open[UUID_SIZE], kept[UUID_SIZE];
	job_in_status(f, JOB_COMPLETED, old);
	job_in_status(f, JOB_FAILED, kept);
	MAKE_JOB(f, "u", open, 1);
	sql(f, "UPDATE job SET expires_ms = CASE WHEN status = 5 THEN 0 ELSE 1 END");
	struct seen s = { 0 };
	sql(f, "UPDATE job SET expires_ms = 9999999999999 WHERE status = 4");
	OK(repo_job_doomed(f->repo, 10, see_job, &s, &f->e));
	assert_int_equal(s.count, 0);
	sql(f, "UPDATE job SET expires_ms = 1 WHERE status = 4");
	OK(repo_job_doomed(f->repo, 10, delete_it, f, &f->e));
	assert_int_equal(number(f, "SELECT COUNT(*) FROM job"), 2);
	struct job j = { 0 };
	REFUSED(ERR_NOT_FOUND, repo_job_get(f->repo, NULL, old, &j, &f->e));
	assert_int_equal(status_of(f, open), JOB_PENDING);
	assert_int_equal(status_of(f, kept), JOB_FAILED);
	/* Nothing of it is left in any table. */
	static const char *const tables[] = { "chunk", "segment", "rendition", "idempotency" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(tables); i++) {
		_cleanup_free_ char *text =
			mr_asprintf("SELECT COUNT(*) FROM %s WHERE job_id NOT IN (SELECT id FROM job)", tables[i]);
		assert_int_equal(number(f, text), 0);
	}
	OK(repo_job_purge(f->repo, old, &f->e));
}

static void settings_are_set_once(void **state)
{
	struct repo_fixture *f = *state;
	_cleanup_free_ char *first = NULL, *second = NULL, *other = NULL;
	OK(repo_setting_init(f->repo, "key", "one", &first, &f->e));
	OK(repo_setting_init(f->repo, "key", "two", &second, &f->e));
	OK(repo_setting_init(f->repo, "another", "three", &other, &f->e));
	assert_string_equal(first, "one");
	assert_string_equal(second, "one");
	assert_string_equal(other, "three");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_setup, repo_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(every_transition_allowed_and_refused),
		T(nobody_elses),
		T(pages_stay_in_step_while_jobs_come_and_go),
		T(filters),
		T(revisions_resume),
		T(cursors_that_are_none),
		cmocka_unit_test(callbacks_may_call_back),
		T(a_repeated_request_gives_the_first_job),
		T(an_id_is_used_once),
		T(what_is_stored_comes_back),
		T(files_from_arrival_to_deletion),
		T(objects_of_deleted_files_are_not_forgotten),
		T(files_that_never_arrived),
		T(expired_jobs_go_and_open_ones_stay),
		T(settings_are_set_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
