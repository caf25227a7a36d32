/* The by-products of a file. Runs in a sandboxed child of millrace-task. */
#include "task/task.h"

int task_analyze(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	return media_analyze(spec, io, &ret->analyze, e);
}
