/* Where the task's executable lies: given, or beside this executable, or in the installed place. The caller frees. */
#pragma once

#include "base/err.h"

int locate_task(const char *given, char **ret, struct err *e) MR_MUST_USE;
