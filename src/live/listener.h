/* Listeners: live HLS of any stream with sound. Runs in the server; segments are decoded and encoded in the sandbox (TASK_LISTEN).
 *
 *   listener_new(&opts, &l, e);
 *   listener_playlist(l, &stream, &(struct listener_view){ .type = LISTEN_AUTO }, &text, e);    // GET …/live.m3u8
 *   listener_segment(l, &stream, &ref, &wait, &bytes, e);                                       // GET …/segments/…
 *   listener_interrupt(l);            // who waits for a segment is called, and fails
 *   listener_free(l);
 *
 * A playlist is a view of rows (live/listen_plan.h): it lists what can be made, and a restart or another front changes nothing in
 * it. Where the sliding window is, is kept in a row (job/stream.h, struct listen_mark), so that its sequence numbers go on and
 * never back.
 *
 * Segments are made when they are asked for, by an encoder that goes on from one to the next and then stays at the live edge: it
 * takes each fragment as it is committed, until nobody has asked for LISTEN_IDLE_MS. All listeners of a stream share it. Who
 * seeks far away gets another one, at most LISTEN_PER_STREAM of a stream. Each keeps its last 43 s of frames in memory (0.4 MB
 * of mono); nothing is stored.
 *
 * Threads: any; playlist and segment block on the database, so they are for a pool. No thread waits for an encoder: who has to is
 * called. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "bus/bus.h"
#include "hls/playlist.h"
#include "job/stream.h"
#include "store/store.h"
#include "worker/task_client.h"

#define LISTEN_IDLE_MS 30000
#define LISTEN_PER_STREAM 6
#define LISTEN_WINDOW 8		    /* segments of the sliding window */
#define LISTEN_SEGMENTS_MAX 30000   /* of EVENT and VOD: some 16 hours */
#define LISTEN_OVER_MS 5000	    /* after a stream's last fragment, when nobody writes it any more */
#define LISTEN_SETTLED_MS 60000     /* the same: from then on LISTEN_AUTO is a VOD */
#define LISTEN_SEGMENT_MAX_BYTES (1u << 20)

struct listener;
struct listener_opts {
	struct repo *repo;
	struct store *store;
	struct bus *bus;
	struct zygote *zygote; /* all borrowed */
	uint32_t processes;    /* 0: one a core */
};
int listener_new(const struct listener_opts *opts, struct listener **ret, struct err *e) MR_MUST_USE;
void listener_interrupt(struct listener *l);
/* NULL is fine. Nobody may be within a call. */
void listener_free(struct listener *l);

enum listener_type {
	LISTEN_AUTO,   /* the window, and when the stream has been over for a minute, a VOD */
	LISTEN_WINDOWED,
	LISTEN_EVENT,  /* all that is kept, growing. ERR_GONE/EVENT_TOO_LONG where its beginning is about to expire */
	LISTEN_VOD,    /* all that is kept. ERR_CONFLICT/STILL_LIVE before the end */
};
struct listener_view {
	enum listener_type type;
	hls_uri_fn uri_fn; /* of segments: "segments/…", relative to the playlist */
	void *uri_ctx;
};
/* Checked by hls/check.h. ERR_NOT_FOUND/NOTHING_YET: there is no whole segment yet. */
int listener_playlist(struct listener *l, const struct stream *s, const struct listener_view *v, struct buf *out,
		      struct err *e) MR_MUST_USE;

/* As a segment's name has it: "{fragment}-{first frame}-{end}.aac". */
struct listener_ref {
	int64_t number, from, to;
};
bool listener_ref_parse(const char *name, struct listener_ref *ret);
/* One request for a segment, from its first call of listener_segment to its last; begins zeroed but for these two. */
struct listener_wait {
	void (*again)(void *ctx); /* any thread, with the listener's lock held: may not block, nor call it */
	void *ctx;
	/* the listener's */
	struct listener_wait *next;
	struct listen_session *session;
	struct listener_ref ref;
	int64_t until_ms;
	uint32_t lost;
	struct err why;
};
#define LISTENER_LATER 1
/* LISTENER_LATER: it is being made; `again` is called, once, after some ten seconds at the latest; then this is to be called again.
 * ERR_NOT_FOUND: its fragment isn't kept (any more), or it isn't one. ERR_UNSUPPORTED/NO_SOUND. ERR_BUSY, ERR_UNAVAILABLE: come
 * again. */
int listener_segment(struct listener *l, const struct stream *s, const struct listener_ref *ref, struct listener_wait *w,
		     struct buf *out, struct err *e) MR_MUST_USE;

struct listener_stats {
	uint32_t encoders, processes;
	uint64_t bytes; /* of frames in memory */
};
void listener_stats(struct listener *l, struct listener_stats *ret);
