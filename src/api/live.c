/* /api/live: a speaker's WebSocket. What is said over it is live/'s; here is who may open it. */
#include "api/internal.h"
#include "http/websocket.h"
#include "live/service.h"

int live_connect(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct http_identity *who = http_request_identity(req);
	struct live_speaker *sp = NULL;
	const char *wanted = http_request_query(req, "session_id");
	const struct live_speaker_opts o = { .user = who->user,
					     .by_token = who->by != HTTP_BY_LOCAL,
					     .role = who->role,
					     .session = who->session,
					     .expires_ms = who->expires_ms,
					     .wanted = wanted ? wanted : http_request_query(req, "sessionId"),
					     .request_id = http_request_id(req) };
	int r = live_speaker_new(a->o.live, &o, &sp, e);
	if (r < 0)
		return r;
	if (o.wanted)
		http_request_log(req, "session", o.wanted);
	r = http_respond_websocket(
		req, &(struct http_websocket_opts){ .accept = live_speaker_take, .drop = live_speaker_drop, .ctx = sp }, e);
	if (r < 0)
		live_speaker_drop(sp);
	return r;
}
