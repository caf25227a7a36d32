/* Speech for narrations: each sentence's sound is made ahead of whoever mixes, in order, and kept in the store, so that
 * it is asked for once. In the server and worker process; one struct speech a process, one struct speech_source for a
 * job that runs.
 *
 *   speech_source_open(s, &(struct speech_order){ user, provider, voice, &script }, &source, e);
 *   while ((r = speech_source_wait(source, 0, 200, &key, &bytes, e)) == -ERR_TIMEOUT && still_wanted())
 *           ;                              // then the sound of sentence 0 is the store's object `key`
 *   speech_source_close(source);
 *
 * Guarantees: a sound is an object under key_speech, named by the digest of provider, voice and text, the same for all
 * of a user's jobs; it is stored whole and was looked at by a task (what an endpoint sends is not believed). A sentence
 * that occurs twice, in one script or in two jobs of this process at a time, is asked for once. Nothing but the
 * sentences being made is in memory. Does not guarantee: that two processes don't ask for the same at the same moment;
 * then the later sound replaces the earlier, which may differ where the provider isn't deterministic.
 *
 * Which sentence is next: the one that is least ahead of what its job waits for, so that a new job's first sentence
 * comes before a running job's later ones. What lies behind the sentence that a job waits for is nice.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "job/repo.h"
#include "net/digest.h"
#include "speech/script.h"
#include "store/store.h"
#include "worker/speech_config.h"
#include "worker/task_client.h"

#define SPEECH_KEPT_MS (30ll * 24 * 3600 * 1000) /* since a sentence was last wanted */

struct speech;
struct speech_opts {
	const struct speech_config *config; /* must outlive it, as must the others */
	struct repo *repo;
	struct store *store; /* sounds are kept there */
	struct zygote *zygote;
};
/* Starts as many threads as sentences are made at once. */
int speech_start(const struct speech_opts *opts, struct speech **ret, struct err *e) MR_MUST_USE;
/* Ends what is under way, and every wait, with ERR_CANCELED. Doesn't wait; any thread. */
void speech_interrupt(struct speech *s);
/* The same, joins the threads, frees. Every source is closed before. NULL is fine. */
void speech_stop(struct speech *s);
const struct speech_config *speech_config_of(const struct speech *s);

/* A job's sentences. `provider` is the config's when the job was made. */
struct speech_order {
	const char *user_id, *provider, *voice;
	const struct script *script; /* its text items, in order, are sentences 0, 1, … */
};
struct speech_source;
/* Begins at once; copies what it needs; doesn't block. */
int speech_source_open(struct speech *s, const struct speech_order *order, struct speech_source **ret,
		       struct err *e) MR_MUST_USE;
/* The object with sentence n's sound (*ret_key is freed by the caller) and its size. -ERR_TIMEOUT: not there within
 * timeout_ms (0: only looks). All else is final for this source: SPEECH_REFUSED (the provider will never take it; not
 * retriable), SPEECH_FAILED (it failed again and again; retriable), SPEECH_PROVIDER_CHANGED (it isn't kept, and the
 * job's provider isn't the operator's any more; not retriable), ERR_CANCELED, or what store, database or tasks say. Any
 * thread, but one at a time. */
int speech_source_wait(struct speech_source *s, uint32_t n, uint32_t timeout_ms, char **ret_key, uint64_t *ret_bytes,
		       struct err *e) MR_MUST_USE;
/* What isn't begun is dropped; what is being made is kept for the next. NULL is fine. */
void speech_source_close(struct speech_source *s);

/* Has one sentence spoken by the default voice, at once and with one try, and looks at the sound; nothing is kept. *ret_bytes: of
 * the sound. Blocks, for seconds at most. */
int speech_try(const struct speech_config *config, struct zygote *zygote, const char *text, size_t *ret_bytes,
	       struct err *e) MR_MUST_USE;

/* Names one sentence's sound, and a whole script's voice. Pure. */
void speech_sentence_digest(const char *provider, const char *voice, const char *text, char ret[SHA256_HEX_SIZE]);
void speech_script_digest(const char *provider, const char *voice, const struct script *script,
			  char ret[SHA256_HEX_SIZE]);
