/* millrace setup: makes what servers and workers stand on, and says what it did: tables, the folder or bucket of the
 * objects, the bucket's CORS and lifecycle rules. What is as it should be stays untouched, so it can be run as often as
 * one likes. A part that fails doesn't keep the others from being made. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/advice.h"
#include "cmd/backends.h"
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/store_needs.h"

static const struct option_def defs[] = {
	{ "config", "FILE", NULL, "read options from FILE, a line each: NAME = VALUE; a server's will do" },
	BACKENDS_OPTION_DEFS,
	STORE_NEEDS_OPTION_DEFS,
	{ "json", NULL, NULL, "say it as JSON" },
	{ "log-level", "LEVEL", "warn", "debug, info, warn or error" },
};

struct setup {
	struct report report;
	int64_t began_ns; /* the part that is being made */
};

static int64_t since_us(int64_t began_ns)
{
	return (clock_mono_ns() - began_ns) / 1000;
}

static void say(struct setup *s, const char *part, enum report_result result, const char *text, const char *advice)
{
	report_add(
		&s->report,
		&(struct report_line) {
			.part = part, .result = result, .us = since_us(s->began_ns), .text = text, .advice = advice });
	s->began_ns = clock_mono_ns();
}

/* ---- the database ---- */

static int make_tables(const struct backends_places *at, int64_t *ret_before, int64_t *ret_now, struct err *e)
{
	struct db *db = NULL;
	int64_t newest;
	int r = db_open(&(struct db_opts) { .url = at->database, .connections = at->database_connections }, &db, e);
	if (r == 0)
		r = db_schema(db, ret_before, &newest, e);
	if (r == 0)
		r = db_migrate(db, e);
	if (r == 0)
		r = db_schema(db, ret_now, &newest, e);
	db_close(db);
	return r;
}

static void set_up_database(struct setup *s, const struct backends_places *at)
{
	struct err e = { 0 };
	char place[PLACE_SIZE];
	int64_t before = 0, now = 0;
	place_name(at->database, place);
	if (make_tables(at, &before, &now, &e) < 0) {
		say(s, "database", REPORT_FAILED, e.message, advice_database(&e));
		return;
	}
	_cleanup_free_ char *text =
		before == 0    ? mr_asprintf("%s: tables made (schema %" PRId64 ")", place, now)
		: before < now ? mr_asprintf("%s: schema %" PRId64 " brought to %" PRId64, place, before, now)
			       : mr_asprintf("%s: tables are there (schema %" PRId64 ")", place, now);
	say(s, "database", before < now ? REPORT_CHANGED : REPORT_OK, text, NULL);
}

/* ---- the store ---- */

static void on_need(void *ctx, const char *what, enum store_need_state state, const char *text, const struct err *why)
{
	struct setup *s = ctx;
	if (why) {
		_cleanup_free_ char *whole = mr_asprintf("%s: %s", text, why->message);
		say(s, what, REPORT_FAILED, whole, advice_store(why));
		return;
	}
	bool made = state == STORE_NEED_MADE || state == STORE_NEED_CHANGED;
	_cleanup_free_ char *whole = mr_asprintf("%s%s",
						 state == STORE_NEED_MADE ? "made "
						 : made                   ? "set: "
									  : "",
						 text);
	say(s, what, made ? REPORT_CHANGED : REPORT_OK, whole, NULL);
}

static void set_up_store(struct setup *s, const struct backends_places *at, const struct store_needs *needs)
{
	struct err e = { 0 };
	struct store *store = NULL;
	bool is_folder = strncmp(at->store, "file:", 5) == 0, there = is_folder && access(at->store + 5, F_OK) == 0;
	int r = store_open(at->store, &store, &e);
	if (r == 0 && store_prepare(store, needs, true, on_need, s, &e) == -ERR_UNSUPPORTED) {
		_cleanup_free_ char *text = mr_asprintf("%s %s; the server's janitor removes what has had its time",
							at->store + 5, there ? "is there" : "made");
		say(s, "folder", there ? REPORT_OK : REPORT_CHANGED, text, NULL);
	}
	if (r < 0)
		say(s, is_folder ? "folder" : "bucket", REPORT_FAILED, e.message, advice_store(&e));
	if (store)
		store_close(store);
}

static int set_up(const struct options *o, int *ret_code, struct err *e)
{
	struct backends_places at;
	struct store_needs_made needs;
	struct setup s;
	int r = setup_log(o, false, e);
	if (r == 0)
		r = store_needs_from_options(o, &needs, e);
	if (r == 0)
		r = backends_places(o, true, &at, e);
	if (r < 0)
		return r;
	report_begin(&s.report, "setup", options_flag(o, "json"));
	s.began_ns = clock_mono_ns();
	set_up_database(&s, &at);
	set_up_store(&s, &at, &needs.needs);
	backends_places_release(&at);
	*ret_code = report_end(&s.report);
	return 0;
}

static int help(void)
{
	puts("usage: millrace setup [OPTIONS]\n\n"
	     "Makes the tables, the folder or bucket of the objects, and the bucket's rules: who may read it from other pages,\n"
	     "and what expires by itself. What is there already stays as it is; rules that others gave the bucket do, too.\n");
	options_print_help(stdout, defs, MR_ARRAY_SIZE(defs));
	return 0;
}

int cmd_setup(int argc, char **argv)
{
	struct options *o = mr_calloc(1, sizeof(*o));
	struct err e = { 0 };
	int code = 0;
	o->shared_file = true;
	int r = options_parse(o, defs, MR_ARRAY_SIZE(defs), argc, argv, &e);
	if (r == 0 && o->help)
		code = help();
	else if (r == 0 && o->argument_count)
		r = err_set(&e, ERR_INVALID, "\"%s\": setup takes options only (see --help)", o->arguments[0]);
	else if (r == 0)
		r = set_up(o, &code, &e);
	if (r < 0) {
		fprintf(stderr, "millrace setup: %s\n", e.message);
		code = r == -ERR_INVALID ? EXIT_USAGE : 1;
	}
	options_release(o);
	free(o);
	return code;
}
