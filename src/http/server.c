/* Start, drain and stop of the HTTP server. The front process. */
#include "http/server.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "http/fields.h"
#include "http/internal.h"
#include "http/listen.h"
#include "http/open_objects.h"
#include "http/signed_urls.h"
#include "os/fd.h"

/* ---- options ---- */

static void default_u32(uint32_t *v, uint32_t value)
{
	if (!*v)
		*v = value;
}

static void fill_defaults(struct http_server_opts *o)
{
	default_u32(&o->threads, 2);
	default_u32(&o->max_connections, 1000);
	default_u32(&o->max_url_bytes, 8u << 10);
	default_u32(&o->max_header_bytes, 16u << 10);
	default_u32(&o->header_timeout_ms, 10000);
	default_u32(&o->body_timeout_ms, 30000);
	default_u32(&o->idle_timeout_ms, 60000);
	default_u32(&o->upload_min_bytes_per_s, 128);
	default_u32(&o->sse_heartbeat_ms, 15000);
	if (!o->max_json_bytes)
		o->max_json_bytes = 1u << 20;
	if (!o->max_upload_bytes)
		o->max_upload_bytes = UINT64_C(16) << 30;
}

static int check_opts(const struct http_server_opts *o, const struct http_route *routes, size_t count, struct err *e)
{
	int r = http_routes_check(routes, count, e);
	if (r < 0)
		return r;
	bool identity = false, signature = false, pool = false;
	for (size_t i = 0; i < count; i++) {
		identity |= routes[i].access == HTTP_ACCESS_USER || routes[i].access == HTTP_ACCESS_OWNER;
		signature |= routes[i].access == HTTP_ACCESS_SIGNED || routes[i].signed_too;
		pool |= routes[i].where == HTTP_ON_POOL;
	}
	if (identity && !o->auth)
		return err_set(e, ERR_INVALID, "routes need an identity, but no authentication is given");
	if (signature && !o->key_lookup)
		return err_set(e, ERR_INVALID, "routes need a signature, but no key look-up is given");
	if (pool && !o->pool)
		return err_set(e, ERR_INVALID, "routes run on the pool, but none is given");
	const char *sep = o->public_url ? strstr(o->public_url, "://") : NULL;
	if (o->public_url &&
	    (!sep || strncasecmp(o->public_url, "http", 4) != 0 || strchr(sep + 3, '/') || !field_host_valid(sep + 3)))
		return err_set(e, ERR_INVALID, "the public URL must be http(s)://host[:port]");
	return 0;
}

/* ---- start ---- */

static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *s)
{
	(void)cls;
	(void)mhd;
	return strlen(s); /* uri.c decodes, after splitting */
}

static int start_daemon(struct http_server *s, int *listen_fd, struct err *e)
{
	const struct http_server_opts *o = &s->opts;
	struct MHD_OptionItem ops[] = {
		{ MHD_OPTION_LISTEN_SOCKET, *listen_fd, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)o->max_connections, NULL },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)o->max_connections_per_ip, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)((o->idle_timeout_ms + 999) / 1000), NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_CONNECTION_BYTES, NULL },
		{ MHD_OPTION_THREAD_STACK_SIZE, HTTP_STACK_BYTES, NULL },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)conn_on_completed, s },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)conn_on_connection, s },
		{ MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)conn_on_uri, s },
		{ MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL },
		{ o->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)o->threads, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE, 0, NULL, NULL,
				     conn_on_request, s, MHD_OPTION_ARRAY, ops, MHD_OPTION_END);
	if (!s->daemon)
		return err_set(e, ERR_UNAVAILABLE, "libmicrohttpd did not start (threads or descriptors exhausted?)");
	(void)fd_steal(*listen_fd); /* libmicrohttpd closes it */
	return 0;
}

static void init_sync(struct http_server *s)
{
	pthread_condattr_t mono;
	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->idle, &mono);
	(void)pthread_cond_init(&s->tick, &mono);
	(void)pthread_condattr_destroy(&mono);
}

static void server_free(struct http_server *s)
{
	open_objects_free(s->objects);
	signed_urls_free(s->signed_urls);
	router_free(s->router);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->idle);
	(void)pthread_cond_destroy(&s->tick);
	free(s->url);
	free(s);
}

int http_server_start(const struct http_server_opts *opts, const struct http_route *routes, size_t count,
		      struct http_server **ret, struct err *e)
{
	struct listen_address address;
	_cleanup_fd_ int fd = -1;
	int r = listen_parse(opts->listen, &address, e);
	if (r == 0)
		r = check_opts(opts, routes, count, e);
	if (r == 0 && opts->auth)
		r = auth_check_listen(opts->auth, &address, e);
	if (r < 0)
		return r;
	struct http_server *s = mr_calloc(1, sizeof(*s));
	s->opts = *opts;
	fill_defaults(&s->opts);
	s->routes = routes;
	s->router = router_new(routes, count);
	s->objects = open_objects_new();
	s->signed_urls = signed_urls_new();
	s->loopback = address.loopback;
	init_sync(s);
	/* A client that goes away must be an error of write, not the end of the process. */
	(void)signal(SIGPIPE, SIG_IGN);
	r = listen_open(&address, &fd, &s->port, e);
	if (r == 0) {
		bool v6 = strchr(address.host, ':') != NULL;
		s->url = opts->public_url ? mr_strdup(opts->public_url)
					  : mr_asprintf(v6 ? "http://[%s]:%u" : "http://%s:%u", address.host, s->port);
		r = timer_start(s, e);
	}
	if (r < 0)
		goto fail;
	r = start_daemon(s, &fd, e);
	if (r < 0) {
		timer_stop(s);
		goto fail;
	}
	*ret = s;
	return 0;
fail:
	server_free(s);
	return r;
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->port;
}

const char *http_server_url(const struct http_server *s)
{
	return s->url;
}

/* ---- end ---- */

static void stop_accepting(struct http_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	bool first = !s->draining;
	s->draining = true;
	(void)pthread_mutex_unlock(&s->lock);
	if (!first)
		return;
	int fd = MHD_quiesce_daemon(s->daemon);
	fd_close(&fd);
}

int http_server_drain(struct http_server *s, int64_t timeout_ms)
{
	stop_accepting(s);
	sse_close_all(s);
	flow_close_all(s);
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(timeout_ms / 1000);
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	int r = 0;
	(void)pthread_mutex_lock(&s->lock);
	while (s->active && r == 0)
		r = pthread_cond_timedwait(&s->idle, &s->lock, &until);
	unsigned active = s->active;
	(void)pthread_mutex_unlock(&s->lock);
	return active ? -ERR_TIMEOUT : 0;
}

void http_server_stop(struct http_server *s)
{
	if (!s)
		return;
	stop_accepting(s);
	timer_stop(s);
	(void)pthread_mutex_lock(&s->lock);
	s->stopping = true;
	(void)pthread_mutex_unlock(&s->lock);
	/* From now on no job starts and no stream opens. Streams that are closed don't suspend their connection again,
	 * and jobs resume theirs before they are counted down: so none is suspended when libmicrohttpd stops, which
	 * would be its panic. */
	sse_close_all(s);
	flow_close_all(s);
	(void)pthread_mutex_lock(&s->lock);
	while (s->jobs)
		(void)pthread_cond_wait(&s->idle, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
	MHD_stop_daemon(s->daemon);
	server_free(s);
}

void http_server_get_stats(struct http_server *s, struct http_server_stats *ret)
{
	(void)pthread_mutex_lock(&s->lock);
	*ret = (struct http_server_stats) {
		.requests = s->requests,
		.errors = s->errors,
		.connections = s->conn_count,
		.active = s->active,
		.streams = s->stream_count + s->flow_count,
	};
	(void)pthread_mutex_unlock(&s->lock);
}
