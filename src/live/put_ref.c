/* The references of a PutMedia connection: whoever gives back the last one frees it. Any thread of the server process. */
#include <stdlib.h>

#include "live/put_internal.h"

struct put_conn *put_conn_ref(struct put_conn *c)
{
	(void)atomic_fetch_add(&c->refs, 1);
	return c;
}

void put_conn_unref(struct put_conn *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	struct put_server *p = c->server;
	put_stream_release(&c->to);
	put_head_release(&c->head);
	buf_release(&c->held);
	buf_release(&c->out);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
	(void)pthread_mutex_lock(&p->lock);
	if (--p->count == 0)
		(void)pthread_cond_broadcast(&p->idle);
	(void)pthread_mutex_unlock(&p->lock);
}
