/* From a probe to a file's row. In the server process (and wherever a janitor joins uploads). */
#include "worker/file_probe.h"

#include <stdlib.h>

#include "base/mem.h"
#include "job/keys.h"
#include "job/probe_json.h"
#include "worker/worker.h"

int file_probe_refuse_audio(uint64_t limit_bytes, struct err *e)
{
	return err_set(e, ERR_TOO_LARGE, "sound files may have %llu bytes here", (unsigned long long)limit_bytes);
}

/* What a file is shows when all of it is there, whichever way it came. */
static int check_size(const struct worker *w, const struct probe_result *p, uint64_t size_bytes, struct err *e)
{
	const uint64_t limit = worker_max_audio_bytes(w);
	bool picture = false;
	for (uint32_t i = 0; i < p->stream_count; i++)
		picture = picture || (p->streams[i].kind == STREAM_VIDEO && !p->streams[i].attached_picture);
	return picture || size_bytes <= limit ? 0 : file_probe_refuse_audio(limit, e);
}

int file_probe_run(struct worker *w, const char *user_id, const char *id, const char *key, uint64_t size_bytes,
		   struct file_probe *ret, struct err *e)
{
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	int r = worker_probe(w, key, probe, e);
	if (r == 0)
		r = check_size(w, probe, size_bytes, e);
	if (r == 0) {
		_cleanup_free_ char *prefix = key_analysis_prefix(user_id, id);
		ret->json = probe_json_format(probe);
		analysis_plan(probe, prefix, &ret->analysis);
		ret->wanted = worker_analyzes(w) ? &ret->analysis : NULL;
	}
	probe_result_release(probe);
	free(probe);
	return r;
}

void file_probe_release(struct file_probe *p)
{
	free(p->json);
	analysis_plan_release(&p->analysis);
	*p = (struct file_probe){ 0 };
}
