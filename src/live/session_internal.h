/* What session*.c share: one session's state, on its loop's thread. */
#pragma once

#include <pthread.h>

#include "live/chunk_window.h"
#include "live/fragmenter.h"
#include "live/session.h"

#define DECODING_MAX_BYTES (128u << 10) /* given to the decoder and not yet taken */
#define DECODING_MAX 64			/* chunks, likewise */
#define STORING_MAX 8			/* fragments; beyond it the peer is paused */

enum session_state { SESSION_LIVE, SESSION_FINISHING, SESSION_STORING, SESSION_SAVING };

/* A fragment on its way into the stream. */
struct storing {
	struct storing *next;
	struct sink_fragment f;
	bool appended;
};

struct ingest_session {
	struct ingest_session_opts o;
	struct live_session_row row;
	enum session_state state;
	struct live_peer peer; /* .text NULL: nobody is connected */
	bool peer_paused;
	bool fresh_peer; /* its first chunk hasn't come */
	int64_t left_ms; /* monotonic; when the last peer left */
	int64_t saved_ms;
	bool kept;   /* the decoder's state has been saved once */
	bool keeping; /* it is being saved for the first time; no fragment is stored before */
	bool saving; /* the pool has `row_copy` */
	bool ended;  /* by the speaker */
	struct live_session_row row_copy;
	struct err failure; /* kind ERR_OK: none */

	struct chunk_window window;
	bool fed; /* anything */
	int64_t recording; /* which one it is: of chunk 0's digest; 0: not known */

	pthread_mutex_t sound_lock;
	/* protected by sound_lock */
	struct live_sound *sound; /* NULL once it has ended: then */
	uint8_t last_state[LIVE_SESSION_STATE_MAX];
	size_t last_state_len;

	/* Chunks in the decoder, in order; bytes counted from the session's start. */
	struct {
		int64_t index, recording;
		uint64_t end;
	} decoding[DECODING_MAX];
	uint32_t decoding_count;
	uint64_t given_bytes, taken_bytes;
	int64_t done_chunk, stored_chunk;
	int64_t done_recording; /* done_chunk's */

	struct fragmenter *fragmenter;
	struct sink_stream *sink;
	bool sink_failed; /* it takes nothing any more */
	struct storing *storing, **storing_tail;
	uint32_t storing_count;
	uint64_t sequence;
	uint64_t stored_count;
};

/* session.c */
/* Hands chunks that are due on to the decoder. */
void ingest_pump(struct ingest_session *s);

void ingest_tell(struct ingest_session *s, const char *fmt, ...) MR_PRINTF(2, 3);
void ingest_tell_error(struct ingest_session *s, const struct err *why);
/* The peer is let go. */
void ingest_part(struct ingest_session *s, enum websocket_code code, const char *reason);

/* session_sound.c */
int ingest_open_sound(struct ingest_session *s, struct err *e) MR_MUST_USE;
/* False: the decoder took nothing. `lost`: chunks are missing in front. */
bool ingest_give_sound(struct ingest_session *s, const void *data, size_t len, bool lost);
void ingest_finish_sound(struct ingest_session *s);
/* The decoder's state into the row. */
void ingest_note_state(struct ingest_session *s);

/* session_stream.c */
void ingest_open_stream(struct ingest_session *s);
/* Sees to it that the session can go on without a fresh header, whatever becomes of this process, before anything is stored. */
void ingest_keep(struct ingest_session *s);
/* Complete fragments go to the sink. */
void ingest_collect(struct ingest_session *s);
/* Once the sound has ended and the sink has everything. */
void ingest_close_stream(struct ingest_session *s);
/* Writes the row on the pool; in SESSION_SAVING the session is over, and freed, behind that. */
void ingest_save(struct ingest_session *s);
void ingest_free(struct ingest_session *s);
