/* Databases of tests: see fresh_db.h. */
#include "fresh_db.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/cm.h"
#include "base/id.h"
#include "base/mem.h"
#include "db/db.h"

static const char *server(void)
{
	const char *url = getenv("MILLRACE_TEST_POSTGRES");
	return url && *url ? url : NULL;
}

bool fresh_db_is_postgres(void)
{
	return server() != NULL;
}

static void on_server(const char *sql)
{
	struct db *db = NULL;
	struct err e = { 0 };
	_cleanup_db_conn_ struct db_conn *c = NULL;
	if (db_open(&(struct db_opts){ .url = server(), .connections = 1 }, &db, &e) < 0 || db_acquire(db, &c, &e) < 0 ||
	    db_exec(c, sql, DB_NO_PARAMS, NULL, &e) < 0)
		fail_msg("%s: %s", sql, e.message);
	db_release(&c);
	db_close(db);
}

static void make_schema(const char *name, char url[256])
{
	_cleanup_free_ char *sql = mr_asprintf("CREATE SCHEMA %s", name);
	on_server(sql);
	(void)snprintf(url, 256, "%s?options=-csearch_path%%3D%s", server(), name);
}

void fresh_db_make(struct fresh_db *f)
{
	*f = (struct fresh_db){ .dir = "/tmp/millrace-db-XXXXXX" };
	assert_non_null(mkdtemp(f->dir));
	if (!server()) {
		(void)snprintf(f->url, sizeof(f->url), "sqlite:%s/t.db", f->dir);
		return;
	}
	uint64_t number;
	random_bytes(&number, sizeof(number));
	(void)snprintf(f->schema, sizeof(f->schema), "t%016llx", (unsigned long long)number);
	make_schema(f->schema, f->url);
}

void fresh_db_sibling(const struct fresh_db *f, int number, char url[256])
{
	_cleanup_free_ char *name = mr_asprintf("%s_%d", f->schema, number);
	if (*f->schema)
		make_schema(name, url);
	else
		(void)snprintf(url, 256, "sqlite:%s/sibling%d.db", f->dir, number);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* Schemas go with their server. */
void fresh_db_remove(struct fresh_db *f)
{
	(void)nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
