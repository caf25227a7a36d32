/* One chunk of a conversion. Runs in a sandboxed child of millrace-task. */
#include "task/task.h"

int task_convert(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	return media_convert(spec, io, &ret->convert, e);
}
