/* A task that tries out what tasks stand on, for the doctor. Part of proto/task.h.
 *
 * Input 0 says by its name what: CHECK_SANDBOX (is what is forbidden refused?) or CHECK_CODECS (does each codec that a job
 * may need work?). Its bytes are CHECK_BYTES, which the task reads first. For each thing it sends one object,
 * TASK_OBJECT_FINDING, as soon as it is known, so that a task that dies of something has said what was fine: a name, and
 * behind a line's end what is wrong with it, or nothing. It has no result. */
#pragma once

#define CHECK_SANDBOX "sandbox"
#define CHECK_CODECS "codecs"
#define CHECK_BYTES "millrace"
#define CHECK_FINDING_MAX_BYTES 256
