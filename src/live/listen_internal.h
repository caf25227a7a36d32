/* What the files of the listening side share. Private to live/listen*.c.
 *
 * One lock, the listener's. A session (one encoder of one stream) belongs to its host's thread: that alone frees it and uses
 * the fields of its first group; the second group is protected by the lock. */
#pragma once

#include <pthread.h>

#include "live/listen_plan.h"
#include "live/listener.h"
#include "os/thread.h"
#include "proto/listen.h"
#include "worker/task_hold.h"

#define RING_FRAMES 2048
#define POISON_MAX 16

struct listen_frame {
	int64_t index; /* 0: nothing */
	uint8_t *data;
	uint32_t len;
};

struct listen_session {
	struct stream stream; /* id, user, name and creation alone */
	uint32_t slot;
	struct fragment last; /* that was encoded; number alone is set before the first */
	bool open;	      /* in a run */
	bool padded;

	/* protected by lock */
	struct listen_session *next;
	struct listen_host *host;
	struct listen_frame ring[RING_FRAMES];
	uint64_t bytes;
	uint32_t channels;
	int64_t valid_from; /* frames before it aren't given */
	int64_t next_frame; /* behind the last one that came */
	int64_t wanted;	    /* frame up to which somebody has asked */
	int64_t follow_until_ms, used_ms, wait_until_ms; /* monotonic */
	uint32_t waiters;
	bool hinted;
	bool over; /* it has failed, or its process has: no one may start using it */
	struct err why;
};

struct listen_host {
	struct listener *listener;
	pthread_t thread;
	bool started;
	/* its thread's */
	struct task_hold process;
	bool running;
	int64_t idle_since_ms, start_at_ms;
	struct {
		char stream_id[UUID_SIZE];
		int64_t number;
	} poison[POISON_MAX]; /* fragments at which a process died: they are silence */
	uint32_t poisoned;
	struct buf in, out, fragment;
	/* protected by lock */
	struct listen_session *sessions;
	bool slots[LISTEN_SLOTS];
	uint32_t count;
	bool running_now;
};

struct listen_view_row; /* listen_playlist.c */

struct listener {
	struct listener_opts o;
	struct bus_subscription *hints;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* frames have come, sessions ended, work has come */
	struct listen_host *hosts;
	uint32_t host_count;
	/* protected by lock */
	bool stopping;
	struct listener_wait *waits;
	/* listen_playlist.c's, under a lock of their own */
	pthread_mutex_t views_lock;
	struct listen_view_row *views;
};

/* listen_host.c: the thread of a host. */
void *listen_host_thread(void *host);
/* listen_sessions.c */
/* Has an encoder at work that gives this segment and those behind it, for as long as somebody asks. Does not wait. */
void listen_follow(struct listener *l, const struct stream *s, const struct listen_segment *from, int64_t to);
/* Calls who waits, for this session or (NULL) any, and needs to no more. */
void listen_wake_locked(struct listener *l, const struct listen_session *s);
/* A session that was begun on a fragment needs to know whether its first frames can be used. */
struct listen_frame *listen_frame_locked(struct listen_session *s, int64_t index);
void listen_session_clear_locked(struct listen_session *s);
void listen_session_free(struct listen_session *s);
/* Nobody writes the stream any more, and its last fragment is LISTEN_OVER_MS ago. */
int listen_is_over(struct repo *repo, const char *stream_id, const struct fragment *last, bool *ret, struct err *e) MR_MUST_USE;
/* listen_playlist.c */
void listen_views_free(struct listener *l);
