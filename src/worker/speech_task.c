/* Tasks on something small in memory: speaking with the built-in voices, looking at what an endpoint sent. On the
 * speech module's threads. */
#include <string.h>

#include "base/mem.h"
#include "worker/speech_call.h"

static const struct task_limits speak_limits = { .memory_bytes = 1ull << 30, .wall_ms = 120000, .silence_ms = 60000 };

struct exchange {
	const struct speech_call *call;
	const char *input;
	size_t input_len;
	struct buf *sound; /* NULL: the task makes none */
};

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		   struct err *e)
{
	const struct exchange *x = ctx;
	(void)input;
	(void)e;
	size_t left = offset < x->input_len ? x->input_len - (size_t)offset : 0;
	*ret_len = left < len ? (uint32_t)left : len;
	if (*ret_len)
		memcpy(buf, x->input + offset, *ret_len);
	return 0;
}

static int on_object_begin(void *ctx, const struct task_object *head, struct err *e)
{
	const struct exchange *x = ctx;
	(void)head;
	return x->sound ? 0 : err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "an object that wasn't asked for");
}

static int on_object_data(void *ctx, const void *data, size_t len, struct err *e)
{
	struct exchange *x = ctx;
	buf_append(x->sound, data, len);
	return buf_finish(x->sound, e);
}

static int on_object_end(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

static bool on_keep_going(void *ctx)
{
	const struct speech_call *call = ((const struct exchange *)ctx)->call;
	return call->keep_going(call->ctx);
}

static int run(struct exchange *x, struct task_spec *spec, struct task_result *ret, struct err *e)
{
	struct task_limits limits = speak_limits;
	limits.nice = x->call->nice;
	spec->input_count = 1;
	spec->inputs[0].size_bytes = x->input_len;
	const struct task_handlers h = { .ctx = x,
					 .read = on_read,
					 .object_begin = on_object_begin,
					 .object_data = on_object_data,
					 .object_end = on_object_end,
					 .keep_going = on_keep_going };
	return task_run(x->call->zygote, spec, &h, &limits, ret, NULL, e);
}

static uint32_t voice_index(const char *name)
{
	uint32_t i = 0;
	while (i < SPEAK_VOICE_COUNT && strcmp(speak_voices[i], name) != 0)
		i++;
	return i; /* a specification without such a voice is refused where it is encoded */
}

int speech_flite_call(const struct speech_call *call, struct buf *sound, struct err *e)
{
	struct exchange x = { .call = call, .input = call->text, .input_len = strlen(call->text), .sound = sound };
	_cleanup_free_ struct task_spec *spec = mr_calloc(1, sizeof(*spec));
	_cleanup_free_ struct task_result *result = mr_calloc(1, sizeof(*result));
	spec->kind = TASK_SPEAK;
	spec->speak.voice = voice_index(call->voice);
	memcpy(spec->inputs[0].name, "text", sizeof("text"));
	return run(&x, spec, result, e);
}

int speech_sound_check(const struct speech_call *call, const struct buf *sound, struct err *e)
{
	struct exchange x = { .call = call, .input = sound->data, .input_len = sound->len };
	_cleanup_free_ struct task_spec *spec = mr_calloc(1, sizeof(*spec));
	_cleanup_free_ struct task_result *result = mr_calloc(1, sizeof(*result));
	spec->kind = TASK_PROBE;
	memcpy(spec->inputs[0].name, "source", sizeof("source"));
	int r = run(&x, spec, result, e);
	if (r == 0 && (result->probe.best_audio < 0 || result->probe.duration_ns <= 0))
		r = err_set_code(e, ERR_MEDIA, "NO_MEDIA_STREAMS", "there is no sound in it");
	probe_result_release(&result->probe);
	return r;
}
