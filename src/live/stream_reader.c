/* Reading streams: see stream_reader.h. In the server process; runs on its pool. */
#include "live/stream_reader.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/flow.h"
#include "job/keys.h"
#include "live/matroska_write.h"

#define TAGS_BYTES 512
#define READ_BYTES (HTTP_FLOW_BYTES - TAGS_BYTES)
#define NEXT_NONE 0
#define NEXT_FOUND 1

struct stream_reader {
	struct stream_reader_opts o;
	struct stream stream;
	int64_t *only;
	size_t only_at;
	struct store_reader *object; /* of `fragment`; NULL: between two */
	uint64_t offset;
	struct fragment fragment;
	int64_t idle_since_ms; /* monotonic */
};

struct stream_reader *stream_reader_new(const struct stream_reader_opts *o)
{
	struct stream_reader *r = mr_calloc(1, sizeof(*r));
	r->o = *o;
	r->o.stream = &r->stream;
	r->stream.created_ms = o->stream->created_ms;
	memcpy(r->stream.id, o->stream->id, sizeof(r->stream.id));
	memcpy(r->stream.user_id, o->stream->user_id, sizeof(r->stream.user_id));
	memcpy(r->stream.name, o->stream->name, sizeof(r->stream.name));
	if (o->only) {
		r->only = mr_calloc(o->only_count, sizeof(*r->only));
		memcpy(r->only, o->only, o->only_count * sizeof(*r->only));
		r->o.only = r->only;
	}
	r->idle_since_ms = clock_mono_ms();
	return r;
}

void stream_reader_free(struct stream_reader *r)
{
	if (!r)
		return;
	store_reader_close(r->object);
	free(r->only);
	free(r);
}

/* ---- which fragment is next ---- */

static int find_next(struct stream_reader *r, struct err *e)
{
	if (r->only && r->only_at == r->o.only_count)
		return NEXT_NONE;
	if (r->only) {
		int rc = repo_fragment_get(r->o.repo, r->stream.id, r->only[r->only_at], &r->fragment, e);
		r->only_at += rc == 0;
		return rc < 0 ? rc : NEXT_FOUND;
	}
	const struct fragment_query q = { .stream_id = r->stream.id,
					  .after = r->o.after,
					  .time = r->o.from_time,
					  .from_ms = r->o.from_ms,
					  .to_ms = r->o.from_time == FRAGMENT_ANY_TIME ? r->o.from_ms : INT64_MAX };
	uint32_t count = 0;
	int rc = repo_fragment_list(r->o.repo, &q, &r->fragment, 1, &count, e);
	if (rc < 0 || !count)
		return rc < 0 ? rc : NEXT_NONE;
	r->o.after = r->fragment.number;
	r->o.from_time = FRAGMENT_ANY_TIME; /* from the first one on it goes by numbers */
	return NEXT_FOUND;
}

static int open_next(struct stream_reader *r, struct err *e)
{
	for (;;) {
		int rc = find_next(r, e);
		if (rc != NEXT_FOUND)
			return rc;
		_cleanup_free_ char *key = key_fragment(r->stream.user_id, r->stream.id, r->fragment.number);
		rc = store_reader_open(r->o.store, key, &r->object, NULL, e);
		r->offset = 0;
		if (rc == 0)
			return NEXT_FOUND;
		if (rc != -ERR_NOT_FOUND || r->only)
			return rc;
	}
}

/* All was sent. */
static int at_the_end(struct stream_reader *r, struct err *e)
{
	bool live = false;
	if (!r->o.follow)
		return HTTP_FLOW_END;
	int rc = repo_stream_is_live(r->o.repo, r->stream.id, &live, e);
	if (rc == -ERR_NOT_FOUND)
		return HTTP_FLOW_END;
	if (rc < 0)
		return rc;
	return live || clock_mono_ms() - r->idle_since_ms < STREAM_IDLE_MS ? HTTP_FLOW_WAIT : HTTP_FLOW_END;
}

/* ---- its bytes ---- */

static void end_fragment(struct stream_reader *r, struct buf *out)
{
	char number[FRAGMENT_NUMBER_SIZE], behind[24];
	int64_t behind_ms = clock_wall_ms() - r->fragment.server_ms - r->fragment.length_ms;
	fragment_number_format(&r->stream, r->fragment.number, number);
	(void)snprintf(behind, sizeof(behind), "%lld", (long long)(behind_ms > 0 ? behind_ms : 0));
	const struct mkv_tag tags[] = { { "AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", behind },
					{ "AWS_KINESISVIDEO_CONTINUATION_TOKEN", number } };
	if (!r->only)
		(void)mkv_write_tags(out, tags, MR_ARRAY_SIZE(tags));
	store_reader_close(r->object);
	r->object = NULL;
	r->idle_since_ms = clock_mono_ms();
}

static int read_on(struct stream_reader *r, struct buf *out, struct err *e)
{
	size_t got = 0;
	void *to = buf_reserve(out, READ_BYTES);
	if (!to)
		return err_set(e, ERR_UNAVAILABLE, "no memory to read a fragment");
	int rc = store_reader_read(r->object, r->offset, to, READ_BYTES, &got, e);
	if (rc < 0)
		return rc;
	buf_commit(out, got);
	r->offset += got;
	if (r->offset >= r->fragment.bytes) {
		end_fragment(r, out);
		return buf_finish(out, e);
	}
	return got ? HTTP_FLOW_MORE : err_set(e, ERR_IO, "the fragment's object is shorter than its row says");
}

int stream_reader_fill(void *state, struct buf *out, struct err *e)
{
	struct stream_reader *r = state;
	if (!r->object) {
		int rc = open_next(r, e);
		if (rc < 0)
			return rc;
		if (rc == NEXT_NONE)
			return at_the_end(r, e);
	}
	return read_on(r, out, e);
}
