/* The probe: what is in the file. Runs in a sandboxed child of millrace-task. */
#include "task/task.h"

int task_probe(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e)
{
	return media_probe(spec, io, &ret->probe, e);
}
