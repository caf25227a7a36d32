/* A narration's mix. Runs in a sandboxed child of millrace-task. */
#include "task/task.h"

int task_narrate(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	return media_narrate(spec, io, &ret->narrate, e);
}
