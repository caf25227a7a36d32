/* The built-in stream store: fragments of media, durable once they are committed, each an object in the form in which
 * GetMedia serves it and a row that finds it.
 *
 *   struct stream s = { 0 };
 *   stream_store_ensure(ss, user, &(struct stream_new){ .name = "session-17", .retention_hours = 1 }, &s, e);
 *   stream_writer_open(ss, &s, &w, e);
 *   stream_writer_append(w, &(struct stream_fragment_new){ .header = header.data, .header_len = header.len,
 *                                                          .producer_ms = at, .timecode_ms = at },
 *                        cluster.data, cluster.len, length_ms, &fragment, e);          // durable when it returns
 *   stream_writer_close(w);
 *   stream_release(&s);
 *
 * An object is: the header (EBML, Segment, Info, Tracks), Tags with the fragment's number and times, the cluster. It is
 * complete Matroska by itself, and byte for byte what AWS's service sends for a fragment.
 *
 * Writers: one per stream. Opening takes the stream over from whoever wrote before (a server that was killed, another front):
 * what that one still wants to commit is refused (ERR_LOST). Within this process a second writer is refused instead
 * (ERR_BUSY). Numbers rise over all writers of a stream and are never used twice.
 *
 * Guarantees: a committed fragment survives a crash; a fragment that was not committed is seen by nobody. Does not guarantee
 * an order of time stamps.
 *
 * Threads: the store is any thread's; a writer and its fragment are one thread's at a time. Everything but
 * stream_fragment_number blocks on store and database: call it on a pool, never on a live or HTTP thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/bus.h"
#include "job/stream.h"
#include "store/store.h"

struct stream_store;
struct stream_store_opts {
	struct repo *repo;
	struct store *store;
	struct bus *bus; /* each committed fragment is told as BUS_STREAM */
};
struct stream_store *stream_store_new(const struct stream_store_opts *opts) __attribute__((returns_nonnull));
/* All writers are closed. NULL is fine. */
void stream_store_free(struct stream_store *ss);

/* The user's stream of that name, made if there is none. ERR_DENIED: it is another user's. */
int stream_store_ensure(struct stream_store *ss, const char *user_id, const struct stream_new *n, struct stream *ret,
			struct err *e) MR_MUST_USE;

struct stream_writer;
/* ERR_BUSY: it is being written through this process. ERR_NOT_FOUND: it was deleted. Copies what it needs of `s`. */
int stream_writer_open(struct stream_store *ss, const struct stream *s, struct stream_writer **ret,
		       struct err *e) MR_MUST_USE;
/* Followers learn that nothing more is coming for now. NULL is fine. */
void stream_writer_close(struct stream_writer *w);

struct stream_fragment_new {
	const void *header; /* EBML, Segment (of unknown size), Info, Tracks */
	size_t header_len;
	int64_t producer_ms; /* wall clock of its first frame */
	int64_t timecode_ms; /* as the producer's cluster has it */
	int64_t recording;   /* a live session's, else 0; then: */
	int64_t last_chunk;
};

/* A fragment that is written piece by piece; one at a time per writer. */
struct stream_fragment;
int stream_fragment_begin(struct stream_writer *w, const struct stream_fragment_new *n, struct stream_fragment **ret,
			  struct err *e) MR_MUST_USE;
/* Its number as the API shows it; owned by the fragment. */
const char *stream_fragment_number(const struct stream_fragment *f);
int stream_fragment_write(struct stream_fragment *f, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* Frees it, on failure too. ERR_LOST: another writer has taken the stream over. ERR_NOT_FOUND: the stream was deleted. `ret`
 * may be NULL. */
int stream_fragment_commit(struct stream_fragment *take_f, int64_t length_ms, struct fragment *ret,
			   struct err *e) MR_MUST_USE;
void stream_fragment_abort(struct stream_fragment *take_f);

/* All three at once. */
int stream_writer_append(struct stream_writer *w, const struct stream_fragment_new *n, const void *media, size_t media_len,
			 int64_t length_ms, struct fragment *ret, struct err *e) MR_MUST_USE;
