/* I-frames as text: see iframes.h. Runs wherever rows are read and written. */
#include "job/iframes.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

#define TEXT_MAX_BYTES (TASK_IFRAMES_MAX * 64 + 16)

char *iframes_format(const struct segment *s)
{
	struct buf b;
	buf_init(&b, TEXT_MAX_BYTES);
	for (uint32_t i = 0; i < s->iframe_count; i++)
		(void)buf_printf(&b, "%s[%" PRId64 ",%" PRIu64 ",%" PRIu64 "]", i ? "," : "[", s->iframes[i].ticks,
				 s->iframes[i].offset, s->iframes[i].size_bytes);
	(void)buf_puts(&b, s->iframe_count ? "]" : "");
	return buf_steal(&b);
}

static bool read_all(json_t *root, struct segment *s)
{
	size_t i;
	json_t *item;
	if (!json_is_array(root) || json_array_size(root) > TASK_IFRAMES_MAX)
		return false;
	s->iframe_count = (uint32_t)json_array_size(root);
	json_array_foreach(root, i, item)
	{
		json_int_t ticks, offset, size;
		if (json_unpack(item, "[I,I,I!]", &ticks, &offset, &size) < 0 || ticks < 0 || offset < 0 || size <= 0)
			return false;
		s->iframes[i] = (struct task_iframe){ .ticks = ticks, .offset = (uint64_t)offset, .size_bytes = (uint64_t)size };
	}
	return true;
}

int iframes_parse(const char *text, struct segment *s, struct err *e)
{
	s->iframe_count = 0;
	if (!*text)
		return 0;
	json_t *root = json_loads(text, 0, NULL);
	bool ok = read_all(root, s);
	json_decref(root);
	return ok ? 0 : err_set(e, ERR_INTERNAL, "the I-frames of segment %u cannot be read", s->index);
}

int64_t iframes_duration(const struct segment *s, uint32_t i)
{
	return (i + 1 < s->iframe_count ? s->iframes[i + 1].ticks : s->duration_ticks) - s->iframes[i].ticks;
}
