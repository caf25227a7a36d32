/* /healthz: the process answers. /readyz: it can do its work: the database answers, the store answers and takes objects. */
#include "api/internal.h"
#include "base/clock.h"
#include "base/log.h"

int healthz(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	return http_respond_text(req, 200, "text/plain; charset=utf-8", "ok\n");
}

int readyz(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	int64_t due_ms;
	int r = repo_next_due(a->o.repo, WORK_JOBS, &due_ms, e);
	if (r < 0)
		return err_set(e, ERR_UNAVAILABLE, "the database does not answer");
	r = store_check(a->o.store, e);
	if (r == -ERR_NO_SPACE)
		return err_set(e, ERR_NO_SPACE, "the object store is full");
	if (r < 0)
		return err_set(e, ERR_UNAVAILABLE, "the object store does not answer, or takes no objects");
	return http_respond_text(req, 200, "text/plain; charset=utf-8", "ready\n");
}
