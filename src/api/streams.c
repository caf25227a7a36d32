/* /api/streams: streams as their owners and listeners see them, and each new fragment as an event. The server process, on the I/O
 * pool; an open event stream holds no thread (http/flow.h). */
#include <inttypes.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/flow.h"
#include "http/sse.h"
#include "job/stream.h"
#include "live/session.h"

#define LIST_MAX 1000
#define LIST_USUAL 100
#define EVENTS_AT_ONCE 50
#define HEARTBEAT_MS 15000

/* ---- who may see it: its owner, who has the session's claim, and who has a link ---- */

static bool has_claim(const struct http_identity *who, const char *name)
{
	size_t prefix = strlen(LIVE_STREAM_PREFIX);
	return (strcmp(who->role, "listener") == 0 || strcmp(who->role, "speaker") == 0) && who->session[0] &&
	       strncmp(name, LIVE_STREAM_PREFIX, prefix) == 0 && strcmp(name + prefix, who->session) == 0;
}

/* A link of the server's own is everybody's; a user's key signs for that user's streams. */
static bool key_reaches(const struct api *a, const struct http_request *req, const struct stream *s)
{
	const char *user = signer_user(a->o.signer, http_request_signature(req)->access_key_id);
	return !user || strcmp(user, s->user_id) == 0;
}

int load_stream(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e)
{
	struct api *a = ctx;
	const char *name = http_request_param(req, "name");
	struct stream *s = mr_calloc(1, sizeof(*s));
	int r = repo_stream_get(a->o.repo, !who || has_claim(who, name) ? NULL : who->user, name, s, e);
	if (r == 0 && !who && !key_reaches(a, req, s)) {
		stream_release(s);
		r = err_set(e, ERR_NOT_FOUND, "there is no such stream");
	}
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void unload_stream(void *ctx, void *stream)
{
	(void)ctx;
	stream_release(stream);
	free(stream);
}

/* ---- as JSON ---- */

static json_t *stream_json(const struct stream *s)
{
	char arn[STREAM_ARN_SIZE];
	stream_arn_format(s, arn);
	return json_pack("{ss ss so ss? si so sb}", "name", s->name, "arn", arn, "user_id", json_string(s->user_id), "media_type",
			 s->media_type, "retention_hours", (int)s->retention_hours, "created_at", json_time(s->created_ms), "live",
			 (int)(s->writer_until_ms > clock_wall_ms()));
}

static json_t *fragment_json(const struct stream *s, const struct fragment *f)
{
	char number[FRAGMENT_NUMBER_SIZE];
	fragment_number_format(s, f->number, number);
	return json_pack("{ss so so sf sI}", "fragment_number", number, "producer_timestamp", json_time(f->producer_ms),
			 "server_timestamp", json_time(f->server_ms), "duration", (double)f->length_ms / 1000, "size",
			 (json_int_t)f->bytes);
}

static void add_to_list(void *ctx, const struct stream *s)
{
	(void)json_array_append_new(ctx, stream_json(s));
}

int streams_list(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	int64_t limit = 0;
	int r = http_request_query_int(req, "limit", 1, LIST_MAX, LIST_USUAL, &limit, e);
	if (r < 0)
		return r;
	json_t *list = json_array();
	r = repo_stream_list(a->o.repo, http_request_identity(req)->user, http_request_query(req, "prefix"),
			     http_request_query(req, "cursor"), (uint32_t)limit, add_to_list, list, e);
	if (r < 0) {
		json_decref(list);
		return r;
	}
	/* Names are the order, so the last one is where the list goes on. */
	size_t n = json_array_size(list);
	const json_t *last = n == (size_t)limit ? json_array_get(list, n - 1) : NULL;
	const char *cursor = last ? json_string_value(json_object_get(last, "name")) : NULL;
	json_t *answer = json_pack("{sO ss?}", "streams", list, "cursor", cursor);
	json_decref(list);
	return http_respond_json(req, 200, answer);
}

int streams_get(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct stream *s = http_request_resource(req);
	struct fragment last;
	int r = repo_fragment_last(a->o.repo, s->id, &last, e);
	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	json_t *answer = stream_json(s);
	(void)json_object_set_new(answer, "last_fragment", r == 0 ? fragment_json(s, &last) : json_null());
	return http_respond_json(req, 200, answer);
}

/* ---- events ---- */

struct follower {
	struct api *api;
	struct bus_subscription *hints;
	struct http_flow *flow;
	struct stream stream; /* without what it owns */
	int64_t after;
	int64_t said_ms;
};

static void on_hint(void *ctx, const struct bus_event *ev)
{
	struct follower *f = ctx;
	if (strcmp(ev->stream_id, f->stream.id) == 0)
		http_flow_wake(f->flow);
}

static void put_event(const struct follower *fo, const struct fragment *f, struct buf *out)
{
	char number[FRAGMENT_NUMBER_SIZE];
	fragment_number_format(&fo->stream, f->number, number);
	json_t *json = fragment_json(&fo->stream, f);
	char *text = json ? json_dumps(json, JSON_ANSWER) : NULL;
	json_decref(json);
	(void)buf_printf(out, "id: %s\nevent: fragment\ndata: %s\n\n", number, text ? text : "{}");
	free(text);
}

static int fill(void *state, struct buf *out, struct err *e)
{
	struct follower *fo = state;
	struct fragment list[EVENTS_AT_ONCE];
	uint32_t count = 0;
	bool live = false;
	const struct fragment_query q = { .stream_id = fo->stream.id, .after = fo->after };
	int r = repo_fragment_list(fo->api->o.repo, &q, list, EVENTS_AT_ONCE, &count, e);
	if (r == 0 && !count && repo_stream_is_live(fo->api->o.repo, fo->stream.id, &live, e) == -ERR_NOT_FOUND)
		return HTTP_FLOW_END; /* it was deleted */
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < count; i++) {
		put_event(fo, &list[i], out);
		fo->after = list[i].number;
	}
	int64_t now = clock_mono_ms();
	if (!count && now - fo->said_ms >= HEARTBEAT_MS)
		(void)buf_puts(out, ": still here\n\n");
	if (out->len)
		fo->said_ms = now;
	return count == EVENTS_AT_ONCE ? HTTP_FLOW_MORE : HTTP_FLOW_WAIT;
}

static void close_follower(void *state)
{
	struct follower *fo = state;
	if (fo->hints)
		bus_unsubscribe(fo->api->o.bus, fo->hints);
	http_flow_unref(fo->flow);
	free(fo);
}

/* Behind Last-Event-ID, or with what comes from now on. */
static int find_start(struct api *a, struct http_request *req, const struct stream *s, int64_t *ret, struct err *e)
{
	const char *id = sse_last_event_id(req);
	struct fragment last;
	if (id && fragment_number_parse(s, id, ret))
		return 0;
	int r = repo_fragment_last(a->o.repo, s->id, &last, e);
	*ret = r == 0 ? last.number : -1;
	return r == -ERR_NOT_FOUND ? 0 : r;
}

int streams_events(void *ctx, struct http_request *req, struct err *e)
{
	static const struct http_flow_ops ops = { .fill = fill, .close = close_follower };
	struct api *a = ctx;
	struct err ignored;
	struct follower *fo = mr_calloc(1, sizeof(*fo));
	fo->api = a;
	fo->stream = *(const struct stream *)http_request_resource(req);
	fo->stream.media_type = fo->stream.device_name = fo->stream.tags_json = NULL;
	fo->said_ms = clock_mono_ms();
	int r = find_start(a, req, &fo->stream, &fo->after, e);
	if (r == 0)
		r = http_respond_flow(req, "text/event-stream", &ops, fo, &fo->flow, e);
	if (r < 0) {
		free(fo);
		return r;
	}
	/* Without hints it looks once a second. */
	if (bus_subscribe(a->o.bus, BUS_STREAM, on_hint, fo, &fo->hints, &ignored) < 0)
		fo->hints = NULL;
	return 0;
}
