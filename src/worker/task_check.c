/* The trusted side of the doctor's task: see task_check.h. */
#include "worker/task_check.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"

static const struct task_limits check_limits = { .memory_bytes = 2ull << 30, .wall_ms = 30000, .silence_ms = 20000 };

struct listening {
	struct task_check_found found;
	char text[CHECK_FINDING_MAX_BYTES + 1]; /* the finding that arrives */
	size_t len;
	char last[CHECK_FINDING_MAX_BYTES + 1]; /* name of the one before */
};

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		   struct err *e)
{
	static const char bytes[] = CHECK_BYTES;
	(void)ctx;
	(void)input;
	(void)e;
	size_t left = offset < sizeof(bytes) - 1 ? sizeof(bytes) - 1 - (size_t)offset : 0;
	*ret_len = left < len ? (uint32_t)left : len;
	if (*ret_len)
		memcpy(buf, bytes + offset, *ret_len);
	return 0;
}

static int on_object_begin(void *ctx, const struct task_object *head, struct err *e)
{
	struct listening *l = ctx;
	if (head->kind != TASK_OBJECT_FINDING)
		return err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "an object that wasn't asked for");
	l->len = 0;
	return 0;
}

static int on_object_data(void *ctx, const void *data, size_t len, struct err *e)
{
	struct listening *l = ctx;
	if (len > CHECK_FINDING_MAX_BYTES - l->len)
		return err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "a finding that is too long");
	memcpy(l->text + l->len, data, len);
	l->len += len;
	return 0;
}

/* A task isn't believed: what it says is shown only if it is plain text. */
static int on_object_end(void *ctx, struct err *e)
{
	struct listening *l = ctx;
	l->text[l->len] = '\0';
	char *problem = memchr(l->text, '\n', l->len);
	if (!problem || strlen(l->text) != l->len || !utf8_valid(l->text, l->len) || strchr(problem + 1, '\n'))
		return err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "a finding that can't be read");
	*problem++ = '\0';
	(void)snprintf(l->last, sizeof(l->last), "%s", l->text);
	l->found.tried++;
	if (!*problem)
		return 0;
	size_t used = strlen(l->found.problems);
	l->found.wrong++;
	(void)snprintf(l->found.problems + used, sizeof(l->found.problems) - used, "%s%s: %s", used ? "; " : "",
		       l->text, problem);
	return 0;
}

static bool on_keep_going(void *ctx)
{
	(void)ctx;
	return true;
}

int task_check(struct zygote *z, const char *what, struct task_check_found *ret, struct err *e)
{
	struct listening l = { 0 };
	_cleanup_free_ struct task_spec *spec = mr_calloc(1, sizeof(*spec));
	_cleanup_free_ struct task_result *result = mr_calloc(1, sizeof(*result));
	spec->kind = TASK_CHECK;
	spec->input_count = 1;
	spec->inputs[0].size_bytes = sizeof(CHECK_BYTES) - 1;
	(void)snprintf(spec->inputs[0].name, sizeof(spec->inputs[0].name), "%s", what);
	const struct task_handlers h = { .ctx = &l,
					 .read = on_read,
					 .object_begin = on_object_begin,
					 .object_data = on_object_data,
					 .object_end = on_object_end,
					 .keep_going = on_keep_going };
	int r = task_run(z, spec, &h, &check_limits, result, NULL, e);
	if (r < 0)
		return err_wrap(e, "%s%s", *l.last ? "behind " : "at its beginning", l.last);
	*ret = l.found;
	return 0;
}
