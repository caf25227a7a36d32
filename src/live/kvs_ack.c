/* Acknowledgements of PutMedia, and what errors mean. In the server process; see kvs_ack.h. */
#include "live/kvs_ack.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/json.h"

#define ACK_MAX_BYTES 4096

void kvs_acks_init(struct kvs_acks *a)
{
	*a = (struct kvs_acks){ 0 };
	buf_init(&a->text, ACK_MAX_BYTES);
}

void kvs_acks_release(struct kvs_acks *a)
{
	buf_release(&a->text);
}

static enum kvs_event event_of(const char *name)
{
	static const char *const names[] = { "BUFFERING", "RECEIVED", "PERSISTED", "ERROR", "IDLE" };
	for (size_t i = 0; name && i < MR_ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum kvs_event)i;
	return KVS_UNKNOWN;
}

/* A number, or a text of one. */
static bool get_number(const json_t *o, const char *name, int64_t *ret)
{
	const json_t *v = json_object_get(o, name);
	const char *text = json_string_value(v);
	char *end = NULL;
	if (json_is_integer(v)) {
		*ret = json_integer_value(v);
		return true;
	}
	if (!text || !*text)
		return false;
	int64_t n = strtoll(text, &end, 10);
	if (*end)
		return false;
	*ret = n;
	return true;
}

static int read_ack(const struct buf *text, struct kvs_ack *ret, struct err *e)
{
	json_t *o = NULL;
	int64_t id = 0;
	if (json_parse(text->data, text->len, &o, NULL) < 0)
		return err_set(e, ERR_PROTOCOL, "an acknowledgement is no JSON");
	const char *number = json_string_value(json_object_get(o, "FragmentNumber"));
	const char *code = json_string_value(json_object_get(o, "ErrorCode"));
	*ret = (struct kvs_ack){ .event = event_of(json_string_value(json_object_get(o, "EventType"))) };
	ret->has_timecode = get_number(o, "FragmentTimecode", &ret->timecode_ms);
	if (get_number(o, "ErrorId", &id) && id > 0 && id <= UINT32_MAX)
		ret->error_id = (uint32_t)id;
	(void)snprintf(ret->number, sizeof(ret->number), "%s", number ? number : "");
	(void)snprintf(ret->error_code, sizeof(ret->error_code), "%s", code ? code : "");
	json_decref(o);
	return 0;
}

/* True: the object ends with this byte. */
static bool object_ends(struct kvs_acks *a, char c)
{
	if (a->in_string) {
		if (a->escaped)
			a->escaped = false;
		else if (c == '\\')
			a->escaped = true;
		else if (c == '"')
			a->in_string = false;
		return false;
	}
	a->in_string = c == '"';
	if (c == '{')
		a->depth++;
	return c == '}' && --a->depth == 0;
}

int kvs_acks_feed(struct kvs_acks *a, const char *data, size_t len, void (*ack)(void *ctx, const struct kvs_ack *ack), void *ctx,
		  struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		struct kvs_ack one;
		if (!a->depth && data[i] != '{') {
			if (!strchr(" \t\r\n", data[i]) || !data[i])
				return err_set(e, ERR_PROTOCOL, "what comes is no acknowledgement");
			continue;
		}
		if (!buf_append(&a->text, &data[i], 1))
			return err_set(e, ERR_PROTOCOL, "an acknowledgement of more than %d bytes", ACK_MAX_BYTES);
		if (!object_ends(a, data[i]))
			continue;
		int r = read_ack(&a->text, &one, e);
		if (r < 0)
			return r;
		buf_clear(&a->text);
		ack(ctx, &one);
	}
	return 0;
}

enum kvs_verdict kvs_verdict_of_error(uint32_t error_id)
{
	static const struct {
		uint32_t id;
		enum kvs_verdict verdict;
	} known[] = {
		{ 4000, KVS_AGAIN },	  /* STREAM_READ_ERROR */
		{ 4001, KVS_END },	  /* MAX_FRAGMENT_SIZE_REACHED: it would be as large again */
		{ 4002, KVS_END },	  /* MAX_FRAGMENT_DURATION_REACHED */
		{ 4003, KVS_AGAIN_NOW },  /* MAX_CONNECTION_DURATION_REACHED */
		{ 4004, KVS_AGAIN_FEW },  /* FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS: order is a connection's */
		{ 4006, KVS_AGAIN_FEW },  /* INVALID_MKV_DATA: bytes may have been damaged on their way */
		{ 4008, KVS_NOT_ACTIVE }, /* STREAM_NOT_ACTIVE */
		{ 4503, KVS_AGAIN },	  /* KMS_KEY_UNAVAILABLE */
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(known); i++)
		if (known[i].id == error_id)
			return known[i].verdict;
	/* The rest of 4…: what we send, or the stream's key, is refused; 5000 and 5001 are the service's own. */
	return error_id >= 4000 && error_id < 5000 ? KVS_END : KVS_AGAIN;
}

enum kvs_verdict kvs_verdict_of_answer(int status, const char *type)
{
	static const struct {
		const char *type;
		enum kvs_verdict verdict;
	} known[] = {
		{ "ClientLimitExceededException", KVS_AGAIN },
		{ "ConnectionLimitExceededException", KVS_AGAIN }, /* the one before isn't noticed to be gone yet */
		{ "LimitExceededException", KVS_AGAIN },
		{ "ThrottlingException", KVS_AGAIN },
		{ "Throttling", KVS_AGAIN },
		{ "RequestLimitExceeded", KVS_AGAIN },
		{ "RequestTimeoutException", KVS_AGAIN },
		{ "ResourceNotFoundException", KVS_NOT_ACTIVE },
		{ "InvalidEndpointException", KVS_AGAIN_FEW },
		{ "ExpiredTokenException", KVS_NEW_KEYS },
		{ "ExpiredToken", KVS_NEW_KEYS },
		{ "UnrecognizedClientException", KVS_NEW_KEYS },
		{ "InvalidClientTokenId", KVS_NEW_KEYS },
		{ "InvalidSignatureException", KVS_NEW_KEYS },
		{ "AccessDeniedException", KVS_NEW_KEYS },
		{ "NotAuthorizedException", KVS_NEW_KEYS },
		{ "RequestExpired", KVS_NEW_KEYS }, /* or the clock is wrong */
	};
	size_t len = type ? strcspn(type, ":") : 0; /* "…Exception:http://…" */
	for (size_t i = 0; len && i < MR_ARRAY_SIZE(known); i++)
		if (strlen(known[i].type) == len && strncmp(known[i].type, type, len) == 0)
			return known[i].verdict;
	if (status == 401 || status == 403)
		return KVS_NEW_KEYS;
	if (status == 404)
		return KVS_NOT_ACTIVE;
	/* Not the service's, or cut off behind its first line. */
	if (!len && status >= 300 && status < 500 && status != 408 && status != 429)
		return KVS_AGAIN_FEW;
	/* Redirects aren't followed: nothing is sent to where somebody else points. */
	return status >= 300 && status < 500 && status != 408 && status != 429 ? KVS_END : KVS_AGAIN;
}
