/* Options: command line, environment, file, default. */
#include "cmd/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "os/fd.h"

#define CONFIG_MAX_BYTES (256u << 10)

static size_t find(const struct options *o, const char *name, size_t len)
{
	for (size_t i = 0; i < o->def_count; i++)
		if (strlen(o->defs[i].name) == len && memcmp(o->defs[i].name, name, len) == 0)
			return i;
	return SIZE_MAX;
}

static int add_one(struct options *o, size_t i, const char *value, size_t len, struct err *e)
{
	struct option_values *v = &o->values[i];
	if (!o->defs[i].repeats)
		while (v->count)
			free(v->v[--v->count]);
	if (v->count == OPTION_VALUES_MAX)
		return err_set(e, ERR_INVALID, "%s: at most %d of them", o->defs[i].name, OPTION_VALUES_MAX);
	v->v[v->count++] = mr_strndup(value, len);
	return 0;
}

/* A value from the file or the environment: several, separated by blanks, where the option repeats. */
static int add_text(struct options *o, size_t i, const char *text, struct err *e)
{
	if (!o->defs[i].repeats)
		return add_one(o, i, text, strlen(text), e);
	int r = 0;
	while (r == 0 && *(text += strspn(text, " \t"))) {
		size_t n = strcspn(text, " \t");
		r = add_one(o, i, text, n, e);
		text += n;
	}
	return r;
}

static int parse_argument(struct options *o, int argc, char **argv, int *at, struct err *e)
{
	const char *a = argv[*at];
	if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
		o->help = true;
		return 0;
	}
	if (strncmp(a, "--", 2) != 0 || !a[2]) {
		if (o->argument_count == MR_ARRAY_SIZE(o->arguments))
			return err_set(e, ERR_INVALID, "too many arguments");
		o->arguments[o->argument_count++] = mr_strdup(a);
		return 0;
	}
	a += 2;
	size_t len = strcspn(a, "=");
	size_t i = find(o, a, len);
	if (i == SIZE_MAX)
		return err_set(e, ERR_INVALID, "--%.*s: there is no such option (see --help)", (int)len, a);
	if (a[len] == '=')
		return add_one(o, i, a + len + 1, strlen(a + len + 1), e);
	if (!o->defs[i].value)
		return add_one(o, i, "yes", 3, e);
	if (*at + 1 >= argc)
		return err_set(e, ERR_INVALID, "--%s: its value (%s) is missing", o->defs[i].name, o->defs[i].value);
	(*at)++;
	return add_one(o, i, argv[*at], strlen(argv[*at]), e);
}

static int read_environment(struct options *o, struct err *e)
{
	for (size_t i = 0; i < o->def_count; i++) {
		char name[64];
		(void)snprintf(name, sizeof(name), "MILLRACE_%s", o->defs[i].name);
		for (char *p = name; *p; p++)
			*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
		const char *value = getenv(name);
		int r = value && *value && !o->values[i].count ? add_text(o, i, value, e) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static char *trim(char *s)
{
	s += strspn(s, " \t");
	for (char *end = s + strlen(s); end > s && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	return s;
}

static int read_line(struct options *o, char *line, const bool *set_before, struct err *e)
{
	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	char *equals = strchr(line, '=');
	if (!equals)
		return err_set(e, ERR_INVALID, "expected NAME = VALUE");
	*equals = '\0';
	char *name = trim(line);
	size_t i = find(o, name, strlen(name));
	if (i == SIZE_MAX)
		return o->shared_file ? 0 : err_set(e, ERR_INVALID, "there is no option \"%.40s\"", name);
	return set_before[i] ? 0 : add_text(o, i, trim(equals + 1), e);
}

static int read_file(struct options *o, const char *path, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	bool set_before[OPTIONS_MAX];
	size_t len;
	int r = file_read_all(path, CONFIG_MAX_BYTES, &text, &len, e);
	if (r < 0)
		return err_wrap(e, "configuration");
	for (size_t i = 0; i < o->def_count; i++)
		set_before[i] = o->values[i].count > 0;
	unsigned number = 1;
	for (char *line = text, *next; line; line = next, number++) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = read_line(o, line, set_before, e);
		if (r < 0)
			return err_wrap(e, "%s:%u", path, number);
	}
	return 0;
}

int options_parse(struct options *o, const struct option_def *defs, size_t count, int argc, char **argv, struct err *e)
{
	assert(count <= OPTIONS_MAX);
	o->defs = defs;
	o->def_count = count;
	int r = 0;
	for (int at = 1; r == 0 && at < argc; at++)
		r = parse_argument(o, argc, argv, &at, e);
	if (r == 0)
		r = read_environment(o, e);
	if (r == 0 && find(o, "config", 6) != SIZE_MAX && options_get(o, "config"))
		r = read_file(o, options_get(o, "config"), e);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (defs[i].fallback && !o->values[i].count)
			r = add_text(o, i, defs[i].fallback, e);
	return r;
}

void options_release(struct options *o)
{
	for (size_t i = 0; i < o->def_count; i++)
		while (o->values[i].count)
			free(o->values[i].v[--o->values[i].count]);
	while (o->argument_count)
		free(o->arguments[--o->argument_count]);
}

const struct option_values *options_all(const struct options *o, const char *name)
{
	size_t i = find(o, name, strlen(name));
	assert(i != SIZE_MAX);
	return &o->values[i];
}

const char *options_get(const struct options *o, const char *name)
{
	const struct option_values *v = options_all(o, name);
	return v->count ? v->v[v->count - 1] : NULL;
}

bool options_flag(const struct options *o, const char *name)
{
	const char *v = options_get(o, name);
	return v && (strcmp(v, "yes") == 0 || strcmp(v, "true") == 0 || strcmp(v, "1") == 0 || strcmp(v, "on") == 0);
}

int options_number(const struct options *o, const char *name, uint64_t min, uint64_t max, uint64_t *ret, struct err *e)
{
	const char *text = options_get(o, name);
	char *end = NULL;
	errno = 0;
	unsigned long long v = text && isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
	if (!end || *end || errno || v < min || v > max)
		return err_set(e, ERR_INVALID, "--%s: expected a number from %llu to %llu", name,
			       (unsigned long long)min, (unsigned long long)max);
	*ret = v;
	return 0;
}

void options_print_help(FILE *out, const struct option_def *defs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char left[64];
		(void)snprintf(left, sizeof(left), "--%s %s", defs[i].name, defs[i].value ? defs[i].value : "");
		fprintf(out, "  %-34s %s", left, defs[i].help);
		if (defs[i].fallback && *defs[i].fallback)
			fprintf(out, " (default: %s)", defs[i].fallback);
		fprintf(out, "%s\n", defs[i].repeats ? "; may be repeated" : "");
	}
}
