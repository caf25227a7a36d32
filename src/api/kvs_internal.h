/* What the files of the Kinesis Video Streams API share (api/kvs*.c): who calls, which stream, values as AWS writes them. Not
 * for others. */
#pragma once

#include "api/internal.h"
#include "job/stream.h"

/* Whose streams the request's key reaches; NULL: everybody's. */
const char *kvs_user(const struct api *a, struct http_request *req);
/* The stream that StreamName or StreamARN names, if the key reaches it. Release it. */
int kvs_find_stream(struct api *a, struct http_request *req, struct stream *ret, struct err *e) MR_MUST_USE;
/* Answers 200 with the object and AWS's headers. */
int kvs_respond(struct http_request *req, json_t *take_value);
/* The headers alone. */
void kvs_headers(struct http_request *req);
/* Seconds since 1970 with milliseconds, as AWS writes times. */
json_t *kvs_time(int64_t ms);
/* A time of a JSON object that must be there. */
int kvs_get_time(const json_t *in, const char *field, int64_t *ret_ms, struct err *e) MR_MUST_USE;
/* NextToken: base64 of a text, which the caller frees. Absent: NULL. */
int kvs_get_token(const json_t *in, char **ret, struct err *e) MR_MUST_USE;
/* With nothing more to come: nothing. */
void kvs_set_token(json_t *out, const char *text);
