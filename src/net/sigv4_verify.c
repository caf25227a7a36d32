/* Checking AWS Signature Version 4, from the query or the Authorization header, as S3 does. Runs in the front process,
 * on input that anybody may send: everything is bounded, nothing is trusted before the signature fits, and signatures
 * are compared in constant time. Pure; any thread.
 *
 * Sources: "Authenticating Requests: Using Query Parameters" and "Error responses" (Amazon S3 API Reference).
 */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/encode.h"
#include "net/sigv4_canonical.h"

#define MAX_SKEW_MS (15 * 60 * 1000)
#define SIGNATURE_LEN (SHA256_HEX_SIZE - 1)

/* What a request says of its own signature. Pointers are borrowed from the request. */
struct claim {
	char access_key_id[128];
	char day[SIGV4_DATE_LEN + 1];
	char region[64];
	char service[64];
	const char *amz_date;
	const char *signed_headers;
	const char *signature;
	const char *token;
	const char *malformed_code; /* S3's code for a claim that makes no sense */
};

static bool take_segment(const char **text, size_t *left, char *out, size_t out_size)
{
	/* From the right, so that whatever is in the access key's id stays in it. */
	size_t start = *left;
	while (start && (*text)[start - 1] != '/')
		start--;
	size_t len = *left - start;
	if (!start || !len || len >= out_size)
		return false;
	memcpy(out, *text + start, len);
	out[len] = '\0';
	*left = start - 1;
	return true;
}

/* "AKID/20130524/us-east-1/s3/aws4_request" */
static bool credential_parse(const char *text, size_t len, struct claim *c)
{
	char terminator[16];
	if (!take_segment(&text, &len, terminator, sizeof(terminator)) || strcmp(terminator, SIGV4_TERMINATOR) != 0)
		return false;
	if (!take_segment(&text, &len, c->service, sizeof(c->service)) ||
	    !take_segment(&text, &len, c->region, sizeof(c->region)) ||
	    !take_segment(&text, &len, c->day, sizeof(c->day)))
		return false;
	if (!len || len >= sizeof(c->access_key_id))
		return false;
	memcpy(c->access_key_id, text, len);
	c->access_key_id[len] = '\0';
	return strlen(c->day) == SIGV4_DATE_LEN;
}

static bool list_has(const char *signed_headers, const char *name)
{
	size_t name_len = strlen(name);
	for (const char *p = signed_headers; *p;) {
		size_t len = strcspn(p, ";");
		if (len == name_len && strncasecmp(p, name, len) == 0)
			return true;
		p += len + (p[len] ? 1 : 0);
	}
	return false;
}

/* host is signed, what is signed is there, and no x-amz-* header came along unsigned. */
static int check_signed_headers(const struct sigv4_request *req, const struct claim *c, struct err *e)
{
	if (!list_has(c->signed_headers, "host"))
		return err_set_code(e, ERR_DENIED, c->malformed_code, "SignedHeaders must include host");
	for (const char *p = c->signed_headers; *p;) {
		char name[256];
		size_t len = strcspn(p, ";");
		if (!len || len >= sizeof(name))
			return err_set_code(e, ERR_DENIED, c->malformed_code, "SignedHeaders is malformed");
		memcpy(name, p, len);
		name[len] = '\0';
		if (!sigv4_header(req, name))
			return err_set_code(e, ERR_DENIED, "SignatureDoesNotMatch", "the signed header %s is missing",
					    name);
		p += len + (p[len] ? 1 : 0);
	}
	for (size_t i = 0; i < req->header_count; i++) {
		const char *name = req->headers[i].name;
		/* CloudFront adds this one to what it forwards; S3 does not mind it. */
		if (strncasecmp(name, "x-amz-", 6) != 0 || strcasecmp(name, "x-amz-cf-id") == 0)
			continue;
		if (!list_has(c->signed_headers, name))
			return err_set_code(e, ERR_DENIED, "AccessDenied",
					    "There were headers present in the request which were not signed: %s",
					    name);
	}
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	size_t len = strlen(a);
	return len == strlen(b) && digest_equal(a, b, len);
}

static int check_scope(const struct claim *c, const struct sigv4_key *key, const char *service, struct err *e)
{
	if (strncmp(c->day, c->amz_date, SIGV4_DATE_LEN) != 0)
		return err_set_code(e, ERR_DENIED, c->malformed_code,
				    "the credential's date %s is not that of the request, %s", c->day, c->amz_date);
	if (strcmp(c->service, service) != 0)
		return err_set_code(e, ERR_DENIED, c->malformed_code, "the credential is for the service %s, not %s",
				    c->service, service);
	if (key->region && strcmp(c->region, key->region) != 0)
		return err_set_code(e, ERR_DENIED, c->malformed_code, "the region '%s' is wrong; expecting '%s'",
				    c->region, key->region);
	if (key->session_token ? !c->token || !same_text(c->token, key->session_token) : c->token != NULL)
		return err_set_code(e, ERR_DENIED, "InvalidToken", "the session token is not that of the access key");
	return 0;
}

static int check_claim(const struct sigv4_request *req, const struct claim *c, const char *service,
		       const char *payload_hash, sigv4_lookup_fn lookup, void *lookup_ctx, struct err *e)
{
	struct sigv4_key key;
	memset(&key, 0, sizeof(key));
	if (!lookup(lookup_ctx, c->access_key_id, &key))
		return err_set_code(e, ERR_DENIED, "InvalidAccessKeyId", "The access key ID is not known here");
	key.service = service;
	int r = check_scope(c, &key, service, e);
	if (r < 0)
		return r;
	key.region = c->region;
	r = check_signed_headers(req, c, e);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf canonical;
	buf_init(&canonical, SIGV4_CANONICAL_MAX);
	if (sigv4_canonical_request(req, service, c->signed_headers, payload_hash, &canonical, e) < 0)
		return err_set_code(e, ERR_DENIED, c->malformed_code,
				    "the request is too large or malformed to be signed");
	char expected[SHA256_HEX_SIZE];
	sigv4_signature(&key, c->amz_date, &canonical, expected);
	if (strlen(c->signature) != SIGNATURE_LEN || !digest_equal(expected, c->signature, SIGNATURE_LEN))
		return err_set_code(e, ERR_DENIED, "SignatureDoesNotMatch",
				    "The signature does not match the one calculated from the request");
	return 0;
}

static const char *find_query(const struct sigv4_request *req, const char *name, size_t *ret_count)
{
	const char *value = NULL;
	size_t count = 0;
	for (size_t i = 0; i < req->query_count; i++) {
		if (strcmp(req->query[i].name, name) != 0)
			continue;
		value = req->query[i].value;
		count++;
	}
	*ret_count = count;
	return value;
}

bool sigv4_is_presigned(const struct sigv4_request *req)
{
	size_t count;
	(void)find_query(req, "X-Amz-Signature", &count);
	return count > 0;
}

static int query_error(struct err *e, const char *what)
{
	return err_set_code(e, ERR_DENIED, "AuthorizationQueryParametersError", "%s", what);
}

static int query_claim(const struct sigv4_request *req, struct claim *c, const char **ret_expires, struct err *e)
{
	const char *algorithm = NULL, *credential = NULL;
	const struct {
		const char *name;
		const char **value;
	} wanted[] = {
		{ "X-Amz-Algorithm", &algorithm },
		{ "X-Amz-Credential", &credential },
		{ "X-Amz-Date", &c->amz_date },
		{ "X-Amz-Expires", ret_expires },
		{ "X-Amz-SignedHeaders", &c->signed_headers },
		{ "X-Amz-Signature", &c->signature },
	};
	size_t count;
	for (size_t i = 0; i < MR_ARRAY_SIZE(wanted); i++) {
		*wanted[i].value = find_query(req, wanted[i].name, &count);
		if (count != 1 || !*wanted[i].value)
			return err_set_code(e, ERR_DENIED, "AuthorizationQueryParametersError",
					    "The query must have %s exactly once", wanted[i].name);
	}
	c->token = find_query(req, "X-Amz-Security-Token", &count);
	if (count > 1)
		return query_error(e, "The query has X-Amz-Security-Token more than once");
	if (strcmp(algorithm, SIGV4_ALGORITHM) != 0)
		return query_error(e, "X-Amz-Algorithm only supports \"" SIGV4_ALGORITHM "\"");
	if (!credential_parse(credential, strlen(credential), c))
		return query_error(e, "X-Amz-Credential is malformed; expecting "
				      "\"<KEY>/YYYYMMDD/REGION/SERVICE/" SIGV4_TERMINATOR "\"");
	return 0;
}

/* 1–604800 in at most 6 plain digits. */
static bool expires_parse(const char *text, int64_t *ret_s)
{
	size_t len = strlen(text);
	if (len < 1 || len > 6 || strspn(text, "0123456789") != len)
		return false;
	int64_t v = 0;
	for (size_t i = 0; i < len; i++)
		v = v * 10 + (text[i] - '0');
	*ret_s = v;
	return v >= 1 && v <= SIGV4_MAX_EXPIRES_S;
}

int sigv4_verify_query(const struct sigv4_request *req, const char *service, sigv4_lookup_fn lookup, void *lookup_ctx,
		       int64_t now_ms, struct sigv4_verified *ret, struct err *e)
{
	struct claim c = { .malformed_code = "AuthorizationQueryParametersError" };
	const char *expires_text = "";
	int r = query_claim(req, &c, &expires_text, e);
	if (r < 0)
		return r;
	int64_t signed_at_ms, expires_s;
	if (!amz_date_parse(c.amz_date, &signed_at_ms))
		return query_error(e, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
	if (!expires_parse(expires_text, &expires_s))
		return query_error(e,
				   "X-Amz-Expires must be a number of seconds, at least 1 and at most a week (604800)");
	int64_t expires_at_ms = signed_at_ms + expires_s * 1000;
	if (now_ms < signed_at_ms - MAX_SKEW_MS)
		return err_set_code(e, ERR_DENIED, "AccessDenied", "Request is not valid yet");
	if (now_ms > expires_at_ms)
		return err_set_code(e, ERR_DENIED, "AccessDenied", "Request has expired");
	const char *hash = req->payload_hash ? req->payload_hash : sigv4_default_payload_hash(service);
	r = check_claim(req, &c, service, hash, lookup, lookup_ctx, e);
	if (r < 0)
		return r;
	*ret = (struct sigv4_verified) { .signed_at_ms = signed_at_ms,
					 .expires_at_ms = expires_at_ms,
					 .host_alone = strcmp(c.signed_headers, "host") == 0 };
	memcpy(ret->access_key_id, c.access_key_id, sizeof(ret->access_key_id));
	return 0;
}

bool sigv4_verified_at(const struct sigv4_verified *v, int64_t now_ms)
{
	return now_ms >= v->signed_at_ms - MAX_SKEW_MS && now_ms <= v->expires_at_ms;
}

/* The fields of an Authorization header, copied apart so that they are terminated. */
struct authorization {
	char credential[320];
	char signed_headers[4096];
	char signature[SHA256_HEX_SIZE];
};

static bool field_copy(const char *text, size_t len, const char *name, char *out, size_t out_size)
{
	size_t name_len = strlen(name);
	if (len < name_len || memcmp(text, name, name_len) != 0)
		return false;
	len -= name_len;
	if (!len || len >= out_size || out[0])
		return false;
	memcpy(out, text + name_len, len);
	out[len] = '\0';
	return true;
}

/* "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…": each field once, in any order, blanks optional. */
static bool authorization_parse(const char *text, struct authorization *a)
{
	size_t algorithm_len = strlen(SIGV4_ALGORITHM);
	if (strncmp(text, SIGV4_ALGORITHM, algorithm_len) != 0 ||
	    (text[algorithm_len] != ' ' && text[algorithm_len] != '\t'))
		return false;
	memset(a, 0, sizeof(*a));
	for (const char *p = text + algorithm_len; *p;) {
		p += strspn(p, " \t,");
		size_t len = strcspn(p, " \t,");
		if (len && !field_copy(p, len, "Credential=", a->credential, sizeof(a->credential)) &&
		    !field_copy(p, len, "SignedHeaders=", a->signed_headers, sizeof(a->signed_headers)) &&
		    !field_copy(p, len, "Signature=", a->signature, sizeof(a->signature)))
			return false;
		p += len;
	}
	return a->credential[0] && a->signed_headers[0] && a->signature[0];
}

/* The hash that the signature covers: what the caller measured, else what the request claims of its body (which the
 * caller then has to compare), else the service's default. */
static const char *header_payload_hash(const struct sigv4_request *req, const char *service)
{
	if (req->payload_hash)
		return req->payload_hash;
	const char *claimed = sigv4_header(req, "x-amz-content-sha256");
	return claimed ? claimed : sigv4_default_payload_hash(service);
}

int sigv4_verify_header(const struct sigv4_request *req, const char *service, sigv4_lookup_fn lookup, void *lookup_ctx,
			int64_t now_ms, struct sigv4_verified *ret, struct err *e)
{
	struct claim c = { .malformed_code = "AuthorizationHeaderMalformed" };
	struct authorization a;
	const char *header = sigv4_header(req, "authorization");
	if (!header)
		return err_set_code(e, ERR_DENIED, "AccessDenied", "the request has no Authorization header");
	if (!authorization_parse(header, &a) || !credential_parse(a.credential, strlen(a.credential), &c))
		return err_set_code(e, ERR_DENIED, c.malformed_code, "the Authorization header is malformed");
	c.signed_headers = a.signed_headers;
	c.signature = a.signature;
	c.token = sigv4_header(req, "x-amz-security-token");
	/* A Date header may stand in for x-amz-date; both must be signed (x-amz-* are in any case). */
	const char *date_name = sigv4_header(req, "x-amz-date") ? "x-amz-date" : "date";
	c.amz_date = sigv4_header(req, date_name);
	int64_t signed_at_ms;
	if (!c.amz_date || !amz_date_parse(c.amz_date, &signed_at_ms) || !list_has(c.signed_headers, date_name))
		return err_set_code(e, ERR_DENIED, "AccessDenied",
				    "AWS authentication requires a valid, signed Date or x-amz-date header");
	if (now_ms < signed_at_ms - MAX_SKEW_MS || now_ms > signed_at_ms + MAX_SKEW_MS)
		return err_set_code(e, ERR_DENIED, "RequestTimeTooSkewed",
				    "The difference between the request time and the server's time is too large");
	int r = check_claim(req, &c, service, header_payload_hash(req, service), lookup, lookup_ctx, e);
	if (r < 0)
		return r;
	*ret = (struct sigv4_verified) { .signed_at_ms = signed_at_ms, .expires_at_ms = INT64_MAX };
	memcpy(ret->access_key_id, c.access_key_id, sizeof(ret->access_key_id));
	return 0;
}
