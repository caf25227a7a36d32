/* A speaker's JSON messages. Live threads of the server process. */
#include "live/message.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "http/json.h"

/* Indices are counters of recordings: this many chunks of 20 ms are eight months. */
#define INDEX_MAX INT64_C(1000000000)

bool live_session_valid(const char *id)
{
	size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return len >= 1 && len <= LIVE_SESSION_MAX && !id[len];
}

void live_message_release(struct live_message *m)
{
	buf_release(&m->audio);
}

static int parse_action(const json_t *in, enum live_action *ret, struct err *e)
{
	static const char *const names[] = { "audioChunk", "writeToStream", "stop", "ping", NULL };
	static const enum live_action actions[] = { LIVE_CHUNK, LIVE_CHUNK, LIVE_STOP, LIVE_PING };
	size_t i = 0;
	int r = json_get_choice(in, "action", JSON_REQUIRED, names, &i, e);
	if (r == 0)
		*ret = actions[i];
	return r;
}

static int parse_session(const json_t *in, char ret[LIVE_SESSION_MAX + 1], struct err *e)
{
	const char *id = NULL;
	int r = json_get_string(in, "sessionId", JSON_OPTIONAL, &id, e);
	if (r < 0 || !id)
		return r;
	if (!live_session_valid(id))
		return err_set_code(e, ERR_INVALID, "INVALID_FIELD", "sessionId must be 1 to %d of A-Z a-z 0-9 . _ -",
				    LIVE_SESSION_MAX);
	memcpy(ret, id, strlen(id) + 1);
	return 0;
}

/* "webm-opus", and how MIME writes it: "audio/webm;codecs=opus", "audio/webm". */
static int check_format(const json_t *in, struct err *e)
{
	const char *format = NULL;
	int r = json_get_string(in, "format", JSON_OPTIONAL, &format, e);
	if (r < 0 || !format)
		return r;
	bool webm = strncasecmp(format, "webm", 4) == 0 || strncasecmp(format, "audio/webm", 10) == 0;
	const char *codec = strstr(format, "codecs=");
	if (!webm || (codec && !strcasestr(codec, "opus")))
		return err_set_code(e, ERR_UNSUPPORTED, "UNSUPPORTED_FORMAT", "format must be webm-opus");
	return 0;
}

static int parse_audio(const json_t *in, struct live_message *m, struct err *e)
{
	const char *data = NULL;
	int r = check_format(in, e);
	if (r == 0)
		r = json_get_string(in, "audioData", JSON_OPTIONAL, &data, e);
	if (r < 0)
		return r;
	if (!data) /* an empty one is fine: recorders give empty blobs */
		return err_set_code(e, ERR_INVALID, "MISSING_FIELD", "audioData is missing");
	size_t len = strlen(data);
	m->audio.max = len; /* base64 is longer than what it holds */
	if (!base64_decode(&m->audio, data, len))
		return err_set_code(e, ERR_INVALID, "INVALID_FIELD", "audioData must be base64");
	return 0;
}

int live_message_parse(const char *text, size_t len, struct live_message *ret, struct err *e)
{
	json_t *in = NULL;
	struct live_message m = { .index = -1 };
	buf_init(&m.audio, 0);
	int r = json_parse(text, len, &in, e);
	if (r < 0)
		return r;
	if (!json_is_object(in))
		r = err_set_code(e, ERR_INVALID, "INVALID_JSON", "a message must be a JSON object");
	if (r == 0)
		r = parse_action(in, &m.action, e);
	if (r == 0)
		r = parse_session(in, m.session, e);
	if (r == 0)
		r = json_get_int(in, "chunkIndex", JSON_OPTIONAL, 0, INDEX_MAX, &m.index, e);
	if (r == 0 && m.action == LIVE_CHUNK)
		r = parse_audio(in, &m, e);
	json_decref(in);
	if (r < 0)
		live_message_release(&m);
	else
		*ret = m;
	return r;
}

bool live_error_format(struct buf *out, const struct err *why, bool fatal)
{
	(void)buf_puts(out, "{\"type\":\"error\",\"code\":");
	(void)json_quote(out, err_code(why), strlen(err_code(why)));
	(void)buf_puts(out, ",\"message\":");
	(void)json_quote(out, why->message, strlen(why->message));
	return buf_puts(out, fatal ? ",\"fatal\":true}" : ",\"fatal\":false}");
}
