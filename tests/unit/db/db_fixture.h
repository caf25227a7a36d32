/* What the tests of db/ share: a database of the test's own, with a table t. */
#pragma once

#include "../base/cm.h"
#include "base/mem.h"
#include "db/db.h"
#include "fresh_db.h"

struct db_fixture {
	struct fresh_db at;
	struct db *db;
	struct err e;
};

#define OK(call)                                                 \
	do {                                                     \
		int _r = (call);                                 \
		if (_r < 0)                                      \
			fail_msg("%s: %s", #call, f->e.message); \
	} while (0)

int db_fixture_setup(void **state);
int db_fixture_teardown(void **state);
/* The same database by a pool of its own. */
struct db *open_again(struct db_fixture *f, uint32_t connections, uint32_t busy_ms);
int run(struct db *db, const char *sql, const struct db_params *params, struct err *e);
/* The first column of the first row. */
int64_t number(struct db_fixture *f, struct db *db, const char *sql);
