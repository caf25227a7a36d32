/* Streams and their fragments: the values and the repository behind live/stream_store.h and the Kinesis Video Streams API.
 *
 *   struct stream s = { 0 };
 *   repo_stream_get(repo, user, "session-17", &s, e);
 *   ...
 *   stream_release(&s);
 *
 * A name is one stream's of the whole installation, whoever owns it; a deleted stream's is free at once. Life of a stream:
 *
 *   ACTIVE ── repo_stream_delete ──► DELETING ── the janitor removes objects, then rows
 *
 * Rows of fragments are written once, and removed by the janitor after their objects when they have expired; reads don't show
 * what has expired. Calls may block for a short query; any thread. `user_id` NULL: anybody's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "job/model.h"
#include "job/repo.h"

#define STREAM_NAME_MAX 256
#define STREAM_ARN_SIZE 400
#define STREAM_TAGS_MAX 50
#define STREAM_RETENTION_MAX_HOURS (24 * 3650)
/* Where nothing is to be kept (retention 0) readers still have this long, as with AWS. */
#define STREAM_UNKEPT_MS (5 * 60 * INT64_C(1000))
int64_t stream_kept_ms(uint32_t retention_hours);

enum stream_status { STREAM_ACTIVE = 1, STREAM_DELETING = 2 };

struct stream {
	char id[UUID_SIZE];
	char user_id[USER_ID_MAX + 1];
	char name[STREAM_NAME_MAX + 1];
	enum stream_status status;
	uint32_t retention_hours;
	int64_t version;   /* rises with every change of the settings */
	char *media_type;  /* NULL: none */
	char *device_name; /* NULL: none */
	char *tags_json;   /* {"key":"value"} */
	int64_t created_ms;
	int64_t epoch;           /* how often it was opened for writing */
	int64_t writer_until_ms; /* somebody writes, or did until then; 0: nobody does */
};
void stream_release(struct stream *s);
/* 1–256 of A–Z a–z 0–9 . _ - */
bool stream_name_valid(const char *name);
/* arn:aws:kinesisvideo:us-east-1:000000000000:stream/{name}/{creation in ms} */
void stream_arn_format(const struct stream *s, char out[STREAM_ARN_SIZE]);
/* The name and creation time of an ARN of any region and account. */
bool stream_arn_parse(const char *arn, char ret_name[STREAM_NAME_MAX + 1], int64_t *ret_created_ms);

struct fragment {
	char stream_id[UUID_SIZE];
	int64_t number;      /* rises within a stream */
	int64_t producer_ms; /* wall clock of its first frame, by the producer */
	int64_t server_ms;   /* when it began to arrive */
	int64_t timecode_ms; /* of its cluster */
	int64_t length_ms;
	uint64_t bytes; /* of its object */
	/* A live session's: which recording it is of (0: none), and the chunk up to which all is stored (-1: none). */
	int64_t recording, last_chunk;
};
/* 47 digits, as AWS has them: rising as text, and never the same for another stream. */
#define FRAGMENT_NUMBER_SIZE 48
void fragment_number_format(const struct stream *s, int64_t number, char out[FRAGMENT_NUMBER_SIZE]);
/* False if it is no number of this stream's. */
bool fragment_number_parse(const struct stream *s, const char *text, int64_t *ret);
/* Numbers of one writer's fragments: epoch * FRAGMENTS_PER_WRITER + 0… */
#define FRAGMENTS_PER_WRITER INT64_C(1000000000)

/* ---- repository: streams ---- */

struct stream_new {
	const char *name;
	uint32_t retention_hours;
	const char *media_type;  /* NULL: none */
	const char *device_name; /* NULL: none */
	const char *tags_json;   /* NULL: none */
};
/* ERR_CONFLICT: the name is taken. */
int repo_stream_create(struct repo *r, const char *user_id, const struct stream_new *n, struct stream *ret,
		       struct err *e) MR_MUST_USE;
/* ERR_NOT_FOUND: there is none, it is another's, or it is being deleted. */
int repo_stream_get(struct repo *r, const char *user_id, const char *name, struct stream *ret, struct err *e) MR_MUST_USE;
/* In the order of names, those behind `after` (NULL: from the start) that begin with `prefix` (NULL: all). fn borrows. */
typedef void (*repo_stream_fn)(void *ctx, const struct stream *s);
int repo_stream_list(struct repo *r, const char *user_id, const char *prefix, const char *after, uint32_t limit,
		     repo_stream_fn fn, void *ctx, struct err *e) MR_MUST_USE;
/* Settings that change together; NULL and -1 leave as it is. */
struct stream_change {
	int64_t version; /* that the caller knows; 0: any */
	int64_t retention_hours;
	const char *media_type, *device_name;
	const char *tags_json;
};
/* ERR_CONFLICT code VERSION_MISMATCH: it has changed meanwhile. */
int repo_stream_change(struct repo *r, const struct stream *s, const struct stream_change *to, struct err *e) MR_MUST_USE;
/* `version` 0: any. Who writes it fails from now on. */
int repo_stream_delete(struct repo *r, const struct stream *s, int64_t version, struct err *e) MR_MUST_USE;

/* ---- repository: writing ---- */

#define STREAM_WRITER_MS 60000 /* a writer that hasn't committed for so long counts as gone */
/* Takes the stream over: *ret_epoch is the new writer's, and the only one that may commit. */
int repo_stream_take(struct repo *r, const char *stream_id, int64_t *ret_epoch, struct err *e) MR_MUST_USE;
/* The writer has ended; nothing happens if another has taken over. */
int repo_stream_leave(struct repo *r, const char *stream_id, int64_t epoch, struct err *e) MR_MUST_USE;
/* Fenced by the epoch in the number. ERR_LOST: taken over. ERR_NOT_FOUND: deleted. */
int repo_fragment_commit(struct repo *r, const struct fragment *f, struct err *e) MR_MUST_USE;

/* ---- repository: reading ---- */

enum fragment_time { FRAGMENT_ANY_TIME, FRAGMENT_PRODUCER_TIME, FRAGMENT_SERVER_TIME };
struct fragment_query {
	const char *stream_id;
	int64_t after; /* numbers above this; -1: all */
	enum fragment_time time;
	int64_t from_ms, to_ms; /* inclusive; with `time` */
};
/* In the order of numbers, into `ret`, which has room for `max`. */
int repo_fragment_list(struct repo *r, const struct fragment_query *q, struct fragment *ret, uint32_t max,
		       uint32_t *ret_count, struct err *e) MR_MUST_USE;
int repo_fragment_get(struct repo *r, const char *stream_id, int64_t number, struct fragment *ret, struct err *e) MR_MUST_USE;
/* The newest; ERR_NOT_FOUND: there is none. */
int repo_fragment_last(struct repo *r, const char *stream_id, struct fragment *ret, struct err *e) MR_MUST_USE;
/* Whether somebody writes it at this moment; ERR_NOT_FOUND: it was deleted. */
int repo_stream_is_live(struct repo *r, const char *stream_id, bool *ret, struct err *e) MR_MUST_USE;

/* ---- repository: listening ---- */

/* Where the sliding window of a stream's listeners is: the segment that begins with this fragment at this frame has these sequence
 * numbers (live/listener.h). Every window that is begun anew begins there. */
struct listen_mark {
	int64_t number, frame;
	bool discontinuity; /* the segment is behind one */
	uint64_t media_sequence, discontinuity_sequence;
};
/* ERR_NOT_FOUND: nobody has listened yet. */
int repo_listen_get(struct repo *r, const char *stream_id, struct listen_mark *ret, struct err *e) MR_MUST_USE;
/* Unless what is stored has a higher media sequence already; *ret is what is stored then. */
int repo_listen_save(struct repo *r, const char *stream_id, const struct listen_mark *m, struct listen_mark *ret,
		     struct err *e) MR_MUST_USE;

/* ---- repository: the janitor ---- */

/* Expired fragments, the oldest first. Once their objects are gone: repo_fragments_forget. */
struct expired_fragment {
	char stream_id[UUID_SIZE];
	char user_id[USER_ID_MAX + 1];
	int64_t number;
};
int repo_fragments_expired(struct repo *r, struct expired_fragment *ret, uint32_t max, uint32_t *ret_count,
			   struct err *e) MR_MUST_USE;
int repo_fragments_forget(struct repo *r, const struct expired_fragment *list, uint32_t count, struct err *e) MR_MUST_USE;
/* Streams being deleted; after its objects are gone repo_stream_purge removes the rows. */
int repo_streams_doomed(struct repo *r, uint32_t limit, repo_stream_fn fn, void *ctx, struct err *e) MR_MUST_USE;
int repo_stream_purge(struct repo *r, const struct stream *s, struct err *e) MR_MUST_USE;

/* ---- repository: what the webhook (live/hook.h) hasn't been told ---- */

struct untold {
	char name[STREAM_NAME_MAX + 1], user_id[USER_ID_MAX + 1];
	int64_t created_ms; /* the stream's */
	struct fragment f;
};
/* The oldest of each stream, of `max` streams at most, in the order of their ids, behind `after` ("": from the first on). */
int repo_untold_list(struct repo *r, const char *after, struct untold *ret, uint32_t max, uint32_t *ret_count,
		     struct err *e) MR_MUST_USE;
/* Telling is one process's at a time: `holder`'s for lease_ms from now, unless another has it. *ret: it is ours (still, or now). */
int repo_telling_claim(struct repo *r, const char *holder, int64_t lease_ms, bool *ret, struct err *e) MR_MUST_USE;
/* Another may have it at once. */
int repo_telling_leave(struct repo *r, const char *holder, struct err *e) MR_MUST_USE;
/* It and all before it have been told; what is known to have been told never gets less. */
int repo_told_save(struct repo *r, const struct untold *told, struct err *e) MR_MUST_USE;
