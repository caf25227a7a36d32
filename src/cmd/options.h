/* Options of a subcommand from four places, the first that has one wins: the command line (--listen X or --listen=X),
 * the environment (MILLRACE_LISTEN), the configuration file (listen = X), the default. One table per subcommand; --help
 * is made from it.
 *
 *   static const struct option_def defs[] = { { "listen", "HOST:PORT", "127.0.0.1:8080", "address to serve on" }, … };
 *   struct options o;
 *   options_parse(&o, defs, MR_ARRAY_SIZE(defs), argc, argv, e);
 *   const char *listen = options_get(&o, "listen");
 *   options_release(&o);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct option_def {
	const char *name;     /* without dashes; '-' becomes '_' in the environment */
	const char *value;    /* what it takes, for the help; NULL: a switch (yes/no in file and environment) */
	const char *fallback; /* NULL: none */
	const char *help;
	bool repeats; /* may be given several times; in file and environment separated by blanks */
	bool secret;  /* never printed */
};

#define OPTION_VALUES_MAX 32
#define OPTIONS_MAX 64
struct option_values {
	char *v[OPTION_VALUES_MAX];
	size_t count;
};
struct options {
	const struct option_def *defs;
	size_t def_count;
	struct option_values values[OPTIONS_MAX];
	char *arguments[8]; /* what is not an option, in order */
	size_t argument_count;
	bool help; /* --help was among them */
	bool shared_file; /* set before parsing: the file may hold other commands' options, too */
};

/* Zeroed before. ERR_INVALID names the option. If "config" is among the defs and set, that file is read. */
int options_parse(struct options *o, const struct option_def *defs, size_t count, int argc, char **argv,
		  struct err *e) MR_MUST_USE;
void options_release(struct options *o);
/* The value (the last one given), or NULL. Borrowed. */
const char *options_get(const struct options *o, const char *name);
const struct option_values *options_all(const struct options *o, const char *name);
bool options_flag(const struct options *o, const char *name);
/* ERR_INVALID unless it is a decimal number in [min, max]. */
int options_number(const struct options *o, const char *name, uint64_t min, uint64_t max, uint64_t *ret,
		   struct err *e) MR_MUST_USE;
void options_print_help(FILE *out, const struct option_def *defs, size_t count);
