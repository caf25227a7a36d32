/* The calls that a stream needs besides PutMedia. On the client's loop, in the server process. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/json.h"
#include "live/kvs_stream_internal.h"

#define ANSWER_MAX_BYTES (1u << 20)
#define MEDIA_TYPE "audio/x-matroska"

static void on_data(void *ctx, const char *data, size_t len)
{
	struct kvs_stream *s = ctx;
	(void)buf_append(&s->answer, data, len);
}

static void call(struct kvs_stream *s, enum kvs_state state, const char *base, const char *path, json_t *take_body,
		 void (*done)(void *ctx, const struct exchange_end *end))
{
	struct err e = { 0 };
	const struct kvs_handlers h = { .data = on_data, .done = done, .ctx = s };
	char *text = json_dumps(take_body, JSON_COMPACT);
	json_decref(take_body);
	buf_release(&s->answer);
	buf_init(&s->answer, ANSWER_MAX_BYTES);
	s->calling = path;
	kvs_stream_enter(s, state);
	s->call = kvs_client_call(s->o.client, base, path, text, &h, &e);
	free(text);
	if (s->call)
		return;
	if (e.kind == ERR_OK)
		(void)err_set(&e, ERR_UNAVAILABLE, "AWS credentials are being asked for");
	kvs_stream_failed(s, KVS_AGAIN, &e);
}

/* 0 with the answer's object; or the stream has been told of the failure (what `known` names isn't one: 1). */
static int read_answer(struct kvs_stream *s, const struct exchange_end *end, const char *known, json_t **ret)
{
	struct err e = end->why;
	const char *type = exchange_header(s->call, "x-amzn-ErrorType");
	_cleanup_free_ char *named = mr_strdup(type ? type : "");
	enum kvs_verdict v = KVS_AGAIN;
	s->call = NULL;
	*ret = NULL;
	if (e.kind == ERR_OK && end->status == 200) {
		if (json_parse(s->answer.data ? s->answer.data : "", s->answer.len, ret, &e) == 0)
			return 0;
	} else if (e.kind == ERR_OK) {
		if (known && strncmp(named, known, strlen(known)) == 0)
			return 1;
		v = kvs_verdict_of_answer(end->status, named);
		(void)err_set(&e, v == KVS_END ? ERR_DENIED : ERR_UNAVAILABLE, "HTTP %d %s: %.200s", end->status, named,
			      s->answer.data ? s->answer.data : "");
	}
	(void)err_wrap(&e, "%s", s->calling + 1);
	kvs_stream_failed(s, v, &e);
	return -1;
}

static json_t *named(const struct kvs_stream *s)
{
	return json_pack("{s:s}", "StreamName", s->name);
}

/* ---- the stream ---- */

static void on_created(void *ctx, const struct exchange_end *end)
{
	struct kvs_stream *s = ctx;
	json_t *o;
	int r = read_answer(s, end, "ResourceInUseException", &o);
	json_decref(o);
	if (r < 0)
		return;
	s->created = true;
	kvs_stream_step(s);
}

void kvs_calls_create(struct kvs_stream *s)
{
	json_t *o = named(s);
	(void)json_object_set_new(o, "DataRetentionInHours", json_integer(s->o.retention_hours));
	(void)json_object_set_new(o, "MediaType", json_string(MEDIA_TYPE));
	call(s, KVS_S_CREATING, NULL, "/createStream", o, on_created);
}

static void on_described(void *ctx, const struct exchange_end *end)
{
	struct kvs_stream *s = ctx;
	struct err e;
	json_t *o;
	if (read_answer(s, end, NULL, &o) < 0)
		return;
	const json_t *info = json_object_get(o, "StreamInfo");
	const char *status = json_string_value(json_object_get(info, "Status"));
	bool active = status && (strcmp(status, "ACTIVE") == 0 || strcmp(status, "UPDATING") == 0);
	s->keeps = json_integer_value(json_object_get(info, "DataRetentionInHours")) > 0;
	if (!active)
		(void)err_set(&e, ERR_UNAVAILABLE, "the stream is %.20s", status ? status : "in no state");
	json_decref(o);
	if (!active) {
		kvs_stream_failed(s, KVS_AGAIN, &e);
		return;
	}
	s->active = true;
	kvs_stream_step(s);
}

void kvs_calls_describe(struct kvs_stream *s)
{
	call(s, KVS_S_DESCRIBING, NULL, "/describeStream", named(s), on_described);
}

/* ---- data endpoints ---- */

static void on_located(void *ctx, const struct exchange_end *end)
{
	struct kvs_stream *s = ctx;
	struct kvs_place *p = s->state == KVS_S_LOCATING_LIST ? &s->list : &s->put;
	struct err e;
	json_t *o;
	if (read_answer(s, end, NULL, &o) < 0)
		return;
	const char *url = json_string_value(json_object_get(o, "DataEndpoint"));
	bool ok = url && (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0);
	if (ok) {
		free(p->url);
		*p = (struct kvs_place){ mr_strdup(url), clock_mono_ms() };
	}
	json_decref(o);
	if (!ok) {
		(void)err_set(&e, ERR_PROTOCOL, "getDataEndpoint: the answer has no DataEndpoint");
		kvs_stream_failed(s, KVS_AGAIN_FEW, &e);
		return;
	}
	kvs_stream_step(s);
}

void kvs_calls_locate(struct kvs_stream *s, bool list)
{
	json_t *o = named(s);
	(void)json_object_set_new(o, "APIName", json_string(list ? "LIST_FRAGMENTS" : "PUT_MEDIA"));
	call(s, list ? KVS_S_LOCATING_LIST : KVS_S_LOCATING, NULL, "/getDataEndpoint", o, on_located);
}

/* ---- what was persisted after all ---- */

static void note_found(struct kvs_stream *s, const json_t *found)
{
	int64_t at_ms = llround(json_number_value(json_object_get(found, "ProducerTimestamp")) * 1000);
	const char *number = json_string_value(json_object_get(found, "FragmentNumber"));
	for (struct kvs_fragment *f = s->fragments; f; f = f->next)
		if (f->maybe && f->f.timecode_ms == at_ms)
			kvs_stream_persisted(s, f, number ? number : "");
}

static void on_listed(void *ctx, const struct exchange_end *end)
{
	struct kvs_stream *s = ctx;
	json_t *o;
	const char *type = exchange_header(s->call, "x-amzn-ErrorType");
	bool whole = end->why.kind == ERR_OK && end->status != 200;
	if (whole && kvs_verdict_of_answer(end->status, type) == KVS_NEW_KEYS) {
		s->call = NULL;
		s->cannot_list = true;
		log_warn("kvs_cannot_list", LOG_S("stream", s->name),
			 LOG_S("why", "without leave to ListFragments a cut connection may double a fragment"));
	} else {
		if (read_answer(s, end, NULL, &o) < 0)
			return;
		size_t i;
		const json_t *one;
		json_array_foreach(json_object_get(o, "Fragments"), i, one)
			note_found(s, one);
		json_decref(o);
	}
	for (struct kvs_fragment *f = s->fragments; f; f = f->next)
		f->maybe = false;
	kvs_stream_enter(s, KVS_S_SENDING);
	kvs_stream_settle(s);
	kvs_stream_step(s);
}

/* No more than SINK_WAITING_MAX can be there, so one page has all. */
void kvs_calls_list(struct kvs_stream *s)
{
	int64_t from_ms = INT64_MAX, to_ms = 0;
	for (const struct kvs_fragment *f = s->fragments; f; f = f->next) {
		if (!f->maybe)
			continue;
		from_ms = f->f.timecode_ms < from_ms ? f->f.timecode_ms : from_ms;
		to_ms = f->f.timecode_ms > to_ms ? f->f.timecode_ms : to_ms;
	}
	const json_int_t from_s = from_ms / 1000, to_s = to_ms / 1000 + 1;
	json_t *o = named(s);
	(void)json_object_set_new(o, "MaxResults", json_integer(1000));
	(void)json_object_set_new(o, "FragmentSelector",
				  json_pack("{s:s,s:{s:I,s:I}}", "FragmentSelectorType", "PRODUCER_TIMESTAMP",
					    "TimestampRange", "StartTimestamp", from_s, "EndTimestamp", to_s));
	call(s, KVS_S_LISTING, s->list.url, "/listFragments", o, on_listed);
}
