/* Errors with context. Pure: no allocation, no globals; any thread, any process. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	bool retriable;
} kinds[ERR_KINDS] = {
	[ERR_OK] = { "OK", false },
	[ERR_INVALID] = { "INVALID_REQUEST", false },
	[ERR_AUTH] = { "UNAUTHORIZED", false },
	[ERR_DENIED] = { "FORBIDDEN", false },
	[ERR_NOT_FOUND] = { "NOT_FOUND", false },
	[ERR_CONFLICT] = { "CONFLICT", false },
	[ERR_GONE] = { "GONE", false },
	[ERR_TOO_LARGE] = { "TOO_LARGE", false },
	[ERR_UNSUPPORTED] = { "UNSUPPORTED_FORMAT", false },
	[ERR_RANGE] = { "RANGE_NOT_SATISFIABLE", false },
	[ERR_MEDIA] = { "UNUSABLE_MEDIA", false },
	[ERR_BUSY] = { "TOO_MANY_REQUESTS", true },
	[ERR_UNAVAILABLE] = { "UNAVAILABLE", true },
	[ERR_TIMEOUT] = { "TIMEOUT", true },
	[ERR_NO_SPACE] = { "NO_SPACE", true },
	[ERR_IO] = { "IO_ERROR", true },
	[ERR_PROTOCOL] = { "PROTOCOL_ERROR", false },
	[ERR_LOST] = { "LEASE_LOST", false },
	[ERR_CANCELED] = { "CANCELED", false },
	[ERR_INTERNAL] = { "INTERNAL_ERROR", false },
};

static enum err_kind valid_kind(enum err_kind kind)
{
	return kind > ERR_OK && kind < ERR_KINDS ? kind : ERR_INTERNAL;
}

const char *err_kind_name(enum err_kind kind)
{
	return kind >= ERR_OK && kind < ERR_KINDS ? kinds[kind].name : "UNKNOWN";
}

bool err_kind_retriable(enum err_kind kind)
{
	return kind >= ERR_OK && kind < ERR_KINDS && kinds[kind].retriable;
}

MR_PRINTF(4, 0)
static int set_v(struct err *e, enum err_kind kind, const char *code, const char *fmt, va_list ap)
{
	kind = valid_kind(kind);
	if (!e)
		return -(int)kind;
	e->kind = kind;
	e->retriable = err_kind_retriable(kind);
	(void)snprintf(e->code, sizeof(e->code), "%s", code ? code : "");
	(void)vsnprintf(e->message, sizeof(e->message), fmt, ap);
	return -(int)kind;
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = set_v(e, kind, NULL, fmt, ap);
	va_end(ap);
	return r;
}

int err_set_code(struct err *e, enum err_kind kind, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = set_v(e, kind, code, fmt, ap);
	va_end(ap);
	return r;
}

static enum err_kind kind_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case EEXIST:
		return ERR_CONFLICT;
	case ENOSPC:
	case EDQUOT:
		return ERR_NO_SPACE;
	case EFBIG:
	case ENAMETOOLONG:
		return ERR_TOO_LARGE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
	case ECONNREFUSED:
		return ERR_UNAVAILABLE;
	case EINVAL:
		return ERR_INTERNAL;
	default:
		return ERR_IO;
	}
}

int err_errno(struct err *e, int errnum, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = set_v(e, kind_of_errno(errnum), NULL, fmt, ap);
	va_end(ap);
	if (e) {
		size_t used = strlen(e->message);
		char text[128];
		/* The GNU variant returns a pointer that need not be `text`. */
		const char *why = strerror_r(errnum, text, sizeof(text));
		(void)snprintf(e->message + used, sizeof(e->message) - used, ": %s", why);
	}
	return r;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	if (!e)
		return -ERR_INTERNAL;
	char inner[sizeof(e->message)];
	memcpy(inner, e->message, sizeof(inner));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	size_t used = n < 0 ? 0 : (size_t)n;
	if (used < sizeof(e->message))
		(void)snprintf(e->message + used, sizeof(e->message) - used, ": %s", inner);
	e->kind = valid_kind(e->kind);
	return -(int)e->kind;
}

void err_clear(struct err *e)
{
	if (e)
		memset(e, 0, sizeof(*e));
}

int err_copy(struct err *dst, const struct err *src)
{
	if (dst)
		*dst = *src;
	return -(int)valid_kind(src->kind);
}

const char *err_code(const struct err *e)
{
	return e->code[0] ? e->code : err_kind_name(e->kind);
}
