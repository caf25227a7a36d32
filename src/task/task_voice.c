/* A narration's voice alone. Runs in a sandboxed child of millrace-task. */
#include "task/task.h"

int task_voice(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	return media_voice(spec, io, &ret->voice, e);
}
