/* AWS credentials that are asked for by HTTP: STS (AssumeRoleWithWebIdentity), the container's endpoint, the instance's metadata.
 * In the server process. No secret is in an error. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "net/aws_sources.h"
#include "net/post.h"
#include "os/fd.h"

#define ANSWER_MAX_BYTES (64u << 10)
#define TOKEN_MAX_BYTES (64u << 10)
#define STS_TIMEOUT_S 10
#define LOCAL_TIMEOUT_S 2 /* what answers is on this machine, or nothing does */
#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_HOST "http://169.254.169.254"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

/* "2026-11-21T08:36:12Z", with or without a fraction; INT64_MAX where there is none: it never expires. */
static int64_t expiry_parse(const char *text)
{
	char compact[AMZ_DATE_SIZE] = "";
	size_t n = 0;
	int64_t ms = 0;
	for (const char *p = text ? text : ""; *p && *p != '.' && n + 2 < sizeof(compact); p++)
		if (*p != '-' && *p != ':' && *p != 'Z')
			compact[n++] = *p;
	compact[n] = 'Z';
	return amz_date_parse(compact, &ms) ? ms : INT64_MAX;
}

/* One request; the status decides. */
static int ask(const struct net_post *p, struct buf *body, struct err *e)
{
	struct net_answer a;
	struct net_client *c = net_client_new();
	int r = net_post(c, p, body, &a, e);
	net_client_free(c);
	if (r < 0)
		return r;
	if (a.status >= 500 || a.status == 429)
		return err_set(e, ERR_UNAVAILABLE, "HTTP %d", a.status);
	if (a.status >= 400)
		return err_set(e, a.status == 404 ? ERR_NOT_FOUND : ERR_AUTH, "HTTP %d", a.status);
	if (a.status >= 300)
		return err_set(e, ERR_PROTOCOL, "HTTP %d", a.status);
	return 0;
}

/* ---- STS ---- */

static char *element(const char *xml, const char *name)
{
	_cleanup_free_ char *open = mr_asprintf("<%s>", name), *close = mr_asprintf("</%s>", name);
	const char *from = strstr(xml, open);
	const char *to = from ? strstr(from, close) : NULL;
	return to ? mr_strndup(from + strlen(open), (size_t)(to - from) - strlen(open)) : NULL;
}

static int read_assumed(const struct buf *body, struct aws_keys *ret, struct err *e)
{
	const char *xml = body->data ? body->data : "";
	_cleanup_free_ char *expires = element(xml, "Expiration");
	struct aws_keys k = { .access_key_id = element(xml, "AccessKeyId"),
			      .secret = element(xml, "SecretAccessKey"),
			      .session_token = element(xml, "SessionToken"),
			      .expires_ms = expiry_parse(expires) };
	if (!k.access_key_id || !k.secret || !k.session_token) {
		aws_keys_release(&k);
		return err_set(e, ERR_PROTOCOL, "the answer has no credentials");
	}
	*ret = k;
	return 0;
}

static void put_field(struct buf *out, const char *name, const char *value)
{
	(void)buf_printf(out, "&%s=", name);
	(void)uri_encode(out, value, strlen(value), false);
}

int aws_from_web_identity(const struct aws_place *p, const char *token_file, const char *role_arn, const char *session_name,
			  struct aws_keys *ret, struct err *e)
{
	_cleanup_free_ char *token = NULL;
	_cleanup_buf_ struct buf form, answer;
	size_t len = 0;
	const char *given = p->env("AWS_ENDPOINT_URL_STS");
	_cleanup_free_ char *url = given ? mr_strdup(given) : mr_asprintf("https://sts.%s.amazonaws.com/", p->region);
	buf_init(&form, 4 * TOKEN_MAX_BYTES);
	buf_init(&answer, ANSWER_MAX_BYTES);
	int r = file_read_all(token_file, TOKEN_MAX_BYTES, &token, &len, e);
	if (r < 0)
		return err_wrap(e, "web identity");
	token[strcspn(token, " \t\r\n")] = '\0';
	(void)buf_puts(&form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
	put_field(&form, "RoleArn", role_arn);
	put_field(&form, "RoleSessionName", session_name ? session_name : "millrace");
	put_field(&form, "WebIdentityToken", token);
	r = buf_finish(&form, e);
	if (r == 0)
		r = ask(&(struct net_post){ .url = url,
					    .content_type = "application/x-www-form-urlencoded",
					    .body = form.data,
					    .ca_file = p->env("AWS_CA_BUNDLE"),
					    .timeout_s = STS_TIMEOUT_S },
			&answer, e);
	if (r == 0)
		r = read_assumed(&answer, ret, e);
	return r < 0 ? err_wrap(e, "AssumeRoleWithWebIdentity for %s", role_arn) : 0;
}

/* ---- documents of JSON, as container and instance give them ---- */

static int read_document(const struct buf *body, struct aws_keys *ret, struct err *e)
{
	json_t *o = json_loadb(body->data ? body->data : "", body->len, JSON_REJECT_DUPLICATES, NULL);
	const char *id = json_string_value(json_object_get(o, "AccessKeyId"));
	const char *secret = json_string_value(json_object_get(o, "SecretAccessKey"));
	const char *token = json_string_value(json_object_get(o, "Token"));
	const char *code = json_string_value(json_object_get(o, "Code"));
	int r = 0;
	if (code && strcmp(code, "Success") != 0)
		r = err_set(e, ERR_AUTH, "it says %.64s", code);
	else if (!id || !secret)
		r = err_set(e, ERR_PROTOCOL, "the answer has no credentials");
	else
		*ret = (struct aws_keys){ .access_key_id = mr_strdup(id),
					  .secret = mr_strdup(secret),
					  .session_token = token ? mr_strdup(token) : NULL,
					  .expires_ms = expiry_parse(json_string_value(json_object_get(o, "Expiration"))) };
	json_decref(o);
	return r;
}

/* A token by plain HTTP goes to this machine alone. */
static bool is_local(const char *url)
{
	static const char *const hosts[] = { "http://127.0.0.1", "http://localhost", "http://[::1]", CONTAINER_HOST,
					     "http://169.254.170.23", "http://[fd00:ec2::23]" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(hosts); i++) {
		size_t n = strlen(hosts[i]);
		if (!strchr(url, '@') && strncmp(url, hosts[i], n) == 0 && (url[n] == ':' || url[n] == '/' || !url[n]))
			return true;
	}
	return strncmp(url, "https://", 8) == 0;
}

static int container_token(const struct aws_place *p, char **ret, struct err *e)
{
	const char *file = p->env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), *text = p->env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	size_t len = 0;
	int r = 0;
	*ret = NULL;
	if (file)
		r = file_read_all(file, TOKEN_MAX_BYTES, ret, &len, e);
	else if (text)
		*ret = mr_strdup(text);
	if (r == 0 && *ret)
		(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return r;
}

int aws_from_container(const struct aws_place *p, struct aws_keys *ret, struct err *e)
{
	const char *relative = p->env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = p->env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	_cleanup_free_ char *url = NULL, *token = NULL;
	_cleanup_buf_ struct buf body;
	buf_init(&body, ANSWER_MAX_BYTES);
	if (relative)
		url = mr_asprintf("%s%s", p->container_host ? p->container_host : CONTAINER_HOST, relative);
	else if (full)
		url = mr_strdup(full);
	else
		return AWS_NOT_HERE;
	if (!relative && !is_local(url))
		return err_set(e, ERR_INVALID, "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or of this machine");
	int r = container_token(p, &token, e);
	if (r == 0)
		r = ask(&(struct net_post){ .url = url,
					    .method = "GET",
					    .headers = &(struct sigv4_pair){ "Authorization", token },
					    .header_count = token ? 1 : 0,
					    .ca_file = p->env("AWS_CA_BUNDLE"),
					    .timeout_s = LOCAL_TIMEOUT_S },
			&body, e);
	if (r == 0)
		r = read_document(&body, ret, e);
	return r < 0 ? err_wrap(e, "container credentials") : 0;
}

static int instance_ask(const char *host, const char *path, const char *method, const struct sigv4_pair *header,
			struct buf *body, struct err *e)
{
	_cleanup_free_ char *url = mr_asprintf("%s%s", host, path);
	return ask(&(struct net_post){ .url = url,
				       .method = method,
				       .headers = header,
				       .header_count = 1,
				       .timeout_s = LOCAL_TIMEOUT_S },
		   body, e);
}

int aws_from_instance(const struct aws_place *p, struct aws_keys *ret, struct err *e)
{
	const char *disabled = p->env("AWS_EC2_METADATA_DISABLED"), *given = p->env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const struct sigv4_pair ttl = { "X-aws-ec2-metadata-token-ttl-seconds", "21600" };
	_cleanup_buf_ struct buf token, role, body;
	buf_init(&token, 4096);
	buf_init(&role, 4096);
	buf_init(&body, ANSWER_MAX_BYTES);
	if (disabled && strcmp(disabled, "true") == 0)
		return AWS_NOT_HERE;
	_cleanup_free_ char *host = mr_strdup(given ? given : INSTANCE_HOST);
	if (host[strlen(host) - 1] == '/')
		host[strlen(host) - 1] = '\0';
	/* Nobody answers at all: it is no such machine. */
	if (instance_ask(host, "/latest/api/token", "PUT", &ttl, &token, e) < 0)
		return given ? err_wrap(e, "instance metadata") : AWS_NOT_HERE;
	const struct sigv4_pair mine = { "X-aws-ec2-metadata-token", token.data ? token.data : "" };
	int r = instance_ask(host, ROLE_PATH, "GET", &mine, &role, e);
	if (r == -ERR_NOT_FOUND)
		return AWS_NOT_HERE; /* it has no role */
	if (r == 0 && !role.len)
		r = err_set(e, ERR_PROTOCOL, "no role is named");
	if (r == 0) {
		role.data[strcspn(role.data, "\r\n")] = '\0';
		_cleanup_free_ char *path = mr_asprintf(ROLE_PATH "%s", role.data);
		r = instance_ask(host, path, "GET", &mine, &body, e);
	}
	if (r == 0)
		r = read_document(&body, ret, e);
	return r < 0 ? err_wrap(e, "instance metadata") : 0;
}
