/* The head of a converted file. Runs in a sandboxed child of millrace-task. */
#include "task/task.h"

int task_join(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	return media_join(spec, io, &ret->join, e);
}
