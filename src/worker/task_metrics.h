/* Counts a task that has ended: how long it took (base/timed.h), and if it was stopped, why. Any thread. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "proto/task.h"

void task_count(enum task_kind kind, int64_t took_ms, int result, const struct err *why);
/* The zygote was started (again). */
void task_count_zygote(void);
