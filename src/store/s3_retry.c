/* What S3's answers mean, when to try again, and what can be told beforehand. Pure; any thread.
 *
 * Sources: "Error responses" (Amazon S3 API Reference) for the codes; "Checking object integrity" for the ETag of what
 * was put together of parts; "Exponential backoff and jitter" for the pauses. */
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "net/digest.h"
#include "store/s3.h"

#define FIRST_MS 100
#define LONGEST_MS 5000
#define SAME_SIZE_PARTS 5000u /* some services want all parts but the last of one size: up to 39 GiB they are */
#define DOUBLE_EVERY 1000u
#define MD5_BYTES 16
#define ETAG_MD5_LEN 32

static bool is_in(const char *code, const char *const *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(code, all[i]) == 0)
			return true;
	return false;
}

/* What a second attempt may mend although it isn't a 5xx: among them bytes that were damaged on their way. */
static bool may_pass(int status, const char *code)
{
	static const char *const codes[] = { "SlowDown",         "ServiceUnavailable",
					     "InternalError",    "RequestTimeout",
					     "OperationAborted", "ConditionalRequestConflict",
					     "BadDigest",        "XAmzContentSHA256Mismatch",
					     "IncompleteBody",   "Throttling",
					     "TooManyRequests",  "Busy" };
	return status >= 500 || status == 429 || status == 408 || is_in(code, codes, MR_ARRAY_SIZE(codes));
}

static enum s3_verdict refused(int status, const char *code, const char *message, struct err *e)
{
	static const char *const keys[] = { "ExpiredToken",         "ExpiredTokenException", "InvalidToken",
					    "TokenRefreshRequired", "InvalidAccessKeyId",    "SignatureDoesNotMatch" };
	static const char *const callers[] = { "EntityTooSmall", "InvalidPart", "InvalidPartOrder", "MalformedXML",
					       "InvalidArgument" };
	static const char *const full[] = { "QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull" };
	if (is_in(code, callers, MR_ARRAY_SIZE(callers)))
		(void)err_set_code(e, ERR_INVALID, code, "S3: %s %s", code, message);
	else if (strcmp(code, "EntityTooLarge") == 0)
		(void)err_set_code(e, ERR_TOO_LARGE, code, "S3: %s %s", code, message);
	else if (is_in(code, full, MR_ARRAY_SIZE(full)))
		(void)err_set(e, ERR_NO_SPACE, "S3: %s %s", code, message);
	else /* the operator's to mend, and nothing that the caller's caller did: neither 403 nor 400 */
		(void)err_set_code(e, ERR_UNAVAILABLE, "STORE_REFUSED", "S3 refuses with %d %s%s%s", status, code,
				   *message ? ": " : "", message);
	return is_in(code, keys, MR_ARRAY_SIZE(keys)) ? S3_AGAIN_KEYS : S3_FINAL;
}

enum s3_verdict s3_verdict_of(int status, const char *code, const char *message, struct err *e)
{
	if (status / 100 == 2 && !*code)
		return S3_DONE;
	if (strcmp(code, "NoSuchUpload") == 0) {
		(void)err_set_code(e, ERR_NOT_FOUND, "NoSuchUpload", "there is no such upload");
		return S3_FINAL;
	}
	if (status == 404 && strcmp(code, "NoSuchBucket") != 0) {
		(void)err_set(e, ERR_NOT_FOUND, "there is no such object");
		return S3_FINAL;
	}
	if (status == 412) {
		(void)err_set_code(e, ERR_GONE, "OBJECT_REPLACED", "the object was replaced while it was read");
		return S3_FINAL;
	}
	if (status == 416) {
		(void)err_set(e, ERR_RANGE, "the range lies outside of the object");
		return S3_FINAL;
	}
	if (may_pass(status, code)) {
		(void)err_set(e, ERR_UNAVAILABLE, "S3 answers with %d %s", status, code);
		return S3_AGAIN;
	}
	return refused(status, code, message, e);
}

int64_t s3_retry_pause_ms(uint32_t attempts, int64_t elapsed_ms, int64_t patience_ms, int64_t retry_after_ms,
			  double random)
{
	int64_t most = FIRST_MS;
	for (uint32_t i = 1; i < attempts && most < LONGEST_MS; i++)
		most *= 2;
	most = most < LONGEST_MS ? most : LONGEST_MS;
	const int64_t least = most / 2;
	int64_t pause = least + (int64_t)((double)(most - least) * random);
	pause = pause > retry_after_ms ? pause : retry_after_ms;
	return elapsed_ms + pause > patience_ms ? -1 : pause;
}

bool s3_multipart_etag(const struct store_part *parts, size_t count, char ret[STORE_ETAG_SIZE])
{
	struct digest_stream *sum = digest_stream_new("md5");
	uint8_t raw[DIGEST_MAX_BYTES];
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++) {
		ok = hex_decode(parts[i].etag, strnlen(parts[i].etag, STORE_ETAG_SIZE), raw, MD5_BYTES);
		if (ok)
			digest_stream_update(sum, raw, MD5_BYTES);
	}
	(void)digest_stream_final(sum, raw);
	hex_encode(raw, MD5_BYTES, ret);
	(void)snprintf(ret + ETAG_MD5_LEN, STORE_ETAG_SIZE - ETAG_MD5_LEN, "-%zu", count);
	return ok;
}

size_t s3_part_bytes(uint32_t number)
{
	size_t bytes = S3_PART_BYTES;
	for (uint32_t first = SAME_SIZE_PARTS; number > first; first += DOUBLE_EVERY)
		bytes *= 2;
	return bytes;
}
