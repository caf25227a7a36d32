/* What the repository's tests share: a database of the test's own, plans made by hand, and the moves of a
 * worker. */
#pragma once

#include "../base/cm.h"
#include "../db/fresh_db.h"
#include "base/mem.h"
#include "db/db.h"
#include "job/plan.h"
#include "job/repo.h"

#define LEASE_MS 60000
#define SEGMENT_TICKS (4 * (int64_t)VIDEO_TIMESCALE)
#define SEGMENT_FRAMES 188 /* 4.01 s of AAC at 48 kHz */

struct repo_fixture {
	struct fresh_db at;
	struct db *db;
	struct repo *repo;
	struct err e;
};
int repo_fixture_setup(void **state);
int repo_fixture_teardown(void **state);

/* The call must succeed; says why if it does not. */
#define OK(call)                                                                                          \
	do {                                                                                              \
		f->e.message[0] = '\0';                                                                   \
		int _r = (call);                                                                          \
		if (_r < 0)                                                                               \
			fail_msg("%s: %s: %s", #call, err_kind_name((enum err_kind) - _r), f->e.message); \
	} while (0)
/* The call must fail with this kind. */
#define REFUSED(kind_, call)                                                                         \
	do {                                                                                         \
		int _r = (call);                                                                     \
		if (_r != -(int)(kind_))                                                             \
			fail_msg("%s: %s instead of %s", #call, err_kind_name((enum err_kind) - _r), \
				 err_kind_name(kind_));                                              \
		assert_int_equal(f->e.kind, (kind_));                                                \
	} while (0)
#define CODE(code_) assert_string_equal(err_code(&f->e), code_)

int64_t number(struct repo_fixture *f, const char *sql);
void sql(struct repo_fixture *f, const char *text);
/* As if so much time had passed for leases, back-off and intervals. */
void age(struct repo_fixture *f, int64_t ms);

/* A plan of video 720p, 360p and audio, with chunks of so many segments (0 ends the list), the last open-ended. */
void plan_make(struct ladder_plan *p, const uint32_t *chunk_segments);
#define PLAN(p, ...) plan_make((p), (const uint32_t[]){ __VA_ARGS__, 0 })
struct job_new job_new_of(const char *user, const struct ladder_plan *p);

/* A job of `user` with chunks of these numbers of segments; its id goes to `id`. */
void make_job(struct repo_fixture *f, const char *user, const uint32_t *chunk_segments, char id[UUID_SIZE]);
#define MAKE_JOB(f, user, id, ...) make_job((f), (user), (const uint32_t[]){ __VA_ARGS__, 0 }, (id))
struct job get_job(struct repo_fixture *f, const char *id);
enum job_status status_of(struct repo_fixture *f, const char *id);
/* A file of `user` that has arrived. */
void make_file(struct repo_fixture *f, const char *user, char id[UUID_SIZE]);

struct claim claim_as(struct repo_fixture *f, const char *worker);
#define _cleanup_claim_ MR_CLEANUP(claim_release)
struct segment segment_at(uint32_t rendition, uint32_t index);
int commit_init(struct repo *repo, const struct claim *c, uint32_t rendition, struct err *e) MR_MUST_USE;
void commit_inits(struct repo_fixture *f, const struct claim *c);
/* Segments first … end - 1 of every rendition. */
void commit_segments(struct repo_fixture *f, const struct claim *c, uint32_t first, uint32_t end);
/* Everything of a chunk, and its end. */
void work_chunk(struct repo_fixture *f, const struct claim *c);
/* Claims and works media chunks until only the finish chunk is left. */
void work_all_media(struct repo_fixture *f);
/* The finish chunk: end and complete. */
void work_finish(struct repo_fixture *f);
/* Brings a new job of user "u" into a status. */
void job_in_status(struct repo_fixture *f, enum job_status status, char id[UUID_SIZE]);
struct err failure(enum err_kind kind);
/* A narration of three sentences, without music; of user "u", below its usual prefix. */
void make_narration(struct repo_fixture *f, char id[UUID_SIZE]);
/* The keys whose time has come, each followed by a space; the caller frees. */
char *doomed_keys(struct repo_fixture *f);
