/* Speech from an OpenAI-compatible endpoint: POST {base}/audio/speech with JSON, a sound for an answer. On the speech
 * module's threads, which have a connection each.
 *
 * What can pass is tried again: connections that can't be made or end early, time-outs, 408, 409, 425, 429 and 5xx,
 * answers that are no sound. Between tries it waits, twice as long each time, with jitter, and at least as long as
 * Retry-After says. Any other status is final, with what the endpoint says of it.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/post.h"
#include "worker/speech_call.h"

#define BACKOFF_FIRST_MS 250
#define BACKOFF_MAX_MS 8000
#define RETRY_AFTER_MAX_MS 60000
#define SAID_MAX 200 /* of what an endpoint says of an error */

/* What came of one try. */
struct outcome {
	bool final;       /* another try wouldn't help, or isn't wanted */
	int64_t after_ms; /* the endpoint asks for so long a rest */
};

static char *request_body(const struct speech_call *call)
{
	json_t *o = json_pack("{ss ss ss ss}", "model", call->config->model, "input", call->text, "voice", call->voice,
			      "response_format", call->config->format);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

static const char *text_at(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

/* Whatever an endpoint writes, the key doesn't come back in a message; nor do line breaks. */
static void make_clean(char *said, const char *key)
{
	for (char *at = said; key && (at = strstr(at, key));)
		memset(at, '*', strlen(key));
	for (char *at = said; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
}

/* What the body of a refusal says: {"error": {"message": …, "code": …}}, or something like it. */
static char *what_it_says(const struct speech_call *call, const struct buf *body, bool *ret_no_quota)
{
	json_t *o = body->len ? json_loadb(body->data, body->len, 0, NULL) : NULL;
	const json_t *error = json_object_get(o, "error");
	const char *text = text_at(error, "message"), *code = text_at(error, "code");
	if (!text)
		text = text_at(o, "message");
	if (!text)
		text = text_at(o, "detail");
	if (!text)
		text = json_string_value(error);
	char *said = mr_strdup(text ? text : "");
	*ret_no_quota = code && strcmp(code, "insufficient_quota") == 0;
	json_decref(o);
	make_clean(said, call->config->api_key);
	return said;
}

static bool may_pass(int status)
{
	return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500;
}

static int refused(const struct speech_call *call, const struct net_answer *a, const struct buf *body,
		   struct outcome *o, struct err *e)
{
	bool no_quota;
	_cleanup_free_ char *said = what_it_says(call, body, &no_quota);
	o->final = !may_pass(a->status) || no_quota;
	o->after_ms = a->retry_after_ms;
	return err_set_code(e, ERR_PROTOCOL, o->final ? "SPEECH_REFUSED" : "SPEECH_FAILED",
			    "the endpoint answers %d%s%.*s", a->status, *said ? ": " : "", SAID_MAX, said);
}

static int no_sound(const char *why, struct err *e)
{
	return err_set_code(e, ERR_PROTOCOL, "SPEECH_FAILED", "the endpoint's answer is no sound: %s", why);
}

/* Only a task that says so makes it no sound; one that was lost says nothing of it. */
static int check_sound(const struct speech_call *call, const struct buf *sound, struct outcome *o, struct err *e)
{
	struct err why = { 0 };
	int r = speech_sound_check(call, sound, &why);
	if (r == 0)
		return 0;
	if (why.kind == ERR_MEDIA || why.kind == ERR_UNSUPPORTED || why.kind == ERR_TOO_LARGE)
		return no_sound(why.message, e);
	o->final = true;
	return err_copy(e, &why);
}

static int try_once(const struct speech_call *call, const char *json, struct buf *sound, struct outcome *o,
		    struct err *e)
{
	const struct net_post p = { .url = call->config->url,
				    .bearer = call->config->api_key,
				    .content_type = "application/json",
				    .body = json,
				    .timeout_s = call->config->timeout_s,
				    .keep_going = call->keep_going,
				    .ctx = call->ctx };
	struct net_answer a;
	struct err why = { 0 };
	*o = (struct outcome) { 0 };
	buf_clear(sound);
	int r = net_post(call->client, &p, sound, &a, &why);
	if (r < 0) {
		o->final = why.kind == ERR_CANCELED || why.kind == ERR_TOO_LARGE;
		return why.kind == ERR_CANCELED
			       ? err_copy(e, &why)
			       : err_set_code(e, ERR_PROTOCOL, o->final ? "SPEECH_REFUSED" : "SPEECH_FAILED",
					      "the endpoint: %s", why.message);
	}
	if (a.status != 200)
		return refused(call, &a, sound, o, e);
	if (strncmp(a.content_type, "text/", 5) == 0 || strncmp(a.content_type, "application/json", 16) == 0)
		return no_sound(a.content_type, e);
	return sound->len ? check_sound(call, sound, o, e) : no_sound("nothing", e);
}

static uint32_t rest_ms(unsigned failures, int64_t after_ms)
{
	uint8_t jitter;
	random_bytes(&jitter, 1);
	int64_t ms = BACKOFF_FIRST_MS;
	while (--failures && ms < BACKOFF_MAX_MS)
		ms *= 2;
	ms = ms / 2 + ms * jitter / 512;
	if (after_ms > RETRY_AFTER_MAX_MS)
		after_ms = RETRY_AFTER_MAX_MS;
	return (uint32_t)(ms > after_ms ? ms : after_ms);
}

int speech_endpoint_call(const struct speech_call *call, struct buf *sound, struct err *e)
{
	char *json = request_body(call);
	if (!json)
		return err_set(e, ERR_INTERNAL, "a sentence that JSON can't hold");
	struct outcome o;
	struct err why = { 0 };
	int r = try_once(call, json, sound, &o, &why);
	for (unsigned failures = 1; r < 0 && !o.final && failures < call->config->tries; failures++) {
		uint32_t ms = rest_ms(failures, o.after_ms);
		log_info("speech_again", LOG_I("try", failures + 1), LOG_I("in_ms", ms), LOG_E(&why));
		r = call->rest(call->ctx, ms) ? try_once(call, json, sound, &o, &why)
					      : err_set(&why, ERR_CANCELED, "told to stop");
		o.final |= why.kind == ERR_CANCELED;
	}
	free(json);
	if (r == 0)
		return 0;
	/* a chunk that fails of this is tried again, unless the endpoint has said that it won't change its mind */
	if (why.kind == ERR_PROTOCOL)
		why.retriable = !o.final;
	return err_copy(e, &why);
}
