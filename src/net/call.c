/* Waiting for exchanges. In the server and worker process; see call.h.
 *
 * A call is its caller's until it is posted, the loop's thread's until `over` is set, and its caller's again. */
#include "net/call.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct call {
	struct exchange_loop *loop;
	struct call_opts o;
	struct exchange *x;
	struct call_answer answer;
	struct err why;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool over; /* protected by lock */
};

void call_answer_release(struct call_answer *a)
{
	for (size_t i = 0; i < CALL_HEADERS_MAX; i++)
		free(mr_steal(a->values[i]));
}

static void on_head(void *ctx, int status)
{
	struct call *c = ctx;
	c->answer.status = status;
}

static void too_large(struct call *c, size_t max)
{
	(void)err_set(&c->why, ERR_TOO_LARGE, "an answer of more than %zu bytes", max);
	exchange_refuse(c->x);
}

static void on_data(void *ctx, const char *data, size_t len)
{
	struct call *c = ctx;
	if (!c->o.into || c->answer.status / 100 != 2) {
		if (!buf_append(c->o.text, data, len))
			too_large(c, c->o.text->max);
	} else if (len > c->o.into_max - c->answer.got) {
		too_large(c, c->o.into_max);
	} else {
		memcpy((char *)c->o.into + c->answer.got, data, len);
		c->answer.got += len;
	}
}

static void on_done(void *ctx, const struct exchange_end *how)
{
	struct call *c = ctx;
	c->answer.status = how->status;
	if (!c->why.kind)
		c->why = how->why;
	for (size_t i = 0; !c->why.kind && c->o.want && i < CALL_HEADERS_MAX && c->o.want[i]; i++) {
		const char *value = exchange_header(c->x, c->o.want[i]);
		c->answer.values[i] = value ? mr_strdup(value) : NULL;
	}
	(void)pthread_mutex_lock(&c->lock);
	c->over = true;
	(void)pthread_cond_signal(&c->ended);
	(void)pthread_mutex_unlock(&c->lock);
}

static void begin(void *arg)
{
	struct call *c = arg;
	c->x = exchange_start(c->loop, &(struct exchange_opts) { .method = c->o.method,
								 .url = c->o.url,
								 .headers = c->o.headers,
								 .header_count = c->o.header_count,
								 .body = c->o.body,
								 .body_len = c->o.body_len,
								 .borrow_body = true,
								 .timeout_ms = c->o.timeout_ms,
								 .stall_s = c->o.stall_s,
								 .bulk = true,
								 .head = on_head,
								 .data = on_data,
								 .done = on_done,
								 .ctx = c });
}

struct call *call_start(struct exchange_loop *loop, const struct call_opts *opts)
{
	struct call *c = mr_calloc(1, sizeof(*c));
	c->loop = loop;
	c->o = *opts;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->ended, NULL);
	exchange_loop_post(loop, begin, c);
	return c;
}

int call_wait(struct call *take_c, struct call_answer *ret, struct err *e)
{
	struct call *c = take_c;
	(void)pthread_mutex_lock(&c->lock);
	while (!c->over)
		(void)pthread_cond_wait(&c->ended, &c->lock);
	(void)pthread_mutex_unlock(&c->lock);
	int r = 0;
	if (c->why.kind) {
		call_answer_release(&c->answer);
		r = err_copy(e, &c->why);
	} else {
		*ret = c->answer;
	}
	(void)pthread_mutex_destroy(&c->lock);
	(void)pthread_cond_destroy(&c->ended);
	free(c);
	return r;
}
