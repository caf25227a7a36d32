/* A stream's fragments as one run of Matroska, as GetMedia and GetMediaForFragmentList send it: objects one after the other,
 * each followed by tags that say how far behind it is and where to go on.
 *
 *   struct stream_reader *r = stream_reader_new(&(struct stream_reader_opts){
 *           .repo = repo, .store = store, .stream = &s, .after = -1, .follow = true });
 *   while ((next = stream_reader_fill(r, &buf, e)) == HTTP_FLOW_MORE)
 *           ...
 *
 * Reads rows as it goes, one fragment ahead: memory does not depend on the stream. Fragments that expire meanwhile are left
 * out. One thread at a time; fill blocks on store and database. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "job/stream.h"
#include "store/store.h"

/* A reader that has seen all ends when nobody writes the stream and nothing has come for so long. */
#define STREAM_IDLE_MS 5000

struct stream_reader;
struct stream_reader_opts {
	struct repo *repo;
	struct store *store;
	const struct stream *stream;  /* id, user, name and creation are copied */
	int64_t after;                /* numbers above this; -1: all */
	enum fragment_time from_time; /* and the first one is at or behind from_ms by this time */
	int64_t from_ms;
	bool follow;         /* go on with what comes later */
	const int64_t *only; /* exactly these numbers, in this order, without further tags (copied); NULL: see above */
	size_t only_count;
};
struct stream_reader *stream_reader_new(const struct stream_reader_opts *o) __attribute__((returns_nonnull));
/* NULL is fine. */
void stream_reader_free(struct stream_reader *r);
/* An http_flow_ops.fill: state is the reader. */
int stream_reader_fill(void *state, struct buf *out, struct err *e) MR_MUST_USE;
