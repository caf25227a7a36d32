/* The S3 backend: opening, and the table of its functions. In every process that opens such a store; see s3.h.
 *
 * Opening asks nobody: a store that is away must not keep a server from starting, and says so in its checks. */
#include <stdlib.h>
#include <string.h>

#include "store/s3.h"

static void close_s3(struct store *store)
{
	struct store_s3 *s = s3_of(store);
	exchange_loop_stop(s->loop);
	aws_credentials_free(s->credentials);
	s3_config_release(&s->config);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* There is no descriptor to send from. */
static int reader_fd(const struct store_reader *r)
{
	(void)r;
	return -1;
}

static const struct store_backend s3_backend = {
	.close = close_s3,
	.check = s3_check,
	.put_begin = s3_put_begin,
	.put_write = s3_put_write,
	.put_append = s3_put_append,
	.put_copy = s3_put_copy,
	.put_finish = s3_put_finish,
	.put_abort = s3_put_abort,
	.stat = s3_stat,
	.reader_open = s3_reader_open,
	.reader_read = s3_reader_read,
	.reader_fd = reader_fd,
	.reader_close = s3_reader_close,
	.delete_key = s3_delete,
	.delete_prefix = s3_delete_prefix,
	.list = s3_list,
	.multipart_begin = s3_upload_begin,
	.multipart_put = s3_upload_put,
	.multipart_list = s3_upload_list,
	.multipart_complete = s3_upload_complete,
	.multipart_abort = s3_upload_abort,
	.sweep = s3_sweep,
	.url = s3_url,
	.origins = s3_origins,
	.prepare = s3_prepare,
	.clock = s3_clock,
};

static const char *environment(const char *name)
{
	const char *v = getenv(name);
	return v && *v ? v : NULL;
}

int store_open_s3(const char *url, struct store **ret, struct err *e)
{
	struct store_s3 *s = mr_calloc(1, sizeof(*s));
	s->base.ops = &s3_backend;
	(void)pthread_mutex_init(&s->lock, NULL);
	int r = s3_config_parse(url, environment, &s->config, e);
	if (r == 0)
		r = exchange_loop_start("s3", &(struct exchange_loop_opts) { .tick_ms = 0 }, &s->loop, e);
	if (r < 0) {
		close_s3(&s->base);
		return r;
	}
	s->credentials = aws_credentials_new(&(struct aws_credentials_opts) { .region = s->config.region });
	*ret = &s->base;
	return 0;
}
