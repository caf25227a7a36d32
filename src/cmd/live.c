/* Start and end of what is live. The server process's main thread. */
#include "cmd/live.h"

#include <string.h>

#include "base/log.h"
#include "live/sink_builtin.h"
#include "live/sink_copy.h"
#include "live/sink_kvs.h"

#define DRAIN_MS 10000

static const char *key_user(const void *signer, const char *access_key_id)
{
	return signer_user(signer, access_key_id);
}

/* Whoever listens here hears what goes elsewhere, too. */
static int add_copy(struct live_parts *p, uint32_t hours, struct err *e)
{
	struct sink *copy;
	int r = sink_builtin_new(&(struct sink_builtin_opts){ .store = p->streams, .retention_hours = hours }, &copy, e);
	if (r == 0)
		p->sink = sink_copy_new(p->sink, copy);
	return r;
}

static int start_sink(struct live_parts *p, const char *url, struct err *e)
{
	struct sink_kvs_opts kvs = { 0 };
	if (strcmp(url, "builtin") == 0)
		return sink_builtin_new(&(struct sink_builtin_opts){ .store = p->streams }, &p->sink, e);
	int r = sink_kvs_parse(url, &kvs, e);
	if (r < 0)
		return err_wrap(e, "--streams");
	r = sink_kvs_new(&kvs, &p->sink, e);
	if (r == 0 && kvs.copy_hours)
		r = add_copy(p, kvs.copy_hours, e);
	sink_kvs_opts_release(&kvs);
	return r;
}

int live_parts_start(struct live_parts *p, const struct live_parts_opts *o, struct err *e)
{
	p->streams = stream_store_new(&(struct stream_store_opts){ .repo = o->on->repo, .store = o->on->store, .bus = o->on->bus });
	int r = live_decoder_new(o->zygote, &(struct live_decoder_opts){ 0 }, &p->decoder, e);
	if (r == 0)
		r = start_sink(p, o->streams_url, e);
	if (r == 0)
		r = live_service_new(&(struct live_service_opts){ .repo = o->on->repo,
								  .decoder = p->decoder,
								  .sink = p->sink,
								  .pool = o->pool,
								  .max_connections = o->max_connections,
								  .leave_ms = o->leave_ms,
								  .session_url = o->session_url },
				     &p->service, e);
	if (r == 0)
		r = listener_new(&(struct listener_opts){ .repo = o->on->repo,
							  .store = o->on->store,
							  .bus = o->on->bus,
							  .zygote = o->zygote },
				 &p->listener, e);
	if (r == 0 && o->webhook_url)
		r = hook_start(&(struct hook_opts){ .url = o->webhook_url,
						    .secret = o->webhook_secret,
						    .repo = o->on->repo,
						    .bus = o->on->bus },
			       &p->hook, e);
	if (r == 0 && o->put_listen)
		r = put_server_start(&(struct put_server_opts){ .listen = o->put_listen,
								.repo = o->on->repo,
								.streams = p->streams,
								.decoder = p->decoder,
								.idle_ms = o->put_idle_ms,
								.age_ms = o->put_age_ms,
								.key_lookup = signer_lookup_service,
								.key_user = key_user,
								.key_ctx = o->signer },
				     &p->put, e);
	return r;
}

void live_parts_drain(struct live_parts *p)
{
	if (p->service && live_service_drain(p->service, DRAIN_MS) < 0)
		log_warn("live_drain_incomplete", LOG_I("ms", DRAIN_MS));
	listener_interrupt(p->listener);
}

void live_parts_stop(struct live_parts *p)
{
	if (p->sink)
		sink_interrupt(p->sink);
	hook_stop(p->hook);
	put_server_stop(p->put);
	listener_free(p->listener);
	live_decoder_free(p->decoder);
	live_service_free(p->service);
	sink_free(p->sink);
	stream_store_free(p->streams);
}
