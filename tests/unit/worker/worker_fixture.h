/* What the worker's tests share: the repository's fixture with a real store and bus beside it, waiting for events, and reading the
 * log. Objects are put by hand where a task would have made them: nothing here reads media.
 *
 *   struct worker_fixture *f = *state;
 *   publisher_nudge(f->publisher, id);
 *   wait_published(f, id, 1);
 */
#pragma once

#include <pthread.h>

#include "../job/repo_fixture.h"
#include "bus/bus.h"
#include "store/store.h"
#include "worker/publisher.h"

#define WAIT_MS 100000 /* far beyond what anything takes: a wait that ends like this has failed */

struct worker_fixture {
	struct repo_fixture *rows;
	struct err e;
	char root[64];
	struct store *store;
	struct bus *bus;
	struct publisher *publisher;
	struct bus_subscription *jobs;
	int log, real_stderr; /* the log's lines, while log_catch is on */
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t told;
	uint64_t events; /* of BUS_JOB */
};
int worker_fixture_setup(void **state);
int worker_fixture_teardown(void **state);

/* Until the job's playlists list at least so many segments. */
void wait_published(struct worker_fixture *f, const char *job_id, uint32_t segments);
/* From now on lines of the log are kept for log_wait; the teardown ends it. */
void log_catch(struct worker_fixture *f);
/* Until a line with this text was logged; lines before it are dropped. */
void log_wait(struct worker_fixture *f, const char *text);

/* A job whose first segments 0 … segments - 1 are committed, in one claim; the claim is the caller's, or not wanted. */
struct claim job_with_segments(struct worker_fixture *f, char id[UUID_SIZE], uint32_t planned, uint32_t segments);
void job_begun(struct worker_fixture *f, char id[UUID_SIZE], uint32_t planned, uint32_t segments);
/* All media is committed and the finish chunk is claimed. */
struct claim job_to_finish(struct worker_fixture *f, char id[UUID_SIZE], uint32_t segments);

void put(struct worker_fixture *f, const char *key, const char *text);
bool stored(struct worker_fixture *f, const char *key);
/* The whole object as text; the caller frees. Fails the test if it isn't there. */
char *text_of(struct worker_fixture *f, const char *key);
/* How often the text has the line's beginning. */
unsigned count_lines(const char *text, const char *beginning);
/* Every media playlist of the fixture's job lists so many segments. */
void expect_lists(struct worker_fixture *f, unsigned segments, bool ended);
