/* What the files of PutMedia share. Nobody else includes it.
 *
 * A connection is touched on its loop's thread alone, but for what is `protected by lock`. It lives until its last reference
 * is gone: the loop's (while the socket is open), the split session's (until its `end`), and one for each piece of work or
 * message under way.
 *
 *   loop thread                 decoder's thread              pool
 *   recv → http_parser
 *     head → verify ───────────────────────────────────────► admit: stream, writer, split session
 *     100, 200 ◄─────────────────────────────────────────────┘
 *     body → live_split_bytes ─► events → put_item ─────────► put_stream: store, commit
 *     acknowledgement ◄───────────────────────────────────────┘ */
#pragma once

#include <http_parser.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/id.h"
#include "live/loop.h"
#include "live/put_head.h"
#include "live/put_server.h"
#include "os/pool.h"

#define PUT_LOOPS 2
#define PUT_TIMECODE_NONE INT64_MIN

enum put_state { PUT_HEAD, PUT_ADMIT, PUT_BODY, PUT_LAST_BYTES, PUT_CLOSED };

enum put_item_kind { PUT_ITEM_HEADER, PUT_ITEM_BEGIN, PUT_ITEM_DATA, PUT_ITEM_TAG, PUT_ITEM_END, PUT_ITEM_DONE };

/* An event of the split session, for the pool. */
struct put_item {
	struct put_item *next;
	enum put_item_kind kind;
	int64_t timecode_ms, duration_ms;
	uint32_t error_id; /* DONE */
	size_t len;
	char data[]; /* HEADER, DATA; TAG: name, NUL, value, NUL */
};

/* Of the thread that works on it: the pool's, one at a time. */
struct put_stream {
	struct stream stream;
	struct stream_writer *writer;
	struct stream_fragment *fragment; /* that is arriving, or NULL */
	int64_t timecode_ms;              /* its */
	int64_t turn_ms;                  /* monotonic: when the next one is due at the greatest rate */
	struct buf header;
	struct buf tags; /* of the fragment: "name\0value\0…" */
	bool failed;     /* nothing more is taken */
};

struct put_conn {
	struct put_server *server;
	struct loop *loop;
	struct loop_watch watch;
	struct put_conn *next, *prev; /* of the loop */
	atomic_uint refs;
	char id[UUID_SIZE];

	enum put_state state;
	http_parser parser;
	struct put_head head;
	struct put_target target;
	const char *user;
	bool head_done, body_done;
	struct buf held; /* of the body, not given to the split session yet */
	struct buf out;
	int64_t opened_ms, last_ms; /* monotonic: since when, last byte */
	int64_t idle_told_ms;       /* IDLE was said last */
	int64_t allowance;          /* bytes that may still come in this second */
	struct err refusal;         /* of the admission */
	uint64_t fragments;

	pthread_mutex_t lock;
	/* protected by lock */
	struct live_split *split;
	struct put_item *items, **tail;
	size_t item_bytes;
	bool working;          /* a piece of work is at the items */
	bool slow;             /* reading has stopped for them */
	bool early;            /* the next fragment waits for its turn, so `working` stays set */
	bool cut;              /* nothing waits any more */
	uint32_t cut_error_id; /* what to say when the session ends because we cut it */

	struct put_stream to;
};

struct put_loop {
	struct put_server *server;
	struct loop *loop;
	struct put_conn *conns; /* of its thread */
};

struct put_server {
	struct put_server_opts o;
	struct put_loop loops[PUT_LOOPS];
	struct pool *pool;
	struct loop_watch listener;
	uint16_t port;
	/* of the first loop's thread */
	bool listening;
	unsigned next_loop;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	/* protected by lock */
	unsigned count; /* connections that are not freed */
	bool stopping;
};

/* put_conn.c */
void put_conn_adopt(struct put_loop *l, int take_fd);
void put_conn_check(struct put_conn *c, int64_t now_ms);
/* Closes the socket now and gives the loop's reference back. */
void put_conn_cut(struct put_conn *c);
/* Any thread: one acknowledgement (a line of JSON), or NULL: that was all, end the answer. */
void put_conn_say(struct put_conn *c, const char *line);
/* Any thread: there is room again. */
void put_conn_resume(struct put_conn *c);

/* put_ref.c */
struct put_conn *put_conn_ref(struct put_conn *c);
void put_conn_unref(struct put_conn *c);

/* put_stream.c */
/* Pool job: finds the stream and opens writer and session, or sets `refusal`. */
void put_stream_admit(struct put_conn *c, struct err *e);
/* Ends the session; what it had not given yet is dropped. `error_id` 0: say nothing. Any thread. */
void put_stream_cut(struct put_conn *c, uint32_t error_id);
/* Gives bytes to the session: 0, -ERR_BUSY (put_conn_resume comes), or -ERR_LOST: it has ended. */
int put_stream_bytes(struct put_conn *c, const void *data, size_t len);
/* The body has ended. */
void put_stream_finish(struct put_conn *c);
/* From time to time: a fragment that came too early may be taken now. True: something is being stored, or waits for that. */
bool put_stream_check(struct put_conn *c);
void put_stream_release(struct put_stream *s);
/* "INVALID_MKV_DATA"; never NULL. */
const char *put_error_code(uint32_t error_id);
#define PUT_E_READ 4000
#define PUT_E_CONNECTION_AGE 4003
#define PUT_E_PRODUCER_TIME 4007
#define PUT_E_STREAM_NOT_ACTIVE 4008
#define PUT_E_INTERNAL 5000
#define PUT_E_ARCHIVAL 5001
