/* Which codecs a ladder is made in: see job/plan_codecs.h and ladder_params_check. */
#include "job/plan_codecs.h"

#include <string.h>

#include "base/mem.h"
#include "job/plan.h"

static const char *const names[VIDEO_CODECS] = { [VIDEO_H264] = "h264", [VIDEO_HEVC] = "hevc" };

const char *video_codec_name(enum video_codec codec)
{
	return names[codec];
}

int codec_bits_add(const char *field, const char *name, size_t len, uint32_t *bits, struct err *e)
{
	for (uint32_t c = 0; c < VIDEO_CODECS; c++)
		if (strlen(names[c]) == len && memcmp(names[c], name, len) == 0) {
			*bits |= CODEC_BIT(c);
			return 0;
		}
	return err_set(e, ERR_INVALID, "%s: \"%.*s\" is not one of \"h264\" and \"hevc\"", field,
		       (int)(len < 32 ? len : 32), name);
}

int codec_bits_read(const char *field, json_t *list, uint32_t *ret, struct err *e)
{
	uint32_t bits = 0;
	size_t i;
	json_t *item;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return err_set(e, ERR_INVALID, "%s: expected a list such as [\"h264\", \"hevc\"]", field);
	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(item);
		int r = codec_bits_add(field, name ? name : "", name ? json_string_length(item) : 0, &bits, e);
		if (r < 0)
			return r;
	}
	*ret = bits;
	return 0;
}

void codec_bits_format(struct buf *b, uint32_t bits)
{
	bool first = true;
	for (uint32_t c = 0; c < VIDEO_CODECS; c++)
		if (bits & CODEC_BIT(c)) {
			(void)buf_printf(b, "%s\"%s\"", first ? "" : ",", names[c]);
			first = false;
		}
}

int ladder_params_parse_codecs(const char *list, struct ladder_params *p, struct err *e)
{
	uint32_t bits = 0;
	for (;; list++) {
		size_t n = strcspn(list, ",");
		int r = codec_bits_add("codecs", list, n, &bits, e);
		if (r < 0)
			return r;
		list += n;
		if (!*list)
			break;
	}
	p->codecs = bits;
	return 0;
}

static uint32_t codecs_of(const struct ladder_params *p, uint32_t rung)
{
	return p->rungs[rung].codecs ? p->rungs[rung].codecs : p->codecs;
}

int ladder_params_check(const struct ladder_params *p, struct err *e)
{
	uint32_t all = p->rung_count ? 0 : p->codecs, count = 0;
	for (uint32_t i = 0; i < p->rung_count; i++) {
		all |= codecs_of(p, i);
		count += (uint32_t)__builtin_popcount(codecs_of(p, i));
		for (uint32_t k = 0; k < i; k++)
			if (p->rungs[k].side == p->rungs[i].side && (codecs_of(p, k) & codecs_of(p, i)))
				return err_set(e, ERR_INVALID, "rungs: %up is asked for in two ways", p->rungs[i].side);
	}
	if (count > TASK_RUNGS_MAX)
		return err_set(e, ERR_INVALID, "rungs: at most %d in all codecs together", TASK_RUNGS_MAX);
	if (!(all & CODEC_BIT(VIDEO_H264)))
		return err_set(e, ERR_INVALID, "codecs: at least one rung has to be \"h264\", which every player plays");
	/* Apple's authoring rule 1.5; players of TS expect H.264. */
	if ((all & CODEC_BIT(VIDEO_HEVC)) && p->container == CONTAINER_TS)
		return err_set(e, ERR_INVALID, "codecs: \"hevc\" is made in the container \"fmp4\" alone");
	return 0;
}
