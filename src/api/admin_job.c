/* /api/admin/jobs/{job}: all that is known of one job, for who looks into what went wrong: its row, its renditions, its chunks with
 * how often each was claimed and has failed, attempts that came to nothing with what their processes had logged, and the lines
 * that this process has logged of it lately. */
#include <stdio.h>
#include <string.h>

#include "api/internal.h"
#include "base/id.h"
#include "base/log.h"
#include "job/figures.h"
#include "worker/work_metrics.h"

#define WORKER_NAME_SIZE 96

struct view {
	json_t *chunks, *attempts, *names; /* names: of processes, by id */
};

static void name_worker(void *ctx, const struct worker_row *w, int64_t now_ms)
{
	const struct view *v = ctx;
	char name[WORKER_NAME_SIZE];
	(void)now_ms;
	(void)snprintf(name, sizeof(name), "%s:%lld", w->host, (long long)w->pid);
	(void)json_object_set_new(v->names, w->id, json_string(name));
}

/* Of a process that is gone there is only its id. */
static json_t *worker_json(const struct view *v, const char *id)
{
	json_t *name = json_object_get(v->names, id);
	return name ? json_incref(name) : *id ? json_string(id) : json_null();
}

static json_t *lines_json(const char *text)
{
	json_t *lines = json_array();
	for (const char *end; (end = strchr(text, '\n')); text = end + 1)
		json_array_append_new(lines, json_stringn(text, (size_t)(end - text)));
	return lines;
}

static void append_attempt(void *ctx, const struct attempt_row *t)
{
	const struct view *v = ctx;
	json_array_append_new(v->attempts,
			      json_pack("{si sI so ss so so so}", "chunk", (int)t->chunk, "attempt", (json_int_t)t->claim,
					"worker", worker_json(v, t->worker), "outcome", t->outcome, "ended_at",
					json_time(t->ended_ms), "error",
					*t->code ? json_pack("{ss ss}", "code", t->code, "message", t->message) : json_null(),
					"log", lines_json(t->log)));
}

static void append_chunk(void *ctx, const struct chunk_row *c)
{
	static const char *const states[] = { "unknown", "waiting", "ready", "running", "done", "failed", "canceled" };
	const struct view *v = ctx;
	size_t state = c->state > 0 && (size_t)c->state < MR_ARRAY_SIZE(states) ? (size_t)c->state : 0;
	json_array_append_new(v->chunks,
			      json_pack("{si ss ss sI sI sI sI sf so so}", "index", (int)c->index, "kind",
					work_chunk_kind(c->kind), "state", states[state], "claims", (json_int_t)c->claims,
					"failures", (json_int_t)c->failures,
					"first_segment", (json_int_t)c->first_segment, "segment_count",
					(json_int_t)c->segment_count, "percent", c->percent, "worker",
					worker_json(v, c->worker), "due_at", json_time(c->due_ms)));
}

static void append_line(void *ctx, const char *line)
{
	json_array_append_new(ctx, json_string(line));
}

static json_t *parsed(const char *text)
{
	json_t *v = NULL;
	return text && *text && json_parse(text, strlen(text), &v, NULL) == 0 ? v : json_null();
}

static json_t *row_json(const struct job *j)
{
	json_t *o = json_pack("{ss ss ss ss ss ss ss sI ss}", "job_id", j->id, "user_id", j->user_id, "kind",
			      work_job_kind(j->kind), "status", job_status_name(j->status), "stage", j->stage, "file_id",
			      j->file_id, "source_key",
			      j->source_key ? j->source_key : "", "source_bytes", (json_int_t)j->source_bytes, "prefix",
			      j->prefix ? j->prefix : "");
	json_t *more = json_pack("{sf sf sf sf si si si sb si sI}", "percent", j->percent, "speed", j->speed, "eta_seconds",
				 j->eta_seconds, "duration_seconds", (double)j->duration_ticks / 90e3, "segments_total",
				 (int)j->segment_count, "segments_visible", (int)j->visible_segments, "segments_published",
				 (int)j->published_segments, "ended", (int)j->ended, "generation_attempt",
				 (int)j->generation_attempt, "revision", (json_int_t)j->revision);
	json_t *times = json_pack("{so so so so so so}", "created_at", json_time(j->created_ms), "updated_at",
				  json_time(j->updated_ms), "started_at", json_time(j->started_ms), "streaming_at",
				  json_time(j->streaming_ms), "finished_at", json_time(j->finished_ms), "expires_at",
				  json_time(j->expires_ms));
	(void)json_object_update(o, more);
	(void)json_object_update(o, times);
	json_decref(more);
	json_decref(times);
	(void)json_object_set_new(o, "params", parsed(j->params_json));
	(void)json_object_set_new(o, "spec", parsed(j->spec_json));
	(void)json_object_set_new(o, "result", parsed(j->result_json));
	(void)json_object_set_new(o, "error", *j->error_code ? json_pack("{ss ss sb}", "code", j->error_code, "message",
									  j->error_message ? j->error_message : "", "retriable",
									  (int)j->error_retriable)
							      : json_null());
	return o;
}

static int renditions_json(struct api *a, const char *job_id, json_t *out, struct err *e)
{
	_cleanup_free_ struct rendition *list = mr_calloc(RENDITIONS_MAX, sizeof(*list));
	uint32_t count = 0;
	int r = repo_renditions(a->o.repo, job_id, list, &count, e);
	for (uint32_t i = 0; r >= 0 && i < count; i++)
		json_array_append_new(out, json_pack("{ss ss si si sb sI sI sI}", "name", list[i].name, "codecs", list[i].codecs,
						     "width", (int)list[i].width, "height", (int)list[i].height,
						     "init_committed", (int)list[i].init_committed, "declared_bps",
						     (json_int_t)list[i].declared_bps, "peak_bps", (json_int_t)list[i].peak_bps,
						     "average_bps", (json_int_t)list[i].average_bps));
	return r;
}

int admin_job(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const char *id = http_request_param(req, "job");
	struct job j;
	int r = uuid_valid(id) ? repo_job_get(a->o.repo, NULL, id, &j, e) : err_set(e, ERR_NOT_FOUND, "there is no such job");
	if (r < 0)
		return r;
	struct view v = { .chunks = json_array(), .attempts = json_array(), .names = json_object() };
	json_t *lines = json_array(), *renditions = json_array();
	if ((r = repo_worker_list(a->o.repo, name_worker, &v, e)) >= 0 &&
	    (r = repo_chunks(a->o.repo, id, append_chunk, &v, e)) >= 0 &&
	    (r = repo_attempts(a->o.repo, id, append_attempt, &v, e)) >= 0)
		r = renditions_json(a, id, renditions, e);
	log_recent(id, append_line, lines);
	json_t *out = json_pack("{so so so so so}", "job", row_json(&j), "renditions", renditions, "chunks", v.chunks, "attempts",
				v.attempts, "log", lines);
	json_decref(v.names);
	job_release(&j);
	if (r < 0) {
		json_decref(out);
		return r;
	}
	return http_respond_json(req, 200, out);
}
