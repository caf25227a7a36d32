/* The voice's task: see narration_voice.h. Its parts go into one object as they come. Runs on a worker thread of the server and
 * worker process. */
#include "worker/narration_voice.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "worker/sentence_reader.h"

struct voice_run {
	struct sentence_reader sentences;
	struct store_put *put;
};

static int on_begin(void *state, const struct task_object *head, char **ret_key, struct err *e)
{
	(void)state;
	(void)head;
	(void)ret_key;
	(void)e;
	return 0;
}

static int on_data(void *state, const void *data, size_t len, struct err *e)
{
	return store_put_write(((struct voice_run *)state)->put, data, len, e);
}

static int on_read(void *state, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	return sentence_reader_read(&((struct voice_run *)state)->sentences, input, offset, buf, len, ret_len, e);
}

static int make(struct chunk_run *c, const struct narrate_constants *constants, struct voice_run *run, struct err *e)
{
	static const struct chunk_objects objects = { .begin = on_begin, .data = on_data, .read = on_read };
	_cleanup_free_ char *key = key_in_job(c->claim->job.prefix, KEY_VOICE);
	int r = sentence_reader_open(&run->sentences, c, constants, e);
	if (r == 0)
		r = store_put_begin(c->runner->output, key, store_content_type(key), &run->put, e);
	if (r < 0)
		return r;
	struct task_spec spec = { .kind = TASK_VOICE, .input_count = NARRATE_INPUTS };
	struct task_result *result = mr_calloc(1, sizeof(*result));
	memcpy(spec.inputs[NARRATE_INPUT_SPEECH].name, "speech", sizeof("speech"));
	spec.narrate = narrate_chunk_spec(constants, 0);
	c->limits.nice = 0; /* the job's end waits for it */
	c->no_source = true; /* that is the music */
	r = chunk_run_task(c, &spec, &objects, run, result, e);
	task_spec_release(&spec);
	free(result);
	return r < 0 ? r : store_put_finish(mr_steal(run->put), NULL, NULL, e);
}

/* The stream is whole: the job doesn't fail for what nobody waits for. What passes is waited for all the same. */
static bool does_without(const struct err *why)
{
	switch (why->kind) {
	case ERR_UNAVAILABLE:
	case ERR_NO_SPACE:
	case ERR_TIMEOUT:
	case ERR_IO:
	case ERR_LOST:
	case ERR_CANCELED:
		return false;
	default:
		return true;
	}
}

int narration_voice(struct chunk_run *c, struct err *e)
{
	struct narrate_constants constants = { 0 };
	struct voice_run run = { 0 };
	struct err why = { 0 };
	int r = narrate_constants_parse(c->claim->job.spec_json, &constants, &why);
	if (r == 0)
		r = make(c, &constants, &run, &why);
	if (run.put)
		store_put_abort(run.put);
	sentence_reader_close(&run.sentences);
	narrate_constants_release(&constants);
	if (r == 0)
		return 0;
	const struct err *cause = c->verdict.kind ? &c->verdict : &why;
	if (!does_without(cause))
		return err_copy(e, &why);
	log_warn("voice_failed", LOG_S("job", c->claim->job.id), LOG_E(cause));
	c->verdict = (struct err){ 0 };
	return 0;
}
