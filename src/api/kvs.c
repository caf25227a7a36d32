/* The Kinesis Video Streams API on the main port: what all of its calls share. Runs in the server process, on the I/O pool.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/kvs_internal.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/kvs_error.h"

#define TOKEN_MAX 1024
#define TIME_MAX_S 1e11 /* year 5138 */

void kvs_headers(struct http_request *req)
{
	http_response_header(req, "x-amzn-RequestId", http_request_id(req));
	http_response_header(req, "x-amz-request-id", http_request_id(req));
}

int kvs_respond(struct http_request *req, json_t *take_value)
{
	/* Our own answers have 12 digits: too few for a time with milliseconds. */
	_cleanup_free_ char *text = take_value ? json_dumps(take_value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
	json_decref(take_value);
	if (!text)
		return http_respond_json(req, 200, NULL);
	kvs_headers(req);
	return http_respond_text(req, 200, "application/json", text);
}

int kvs_refuse(struct http_request *req, const struct err *why)
{
	struct kvs_error k = kvs_error_of(why, http_request_header(req, "Authorization") != NULL);
	if (k.hide)
		log_error("kvs_error", LOG_S("request_id", http_request_id(req)), LOG_S("path", http_request_path(req)),
			  LOG_E(why));
	kvs_headers(req);
	http_response_header(req, "x-amzn-ErrorType", k.type);
	http_response_header(req, "x-amz-ErrorType", k.type);
	return http_respond_json(req, k.status,
				 json_pack("{s:s}", "Message", k.hide ? "the server failed; see its log" : why->message));
}

const char *kvs_user(const struct api *a, struct http_request *req)
{
	return signer_user(a->o.signer, http_request_signature(req)->access_key_id);
}

int kvs_find_stream(struct api *a, struct http_request *req, struct stream *ret, struct err *e)
{
	const json_t *in = http_request_json(req);
	const char *name = NULL, *arn = NULL;
	char of_arn[STREAM_NAME_MAX + 1];
	int64_t created_ms = 0;
	if (json_get_string(in, "StreamName", JSON_OPTIONAL, &name, e) < 0 ||
	    json_get_string(in, "StreamARN", JSON_OPTIONAL, &arn, e) < 0)
		return -(int)e->kind;
	if (!name && !arn)
		return err_set(e, ERR_INVALID, "StreamName or StreamARN must be given");
	if (arn && !stream_arn_parse(arn, of_arn, &created_ms))
		return err_set(e, ERR_INVALID, "StreamARN is no stream's ARN");
	if (name && !stream_name_valid(name))
		return err_set(e, ERR_INVALID, "StreamName must have 1 to 256 of A-Z a-z 0-9 . _ -");
	if (name && arn && strcmp(name, of_arn) != 0)
		return err_set(e, ERR_INVALID, "StreamName and StreamARN name two streams");
	struct stream s = { 0 };
	int r = repo_stream_get(a->o.repo, kvs_user(a, req), name ? name : of_arn, &s, e);
	if (r == 0 && arn && s.created_ms != created_ms) {
		stream_release(&s);
		r = err_set(e, ERR_NOT_FOUND, "there is no such stream");
	}
	if (r < 0)
		return r;
	http_request_log(req, "stream", s.name);
	*ret = s;
	return 0;
}

json_t *kvs_time(int64_t ms)
{
	return json_real((double)ms / 1000);
}

int kvs_get_time(const json_t *in, const char *field, int64_t *ret_ms, struct err *e)
{
	double s;
	int r = json_get_double(in, field, JSON_REQUIRED, 0, TIME_MAX_S, &s, e);
	if (r == 0)
		*ret_ms = llround(s * 1000);
	return r;
}

int kvs_get_token(const json_t *in, char **ret, struct err *e)
{
	const char *token = NULL;
	int r = json_get_string_max(in, "NextToken", JSON_OPTIONAL, TOKEN_MAX, &token, e);
	if (r < 0 || !token || !*token)
		return r;
	struct buf b;
	buf_init(&b, TOKEN_MAX);
	if (!base64_decode(&b, token, strlen(token)) || !b.data || strlen(b.data) != b.len) {
		buf_release(&b);
		return err_set(e, ERR_INVALID, "NextToken is not one that an earlier call gave");
	}
	*ret = buf_steal(&b);
	return 0;
}

void kvs_set_token(json_t *out, const char *text)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, TOKEN_MAX);
	if (base64_encode(&b, text, strlen(text), false))
		(void)json_object_set_new(out, "NextToken", json_string(b.data));
}
