/* An error: what kind, a code for machines, a sentence for people, and whether trying again can help.
 *
 *   int thing_open(const char *path, struct thing **ret_thing, struct err *e)
 *   {
 *           if (fd < 0)
 *                   return err_errno(e, errno, "open %s", path);
 *           ...
 *   }
 *   if (thing_open(p, &t, e) < 0)
 *           return err_wrap(e, "load the voice");      // "load the voice: open /x: No such file"
 *
 * Functions that can fail return 0 or a negative enum err_kind, take `struct err *e` last, and are marked
 * MR_MUST_USE. `e` may be NULL where the caller wants the kind alone. Outputs are written on success only.
 * Threads: a struct err belongs to its caller; no global state. Never allocates, never fails.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#define MR_MUST_USE __attribute__((warn_unused_result))
#define MR_PRINTF(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))

/* What went wrong, coarse enough to choose an HTTP status or an exit code by. */
enum err_kind {
	ERR_OK = 0,
	ERR_INVALID,     /* the caller's input is malformed (400) */
	ERR_AUTH,        /* no identity, or a bad one (401) */
	ERR_DENIED,      /* identity known, not permitted (403) */
	ERR_NOT_FOUND,   /* 404 */
	ERR_CONFLICT,    /* right request, wrong state (409) */
	ERR_GONE,        /* it was there and has been removed (410) */
	ERR_TOO_LARGE,   /* a limit is exceeded (413) */
	ERR_UNSUPPORTED, /* a format that is not taken (415) */
	ERR_RANGE,       /* a byte range outside the object (416) */
	ERR_MEDIA,       /* media that cannot be used (422) */
	ERR_BUSY,        /* too much at once; later (429) */
	ERR_UNAVAILABLE, /* a dependency is away (503) */
	ERR_TIMEOUT,     /* no answer in time */
	ERR_NO_SPACE,    /* the disk is full (503) */
	ERR_IO,          /* reading or writing failed */
	ERR_PROTOCOL,    /* the peer broke the protocol */
	ERR_LOST,        /* somebody else owns it now: the lease's fencing token is stale */
	ERR_CANCELED,    /* told to stop */
	ERR_INTERNAL,    /* our own fault (500) */
	ERR_KINDS
};

struct err {
	enum err_kind kind;
	bool retriable;    /* the same call may succeed later */
	char code[40];     /* UPPER_SNAKE, for machines; empty: err_code() derives it from the kind */
	char message[512]; /* clauses from the outermost to the innermost; truncated, always terminated */
};

/* Set *e afresh and return -kind. `retriable` is the kind's default (see err_kind_retriable). */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) MR_PRINTF(3, 4);
/* The same with a machine code of its own, e.g. "UNSUPPORTED_FORMAT". */
int err_set_code(struct err *e, enum err_kind kind, const char *code, const char *fmt, ...) MR_PRINTF(4, 5);
/* From errno: ENOENT, ENOSPC, EACCES, ETIMEDOUT… become kinds; the message ends with strerror's text. */
int err_errno(struct err *e, int errnum, const char *fmt, ...) MR_PRINTF(3, 4);
/* Put one clause before the message and return -e->kind (-ERR_INTERNAL if e is NULL). */
int err_wrap(struct err *e, const char *fmt, ...) MR_PRINTF(2, 3);

void err_clear(struct err *e);
/* Copy a whole error into `dst` (may be NULL); returns -src->kind. */
int err_copy(struct err *dst, const struct err *src);
/* The machine code: e->code, or the kind's name ("NOT_FOUND"). Never NULL, static or owned by e. */
const char *err_code(const struct err *e);
const char *err_kind_name(enum err_kind kind);
bool err_kind_retriable(enum err_kind kind);
