/* A task that is held for long: its process from the zygote, and the channel for whoever speaks with it. Runs in the server.
 *
 *   struct task_hold t;
 *   task_hold_start(zygote, &spec, &limits, &t, e);       // blocks for about a millisecond; at worst 30 s
 *   ... poll t.channel and t.status, send and receive (proto/channel.h), never blocking ...
 *   task_hold_end(&t, &exit);                             // kills what is left of it, and reaps
 *
 * t.status becomes readable when the process has ended. task_run (worker/task_client.h) is for tasks with one result;
 * this is for those that serve until their channel closes. `limits`: memory and niceness alone. The zygote must outlive
 * it: zygote_stop waits for task_hold_end.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "worker/task_client.h"

struct task_hold {
	struct zygote *zygote;
	pid_t pid, zygote_pid;
	int channel, status, pidfd;
};

enum task_end {
	TASK_END_KILLED,  /* by somebody else, or with its zygote: nobody's fault */
	TASK_END_OURS,	  /* by task_hold_end, or by itself after its channel closed */
	TASK_END_CRASHED, /* of what it was doing */
};

/* The specification has been sent. ERR_UNAVAILABLE/TASK_LOST if there is no process to be had now. */
int task_hold_start(struct zygote *z, const struct task_spec *spec, const struct task_limits *limits, struct task_hold *ret,
		    struct err *e) MR_MUST_USE;
/* Returns how it ended; `ret_why` gets a sentence ("killed by signal 11"). Fine with one that has ended before. */
enum task_end task_hold_end(struct task_hold *t, char *ret_why, size_t size);
