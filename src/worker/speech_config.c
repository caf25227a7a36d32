/* Reading the provider's configuration. In the server and in one-shot commands, at start. */
#include "worker/speech_config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/mem.h"
#include "proto/speak.h"

#define OPENAI_PREFIX "openai+"
#define VALUE_MAX 4096
#define FLITE_THREADS_MAX 16
#define ENDPOINT_AT_ONCE 4
#define ENDPOINT_TIMEOUT_S 60
#define ENDPOINT_TRIES 8

void speech_config_free(struct speech_config *c)
{
	if (!c)
		return;
	while (c->voice_count)
		free(c->voices[--c->voice_count]);
	free(c->provider);
	free(c->default_voice);
	free(c->url);
	free(c->model);
	free(c->format);
	if (c->api_key)
		explicit_bzero(c->api_key, strlen(c->api_key));
	free(c->api_key);
	free(c);
}

/* Printable ASCII without quotes: what can stand in a message, a header and a database as it is. */
static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f || *s == '"' || *s == '\\')
			return false;
	return true;
}

static int add_voices(struct speech_config *c, const char *list, struct err *e)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		if (!n || n > SPEECH_VOICE_MAX || c->voice_count == SPEECH_VOICES_MAX)
			return err_set(e, ERR_INVALID, "voices: names with commas between, at most %d",
				       SPEECH_VOICES_MAX);
		c->voices[c->voice_count++] = mr_strndup(list, n);
		list += n + (list[n] == ',');
	}
	c->any_voice = false;
	return 0;
}

static int read_number(const char *name, const char *value, uint32_t max, uint32_t *ret, struct err *e)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || n < 1 || n > max)
		return err_set(e, ERR_INVALID, "%s: expected a number from 1 to %u", name, max);
	*ret = (uint32_t)n;
	return 0;
}

static int read_format(struct speech_config *c, const char *value, struct err *e)
{
	static const char *const formats[] = { "mp3", "wav", "flac", "aac", "opus" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(formats); i++)
		if (strcmp(value, formats[i]) == 0) {
			free(c->format);
			c->format = mr_strdup(value);
			return 0;
		}
	return err_set(e, ERR_INVALID, "format: mp3, wav, flac, aac or opus");
}

static int set_text(char **field, const char *value, size_t max, struct err *e)
{
	if (!*value || strlen(value) > max)
		return err_set(e, ERR_INVALID, "a name that is empty or too long");
	free(*field);
	*field = mr_strdup(value);
	return 0;
}

static int read_parameter(struct speech_config *c, const char *name, const char *value, struct err *e)
{
	bool endpoint = c->kind == SPEECH_OPENAI;
	if (!is_plain(value))
		return err_set(e, ERR_INVALID, "%s: only printable ASCII, without blanks and quotes", name);
	if (strcmp(name, "voice") == 0)
		return set_text(&c->default_voice, value, SPEECH_VOICE_MAX, e);
	if (endpoint && strcmp(name, "voices") == 0)
		return add_voices(c, value, e);
	if (endpoint && strcmp(name, "model") == 0)
		return set_text(&c->model, value, 200, e);
	if (endpoint && strcmp(name, "format") == 0)
		return read_format(c, value, e);
	if (endpoint && strcmp(name, "concurrency") == 0)
		return read_number(name, value, 64, &c->at_once, e);
	if (endpoint && strcmp(name, "timeout") == 0)
		return read_number(name, value, 600, &c->timeout_s, e);
	if (endpoint && strcmp(name, "tries") == 0)
		return read_number(name, value, 20, &c->tries, e);
	return err_set(e, ERR_INVALID, "there is no parameter \"%.40s\"", name);
}

/* "a=b&c=d" */
static int read_query(struct speech_config *c, const char *query, struct err *e)
{
	int r = 0;
	while (r == 0 && *query) {
		size_t n = strcspn(query, "&"), name_len = strcspn(query, "=");
		_cleanup_free_ char *name = mr_strndup(query, name_len < n ? name_len : n);
		_cleanup_buf_ struct buf value;
		buf_init(&value, VALUE_MAX);
		if (name_len < n &&
		    (!uri_decode(&value, query + name_len + 1, n - name_len - 1) || buf_finish(&value, NULL) < 0))
			return err_set(e, ERR_INVALID, "%s: not percent-encoded", name);
		r = read_parameter(c, name, value.data ? value.data : "", e);
		query += n + (query[n] == '&');
	}
	return r;
}

static int read_flite(struct speech_config *c, const char *query, struct err *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	c->kind = SPEECH_FLITE;
	c->at_once = cores < 1 ? 1 : cores > FLITE_THREADS_MAX ? FLITE_THREADS_MAX : (uint32_t)cores;
	c->provider = mr_strdup("flite");
	c->default_voice = mr_strdup(speak_voices[0]);
	for (size_t i = 0; i < SPEAK_VOICE_COUNT; i++)
		c->voices[c->voice_count++] = mr_strdup(speak_voices[i]);
	return read_query(c, query, e);
}

static int read_endpoint(struct speech_config *c, const char *url, size_t len, const char *query, struct err *e)
{
	_cleanup_free_ char *base = mr_strndup(url, len);
	size_t scheme = strncmp(base, "https://", 8) == 0 ? 8 : strncmp(base, "http://", 7) == 0 ? 7 : 0;
	while (len > scheme && base[len - 1] == '/')
		base[--len] = '\0';
	if (!scheme || len == scheme || base[scheme] == '/' || strpbrk(base, "@#") || !is_plain(base))
		return err_set(e, ERR_INVALID, "expected openai+http(s)://HOST/PATH?model=…, without a user name");
	c->kind = SPEECH_OPENAI;
	c->any_voice = true;
	c->at_once = ENDPOINT_AT_ONCE;
	c->timeout_s = ENDPOINT_TIMEOUT_S;
	c->tries = ENDPOINT_TRIES;
	c->model = mr_strdup("tts-1");
	c->format = mr_strdup("mp3");
	c->default_voice = mr_strdup("alloy");
	c->url = mr_asprintf("%s/audio/speech", base);
	int r = read_query(c, query, e);
	if (r == 0)
		c->provider = mr_asprintf("openai %s %s %s", base, c->model, c->format);
	return r;
}

static int read_key(struct speech_config *c, const char *key, struct err *e)
{
	if (!key || !*key)
		return 0;
	if (c->kind != SPEECH_OPENAI)
		return err_set(e, ERR_INVALID, "a key for speech, but no endpoint that could use it");
	if (!is_plain(key))
		return err_set(e, ERR_INVALID, "the key has characters that no key has");
	c->api_key = mr_strdup(key);
	return 0;
}

int speech_config_parse(const char *text, const char *api_key, struct speech_config **ret, struct err *e)
{
	struct speech_config *c = mr_calloc(1, sizeof(*c));
	if (!text || !*text)
		text = "flite";
	size_t len = strcspn(text, "?");
	const char *query = text[len] ? text + len + 1 : "";
	const size_t prefix = strlen(OPENAI_PREFIX);
	int r;
	if (len == 5 && memcmp(text, "flite", 5) == 0)
		r = read_flite(c, query, e);
	else if (len > prefix && memcmp(text, OPENAI_PREFIX, prefix) == 0)
		r = read_endpoint(c, text + prefix, len - prefix, query, e);
	else
		r = err_set(e, ERR_INVALID, "expected flite, or openai+http(s)://HOST/PATH?model=…");
	if (r == 0)
		r = read_key(c, api_key, e);
	if (r == 0)
		r = speech_voice_check(c, c->default_voice, e);
	if (r < 0) {
		speech_config_free(c);
		return err_wrap(e, "speech");
	}
	*ret = c;
	return 0;
}

int speech_voice_check(const struct speech_config *c, const char *voice, struct err *e)
{
	_cleanup_buf_ struct buf list;
	buf_init(&list, 400);
	for (size_t i = 0; i < c->voice_count; i++) {
		if (strcmp(c->voices[i], voice) == 0)
			return 0;
		buf_printf(&list, "%s%s", i ? ", " : "", c->voices[i]);
	}
	if (c->any_voice)
		return *voice && strlen(voice) <= SPEECH_VOICE_MAX && is_plain(voice)
			       ? 0
			       : err_set_code(e, ERR_INVALID, "UNKNOWN_VOICE",
					      "a voice's name has 1 to %d plain characters", SPEECH_VOICE_MAX);
	return err_set_code(e, ERR_INVALID, "UNKNOWN_VOICE", "there is no voice \"%.64s\"; there is %s",
			    is_plain(voice) ? voice : "?", list.data ? list.data : "none");
}
