/* Log lines: formatted into a local buffer, written with one write(2), so that lines of several threads never mix. */
#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/id.h"
#include "base/mem.h"

#define LINE_MAX_BYTES 4096

static atomic_int min_level = LOG_INFO;
static atomic_bool as_json;

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_setup(enum log_level level, bool json)
{
	atomic_store(&min_level, (int)level);
	atomic_store(&as_json, json);
}

bool log_is_on(enum log_level level)
{
	return (int)level >= atomic_load(&min_level);
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(level_names); i++)
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	return false;
}

static bool needs_quotes(const char *s)
{
	if (!*s)
		return true;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || (unsigned char)*s >= 0x7F)
			return true;
	return false;
}

static void put_string(struct buf *b, const char *s, bool json)
{
	if (json || needs_quotes(s))
		(void)json_quote(b, s, strlen(s));
	else
		(void)buf_puts(b, s);
}

static void put_field(struct buf *b, const struct log_field *f, bool json)
{
	(void)buf_printf(b, json ? ",\"%s\":" : " %s=", f->key);
	switch (f->type) {
	case LOG_STRING:
		put_string(b, f->s ? f->s : "", json);
		break;
	case LOG_INT:
		(void)buf_printf(b, "%" PRId64, f->i);
		break;
	case LOG_FLOAT:
		/* JSON has no word for infinity or NaN (RFC 8259, 6). */
		(void)(json && !isfinite(f->f) ? buf_puts(b, "null") : buf_printf(b, "%.3f", f->f));
		break;
	case LOG_END:
		break;
	}
}

/* ---- lines that are kept ---- */

static atomic_bool keeping;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
/* protected by kept_lock */
static struct {
	char job[UUID_SIZE];
	char *line;
} kept[LOG_KEPT]; /* a ring */
static size_t kept_next;

void log_keep(void)
{
	atomic_store(&keeping, true);
}

static void keep(const char *job, const char *line)
{
	(void)pthread_mutex_lock(&kept_lock);
	free(kept[kept_next].line);
	kept[kept_next].line = mr_strdup(line);
	(void)snprintf(kept[kept_next].job, sizeof(kept[kept_next].job), "%s", job);
	kept_next = (kept_next + 1) % LOG_KEPT;
	(void)pthread_mutex_unlock(&kept_lock);
}

void log_recent(const char *job_id, log_line_fn fn, void *ctx)
{
	(void)pthread_mutex_lock(&kept_lock);
	for (size_t i = 0; i < LOG_KEPT; i++) {
		const size_t at = (kept_next + i) % LOG_KEPT;
		if (kept[at].line && strcmp(kept[at].job, job_id) == 0)
			fn(ctx, kept[at].line);
	}
	(void)pthread_mutex_unlock(&kept_lock);
}

/* ---- ---- */

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
	if (!log_is_on(level))
		return;
	bool json = atomic_load(&as_json);
	char ts[ISO8601_SIZE];
	iso8601_format(clock_wall_ms(), ts);

	_cleanup_buf_ struct buf b;
	buf_init(&b, LINE_MAX_BYTES);
	(void)buf_printf(&b, json ? "{\"ts\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "ts=%s level=%s event=%s", ts,
			 level_names[level], event);
	const char *job = NULL;
	for (; fields->type != LOG_END; fields++) {
		if (fields->type == LOG_STRING && strcmp(fields->key, "job") == 0)
			job = fields->s;
		size_t before = b.len;
		put_field(&b, fields, json);
		if (b.failed) { /* this field does not fit: leave it out rather than cut it in two */
			b.failed = false;
			b.len = before;
		}
	}
	b.max += 2;
	if (json)
		(void)buf_puts(&b, "}");
	if (job && b.data && atomic_load(&keeping) && strcmp(event, "http_request") != 0)
		keep(job, b.data);
	(void)buf_puts(&b, "\n");
	if (b.data && write(STDERR_FILENO, b.data, b.len) < 0)
		return; /* nowhere to say it */
}
