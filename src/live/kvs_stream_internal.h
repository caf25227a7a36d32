/* What kvs_stream*.c share: one stream's state, on its client's loop. */
#pragma once

#include "live/kvs_stream.h"

enum kvs_state {
	KVS_S_IDLE,
	KVS_S_CREATING,
	KVS_S_DESCRIBING,
	KVS_S_LOCATING,
	KVS_S_CONNECTING,
	KVS_S_LOCATING_LIST,
	KVS_S_LISTING,
	KVS_S_SENDING,
	KVS_S_ENDING,
	KVS_S_RESTING,
	KVS_S_FAILED,
};

struct kvs_fragment {
	struct kvs_fragment *next;
	struct sink_fragment f;
	bool sent;	/* on this connection, as far as it has got */
	bool maybe;	/* sent on one before: the service may have it */
	bool persisted; /* and waits for those in front of it */
	int64_t sent_ms;
	char number[SINK_NUMBER_SIZE];
};

struct kvs_place {
	char *url; /* NULL: unknown */
	int64_t known_ms;
};

struct kvs_stream {
	struct kvs_stream_opts o;
	char *name;
	enum kvs_state state;
	struct kvs_fragment *fragments, **tail;
	bool closing;

	bool created, active, was_active; /* what is known of the stream */
	bool keeps;			  /* it has a retention: PERSISTED comes */
	bool cannot_list;
	struct kvs_place put, list; /* data endpoints */

	struct exchange *call; /* a call that is under way */
	struct buf answer;     /* its */
	const char *calling;   /* its path */

	struct exchange *media; /* PutMedia */
	struct kvs_acks acks;
	struct buf out; /* what is being sent */
	size_t out_at;
	bool refused;		 /* its answer is no 200 */
	bool finish;		 /* the body's end is to be sent */
	int64_t began_ms;	 /* the state, monotonic */
	int64_t connected_ms;	 /* the connection */
	int64_t next_fragment_ms; /* before which none may begin */
	int64_t busy_ms;	 /* something was sent or acknowledged last */

	unsigned tries;	    /* since something was persisted */
	unsigned few_tries; /* of what is tried only a few times */
	int64_t next_ms;    /* RESTING: until then */
};

/* kvs_stream.c */
/* The next step towards sending, from IDLE or after a step is done. */
void kvs_stream_step(struct kvs_stream *s);
void kvs_stream_enter(struct kvs_stream *s, enum kvs_state state);
/* What is under way is cut off; the verdict says how it goes on. */
void kvs_stream_failed(struct kvs_stream *s, enum kvs_verdict v, const struct err *why);
/* The service has it. */
void kvs_stream_persisted(struct kvs_stream *s, struct kvs_fragment *f, const char *number);
/* Those in front that are persisted are told and let go of. */
void kvs_stream_settle(struct kvs_stream *s);

/* kvs_calls.c: createStream, describeStream, getDataEndpoint, listFragments. Each goes on with kvs_stream_step. */
void kvs_calls_create(struct kvs_stream *s);
void kvs_calls_describe(struct kvs_stream *s);
void kvs_calls_locate(struct kvs_stream *s, bool list);
void kvs_calls_list(struct kvs_stream *s);

/* kvs_media.c: the PutMedia. */
void kvs_media_connect(struct kvs_stream *s);
void kvs_media_cut(struct kvs_stream *s);
/* The body's end, once what has begun is out. */
void kvs_media_end(struct kvs_stream *s);
