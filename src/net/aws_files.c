/* AWS credentials from the shared files: ~/.aws/credentials ([name]) and ~/.aws/config ([profile name], [default]). A profile's
 * keys may stand in either; those of the credentials file count first. In the server process. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/aws_sources.h"
#include "os/fd.h"

#define FILE_MAX_BYTES (1u << 20)

/* What a profile may say; all owned. */
struct profile {
	char *id, *secret, *token, *role, *token_file, *session_name;
	bool found;
};

static void profile_release(struct profile *p)
{
	char **all[] = { &p->id, &p->secret, &p->token, &p->role, &p->token_file, &p->session_name };
	for (size_t i = 0; i < MR_ARRAY_SIZE(all); i++) {
		if (*all[i])
			explicit_bzero(*all[i], strlen(*all[i]));
		free(*all[i]);
	}
}

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	size_t n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
	return s;
}

static void profile_set(struct profile *p, const char *name, const char *value)
{
	const struct {
		const char *name;
		char **to;
	} fields[] = {
		{ "aws_access_key_id", &p->id },     { "aws_secret_access_key", &p->secret },
		{ "aws_session_token", &p->token },  { "role_arn", &p->role },
		{ "web_identity_token_file", &p->token_file }, { "role_session_name", &p->session_name },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(fields); i++)
		if (strcmp(name, fields[i].name) == 0 && !*fields[i].to && *value)
			*fields[i].to = mr_strdup(value);
}

/* "[profile x]" in the config file, "[x]" in the credentials file; "[default]" in both. */
static bool section_is(char *line, const char *profile, bool config)
{
	char *end = strchr(line, ']');
	if (!end)
		return false;
	*end = '\0';
	char *name = trim(line + 1);
	if (config && strncmp(name, "profile", 7) == 0 && isspace((unsigned char)name[7]))
		name = trim(name + 8);
	else if (config && strcmp(name, "default") != 0)
		return false;
	return strcmp(name, profile) == 0;
}

static void parse(char *text, const char *profile, bool config, struct profile *p)
{
	bool inside = false;
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		bool nested = isspace((unsigned char)*line); /* "s3 =" with its settings below it */
		line = trim(line);
		if (*line == '[') {
			inside = section_is(line, profile, config);
			p->found |= inside;
			continue;
		}
		char *equals = strchr(line, '=');
		if (!inside || nested || !equals || *line == '#' || *line == ';')
			continue;
		*equals = '\0';
		profile_set(p, trim(line), trim(equals + 1));
	}
}

/* A file that isn't there says nothing. */
static int read_file(const struct aws_place *place, const char *variable, const char *name, bool config, const char *profile,
		     struct profile *p, struct err *e)
{
	const char *given = place->env(variable), *home = place->env("HOME");
	_cleanup_free_ char *path = given ? mr_strdup(given) : home ? mr_asprintf("%s/.aws/%s", home, name) : NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	if (!path || access(path, F_OK) < 0)
		return 0;
	int r = file_read_all(path, FILE_MAX_BYTES, &text, &len, e);
	if (r < 0)
		return r;
	parse(text, profile, config, p);
	explicit_bzero(text, len);
	return 0;
}

static int keys_of(const struct aws_place *place, const char *name, bool named, struct profile *p, struct aws_keys *ret,
		   struct err *e)
{
	if (p->id && p->secret) {
		*ret = (struct aws_keys){ .expires_ms = INT64_MAX };
		ret->access_key_id = mr_steal(p->id);
		ret->secret = mr_steal(p->secret);
		ret->session_token = mr_steal(p->token);
		return 0;
	}
	if (p->id || p->secret)
		return err_set(e, ERR_INVALID, "profile %s: it has one of id and secret alone", name);
	if (p->role && p->token_file)
		return aws_from_web_identity(place, p->token_file, p->role, p->session_name, ret, e);
	if (named && !p->found)
		return err_set(e, ERR_INVALID, "profile %s: the shared files have none of that name", name);
	if (named)
		return err_set(e, ERR_UNSUPPORTED, "profile %s: it has neither keys nor a web identity", name);
	return AWS_NOT_HERE;
}

int aws_from_files(const struct aws_place *place, struct aws_keys *ret, struct err *e)
{
	const char *named = place->env("AWS_PROFILE"), *name = named ? named : "default";
	struct profile p = { 0 };
	int r = read_file(place, "AWS_SHARED_CREDENTIALS_FILE", "credentials", false, name, &p, e);
	if (r == 0)
		r = read_file(place, "AWS_CONFIG_FILE", "config", true, name, &p, e);
	if (r == 0)
		r = keys_of(place, name, named != NULL, &p, ret, e);
	profile_release(&p);
	return r;
}
