/* Errors as Kinesis Video Streams names them. Sources: "Common Errors" and each action's errors (Amazon Kinesis Video Streams
 * API Reference). */
#include "live/kvs_error.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

/* By the code of the error: what a kind alone doesn't tell. */
static const struct {
	const char *code;
	struct kvs_error error;
} by_code[] = {
	{ "RequestTimeTooSkewed", { 400, "RequestExpired", false } },
	{ "InvalidAccessKeyId", { 403, "UnrecognizedClientException", false } },
	{ "InvalidToken", { 403, "UnrecognizedClientException", false } },
	{ "SignatureDoesNotMatch", { 403, "InvalidSignatureException", false } },
	{ "AuthorizationHeaderMalformed", { 400, "IncompleteSignatureException", false } },
	{ "AccessDenied", { 400, "IncompleteSignatureException", false } },
	{ "INVALID_JSON", { 400, "SerializationException", false } },
	{ "STREAM_EXISTS", { 400, "ResourceInUseException", false } },
	{ "VERSION_MISMATCH", { 400, "VersionMismatchException", false } },
	{ "STREAM_WRITTEN", { 400, "ConnectionLimitExceededException", false } },
	{ "TOO_MANY_READERS", { 400, "ConnectionLimitExceededException", false } },
	{ "TOO_MANY_TAGS", { 400, "TagsPerResourceExceededLimitException", false } },
};

struct kvs_error kvs_error_of(const struct err *why, bool has_authorization)
{
	if (why->kind == ERR_DENIED && !has_authorization)
		return (struct kvs_error) { 403, "MissingAuthenticationTokenException", false };
	for (size_t i = 0; i < MR_ARRAY_SIZE(by_code); i++)
		if (strcmp(why->code, by_code[i].code) == 0)
			return by_code[i].error;
	switch (why->kind) {
	case ERR_INVALID:
	case ERR_TOO_LARGE:
		return (struct kvs_error) { 400, "InvalidArgumentException", false };
	case ERR_DENIED:
	case ERR_AUTH:
		return (struct kvs_error) { 401, "NotAuthorizedException", false };
	case ERR_NOT_FOUND:
		return (struct kvs_error) { 404, "ResourceNotFoundException", false };
	case ERR_CONFLICT:
		return (struct kvs_error) { 400, "ResourceInUseException", false };
	case ERR_BUSY:
		return (struct kvs_error) { 400, "ClientLimitExceededException", false };
	case ERR_UNAVAILABLE:
	case ERR_NO_SPACE:
		return (struct kvs_error) { 503, "ServiceUnavailable", false };
	default:
		return (struct kvs_error) { 500, "InternalFailure", true };
	}
}
