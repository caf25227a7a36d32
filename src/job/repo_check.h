/* Whether a database does what the repository asks of it, tried out. In the doctor's process; blocks. The schema has to
 * be this binary's (db_schema); nothing is migrated.
 *
 *   repo_check_write(db, e);      // a row is committed, seen by another transaction, and removed
 *   repo_check_claim(db, e);      // a job is written and claimed, in a transaction that is given up at its end
 *
 * Guarantees: no row stays, however it ends; what a process that died in the middle left is removed by the next. */
#pragma once

#include "base/err.h"
#include "db/db.h"

int repo_check_write(struct db *db, struct err *e) MR_MUST_USE;
int repo_check_claim(struct db *db, struct err *e) MR_MUST_USE;
