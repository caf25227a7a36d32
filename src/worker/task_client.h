/* The trusted side of a task: starts the zygote, forks a task per call, answers its reads, passes on what it sends, and kills
 * it when it breaks the protocol, is too slow, too silent or told to stop. Runs in the server and worker process.
 *
 *   struct zygote *z;
 *   zygote_start("/usr/libexec/millrace-task", &z, e);
 *   task_run(z, &spec, &handlers, &limits, &result, e);    // blocks; from any worker thread
 *
 * If the zygote dies (or is killed), task_run fails with ERR_UNAVAILABLE, code TASK_LOST, retriable, and the next call starts
 * a new one. A task that ended without a result: ERR_UNAVAILABLE/TASK_LOST if it was SIGKILLed by somebody else, else
 * ERR_MEDIA with code TASK_CRASHED ("killed by signal 11 (SIGSEGV)"), SANDBOX_VIOLATION (SIGSYS), TASK_MEMORY (aborted for lack of
 * memory), TASK_TIMEOUT (wall time), TASK_STALLED (silence), TASK_PROTOCOL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proto/task.h"

struct zygote;
/* Executes `path` with an empty environment and only stderr and the control socket open. Waits until it said it is ready. */
int zygote_start(const char *path, struct zygote **ret, struct err *e) MR_MUST_USE;
/* The same without waiting: the first call that needs it does. For who has something else to do meanwhile. */
int zygote_launch(const char *path, struct zygote **ret, struct err *e) MR_MUST_USE;
/* Kills running tasks, stops the zygote, frees. */
void zygote_stop(struct zygote *z);
pid_t zygote_pid(struct zygote *z);
/* Whether tasks can be started: starts a new one where it has died. Blocks while one starts. */
int zygote_check(struct zygote *z, struct err *e) MR_MUST_USE;
/* What confines tasks here, as the zygote said when it was ready: "seccomp landlock-abi-7". */
void zygote_sandbox(struct zygote *z, char *out, size_t size);

struct task_handlers {
	void *ctx;
	/* Bytes of a listed input; same contract as media_io.read. An error is handed to the child, which normally ends with it. */
	int (*read)(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e);
	/* An object begins; its bytes come in pieces; end is called once all are there. A failure of any kills the task and is
	 * task_run's result. Where the task dies in mid-object, object_abort is called. */
	int (*object_begin)(void *ctx, const struct task_object *head, struct err *e);
	int (*object_data)(void *ctx, const void *data, size_t len, struct err *e);
	int (*object_end)(void *ctx, struct err *e);
	void (*object_abort)(void *ctx);
	int (*progress)(void *ctx, const struct task_progress *p, struct err *e);
	/* Called at least every 500 ms while the task runs; false kills the task, task_run fails with ERR_CANCELED (stop told) */
	bool (*keep_going)(void *ctx);
};

struct task_limits {
	uint64_t memory_bytes;
	uint32_t wall_ms;    /* whole task; 0: none */
	uint32_t silence_ms; /* between two messages of the child while it owes us one; 0: none */
	int32_t nice;	     /* 0 to 19: how much it stands back behind others */
	bool batch;	     /* nobody waits for its next few milliseconds: threads run longer at a time (os/thread.h) */
};

struct task_usage {
	int64_t max_rss_kb;
	int64_t cpu_ms;
	int64_t wall_ms;
};

/* Blocks until the task ended and was reaped. ret_usage may be NULL (filled also on failure, when known). */
int task_run(struct zygote *z, const struct task_spec *spec, const struct task_handlers *h, const struct task_limits *limits,
	     struct task_result *ret, struct task_usage *ret_usage, struct err *e) MR_MUST_USE;
