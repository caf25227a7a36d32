/* GET /api/voices: who can speak; POST /api/voices/preview: how that sounds. On the I/O pool, in the server.
 *
 * A preview is one sentence, made and kept exactly as a narration's are (worker/speech.h): whoever hears a script's first sentence
 * beforehand doesn't wait for it a second time. Few previews wait at once, and each user has so many a minute: an endpoint's speech
 * costs money. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "worker/speech.h"

#define TEXT_MAX_BYTES 400
#define PER_MINUTE_MAX 20
#define USERS 256
#define WAIT_MS 15000
#define URL_EXPIRES_S 3600
#define URL_MAX_BYTES 4096

/* A user has the place that the hash of the name leads to, and takes it over from another who was there before: the table never
 * grows, and somebody may then have a few more than the limit, never fewer. */
struct preview_limit {
	pthread_mutex_t lock;
	struct preview_count {
		uint64_t user;
		int64_t since_ms;
		unsigned count;
	} users[USERS];
};

struct preview_limit *preview_limit_new(void)
{
	struct preview_limit *l = mr_calloc(1, sizeof(*l));
	(void)pthread_mutex_init(&l->lock, NULL);
	return l;
}

void preview_limit_free(struct preview_limit *l)
{
	if (!l)
		return;
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

static bool may_preview(struct preview_limit *l, const char *user)
{
	uint64_t hash = 5381;
	for (const char *s = user; *s; s++)
		hash = hash * 33 + (unsigned char)*s;
	const int64_t now = clock_mono_ms();
	(void)pthread_mutex_lock(&l->lock);
	struct preview_count *c = &l->users[hash % USERS];
	if (c->user != hash || now - c->since_ms > 60000)
		*c = (struct preview_count){ .user = hash, .since_ms = now };
	const bool may = c->count < PER_MINUTE_MAX;
	if (may)
		c->count++;
	(void)pthread_mutex_unlock(&l->lock);
	return may;
}

static int speech_of(struct api *a, const struct speech_config **ret, struct err *e)
{
	*ret = worker_speech(a->o.worker);
	return *ret ? 0 : err_set_code(e, ERR_UNAVAILABLE, "NO_SPEECH", "this server speaks nothing");
}

int voices_get(void *ctx, struct http_request *req, struct err *e)
{
	const struct speech_config *speech;
	int r = speech_of(ctx, &speech, e);
	if (r < 0)
		return r;
	json_t *list = json_array();
	for (size_t i = 0; i < speech->voice_count; i++)
		json_array_append_new(list, json_string(speech->voices[i]));
	return http_respond_json(req, 200, json_pack("{so ss}", "voices", list, "default", speech->default_voice));
}

/* ---- one sentence ---- */

struct preview {
	const char *user, *voice;
	const struct speech_config *speech;
	struct script script; /* its first sentence alone is spoken */
};

static int read_preview(struct api *a, struct http_request *req, struct preview *ret, struct err *e)
{
	static const char *const fields[] = { "text", "voice", "user_id", NULL };
	const json_t *in = http_request_json(req);
	const char *text = NULL;
	*ret = (struct preview){ .user = http_request_identity(req)->user };
	int r = speech_of(a, &ret->speech, e);
	if (r == 0)
		r = json_only_fields(in, fields, e);
	if (r == 0)
		r = json_get_string_max(in, "text", JSON_REQUIRED, TEXT_MAX_BYTES, &text, e);
	if (r == 0)
		r = json_get_string(in, "voice", JSON_OPTIONAL, &ret->voice, e);
	if (r == 0 && !ret->voice)
		ret->voice = ret->speech->default_voice;
	if (r == 0)
		r = speech_voice_check(ret->speech, ret->voice, e);
	return r == 0 ? script_parse(text, strlen(text), &ret->script, e) : r;
}

static struct script_item *first_sentence(const struct script *s)
{
	uint32_t i = 0;
	while (!s->items[i].text) /* a script that was parsed has one */
		i++;
	return &s->items[i];
}

static int speak(struct api *a, const struct preview *p, const struct script *sentence, char **ret_key, struct err *e)
{
	struct speech_source *source;
	const struct speech_order order = { p->user, p->speech->provider, p->voice, sentence };
	int r = speech_source_open(worker_speaker(a->o.worker), &order, &source, e);
	if (r < 0)
		return r;
	uint64_t bytes;
	r = speech_source_wait(source, 0, WAIT_MS, ret_key, &bytes, e);
	speech_source_close(source);
	return r == -ERR_TIMEOUT ? err_set(e, ERR_UNAVAILABLE, "the sentence is still being spoken: ask again") : r;
}

static int speak_if_there_is_room(struct api *a, const struct preview *p, char **ret_key, struct err *e)
{
	const struct script sentence = { .items = first_sentence(&p->script), .item_count = 1, .sentence_count = 1 };
	if (!may_preview(a->previews, p->user))
		return err_set(e, ERR_BUSY, "at most %d previews a minute", PER_MINUTE_MAX);
	int r = atomic_fetch_add(&a->waiting, 1) < a->o.waiting_max
			? speak(a, p, &sentence, ret_key, e)
			: err_set(e, ERR_BUSY, "others are listening to voices: try again in a moment");
	atomic_fetch_sub(&a->waiting, 1);
	return r;
}

/* What is kept has no type of its own; a browser wants one. */
static int put_url(struct api *a, struct http_request *req, const struct preview *p, const char *key, struct buf *out,
		   struct err *e)
{
	const bool wav = p->speech->kind == SPEECH_FLITE || strcmp(p->speech->format, "wav") == 0;
	const bool mp3 = !wav && strcmp(p->speech->format, "mp3") == 0;
	_cleanup_free_ char *type = mr_asprintf("audio/%s", wav ? "wav" : mp3 ? "mpeg" : p->speech->format);
	const struct sigv4_pair extra = { .name = "response-content-type", .value = type };
	const struct media_link link = { .base_url = http_request_base_url(req),
					 .host = http_request_host(req),
					 .key = key,
					 .extra = &extra,
					 .signed_at_ms = clock_wall_ms(),
					 .expires_s = URL_EXPIRES_S };
	return media_url(a, &link, out, e);
}

int voices_preview(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct preview p;
	_cleanup_free_ char *key = NULL;
	_cleanup_buf_ struct buf url;
	buf_init(&url, URL_MAX_BYTES);
	int r = read_preview(a, req, &p, e);
	if (r == 0)
		r = speak_if_there_is_room(a, &p, &key, e);
	if (r == 0)
		r = put_url(a, req, &p, key, &url, e);
	if (r == 0)
		r = http_respond_json(req, 200,
				      json_pack("{ss ss ss si}", "voice", p.voice, "text", first_sentence(&p.script)->text, "url",
						url.data, "expires_in", URL_EXPIRES_S));
	script_release(&p.script);
	return r;
}
