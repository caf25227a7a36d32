/* Making and keeping speech. Threads of its own, in the server and worker process.
 *
 * A sentence is an item, shared by all sources that want it:
 *
 *   queued    nobody is at it
 *   making    a thread looks into the store, and has it made if it isn't there
 *   ready     it is in the store
 *   failed    for good, as far as those sources go that have it; a source opened later gets a new item, and one of what is
 *             still being made for a source that failed: what it is asked with may have been mended since
 *
 * Before the first object of a source is stored, a row for each of its sentences says that they may be there
 * (repo_speech_use), so that none is forgotten. The job's first sentence doesn't wait for that write: it is made
 * meanwhile.
 */
#include "worker/speech.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "os/thread.h"
#include "worker/speech_call.h"

#define BUCKETS 1024
#define URGENT 1 /* sentences of a job that are not nice: the mixer has a core to itself until it comes to the second */
#define LATER_NICENESS 10
#define AT_ONCE_MAX 64

enum item_state { ITEM_QUEUED, ITEM_MAKING, ITEM_READY, ITEM_FAILED };

struct item {
	struct item *next; /* in its bucket */
	char *key, *voice, *text;
	bool other_provider; /* it can only come from the store */
	/* protected by lock */
	unsigned refs; /* of sources, and of the thread that makes it */
	enum item_state state;
	bool suspect; /* what it is made with failed for its neighbours: nobody joins it any more */
	uint64_t bytes;
	struct err error;
};

enum note_state { NOTE_WANTED, NOTE_WRITING, NOTE_DONE };

struct speech_source {
	struct speech *owner;
	struct speech_source *next;
	struct item **items;
	uint32_t count;
	/* protected by lock */
	unsigned refs;       /* of who opened it, and of threads that work for it */
	uint32_t first_open; /* none before is queued */
	uint32_t wanted;     /* the highest that was waited for */
	enum note_state note;
};

struct speech {
	struct speech_opts opts;
	struct speech_thread {
		struct speech *speech;
		pthread_t id;
		struct net_client *client; /* NULL: the provider needs none */
	} threads[AT_ONCE_MAX];
	uint32_t thread_count;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t work, news;     /* something is queued; something has changed */
	struct speech_source *sources; /* open ones, oldest first */
	struct item *buckets[BUCKETS];
	bool stopping;
};

/* ---- items ---- */

static struct item **bucket_of(struct speech *s, const char *key)
{
	uint32_t h = 5381;
	for (; *key; key++)
		h = h * 33 + (unsigned char)*key;
	return &s->buckets[h % BUCKETS];
}

static void item_unref_locked(struct speech *s, struct item *i)
{
	if (--i->refs)
		return;
	for (struct item **at = bucket_of(s, i->key); *at; at = &(*at)->next)
		if (*at == i) {
			*at = i->next;
			break;
		}
	free(i->key);
	free(i->voice);
	free(i->text);
	free(i);
}

/* A failed one may be tried again by who comes later. */
static struct item *item_get_locked(struct speech *s, const struct speech_order *o, const char *text)
{
	char digest[SHA256_HEX_SIZE];
	speech_sentence_digest(o->provider, o->voice, text, digest);
	char *key = key_speech(o->user_id, digest);
	struct item **bucket = bucket_of(s, key);
	for (struct item *i = *bucket; i; i = i->next)
		if (i->state != ITEM_FAILED && !i->suspect && strcmp(i->key, key) == 0) {
			free(key);
			i->refs++;
			return i;
		}
	struct item *i = mr_calloc(1, sizeof(*i));
	i->key = key;
	i->voice = mr_strdup(o->voice);
	i->text = mr_strdup(text);
	i->other_provider = strcmp(o->provider, s->opts.config->provider) != 0;
	i->refs = 1;
	i->next = *bucket;
	*bucket = i;
	return i;
}

/* ---- sources ---- */

int speech_source_open(struct speech *s, const struct speech_order *o, struct speech_source **ret, struct err *e)
{
	struct speech_source *source = mr_calloc(1, sizeof(*source));
	source->owner = s;
	source->items = mr_calloc(o->script->sentence_count + 1, sizeof(struct item *));
	source->refs = 1;
	(void)pthread_mutex_lock(&s->lock);
	bool stopping = s->stopping;
	for (uint32_t i = 0; !stopping && i < o->script->item_count; i++)
		if (o->script->items[i].text)
			source->items[source->count++] = item_get_locked(s, o, o->script->items[i].text);
	struct speech_source **at = &s->sources;
	while (*at)
		at = &(*at)->next;
	if (!stopping)
		*at = source;
	(void)pthread_cond_broadcast(&s->work);
	(void)pthread_mutex_unlock(&s->lock);
	if (stopping) {
		free(source->items);
		free(source);
		return err_set(e, ERR_CANCELED, "told to stop");
	}
	*ret = source;
	return 0;
}

static void source_unref_locked(struct speech_source *source)
{
	if (--source->refs)
		return;
	for (uint32_t i = 0; i < source->count; i++)
		item_unref_locked(source->owner, source->items[i]);
	free(source->items);
	free(source);
}

static void suspect_others_locked(struct speech_source *source)
{
	bool failed = false;
	for (uint32_t i = 0; i < source->count; i++)
		failed |= source->items[i]->state == ITEM_FAILED;
	for (uint32_t i = 0; failed && i < source->count; i++)
		source->items[i]->suspect |= source->items[i]->state == ITEM_MAKING;
}

void speech_source_close(struct speech_source *source)
{
	if (!source)
		return;
	struct speech *s = source->owner;
	(void)pthread_mutex_lock(&s->lock);
	for (struct speech_source **at = &s->sources; *at; at = &(*at)->next)
		if (*at == source) {
			*at = source->next;
			break;
		}
	suspect_others_locked(source);
	source_unref_locked(source);
	(void)pthread_mutex_unlock(&s->lock);
}

int speech_source_wait(struct speech_source *source, uint32_t n, uint32_t timeout_ms, char **ret_key,
		       uint64_t *ret_bytes, struct err *e)
{
	assert(n < source->count);
	struct speech *s = source->owner;
	const struct item *i = source->items[n];
	const int64_t until = clock_mono_ms() + timeout_ms;
	(void)pthread_mutex_lock(&s->lock);
	if (n > source->wanted)
		source->wanted = n;
	bool in_time = true;
	while (i->state < ITEM_READY && !s->stopping && in_time)
		in_time = cond_wait_until(&s->news, &s->lock, until);
	int r = 0;
	if (i->state == ITEM_READY) {
		*ret_key = mr_strdup(i->key);
		*ret_bytes = i->bytes;
	} else if (i->state == ITEM_FAILED) {
		r = err_copy(e, &i->error);
	} else {
		r = s->stopping ? err_set(e, ERR_CANCELED, "told to stop")
				: err_set(e, ERR_TIMEOUT, "sentence %u is being made", n + 1);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- making ---- */

static bool keep_going(void *ctx)
{
	struct speech *s = ctx;
	(void)pthread_mutex_lock(&s->lock);
	bool go_on = !s->stopping;
	(void)pthread_mutex_unlock(&s->lock);
	return go_on;
}

static bool rest(void *ctx, uint32_t ms)
{
	struct speech *s = ctx;
	const int64_t until = clock_mono_ms() + ms;
	(void)pthread_mutex_lock(&s->lock);
	while (!s->stopping && cond_wait_until(&s->news, &s->lock, until))
		;
	bool go_on = !s->stopping;
	(void)pthread_mutex_unlock(&s->lock);
	return go_on;
}

static int write_note(struct speech_source *source, struct err *e)
{
	const char **keys = mr_calloc(source->count, sizeof(*keys));
	for (uint32_t i = 0; i < source->count; i++)
		keys[i] = source->items[i]->key;
	int r = repo_speech_use(source->owner->opts.repo, keys, source->count, e);
	free(keys);
	return r;
}

/* Writes the source's rows, unless they are; or waits for who does. */
static int note(struct speech_source *source, struct err *e)
{
	struct speech *s = source->owner;
	(void)pthread_mutex_lock(&s->lock);
	while (source->note == NOTE_WRITING)
		(void)pthread_cond_wait(&s->news, &s->lock);
	bool mine = source->note == NOTE_WANTED;
	if (mine)
		source->note = NOTE_WRITING;
	(void)pthread_mutex_unlock(&s->lock);
	if (!mine)
		return 0;
	int r = write_note(source, e);
	(void)pthread_mutex_lock(&s->lock);
	source->note = r == 0 ? NOTE_DONE : NOTE_WANTED;
	(void)pthread_cond_broadcast(&s->news);
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

static int speak(struct speech_thread *t, const struct item *i, uint32_t ahead, struct buf *sound, struct err *e)
{
	struct speech *s = t->speech;
	if (i->other_provider)
		return err_set_code(e, ERR_UNSUPPORTED, "SPEECH_PROVIDER_CHANGED",
				    "it isn't kept, and speech comes from %s now: make a new narration",
				    s->opts.config->provider);
	const struct speech_call call = { .config = s->opts.config,
					  .zygote = s->opts.zygote,
					  .client = t->client,
					  .voice = i->voice,
					  .text = i->text,
					  .nice = ahead < URGENT ? 0 : LATER_NICENESS,
					  .ctx = s,
					  .keep_going = keep_going,
					  .rest = rest };
	return t->client ? speech_endpoint_call(&call, sound, e) : speech_flite_call(&call, sound, e);
}

static int make(struct speech_thread *t, struct speech_source *source, const struct item *i, uint32_t ahead,
		uint64_t *ret_bytes, struct err *e)
{
	struct speech *s = t->speech;
	_cleanup_buf_ struct buf sound;
	buf_init(&sound, SPEECH_SOUND_MAX_BYTES);
	int r = ahead ? note(source, e) : 0;
	if (r == 0)
		r = speak(t, i, ahead, &sound, e);
	if (r == 0)
		r = note(source, e);
	if (r == 0)
		r = store_put(s->opts.store, i->key, sound.data, sound.len, NULL, NULL, e);
	if (r == 0)
		*ret_bytes = sound.len;
	return r;
}

static void settle(struct speech *s, struct item *i, int r, uint64_t bytes, const struct err *why)
{
	(void)pthread_mutex_lock(&s->lock);
	i->state = r == 0 ? ITEM_READY : ITEM_FAILED;
	i->suspect &= r < 0;
	i->bytes = bytes;
	if (r < 0)
		i->error = *why;
	(void)pthread_cond_broadcast(&s->news);
	(void)pthread_mutex_unlock(&s->lock);
}

static void work_on(struct speech_thread *t, struct speech_source *source, struct item *i, uint32_t ahead)
{
	struct speech *s = t->speech;
	struct err e = { 0 };
	struct store_info info = { 0 };
	int r = store_stat(s->opts.store, i->key, &info, &e);
	bool kept = r == 0;
	if (r == -ERR_NOT_FOUND)
		r = make(t, source, i, ahead, &info.size, &e);
	settle(s, i, r, info.size, &e);
	if (r < 0 && e.kind != ERR_CANCELED)
		log_warn("speech_failed", LOG_S("key", i->key), LOG_E(&e));
	if (kept && note(source, &e) < 0)
		log_warn("speech_use_not_noted", LOG_E(&e)); /* the next use will be */
}

/* The sentence that is least ahead of what is waited for. A source with one that failed gets no more: it can't be
 * finished. */
static struct speech_source *choose_locked(struct speech *s, uint32_t *ret_ahead)
{
	struct speech_source *best = NULL;
	for (struct speech_source *source = s->sources; source; source = source->next) {
		uint32_t *at = &source->first_open;
		while (*at < source->count &&
		       (source->items[*at]->state == ITEM_MAKING || source->items[*at]->state == ITEM_READY))
			++*at;
		if (*at == source->count || source->items[*at]->state == ITEM_FAILED)
			continue;
		uint32_t ahead = *at > source->wanted ? *at - source->wanted : 0;
		if (!best || ahead < *ret_ahead) {
			best = source;
			*ret_ahead = ahead;
		}
	}
	return best;
}

static void *speech_main(void *arg)
{
	struct speech_thread *t = arg;
	struct speech *s = t->speech;
	(void)pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		uint32_t ahead = 0;
		struct speech_source *source = choose_locked(s, &ahead);
		if (!source) {
			(void)pthread_cond_wait(&s->work, &s->lock);
			continue;
		}
		struct item *i = source->items[source->first_open++];
		i->state = ITEM_MAKING;
		i->refs++;
		source->refs++;
		(void)pthread_mutex_unlock(&s->lock);
		work_on(t, source, i, ahead);
		(void)pthread_mutex_lock(&s->lock);
		item_unref_locked(s, i);
		source_unref_locked(source);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- life ---- */

int speech_start(const struct speech_opts *opts, struct speech **ret, struct err *e)
{
	struct speech *s = mr_calloc(1, sizeof(*s));
	s->opts = *opts;
	(void)pthread_mutex_init(&s->lock, NULL);
	cond_init_monotonic(&s->work);
	cond_init_monotonic(&s->news);
	int r = 0;
	while (r == 0 && s->thread_count < opts->config->at_once && s->thread_count < AT_ONCE_MAX) {
		struct speech_thread *t = &s->threads[s->thread_count];
		t->speech = s;
		t->client = opts->config->kind == SPEECH_OPENAI ? net_client_new() : NULL;
		r = thread_start(&t->id, "speech", speech_main, t);
		if (r == 0)
			s->thread_count++;
		else
			net_client_free(t->client);
	}
	if (r) {
		speech_stop(s);
		return err_errno(e, r, "start a thread for speech");
	}
	*ret = s;
	return 0;
}

void speech_interrupt(struct speech *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->stopping = true;
	(void)pthread_cond_broadcast(&s->work);
	(void)pthread_cond_broadcast(&s->news);
	(void)pthread_mutex_unlock(&s->lock);
}

void speech_stop(struct speech *s)
{
	if (!s)
		return;
	speech_interrupt(s);
	for (uint32_t i = 0; i < s->thread_count; i++) {
		(void)pthread_join(s->threads[i].id, NULL);
		net_client_free(s->threads[i].client);
	}
	assert(!s->sources);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->work);
	(void)pthread_cond_destroy(&s->news);
	free(s);
}

const struct speech_config *speech_config_of(const struct speech *s)
{
	return s->opts.config;
}
