/* Between task_client.c (the zygote's life) and task_run.c (one task's life). Private to these two. */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "proto/channel.h"
#include "worker/task_client.h"

struct spawned {
	pid_t zygote_pid;
	int channel, status; /* ours; the caller closes them */
};

/* zygote_stop waits until everybody who entered has left. */
void zygote_enter(struct zygote *z);
void zygote_leave(struct zygote *z);
/* Asks for a child, starting the zygote anew if it is dead. What becomes of it comes over the status socket. */
int zygote_spawn_task(struct zygote *z, const struct zygote_spawn *request, struct spawned *ret, struct err *e) MR_MUST_USE;
/* Kills the zygote if it is still this one: it doesn't do its work any more. */
void zygote_condemn(struct zygote *z, pid_t pid);
