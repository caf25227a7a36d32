/* Where the fragments of sessions go: the built-in stream store (live/sink_builtin.c) or Kinesis Video Streams (live/sink_kvs.c),
 * behind one small interface. Server process.
 *
 *   struct sink_stream *st = sink_open(sink, &(struct sink_stream_opts){ .name = "session-17", .user = user, .stored = on_stored,
 *                                                                        .failed = on_failed, .closed = on_closed, .ctx = me });
 *   if (sink_append(st, &fragment)) ...      // taken; on_stored(me, fragment.sequence, "9134…") when it is durable
 *   sink_close(st);                          // what was taken is still stored; then on_closed(me)
 *
 * Nothing here blocks: stores and networks are waited for on threads of the sink's own. The stream is made when its first fragment
 * comes, if there is none. Order is kept: fragments are stored in the order in which they were appended, each once.
 *
 * `stored` comes for every fragment in that order, unless `failed` comes: then the stream takes no more (another user's, deleted,
 * taken over by another server), what waits is dropped and only `closed` follows, after sink_close. What a later try can help with
 * (a full disk, an outage) is tried again as long as it takes; meanwhile fragments wait, SINK_WAITING_MAX at most, and the session
 * has to stop taking sound. Handlers run on the sink's threads, those of one stream one at a time; they must not block and must
 * not call the sink.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SINK_WAITING_MAX 16
#define SINK_NUMBER_SIZE 129

struct sink_fragment {
	uint64_t sequence; /* the caller's */
	int64_t timecode_ms;
	uint32_t length_ms;
	int16_t *take_samples; /* FRAGMENT_RATE, mono; taken by sink_append if it returns true */
	uint32_t count;
	/* What the session finds again with its last fragment, if the sink can keep it: which recording, and the chunk up to
	 * which all is stored with this one. */
	int64_t recording, last_chunk;
};

struct sink_stream_opts {
	const char *name, *user; /* copied */
	void (*stored)(void *ctx, uint64_t sequence, const char *number);
	void (*failed)(void *ctx, const struct err *why);
	void (*closed)(void *ctx); /* exactly once, last */
	void *ctx;
};

struct sink;
struct sink_stream {
	struct sink *sink;
};
struct sink {
	bool refuses_short; /* fragments under FRAGMENT_MIN_MS */
	bool keeps_place; /* a fragment's recording and last chunk, in one step with it; else they are the session's to save */
	struct sink_stream *(*open)(struct sink *s, const struct sink_stream_opts *o);
	bool (*append)(struct sink_stream *st, const struct sink_fragment *f);
	void (*close)(struct sink_stream *st);
	/* What waits is given up: the end of the process is near. */
	void (*interrupt)(struct sink *s);
	/* All streams are closed. */
	void (*free)(struct sink *s);
};

static inline struct sink_stream *sink_open(struct sink *s, const struct sink_stream_opts *o)
{
	return s->open(s, o);
}
/* False: SINK_WAITING_MAX wait already, or the stream has failed; nothing was taken. */
static inline bool sink_append(struct sink_stream *st, const struct sink_fragment *f)
{
	return st->sink->append(st, f);
}
static inline void sink_close(struct sink_stream *take_st)
{
	take_st->sink->close(take_st);
}
static inline void sink_interrupt(struct sink *s)
{
	s->interrupt(s);
}
static inline void sink_free(struct sink *s)
{
	if (s)
		s->free(s);
}
