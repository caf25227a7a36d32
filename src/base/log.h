/* Structured log lines on stderr: one line an event, logfmt ("ts=… level=info event=job_done job=… ms=12").
 *
 *   log_info("segment_stored", LOG_S("job", id), LOG_I("index", n), LOG_I("ms", took));
 *
 * Only the edges log (cmd, worker, api, http's access line, live, task main); libraries return errors. Values are
 * quoted as needed, so that one event is always one line. One write(2) a line; any thread. A line is at most 4 KiB, cut
 * there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_type { LOG_END, LOG_STRING, LOG_INT, LOG_FLOAT };
struct log_field {
	enum log_type type;
	const char *key;
	const char *s; /* NULL is printed as an empty value */
	int64_t i;
	double f;
};
#define LOG_S(k, v) ((struct log_field){ .type = LOG_STRING, .key = (k), .s = (v) })
#define LOG_I(k, v) ((struct log_field){ .type = LOG_INT, .key = (k), .i = (int64_t)(v) })
#define LOG_F(k, v) ((struct log_field){ .type = LOG_FLOAT, .key = (k), .f = (v) })
#define LOG_E(e) LOG_S("code", err_code(e)), LOG_S("error", (e)->message)

/* Lines below `level` are dropped; default LOG_INFO. `json` chooses one JSON object a line instead of logfmt. */
void log_setup(enum log_level level, bool json);
/* "debug" | "info" | "warn" | "error". */
bool log_level_parse(const char *name, enum log_level *ret_level);

/* From now on the last LOG_KEPT lines with a field "job" stay in memory, but for those of requests. For the process's start. */
#define LOG_KEPT 1024
void log_keep(void);
/* Of these the ones of a job, oldest first, as they were written. fn must not log. */
typedef void (*log_line_fn)(void *ctx, const char *line);
void log_recent(const char *job_id, log_line_fn fn, void *ctx);

/* False if a line of that level is dropped: for who would put much together for nothing. */
bool log_is_on(enum log_level level);
void log_event(enum log_level level, const char *event, const struct log_field *fields);
#define log_at(level, event, ...)                                                                                      \
	log_event(level, event, (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ) { .type = LOG_END } })
#define log_debug(event, ...) log_at(LOG_DEBUG, event __VA_OPT__(, ) __VA_ARGS__)
#define log_info(event, ...) log_at(LOG_INFO, event __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(event, ...) log_at(LOG_WARN, event __VA_OPT__(, ) __VA_ARGS__)
#define log_error(event, ...) log_at(LOG_ERROR, event __VA_OPT__(, ) __VA_ARGS__)
