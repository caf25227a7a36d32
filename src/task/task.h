/* The parts of millrace-task. It runs as a zygote (one process, started by exec, warm) and as its forked children (one task
 * each, in the sandbox).
 *
 *   zygote_run(ZYGOTE_CONTROL_FD, sandbox);      // forks per packet; returns when the parent closes
 *   task_child_run(channel);                     // in the child, after sandbox_enter: one spec, one answer
 *   task_probe(spec, io, &result, e);            // one function a kind of task, one file each
 */
#pragma once

#include "base/err.h"
#include "media/media_io.h"
#include "os/sandbox.h"
#include "proto/task.h"

/* Blocks until the control socket closes, then kills what runs and returns the exit code. Single-threaded: forking is safe.
 * `when_idle` (or NULL) is called once, as soon as nothing has been asked for a third of a second: what children would rather
 * inherit, but whose first ones shall not wait for it. */
int zygote_run(int control, const struct sandbox *sandbox, void (*when_idle)(void));

/* Reads the specification, does it, answers with a result or a failure; returns the exit code. */
int task_child_run(int channel);
/* Answers a failure without having read anything. */
void task_child_refuse(int channel, const struct err *failure);

int task_probe(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_analyze(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_convert(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_measure(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_join(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_narrate(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_voice(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_speak(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_ladder(const struct task_spec *spec, const struct media_io *io, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_check(const struct task_spec *spec, const struct media_io *io, struct err *e) MR_MUST_USE;
/* Serves live sessions until the channel closes (proto/live.h); returns the exit code. */
int task_live(int channel);
/* Encodes for listeners until the channel closes (proto/listen.h); returns the exit code. */
int task_listen(int channel);
