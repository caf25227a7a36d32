/* A database of a test's own: a SQLite file in a new folder, or, where $MILLRACE_TEST_POSTGRES names a server
 * (tests/postgres.py), a schema of a new name there. */
#pragma once

#include <stdbool.h>

struct fresh_db {
	char dir[64];
	char url[256];
	char schema[32]; /* empty: SQLite */
};
void fresh_db_make(struct fresh_db *f);
void fresh_db_remove(struct fresh_db *f);
/* Another one beside it, by the number; gone with it. */
void fresh_db_sibling(const struct fresh_db *f, int number, char url[256]);
bool fresh_db_is_postgres(void);
