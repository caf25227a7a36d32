/* A claimed chunk and its task. Runs on a worker thread of the server and worker process. */
#include "worker/chunk_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "net/digest.h"
#include "worker/object_queue.h"

#define HEARTBEAT_MS 500

/* What the task's callbacks get. Those of an object run on the queue's thread where there is one, the others on the worker's. */
struct conversation {
	struct chunk_run *c;
	const struct chunk_objects *objects;
	void *state;
	struct object_queue *queue; /* NULL: objects are stored as they come */
	struct err verdict;	    /* the objects' part in chunk_run's */
};

void chunk_run_tell(const struct chunk_run *c)
{
	const struct job *j = &c->claim->job;
	bus_publish(c->runner->bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = j->user_id, .job_id = j->id });
}

/* How far it is, too, so that nobody who was asked has to ask the database. */
static void tell_progress(const struct chunk_run *c, const struct job_progress *p)
{
	const struct job *j = &c->claim->job;
	struct bus_progress told = { .revision = p->revision, .status = (int)p->status, .percent = p->percent };
	memcpy(told.stage, p->stage, sizeof(told.stage));
	const struct bus_event ev = { .topic = BUS_JOB, .user_id = j->user_id, .job_id = j->id, .progress = &told };
	bus_publish(c->runner->bus, &ev);
}

static int heartbeat(struct chunk_run *c, struct err *e)
{
	int64_t now = clock_mono_ms();
	if (now < c->next_heartbeat_mono_ms)
		return 0;
	c->next_heartbeat_mono_ms = now + HEARTBEAT_MS;
	struct job_progress p = { 0 };
	int r = repo_heartbeat(c->runner->repo, c->claim, c->done_ticks, &p, e);
	if (r == 0 && p.revision)
		tell_progress(c, &p);
	return r;
}

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		   struct err *e)
{
	struct conversation *t = ctx;
	if (input > 0) /* task_client checked that the spec lists it */
		return t->objects->read(t->state, input, offset, buf, len, ret_len, e);
	if (t->c->chain)
		return object_chain_read(t->c->chain, offset, buf, len, ret_len, e);
	if (!*t->c->claim->job.source_key || t->c->no_source)
		return err_set(e, ERR_PROTOCOL, "the job has no source");
	return source_read(&t->c->source, offset, buf, len, ret_len, e);
}

static int on_object_begin(void *ctx, const struct task_object *head, struct err *e)
{
	struct conversation *t = ctx;
	struct chunk_run *c = t->c;
	free(mr_steal(c->key));
	int r = t->objects->begin(t->state, head, &c->key, e);
	if (r < 0)
		return r;
	if (t->objects->end)
		c->digest = sha256_stream_new();
	if (!c->key)
		return 0;
	r = store_put_begin(c->runner->output, c->key, store_content_type(c->key), &c->put, e);
	return r < 0 ? err_wrap(e, "publish %s", c->key) : 0;
}

static int on_object_data(void *ctx, const void *data, size_t len, struct err *e)
{
	struct conversation *t = ctx;
	if (t->c->digest)
		sha256_stream_update(t->c->digest, data, len);
	if (t->c->put)
		return store_put_write(t->c->put, data, len, e);
	return t->objects->data ? t->objects->data(t->state, data, len, e) : 0;
}

static int on_object_end(void *ctx, struct err *e)
{
	struct conversation *t = ctx;
	uint8_t raw[SHA256_BYTES];
	char sha256[SHA256_HEX_SIZE] = "";
	if (t->c->digest) {
		sha256_stream_final(mr_steal(t->c->digest), raw);
		hex_encode(raw, sizeof(raw), sha256);
	}
	int r = t->c->put ? store_put_finish(mr_steal(t->c->put), *sha256 ? sha256 : NULL, NULL, e) : 0;
	if (r < 0)
		return err_wrap(e, "publish %s", t->c->key);
	r = t->objects->end ? t->objects->end(t->state, sha256, e) : 0;
	if (r < 0 && e)
		t->verdict = *e;
	return r;
}

static void on_object_abort(void *ctx)
{
	struct chunk_run *c = ((struct conversation *)ctx)->c;
	if (c->put)
		store_put_abort(mr_steal(c->put));
	if (c->digest)
		sha256_stream_free(mr_steal(c->digest));
}

/* ---- By way of the queue ---- */

static int post_object_begin(void *ctx, const struct task_object *head, struct err *e)
{
	return object_queue_begin(((struct conversation *)ctx)->queue, head, e);
}

static int post_object_data(void *ctx, const void *data, size_t len, struct err *e)
{
	return object_queue_data(((struct conversation *)ctx)->queue, data, len, e);
}

static int post_object_end(void *ctx, struct err *e)
{
	return object_queue_end(((struct conversation *)ctx)->queue, e);
}

/* ---- ---- */

static int on_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	struct chunk_run *c = ((struct conversation *)ctx)->c;
	int64_t weight = c->claim->chunk.weight_ticks, done = p->done_ticks;
	(void)e;
	if (c->by_bytes) /* of a pipe there are no bytes to count to: nothing is known until its end */
		done = c->source.size_bytes == TASK_INPUT_FORWARD || !c->source.size_bytes
			       ? 0
			       : (int64_t)((double)p->bytes_read / (double)c->source.size_bytes * (double)weight);
	else if (c->range_ticks > 0)
		done = (int64_t)((double)done / (double)c->range_ticks * (double)weight);
	if (done > c->done_ticks)
		c->done_ticks = done < weight ? done : weight;
	return 0;
}

int chunk_run_keep_alive(struct chunk_run *c, struct err *e)
{
	if (atomic_load(c->runner->stopping))
		return err_set(e, ERR_CANCELED, "told to stop");
	struct err why = { 0 };
	int r = heartbeat(c, &why);
	if (r != -ERR_LOST && r != -ERR_CANCELED)
		/* A database that is away for a moment doesn't stop the work: the lease is longer than that, and
		 * commits are fenced. */
		return 0;
	c->verdict = why;
	return err_copy(e, &why);
}

/* While a pipe gives nothing. */
static int keep_reading(void *ctx, struct err *e)
{
	return chunk_run_keep_alive(ctx, e);
}

static bool keep_going(void *ctx)
{
	struct conversation *t = ctx;
	struct err e = { 0 };
	if (t->queue && object_queue_failed(t->queue, &e) < 0)
		return false;
	return chunk_run_keep_alive(t->c, &e) == 0;
}

/* The task, and where its objects have a queue, until the last of them is stored. */
static int converse(struct conversation *t, const struct task_spec *spec, struct task_result *ret, struct err *e)
{
	struct chunk_run *c = t->c;
	struct task_handlers h = { .ctx = t,
				   .read = on_read,
				   .object_begin = on_object_begin,
				   .object_data = on_object_data,
				   .object_end = on_object_end,
				   .object_abort = on_object_abort,
				   .progress = on_progress,
				   .keep_going = keep_going };
	if (!t->objects || !t->objects->behind || c->runner->alone)
		return task_run(c->runner->zygote, spec, &h, &c->limits, ret, &c->usage, e);
	const struct object_sink sink = { .ctx = t, .begin = on_object_begin, .data = on_object_data, .end = on_object_end,
					  .keep_going = keep_going };
	int r = object_queue_new(&sink, &t->queue, e);
	if (r < 0)
		return r;
	h.object_begin = post_object_begin;
	h.object_data = post_object_data;
	h.object_end = post_object_end;
	h.object_abort = NULL; /* the queue's thread may be within it */
	r = task_run(c->runner->zygote, spec, &h, &c->limits, ret, &c->usage, e);
	if (r == 0)
		r = object_queue_finish(t->queue, e);
	else if (object_queue_failed(t->queue, e) < 0) /* and the task was ended for it */
		r = -(int)e->kind;
	object_queue_free(&t->queue);
	return r;
}

int chunk_run_task(struct chunk_run *c, struct task_spec *spec, const struct chunk_objects *objects, void *state,
		   struct task_result *ret, struct err *e)
{
	struct conversation t = { .c = c, .objects = objects, .state = state };
	if (!spec->input_count)
		spec->input_count = 1;
	memcpy(spec->inputs[0].name, "source", sizeof("source"));
	c->source = SOURCE_INIT;
	c->next_heartbeat_mono_ms = clock_mono_ms() + HEARTBEAT_MS;
	const char *key = c->claim->job.source_key;
	int r = *key && !c->no_source ? source_open(&c->source, c->runner->input, c->runner->pipe, key, e) : 0;
	c->source.keep_alive = keep_reading;
	c->source.ctx = c;
	if (r == 0) {
		source_read_ahead(&c->source);
		spec->inputs[0].size_bytes = c->chain ? c->chain->size_bytes : c->source.size_bytes;
		r = converse(&t, spec, ret, e);
	}
	if (!c->verdict.kind)
		c->verdict = t.verdict;
	source_close(&c->source);
	on_object_abort(&t);
	free(mr_steal(c->key));
	return r;
}
