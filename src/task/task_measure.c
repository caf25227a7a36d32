/* How loud what would be converted is. Runs in a sandboxed child of millrace-task. */
#include "task/task.h"

int task_measure(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	return media_measure(spec, io, &ret->measure, e);
}
