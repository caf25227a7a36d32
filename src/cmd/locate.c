/* Finding millrace-task. */
#include "cmd/locate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#ifndef MILLRACE_LIBEXECDIR
#define MILLRACE_LIBEXECDIR "/usr/libexec"
#endif

int locate_task(const char *given, char **ret, struct err *e)
{
	if (given && *given) {
		if (access(given, X_OK) < 0)
			return err_set(e, ERR_NOT_FOUND, "--task: %s cannot be executed", given);
		*ret = mr_strdup(given);
		return 0;
	}
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		char *slash = strrchr(self, '/');
		_cleanup_free_ char *beside = mr_asprintf("%.*s/millrace-task", (int)(slash - self), self);
		if (access(beside, X_OK) == 0) {
			*ret = mr_steal(beside);
			return 0;
		}
	}
	if (access(MILLRACE_LIBEXECDIR "/millrace-task", X_OK) == 0) {
		*ret = mr_strdup(MILLRACE_LIBEXECDIR "/millrace-task");
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND,
		       "millrace-task is neither beside this program nor in " MILLRACE_LIBEXECDIR " (see --task)");
}
