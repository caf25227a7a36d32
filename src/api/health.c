/* Health, from one word to the whole: /healthz, the process answers; /readyz, it can do its work; /api/health, how each thing that
 * it stands on is. */
#include "api/internal.h"
#include "base/clock.h"
#include "worker/monitor.h"

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

/* Messages may name hosts and paths: they are for administrators. */
static json_t *check_json(size_t name, const struct check *c, bool all)
{
	json_t *o = json_pack("{ss ss}", "name", check_names[name], "status", check_status_name(c->status));
	if (c->latency_us >= 0)
		(void)json_object_set_new(o, "latency_ms", json_real((double)c->latency_us / 1e3));
	if (c->unit) {
		(void)json_object_set_new(o, "value", json_real(c->value));
		(void)json_object_set_new(o, "threshold", json_real(c->threshold));
		(void)json_object_set_new(o, "unit", json_string(c->unit));
	}
	if (all && c->message[0])
		(void)json_object_set_new(o, "message", json_string(c->message));
	return o;
}

int health_get(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	(void)e;
	const struct http_identity *who = http_request_identity(req);
	bool all = who && http_auth_is_admin(a->o.auth, who);
	struct check_list l;
	monitor_look(a->o.monitor, &l);
	json_t *checks = json_array();
	for (size_t i = 0; i < CHECK_NAMES; i++)
		if (l.of[i].there)
			json_array_append_new(checks, check_json(i, &l.of[i], all));
	if (l.worst == CHECK_FAIL)
		http_response_header(req, "Retry-After", "5");
	return http_respond_json(req, l.worst == CHECK_FAIL ? 503 : 200,
				 json_pack("{ss ss sf so}", "status", check_status_name(l.worst), "version",
					   monitor_version(a->o.monitor), "uptime_seconds",
					   (double)monitor_uptime_ms(a->o.monitor) / 1e3, "checks", checks));
}
