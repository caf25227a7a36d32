/* The database's checks: see doctor.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/doctor.h"
#include "job/repo_check.h"

#define LIMIT_MS 20000
#define BUSY_MS 5000
#define SQLITE_SCHEME "sqlite:"
#define CLOCK_TOLERATED_MS 30000

/* Opening would make a file. */
static int see_file(const char *url, struct err *e)
{
	const char *path = url + strlen(SQLITE_SCHEME);
	if (strncmp(url, SQLITE_SCHEME, strlen(SQLITE_SCHEME)) != 0 || access(path, F_OK) == 0)
		return 0;
	return errno == ENOENT ? err_set_code(e, ERR_NOT_FOUND, "NO_TABLES", "there is no database %s yet", path)
			       : err_errno(e, errno, "%s", path);
}

static int check_open(struct doctor *d, struct finding *f, struct err *e)
{
	int64_t version = 0, newest = 0;
	struct db *db = NULL;
	char place[PLACE_SIZE];
	place_name(d->at.database, place);
	int r = see_file(d->at.database, e);
	if (r == 0)
		r = db_open(&(struct db_opts) { .url = d->at.database,
						.connections = d->at.database_connections,
						.busy_timeout_ms = BUSY_MS },
			    &db, e);
	if (r == 0)
		r = db_schema(db, &version, &newest, e);
	if (r == 0 && version == 0)
		r = err_set_code(e, ERR_NOT_FOUND, "NO_TABLES", "%s has no tables yet", place);
	if (r == 0 && version > newest)
		r = err_set(e, ERR_CONFLICT,
			    "%s has schema %" PRId64 ", this program knows up to %" PRId64 ": use the newer program",
			    place, version, newest);
	if (r < 0) {
		db_close(db);
		return r;
	}
	if (version < newest) {
		db_close(db); /* its tables aren't those that the other checks know */
		return finding_warn(f, "millrace setup, or the next start, brings it to this version's",
				    "%s has schema %" PRId64 " of %" PRId64, place, version, newest);
	}
	d->db = db;
	return finding_say(f, "%s, schema %" PRId64, place, version);
}

static int check_write(struct doctor *d, struct finding *f, struct err *e)
{
	int r = repo_check_write(d->db, e);
	return r < 0 ? r : finding_say(f, "a row written, read by another transaction, removed");
}

static int check_claim(struct doctor *d, struct finding *f, struct err *e)
{
	int r = repo_check_claim(d->db, e);
	return r < 0 ? r : finding_say(f, "a job made and claimed, all of it undone");
}

static int check_clock(struct doctor *d, struct finding *f, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int64_t now = 0;
	int r = db_acquire(d->db, &c, e);
	if (r == 0)
		r = db_now_ms(c, &now, e);
	return r < 0 ? r : doctor_compare_clock(f, "the database's clock", now, CLOCK_TOLERATED_MS);
}

const struct doctor_check doctor_database_checks[] = {
	{ "database", GROUP_DATABASE, check_open, LIMIT_MS, .opens = true },
	{ "database write", GROUP_DATABASE, check_write, LIMIT_MS },
	{ "database claim", GROUP_DATABASE, check_claim, LIMIT_MS },
	{ "database clock", GROUP_DATABASE, check_clock, LIMIT_MS },
};
const size_t doctor_database_check_count = MR_ARRAY_SIZE(doctor_database_checks);
