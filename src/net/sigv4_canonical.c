/* The canonical request of AWS Signature Version 4, and the signature over it. Runs in the front process and the
 * worker. Guarantees: the same text as AWS's published examples, byte for byte (tests/unit/net). Does not guarantee:
 * sense in the request; a signature over nonsense is a valid signature over nonsense.
 *
 * Source: "Create a signed AWS API request" (IAM User Guide), steps 1–4, and for S3's single encoding of the path
 * "Signature Calculations for the Authorization Header" (Amazon S3 API Reference).
 */
#include "net/sigv4_canonical.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "base/mem.h"

#define CANONICAL_USUAL 1024
#define DERIVED_KEPT 4
#define BLANKS " \t"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void append_lower(struct buf *out, const char *s, size_t len)
{
	char *to = buf_reserve(out, len);
	for (size_t i = 0; to && i < len; i++)
		to[i] = lower(s[i]);
	if (to)
		buf_commit(out, len);
}

const char *sigv4_header(const struct sigv4_request *req, const char *name)
{
	for (size_t i = 0; i < req->header_count; i++)
		if (strcasecmp(req->headers[i].name, name) == 0)
			return req->headers[i].value;
	return NULL;
}

const char *sigv4_default_payload_hash(const char *service)
{
	return strcmp(service, "s3") == 0 ? SIGV4_UNSIGNED_PAYLOAD : EMPTY_SHA256;
}

static int compare_names(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

int sigv4_signed_headers(const struct sigv4_request *req, struct buf *out, struct err *e)
{
	if (req->header_count > SIGV4_QUERY_MAX)
		return err_set(e, ERR_TOO_LARGE, "more than %d headers", SIGV4_QUERY_MAX);
	_cleanup_free_ const char **names = mr_calloc(req->header_count, sizeof(*names));
	for (size_t i = 0; i < req->header_count; i++)
		names[i] = req->headers[i].name;
	qsort(names, req->header_count, sizeof(*names), compare_names);
	for (size_t i = 0; i < req->header_count; i++) {
		if (i && strcasecmp(names[i], names[i - 1]) == 0)
			continue;
		if (i)
			buf_append(out, ";", 1);
		append_lower(out, names[i], strlen(names[i]));
	}
	return buf_finish(out, e);
}

/* Removes empty and dot segments (RFC 3986, 5.2.4), which every service but S3 does before it encodes the path. */
static void normalize_path(const char *path, struct buf *out)
{
	buf_append(out, "/", 1);
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");
		bool slash = p[len] == '/';
		if (len == 2 && p[0] == '.' && p[1] == '.') {
			if (out->len > 1)
				out->len--;
			while (out->len > 1 && out->data[out->len - 1] != '/')
				out->len--;
		} else if (len && !(len == 1 && p[0] == '.')) {
			buf_append(out, p, len);
			if (slash)
				buf_append(out, "/", 1);
		}
		p += len + (slash ? 1 : 0);
	}
}

static int append_path(const char *path, const char *service, struct buf *out, struct err *e)
{
	if (path[0] != '/')
		return err_set(e, ERR_INVALID, "the path to sign does not begin with '/'");
	if (strcmp(service, "s3") == 0) {
		uri_encode(out, path, strlen(path), true);
		return buf_finish(out, e);
	}
	_cleanup_buf_ struct buf plain, once;
	buf_init(&plain, SIGV4_CANONICAL_MAX);
	buf_init(&once, SIGV4_CANONICAL_MAX);
	normalize_path(path, &plain);
	if (!plain.failed)
		uri_encode(&once, plain.data, plain.len, true);
	if (plain.failed || once.failed)
		return err_set(e, ERR_TOO_LARGE, "the path to sign is too long");
	uri_encode(out, once.data, once.len, true);
	return buf_finish(out, e);
}

struct encoded_pair {
	size_t name_at, value_at; /* while the text still grows */
	const char *name, *value;
};

/* By encoded name, then by encoded value; not as one text, where '=' (0x3D) would sort behind digits. */
static int compare_pairs(const void *a, const void *b)
{
	const struct encoded_pair *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->value, y->value);
}

int sigv4_canonical_query(const struct sigv4_request *req, struct buf *out, struct err *e)
{
	if (req->query_count > SIGV4_QUERY_MAX)
		return err_set(e, ERR_TOO_LARGE, "more than %d query parameters", SIGV4_QUERY_MAX);
	_cleanup_free_ struct encoded_pair *pairs = mr_calloc(req->query_count, sizeof(*pairs));
	_cleanup_buf_ struct buf text;
	buf_init(&text, SIGV4_CANONICAL_MAX);
	size_t count = 0;
	for (size_t i = 0; i < req->query_count; i++) {
		const char *name = req->query[i].name;
		const char *value = req->query[i].value ? req->query[i].value : "";
		if (strcmp(name, "X-Amz-Signature") == 0)
			continue;
		pairs[count].name_at = text.len;
		uri_encode(&text, name, strlen(name), false);
		buf_append(&text, "", 1);
		pairs[count].value_at = text.len;
		uri_encode(&text, value, strlen(value), false);
		buf_append(&text, "", 1);
		count++;
	}
	if (buf_finish(&text, e) < 0)
		return err_wrap(e, "canonical query");
	for (size_t i = 0; i < count; i++) {
		pairs[i].name = text.data + pairs[i].name_at;
		pairs[i].value = text.data + pairs[i].value_at;
	}
	qsort(pairs, count, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_append(out, "&", 1);
		buf_puts(out, pairs[i].name);
		buf_append(out, "=", 1);
		buf_puts(out, pairs[i].value);
	}
	return buf_finish(out, e);
}

/* Trimmed at both ends, each run of blanks inside as one space. */
static void append_trimmed(struct buf *out, const char *value)
{
	bool any = false;
	for (const char *p = value + strspn(value, BLANKS); *p; p += strspn(p, BLANKS)) {
		size_t len = strcspn(p, BLANKS);
		if (any)
			buf_append(out, " ", 1);
		buf_append(out, p, len);
		p += len;
		any = true;
	}
}

/* "name:value,value\n" for one signed name; several headers of one name are joined in the order they came. */
static void append_header(const struct sigv4_request *req, const char *name, size_t name_len, struct buf *out)
{
	bool first = true;
	append_lower(out, name, name_len);
	buf_append(out, ":", 1);
	for (size_t i = 0; i < req->header_count; i++) {
		const struct sigv4_pair *h = &req->headers[i];
		if (strlen(h->name) != name_len || strncasecmp(h->name, name, name_len) != 0)
			continue;
		if (!first)
			buf_append(out, ",", 1);
		append_trimmed(out, h->value);
		first = false;
	}
	buf_append(out, "\n", 1);
}

int sigv4_canonical_request(const struct sigv4_request *req, const char *service, const char *signed_headers,
			    const char *payload_hash, struct buf *out, struct err *e)
{
	(void)buf_reserve(out, CANONICAL_USUAL);
	buf_puts(out, req->method);
	buf_append(out, "\n", 1);
	if (append_path(req->path, service, out, e) < 0)
		return err_wrap(e, "canonical request");
	buf_append(out, "\n", 1);
	if (sigv4_canonical_query(req, out, e) < 0)
		return err_wrap(e, "canonical request");
	buf_append(out, "\n", 1);
	for (const char *p = signed_headers; *p && !out->failed;) {
		size_t len = strcspn(p, ";");
		append_header(req, p, len, out);
		p += len + (p[len] ? 1 : 0);
	}
	buf_append(out, "\n", 1);
	buf_puts(out, signed_headers);
	buf_append(out, "\n", 1);
	buf_puts(out, payload_hash);
	if (buf_finish(out, e) < 0)
		return err_wrap(e, "canonical request");
	return 0;
}

static void derive_key(const struct sigv4_key *key, const char *day, uint8_t out[SHA256_BYTES])
{
	_cleanup_free_ char *seed = mr_asprintf("AWS4%s", key->secret);
	uint8_t next[SHA256_BYTES];
	hmac_sha256(seed, strlen(seed), day, SIGV4_DATE_LEN, out);
	hmac_sha256(out, SHA256_BYTES, key->region, strlen(key->region), next);
	hmac_sha256(next, sizeof(next), key->service, strlen(key->service), out);
	hmac_sha256(out, SHA256_BYTES, SIGV4_TERMINATOR, strlen(SIGV4_TERMINATOR), next);
	memcpy(out, next, sizeof(next));
	OPENSSL_cleanse(seed, strlen(seed));
	OPENSSL_cleanse(next, sizeof(next));
}

/* What signing keys are derived from: the same for a day and all requests of one access key. */
struct derived {
	char day[SIGV4_DATE_LEN + 1], region[32], service[32], secret[96];
	uint8_t key[SHA256_BYTES];
};

static bool copy_if_fits(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);
	if (len < size)
		memcpy(to, from, len + 1);
	return len < size;
}

static bool same_origin(const struct derived *d, const struct sigv4_key *key, const char *day)
{
	return memcmp(d->day, day, SIGV4_DATE_LEN) == 0 && strcmp(d->region, key->region) == 0 &&
	       strcmp(d->service, key->service) == 0 && strcmp(d->secret, key->secret) == 0;
}

/* Each thread remembers the keys it derived last, four of five HMACs of a signature. */
static void signing_key(const struct sigv4_key *key, const char *day, uint8_t out[SHA256_BYTES])
{
	static _Thread_local struct derived last[DERIVED_KEPT];
	static _Thread_local unsigned next;
	for (size_t i = 0; i < MR_ARRAY_SIZE(last); i++)
		if (same_origin(&last[i], key, day)) {
			memcpy(out, last[i].key, SHA256_BYTES);
			return;
		}
	derive_key(key, day, out);
	struct derived *d = &last[next % DERIVED_KEPT];
	d->day[0] = '\0';
	if (!copy_if_fits(d->region, sizeof(d->region), key->region) ||
	    !copy_if_fits(d->service, sizeof(d->service), key->service) ||
	    !copy_if_fits(d->secret, sizeof(d->secret), key->secret))
		return;
	memcpy(d->day, day, SIGV4_DATE_LEN);
	memcpy(d->key, out, SHA256_BYTES);
	next++;
}

void sigv4_signature(const struct sigv4_key *key, const char *amz_date, const struct buf *canonical,
		     char out[SHA256_HEX_SIZE])
{
	char canonical_hash[SHA256_HEX_SIZE];
	sha256_hex(canonical->data, canonical->len, canonical_hash);
	_cleanup_buf_ struct buf to_sign;
	buf_init(&to_sign, SIGV4_CANONICAL_MAX);
	buf_puts(&to_sign, SIGV4_ALGORITHM "\n");
	buf_puts(&to_sign, amz_date);
	buf_append(&to_sign, "\n", 1);
	buf_append(&to_sign, amz_date, SIGV4_DATE_LEN);
	buf_append(&to_sign, "/", 1);
	buf_puts(&to_sign, key->region);
	buf_append(&to_sign, "/", 1);
	buf_puts(&to_sign, key->service);
	buf_puts(&to_sign, "/" SIGV4_TERMINATOR "\n");
	buf_append(&to_sign, canonical_hash, SHA256_HEX_SIZE - 1);
	uint8_t k[SHA256_BYTES], mac[SHA256_BYTES];
	signing_key(key, amz_date, k);
	hmac_sha256(k, sizeof(k), to_sign.data, to_sign.len, mac);
	hex_encode(mac, sizeof(mac), out);
	OPENSSL_cleanse(k, sizeof(k));
}
