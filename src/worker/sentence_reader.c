/* Sentences for a narration's tasks: see sentence_reader.h. Runs on a worker thread of the server and worker process. */
#include "worker/sentence_reader.h"

#include "base/mem.h"

#define WAIT_MS 200 /* for a sentence, between two looks whether to go on */

int sentence_reader_open(struct sentence_reader *s, struct chunk_run *c, const struct narrate_constants *constants, struct err *e)
{
	const struct speech_order order = { .user_id = c->claim->job.user_id,
					    .provider = constants->provider,
					    .voice = constants->voice,
					    .script = &constants->script };
	s->c = c;
	s->count = constants->script.sentence_count;
	if (!c->runner->speech)
		return err_set_code(e, ERR_UNAVAILABLE, "NO_SPEECH", "this server speaks nothing");
	return speech_source_open(c->runner->speech, &order, &s->speech, e);
}

static void close_sentence(struct sentence_reader *s)
{
	if (s->reader)
		store_reader_close(mr_steal(s->reader));
}

void sentence_reader_close(struct sentence_reader *s)
{
	close_sentence(s);
	speech_source_close(s->speech);
	*s = (struct sentence_reader){ 0 };
}

/* One that isn't there at once may take seconds, and no work of ours: meanwhile somebody else works in our place. */
static int wait_long(struct sentence_reader *s, uint32_t n, char **ret_key, uint64_t *ret_bytes, struct err *e)
{
	struct stand_ins *others = s->c->runner->stand_ins;
	int r = -ERR_TIMEOUT;
	stand_ins_wait_begin(others);
	while (r == -ERR_TIMEOUT) {
		r = chunk_run_keep_alive(s->c, e);
		if (r == 0)
			r = speech_source_wait(s->speech, n, WAIT_MS, ret_key, ret_bytes, e);
	}
	stand_ins_wait_end(others);
	return r;
}

static int open_sentence(struct sentence_reader *s, uint32_t n, struct err *e)
{
	_cleanup_free_ char *key = NULL;
	uint64_t bytes;
	struct store_info info;
	if (s->reader && s->open == n)
		return 0;
	close_sentence(s);
	int r = speech_source_wait(s->speech, n, WAIT_MS, &key, &bytes, e);
	if (r == -ERR_TIMEOUT)
		r = wait_long(s, n, &key, &bytes, e);
	if (r == 0)
		r = store_reader_open(s->c->runner->output, key, &s->reader, &info, e);
	s->open = n;
	return r < 0 ? err_wrap(e, "sentence %u", n + 1) : 0;
}

int sentence_reader_read(struct sentence_reader *s, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
			 struct err *e)
{
	const uint64_t n = offset >> 32;
	size_t got;
	if (input != NARRATE_INPUT_SPEECH || n >= s->count)
		return err_set(e, ERR_PROTOCOL, "there is no sentence %llu", (unsigned long long)n + 1);
	int r = open_sentence(s, (uint32_t)n, e);
	if (r == 0)
		r = store_reader_read(s->reader, (uint32_t)offset, buf, len, &got, e);
	if (r < 0) {
		if (!s->c->verdict.kind && e)
			s->c->verdict = *e;
		return r;
	}
	*ret_len = (uint32_t)got;
	return 0;
}
