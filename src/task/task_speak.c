/* A sentence spoken by the built-in voice. Runs in a sandboxed child of millrace-task. */
#include "speech/flite.h"
#include "task/task.h"

/* The whole text: the parent answers fewer bytes than asked only at its end. */
static int read_text(const struct task_spec *spec, const struct media_io *io, struct buf *text, struct err *e)
{
	uint32_t size = (uint32_t)spec->inputs[0].size_bytes, got = 0;
	void *room = buf_reserve(text, size);
	if (!room)
		return err_set(e, ERR_TOO_LARGE, "a sentence of %u bytes", size);
	int r = io->read(io->ctx, 0, 0, room, size, &got, e);
	if (r == 0)
		buf_commit(text, got);
	return r;
}

int task_speak(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	_cleanup_buf_ struct buf text, wav;
	buf_init(&text, SPEAK_TEXT_MAX_BYTES);
	buf_init(&wav, SPEAK_SOUND_MAX_BYTES);
	int r = read_text(spec, io, &text, e);
	if (r == 0)
		r = flite_speak(spec->speak.voice, text.data ? text.data : "", text.len, &wav, &ret->speak, e);
	if (r < 0)
		return err_wrap(e, "speak");
	const struct task_object o = { .kind = TASK_OBJECT_SPEECH, .size_bytes = wav.len };
	return io->object(io->ctx, &o, wav.data, e);
}
