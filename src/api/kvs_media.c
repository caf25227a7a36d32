/* Reading through the Kinesis Video Streams API: which fragments there are, and their media. Runs in the server process, on
 * the I/O pool. Source: Amazon Kinesis Video Streams Media and Archived Media (API Reference). */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/kvs_internal.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/flow.h"
#include "live/stream_reader.h"

#define CONTENT_TYPE "video/webm" /* what the service calls it */
#define FRAGMENTS_MAX 1000
#define PAGE_USUAL 100
#define READERS_MAX 3

/* ---- answers of media ---- */

struct media_answer {
	struct media_answer *next; /* protected by the list's lock */
	struct kvs_readers *all;
	struct bus *bus;
	struct bus_subscription *hints; /* NULL: it polls alone */
	struct http_flow *flow;
	struct stream_reader *reader;
	char stream_id[UUID_SIZE];
};

struct kvs_readers {
	pthread_mutex_t lock;
	/* protected by lock */
	struct media_answer *following; /* GetMedia's */
};

struct kvs_readers *kvs_readers_new(void)
{
	struct kvs_readers *all = mr_calloc(1, sizeof(*all));
	(void)pthread_mutex_init(&all->lock, NULL);
	return all;
}

void kvs_readers_free(struct kvs_readers *all)
{
	if (!all)
		return;
	(void)pthread_mutex_destroy(&all->lock);
	free(all);
}

static int enlist(struct media_answer *m, struct err *e)
{
	unsigned count = 0;
	(void)pthread_mutex_lock(&m->all->lock);
	for (const struct media_answer *o = m->all->following; o; o = o->next)
		count += strcmp(o->stream_id, m->stream_id) == 0;
	if (count < READERS_MAX) {
		m->next = m->all->following;
		m->all->following = m;
	}
	(void)pthread_mutex_unlock(&m->all->lock);
	if (count < READERS_MAX)
		return 0;
	return err_set_code(e, ERR_BUSY, "TOO_MANY_READERS", "%d connections are reading the stream already", READERS_MAX);
}

static void delist(const struct media_answer *m)
{
	(void)pthread_mutex_lock(&m->all->lock);
	for (struct media_answer **at = &m->all->following; *at; at = &(*at)->next)
		if (*at == m) {
			*at = m->next;
			break;
		}
	(void)pthread_mutex_unlock(&m->all->lock);
}

static void on_fragment(void *ctx, const struct bus_event *ev)
{
	struct media_answer *m = ctx;
	if (strcmp(ev->stream_id, m->stream_id) == 0)
		http_flow_wake(m->flow);
}

static int fill(void *state, struct buf *out, struct err *e)
{
	struct media_answer *m = state;
	return stream_reader_fill(m->reader, out, e);
}

static void close_answer(void *state)
{
	struct media_answer *m = state;
	if (m->hints)
		bus_unsubscribe(m->bus, m->hints);
	delist(m);
	http_flow_unref(m->flow);
	stream_reader_free(m->reader);
	free(m);
}

static int respond_media(struct api *a, struct http_request *req, const struct stream_reader_opts *o, struct err *e)
{
	static const struct http_flow_ops ops = { .fill = fill, .close = close_answer };
	struct media_answer *m = mr_calloc(1, sizeof(*m));
	struct err ignored;
	m->all = a->kvs_readers;
	m->bus = a->o.bus;
	memcpy(m->stream_id, o->stream->id, sizeof(m->stream_id));
	m->reader = stream_reader_new(o);
	int r = o->follow ? enlist(m, e) : 0;
	if (r == 0)
		r = http_respond_flow(req, CONTENT_TYPE, &ops, m, &m->flow, e);
	if (r < 0) {
		close_answer(m);
		return r;
	}
	kvs_headers(req);
	if (o->follow && bus_subscribe(a->o.bus, BUS_STREAM, on_fragment, m, &m->hints, &ignored) < 0)
		m->hints = NULL;
	return 0;
}

/* ---- GetMedia ---- */

enum start { START_NOW, START_EARLIEST, START_NUMBER, START_SERVER_TIME, START_PRODUCER_TIME, START_TOKEN };

static int after_number(const struct stream *s, const json_t *selector, const char *field, int64_t *ret, struct err *e)
{
	const char *text = NULL;
	int r = json_get_string(selector, field, JSON_REQUIRED, &text, e);
	if (r == 0 && !fragment_number_parse(s, text, ret))
		r = err_set(e, ERR_INVALID, "%s is no fragment number of this stream", field);
	return r;
}

/* The newest fragment where somebody is writing, so that a listener hears something at once; else only what comes. */
static int after_now(struct api *a, const struct stream *s, int64_t *ret, struct err *e)
{
	struct fragment last;
	bool live = false;
	int r = repo_fragment_last(a->o.repo, s->id, &last, e);
	if (r == -ERR_NOT_FOUND)
		return 0;
	if (r == 0)
		r = repo_stream_is_live(a->o.repo, s->id, &live, e);
	if (r == 0)
		*ret = live ? last.number - 1 : last.number;
	return r;
}

static int read_selector(struct api *a, const struct stream *s, const json_t *selector, struct stream_reader_opts *o,
			 struct err *e)
{
	static const char *const types[] = {
		"NOW", "EARLIEST", "FRAGMENT_NUMBER", "SERVER_TIMESTAMP", "PRODUCER_TIMESTAMP", "CONTINUATION_TOKEN", NULL
	};
	size_t type = 0;
	int r = json_get_choice(selector, "StartSelectorType", JSON_REQUIRED, types, &type, e);
	if (r < 0)
		return r;
	switch ((enum start)type) {
	case START_NOW:
		return after_now(a, s, &o->after, e);
	case START_EARLIEST:
		return 0;
	case START_NUMBER:
		return after_number(s, selector, "AfterFragmentNumber", &o->after, e);
	case START_TOKEN:
		return after_number(s, selector, "ContinuationToken", &o->after, e);
	case START_SERVER_TIME:
	case START_PRODUCER_TIME:
		o->from_time = type == START_SERVER_TIME ? FRAGMENT_SERVER_TIME : FRAGMENT_PRODUCER_TIME;
		return kvs_get_time(selector, "StartTimestamp", &o->from_ms, e);
	}
	return err_set(e, ERR_INTERNAL, "an unknown start");
}

int kvs_get_media(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct stream s = { 0 };
	json_t *selector = NULL;
	int r = json_get_object(http_request_json(req), "StartSelector", JSON_REQUIRED, &selector, e);
	if (r == 0)
		r = kvs_find_stream(a, req, &s, e);
	if (r < 0)
		return r;
	struct stream_reader_opts o = { .repo = a->o.repo, .store = a->o.store, .stream = &s, .after = -1, .follow = true };
	r = read_selector(a, &s, selector, &o, e);
	if (r == 0)
		r = respond_media(a, req, &o, e);
	stream_release(&s);
	return r;
}

/* ---- archived media ---- */

static int read_range(const json_t *in, struct fragment_query *q, struct err *e)
{
	static const char *const types[] = { "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP", NULL };
	json_t *selector = NULL, *range = NULL;
	size_t type = 0;
	int r = json_get_object(in, "FragmentSelector", JSON_OPTIONAL, &selector, e);
	if (r < 0 || !selector)
		return r;
	if (json_get_choice(selector, "FragmentSelectorType", JSON_REQUIRED, types, &type, e) < 0 ||
	    json_get_object(selector, "TimestampRange", JSON_REQUIRED, &range, e) < 0 ||
	    kvs_get_time(range, "StartTimestamp", &q->from_ms, e) < 0 ||
	    kvs_get_time(range, "EndTimestamp", &q->to_ms, e) < 0)
		return -(int)e->kind;
	if (q->to_ms < q->from_ms)
		return err_set(e, ERR_INVALID, "EndTimestamp lies before StartTimestamp");
	q->time = type == 0 ? FRAGMENT_PRODUCER_TIME : FRAGMENT_SERVER_TIME;
	return 0;
}

static json_t *fragment_json(const struct stream *s, const struct fragment *f)
{
	char number[FRAGMENT_NUMBER_SIZE];
	fragment_number_format(s, f->number, number);
	return json_pack("{s:s, s:I, s:o, s:o, s:I}", "FragmentNumber", number, "FragmentSizeInBytes", (json_int_t)f->bytes,
			 "ProducerTimestamp", kvs_time(f->producer_ms), "ServerTimestamp", kvs_time(f->server_ms),
			 "FragmentLengthInMilliseconds", (json_int_t)f->length_ms);
}

static int list_page(struct api *a, struct http_request *req, const struct stream *s, struct fragment_query *q, uint32_t max,
		     struct err *e)
{
	_cleanup_free_ struct fragment *rows = mr_calloc(max + 1, sizeof(*rows));
	uint32_t count = 0;
	char number[FRAGMENT_NUMBER_SIZE];
	q->stream_id = s->id;
	int r = repo_fragment_list(a->o.repo, q, rows, max + 1, &count, e);
	if (r < 0)
		return r;
	json_t *list = json_array(), *out = json_pack("{s:o}", "Fragments", list);
	for (uint32_t i = 0; i < count && i < max; i++)
		(void)json_array_append_new(list, fragment_json(s, &rows[i]));
	if (count > max) {
		fragment_number_format(s, rows[max - 1].number, number);
		kvs_set_token(out, number);
	}
	return kvs_respond(req, out);
}

int kvs_list_fragments(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const json_t *in = http_request_json(req);
	struct stream s = { 0 };
	struct fragment_query q = { .after = -1 };
	_cleanup_free_ char *after = NULL;
	int64_t max = PAGE_USUAL;
	if (json_get_int(in, "MaxResults", JSON_OPTIONAL, 1, FRAGMENTS_MAX, &max, e) < 0 ||
	    kvs_get_token(in, &after, e) < 0 || read_range(in, &q, e) < 0)
		return -(int)e->kind;
	int r = kvs_find_stream(a, req, &s, e);
	if (r < 0)
		return r;
	if (after && !fragment_number_parse(&s, after, &q.after))
		r = err_set(e, ERR_INVALID, "NextToken is not one that an earlier call gave");
	else
		r = list_page(a, req, &s, &q, (uint32_t)max, e);
	stream_release(&s);
	return r;
}

static int read_numbers(struct api *a, const struct stream *s, const json_t *list, int64_t *numbers, struct err *e)
{
	const json_t *item;
	size_t i;
	struct fragment f;
	json_array_foreach((json_t *)(uintptr_t)list, i, item)
	{
		if (!json_is_string(item) || !fragment_number_parse(s, json_string_value(item), &numbers[i]))
			return err_set(e, ERR_INVALID, "Fragments must be fragment numbers of this stream");
		int r = repo_fragment_get(a->o.repo, s->id, numbers[i], &f, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int kvs_get_media_for_fragments(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct stream s = { 0 };
	json_t *list = NULL;
	int r = json_get_array(http_request_json(req), "Fragments", JSON_REQUIRED, FRAGMENTS_MAX, &list, e);
	if (r == 0 && !json_array_size(list))
		r = err_set(e, ERR_INVALID, "Fragments must name at least one");
	if (r == 0)
		r = kvs_find_stream(a, req, &s, e);
	if (r < 0)
		return r;
	_cleanup_free_ int64_t *numbers = mr_calloc(json_array_size(list), sizeof(*numbers));
	r = read_numbers(a, &s, list, numbers, e);
	if (r == 0)
		r = respond_media(a, req,
				  &(struct stream_reader_opts) { .repo = a->o.repo,
								 .store = a->o.store,
								 .stream = &s,
								 .only = numbers,
								 .only_count = json_array_size(list) },
				  e);
	stream_release(&s);
	return r;
}
