/* Trying the database out: see repo_check.h. */
#include "job/repo_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "job/repo_internal.h"

#define NAME_SIZE 80
#define LEFT_AFTER_MS (3600 * INT64_C(1000)) /* then its process has died */
#define LEASE_MS 15000
#define CHECKED_CODE "CHECKED"

/* ---- write and read ---- */

struct row_tx {
	char name[NAME_SIZE], value[32];
};

/* "doctor/{uuid}", and when it was written. */
static int write_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct row_tx *t = ctx;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r == 0)
		r = db_exec(c, "DELETE FROM setting WHERE name LIKE 'doctor/%' AND CAST(value AS BIGINT) < $1",
			    DB_PARAMS(DB_INT(now - LEFT_AFTER_MS)), NULL, e);
	if (r < 0)
		return r;
	(void)snprintf(t->value, sizeof(t->value), "%" PRId64, now);
	return db_exec(c, "INSERT INTO setting (name, value) VALUES ($1, $2)",
		       DB_PARAMS(DB_TEXT(t->name), DB_TEXT(t->value)), NULL, e);
}

static int remove_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct row_tx *t = ctx;
	int64_t changes;
	int r = db_exec(c, "DELETE FROM setting WHERE name = $1", DB_PARAMS(DB_TEXT(t->name)), &changes, e);
	return r < 0 || changes == 1 ? r : err_set(e, ERR_INTERNAL, "a row that was committed isn't there any more");
}

static int read_back(struct db *db, const struct row_tx *t, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(db, &c, e);
	if (r == 0)
		r = db_first(c, "SELECT value FROM setting WHERE name = $1", DB_PARAMS(DB_TEXT(t->name)), &rows, e);
	if (r < 0)
		return r;
	return r > 0 && strcmp(db_text(rows, 0), t->value) == 0
		       ? 0
		       : err_set(e, ERR_INTERNAL, "a row that was committed isn't read back");
}

int repo_check_write(struct db *db, struct err *e)
{
	struct row_tx t;
	char id[UUID_SIZE];
	uuid7_new(id);
	(void)snprintf(t.name, sizeof(t.name), "doctor/%s", id);
	int r = db_transact(db, write_tx, &t, e);
	if (r < 0)
		return r;
	r = read_back(db, &t, e);
	struct err later = { 0 };
	int removed = db_transact(db, remove_tx, &t, &later);
	return r == 0 && removed < 0 ? err_copy(e, &later) : r;
}

/* ---- claim ---- */

/* A conversion's join alone: a job without a file, segments or anything else to say. */
static int insert_job(struct db_conn *c, const char *id, struct err *e)
{
	static const struct plan_chunk chunk = { .kind = CHUNK_JOIN, .last = true };
	struct job_new n = { .user_id = "doctor",
			     .kind = JOB_CONVERT,
			     .file_id = "",
			     .source_key = "",
			     .prefix = "",
			     .params_json = "{}",
			     .plan = { .spec_json = "{}", .chunk_count = 1, .chunks = &chunk } };
	memcpy(n.id, id, UUID_SIZE);
	int64_t now;
	int r = db_now_ms(c, &now, e);
	return r < 0 ? r : repo_job_insert(c, &n, now, e);
}

/* Whatever it comes to, nothing of it is committed: it ends with an error. The claim may be of another job's chunk,
 * whose turn is earlier; that is undone, too. */
static int claim_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const char *id = ctx;
	struct claim claim = { 0 };
	int r = insert_job(c, id, e);
	if (r == 0)
		r = repo_claim_within(c, id, LEASE_MS, &claim, e);
	if (r < 0)
		return r;
	bool good = claim.chunk.claims > 0 && claim.chunk.state == CHUNK_RUNNING && claim.job.status != JOB_PENDING;
	claim_release(&claim);
	return good ? err_set_code(e, ERR_CANCELED, CHECKED_CODE, "it was a trial")
		    : err_set(e, ERR_INTERNAL, "what was claimed isn't what a claim makes of it");
}

int repo_check_claim(struct db *db, struct err *e)
{
	char id[UUID_SIZE];
	struct err why = { 0 };
	uuid7_new(id);
	if (db_transact(db, claim_tx, id, &why) == -ERR_CANCELED && strcmp(err_code(&why), CHECKED_CODE) == 0)
		return 0;
	return why.kind ? err_copy(e, &why) : err_set(e, ERR_INTERNAL, "a trial was committed");
}
