/* One chunk of a ladder. Runs in a sandboxed child of millrace-task. */
#include "task/task.h"

int task_ladder(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	return media_ladder(spec, io, &ret->ladder, e);
}
