/* What service.c and speaker.c share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "live/service.h"

/* One loop with its connections and sessions, which are touched on its thread alone. */
struct live_thread {
	struct live_service *service;
	struct loop *loop;
	struct live_speaker *speakers;
	struct live_entry *sessions;
	bool draining;
};

struct live_entry {
	struct live_entry *next;
	struct ingest_session *session;
};

struct live_service {
	struct live_service_opts opts;
	char *session_url;
	struct live_thread *threads;
	uint32_t thread_count;
	struct live_counters counters;
	atomic_uint connections, sessions, next_thread;
	atomic_uint claiming; /* on the pool: they will come back to a loop */
	atomic_bool draining;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* connections or sessions went down */
};

/* speaker.c */
/* The session of that name on this thread, or NULL. */
struct ingest_session *live_thread_find(struct live_thread *t, const char *id);
struct live_thread *live_thread_of(struct live_service *svc, const char *session);
void live_thread_tick(void *thread);
/* A connection is gone, or a session over: whoever drains is told. */
void live_service_less(struct live_service *svc, atomic_uint *count);
/* Closes what has no session; tells the sessions to end. */
void live_thread_drain(void *thread);
/* What is left at the very end. */
void live_thread_release(struct live_thread *t);

/* access.c */
/* Whether the speaker may open this session at all, before whose it is. */
int live_access_check(const struct live_speaker_opts *who, const char *session, struct err *e) MR_MUST_USE;
/* Asks the look-up URL. Blocks. */
int live_access_look_up(const char *url, const char *session, const char *user, struct err *e) MR_MUST_USE;
