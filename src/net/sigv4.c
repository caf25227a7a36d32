/* Signing with AWS Signature Version 4: the Authorization header and pre-signed URLs. Runs in the front process and the
 * worker; pure, any thread. Checking is in sigv4_verify.c.
 */
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "net/sigv4_canonical.h"

int sigv4_authorization(const struct sigv4_key *key, const struct sigv4_request *req, int64_t wall_ms, struct buf *out,
			struct err *e)
{
	char amz_date[AMZ_DATE_SIZE];
	amz_date_format(wall_ms, amz_date);
	const char *date_header = sigv4_header(req, "x-amz-date");
	if (!date_header || strcmp(date_header, amz_date) != 0)
		return err_set(e, ERR_INVALID, "sign: the request has no header x-amz-date: %s", amz_date);
	if (!sigv4_header(req, "host"))
		return err_set(e, ERR_INVALID, "sign: the request has no header host");
	if (key->session_token && !sigv4_header(req, "x-amz-security-token"))
		return err_set(e, ERR_INVALID, "sign: the request has no header x-amz-security-token");

	_cleanup_buf_ struct buf names, canonical;
	buf_init(&names, SIGV4_CANONICAL_MAX);
	buf_init(&canonical, SIGV4_CANONICAL_MAX);
	const char *hash = req->payload_hash ? req->payload_hash : sigv4_default_payload_hash(key->service);
	if (sigv4_signed_headers(req, &names, e) < 0 ||
	    sigv4_canonical_request(req, key->service, names.data, hash, &canonical, e) < 0)
		return err_wrap(e, "sign");
	char signature[SHA256_HEX_SIZE];
	sigv4_signature(key, amz_date, &canonical, signature);
	buf_printf(out,
		   SIGV4_ALGORITHM " Credential=%s/%.*s/%s/%s/" SIGV4_TERMINATOR ", SignedHeaders=%s, Signature=%s",
		   key->access_key_id, SIGV4_DATE_LEN, amz_date, key->region, key->service, names.data, signature);
	return buf_finish(out, e);
}

/* The query to sign: Amazon's own parameters, then the caller's. The order is of no matter, it is sorted later. */
static void collect_query(const struct sigv4_pair *own, size_t own_count, const struct sigv4_pair *extra,
			  size_t extra_count, struct sigv4_pair *out)
{
	memcpy(out, own, own_count * sizeof(*own));
	if (extra_count)
		memcpy(out + own_count, extra, extra_count * sizeof(*extra));
}

/* `length` NULL: host alone is signed. */
static int presign(const struct sigv4_key *key, const char *method, const char *host, const char *path,
		   const struct sigv4_pair *extra, size_t extra_count, int64_t wall_ms, uint32_t expires_s,
		   const char *length, struct buf *out, struct err *e)
{
	const char *signed_headers = length ? "content-length;host" : "host";
	const struct sigv4_pair headers[] = { { "host", host }, { "content-length", length } };

	if (expires_s < 1 || expires_s > SIGV4_MAX_EXPIRES_S)
		return err_set(e, ERR_INVALID, "presign: expiry of %u s is not in 1–%d", expires_s,
			       SIGV4_MAX_EXPIRES_S);
	if (extra_count > SIGV4_QUERY_MAX)
		return err_set(e, ERR_TOO_LARGE, "presign: more than %d query parameters", SIGV4_QUERY_MAX);
	char amz_date[AMZ_DATE_SIZE];
	amz_date_format(wall_ms, amz_date);
	_cleanup_free_ char *expires = mr_asprintf("%u", expires_s);
	_cleanup_free_ char *credential = mr_asprintf("%s/%.*s/%s/%s/" SIGV4_TERMINATOR, key->access_key_id,
						      SIGV4_DATE_LEN, amz_date, key->region, key->service);
	const struct sigv4_pair own[] = {
		{ "X-Amz-Algorithm", SIGV4_ALGORITHM },
		{ "X-Amz-Credential", credential },
		{ "X-Amz-Date", amz_date },
		{ "X-Amz-Expires", expires },
		{ "X-Amz-SignedHeaders", signed_headers },
		{ "X-Amz-Security-Token", key->session_token },
	};
	size_t own_count = MR_ARRAY_SIZE(own) - (key->session_token ? 0 : 1);
	_cleanup_free_ struct sigv4_pair *query = mr_calloc(own_count + extra_count, sizeof(*query));
	collect_query(own, own_count, extra, extra_count, query);

	const struct sigv4_request req = {
		.method = method,
		.path = path,
		.query = query,
		.query_count = own_count + extra_count,
		.headers = headers,
		.header_count = length ? 2 : 1,
	};
	_cleanup_buf_ struct buf canonical, url;
	buf_init(&canonical, SIGV4_CANONICAL_MAX);
	buf_init(&url, SIGV4_CANONICAL_MAX);
	if (sigv4_canonical_request(&req, key->service, signed_headers, sigv4_default_payload_hash(key->service), &canonical,
				    e) < 0)
		return err_wrap(e, "presign");
	char signature[SHA256_HEX_SIZE];
	sigv4_signature(key, amz_date, &canonical, signature);

	uri_encode(&url, path, strlen(path), true);
	buf_append(&url, "?", 1);
	if (sigv4_canonical_query(&req, &url, e) < 0)
		return err_wrap(e, "presign");
	buf_printf(&url, "&X-Amz-Signature=%s", signature);
	if (buf_finish(&url, e) < 0)
		return err_wrap(e, "presign");
	buf_append(out, url.data, url.len);
	return buf_finish(out, e);
}

int sigv4_presign(const struct sigv4_key *key, const char *method, const char *host, const char *path,
		  const struct sigv4_pair *extra, size_t extra_count, int64_t wall_ms, uint32_t expires_s,
		  struct buf *out, struct err *e)
{
	return presign(key, method, host, path, extra, extra_count, wall_ms, expires_s, NULL, out, e);
}

int sigv4_presign_body(const struct sigv4_key *key, const char *method, const char *host, const char *path,
		       const struct sigv4_pair *extra, size_t extra_count, int64_t wall_ms, uint32_t expires_s,
		       uint64_t body_bytes, struct buf *out, struct err *e)
{
	_cleanup_free_ char *length = mr_asprintf("%llu", (unsigned long long)body_bytes);
	return presign(key, method, host, path, extra, extra_count, wall_ms, expires_s, length, out, e);
}
