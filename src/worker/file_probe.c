/* From a probe to a file's row. In the server process (and wherever a janitor joins uploads). */
#include "worker/file_probe.h"

#include <stdlib.h>

#include "base/mem.h"
#include "job/keys.h"
#include "job/probe_json.h"
#include "worker/worker.h"

int file_probe_run(struct worker *w, const char *user_id, const char *id, const char *key, struct file_probe *ret,
		   struct err *e)
{
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	int r = worker_probe(w, key, probe, e);
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
