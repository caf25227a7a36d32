/* job/repo: many moves in random order by workers, users, a publisher and time; after each the invariants of a job must
 * hold. The seed is printed when one does not: MILLRACE_TEST_SEED=… repeats it. Also: a worker process killed in the
 * middle of its writes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "repo_fixture.h"

#define JOBS 3
#define CLAIMS 6
#define CHUNKS_MAX 6

static uint64_t random_state;

/* xorshift64*: the same on every machine. */
static uint32_t any(uint32_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 0x2545F4914F6CDD1Dull) >> 33) % below;
}

struct held {
	struct claim claim;
	bool taken;
	uint32_t segment, rendition; /* commits next */
	uint32_t end;		     /* where the source "ends" for this chunk */
};

struct watched {
	char id[UUID_SIZE];
	uint32_t real_segments; /* how long the source truly is */
	/* seen last */
	double percent;
	uint32_t visible, published;
	int64_t revision;
	bool done[CHUNKS_MAX + 1];
};

struct world {
	struct repo_fixture *f;
	struct watched jobs[JOBS];
	struct held held[CLAIMS];
	uint64_t seed;
	uint32_t step;
	uint32_t completed, failed;
};

#define HOLDS(condition)                                                                                      \
	do {                                                                                                  \
		if (!(condition))                                                                             \
			fail_msg("seed %llu, step %u: %s", (unsigned long long)w->seed, w->step, #condition); \
	} while (0)

static int64_t number_of(struct world *w, const char *text, const char *id)
{
	struct repo_fixture *f = w->f;
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	OK(db_first(c, text, DB_PARAMS(DB_TEXT(id)), &rows, &f->e));
	return db_int(rows, 0);
}

static void check_chunks(struct world *w, struct watched *x)
{
	struct repo_fixture *f = w->f;
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	OK(db_query(c, "SELECT idx, state, done_ticks <= weight_ticks FROM chunk WHERE job_id = $1",
		    DB_PARAMS(DB_TEXT(x->id)), &rows, &f->e));
	while (db_next(rows, &f->e) > 0) {
		bool done = db_int(rows, 1) == CHUNK_DONE;
		HOLDS(done || !x->done[db_int(rows, 0)]); /* done is never undone */
		HOLDS(db_int(rows, 2));
		x->done[db_int(rows, 0)] = done;
	}
}

static void check_job(struct world *w, struct watched *x)
{
	struct repo_fixture *f = w->f;
	struct job j = { 0 };
	OK(repo_job_get(f->repo, "u", x->id, &j, &f->e));
	HOLDS(j.percent >= x->percent);
	HOLDS((j.percent == 100) == (j.status == JOB_COMPLETED));
	HOLDS(j.visible_segments >= x->visible && j.published_segments >= x->published);
	HOLDS(j.published_segments <= j.visible_segments && j.visible_segments <= j.segment_count);
	HOLDS(j.revision >= x->revision);
	HOLDS(j.revision > x->revision || (j.percent == x->percent && j.visible_segments == x->visible));
	HOLDS(j.status != JOB_COMPLETED ||
	      (j.ended && j.visible_segments == j.segment_count && j.segment_count == x->real_segments));
	HOLDS((j.status == JOB_FAILED) == (j.error_code[0] != '\0'));
	HOLDS(j.status < JOB_COMPLETED || j.finished_ms > 0);
	x->percent = j.percent;
	x->visible = j.visible_segments;
	x->published = j.published_segments;
	x->revision = j.revision;
	/* Every rendition has every visible segment. */
	HOLDS(number_of(w,
			"SELECT COUNT(*) FROM segment s JOIN job j ON j.id = s.job_id"
			" WHERE j.id = $1 AND s.committed = 1 AND s.idx < j.visible_segments",
			x->id) == 3 * (int64_t)j.visible_segments);
	HOLDS(number_of(w, "SELECT COUNT(*) FROM segment WHERE job_id = $1", x->id) == 3 * (int64_t)j.segment_count);
	HOLDS(number_of(w, "SELECT done_ticks FROM job WHERE id = $1", x->id) ==
	      number_of(w, "SELECT SUM(done_ticks) FROM chunk WHERE job_id = $1", x->id));
	/* The finish chunk is open only when all others are done. */
	HOLDS(number_of(w,
			"SELECT COUNT(*) FROM chunk a, chunk b WHERE a.job_id = $1 AND b.job_id = $1"
			" AND a.kind = 2 AND a.state IN (2, 3, 4) AND b.kind = 1 AND b.state <> 4",
			x->id) == 0);
	/* An unfinished job always has something to do; a finished one has nothing. */
	int64_t open = number_of(w, "SELECT COUNT(*) FROM chunk WHERE job_id = $1 AND due_ms IS NOT NULL", x->id);
	HOLDS(job_status_is_final(j.status) ? open == 0 : open > 0);
	check_chunks(w, x);
	job_release(&j);
}

/* A refusal is fine where the claim is over, and only there. */
static bool worked(struct world *w, struct held *h, int r)
{
	if (r >= 0)
		return true;
	HOLDS(r == -ERR_LOST || r == -ERR_CANCELED);
	claim_release(&h->claim);
	h->taken = false;
	return false;
}

static struct watched *watched_of(struct world *w, const char *id)
{
	int i = 0;
	while (i < JOBS - 1 && strcmp(w->jobs[i].id, id) != 0)
		i++;
	assert_string_equal(w->jobs[i].id, id);
	return &w->jobs[i];
}

static void take(struct world *w, struct held *h)
{
	char name[16];
	(void)snprintf(name, sizeof(name), "w%td", h - w->held);
	int r = repo_claim(w->f->repo, WORK_JOBS, 0, name, LEASE_MS, &h->claim, &w->f->e);
	if (r < 0) {
		HOLDS(r == -ERR_NOT_FOUND);
		return;
	}
	const struct chunk *k = &h->claim.chunk;
	uint32_t real = watched_of(w, h->claim.job.id)->real_segments;
	uint32_t end = k->last ? real : k->first_segment + k->segment_count;
	h->taken = true;
	h->segment = k->first_segment;
	h->rendition = 0;
	h->end = end > real ? real : end;
	HOLDS(!watched_of(w, h->claim.job.id)->done[k->index]);
}

static void finish_job(struct world *w, struct held *h)
{
	struct repo *repo = w->f->repo;
	if (!worked(w, h, repo_job_end(repo, &h->claim, &w->f->e)))
		return;
	HOLDS(repo_published(repo, h->claim.job.id, any(2) ? watched_of(w, h->claim.job.id)->real_segments : 1,
			     &w->f->e) == 0);
	if (any(3) == 0 || !worked(w, h, repo_job_complete(repo, &h->claim, &w->f->e)))
		return;
	w->completed++;
	claim_release(&h->claim);
	h->taken = false;
}

static void work(struct world *w, struct held *h)
{
	struct repo *repo = w->f->repo;
	struct err *e = &w->f->e;
	if (h->claim.chunk.kind == CHUNK_FINISH) {
		finish_job(w, h);
		return;
	}
	if (h->segment >= h->end) {
		if (worked(w, h, repo_chunk_done(repo, &h->claim, h->end, e))) {
			claim_release(&h->claim);
			h->taken = false;
		}
		return;
	}
	if (h->segment == h->claim.chunk.first_segment)
		if (!worked(w, h, commit_init(repo, &h->claim, h->rendition, e)))
			return;
	struct segment s = segment_at(h->rendition, h->segment);
	if (!worked(w, h, repo_commit_segment(repo, &h->claim, &s, e)))
		return;
	h->rendition = (h->rendition + 1) % 3;
	h->segment += h->rendition == 0;
	int64_t done = (int64_t)(h->segment - h->claim.chunk.first_segment) * SEGMENT_TICKS - any(1000);
	(void)worked(w, h, repo_heartbeat(repo, &h->claim, done, NULL, e));
}

static void go_wrong(struct world *w, struct held *h)
{
	struct err why = failure(any(20) ? ERR_IO : ERR_MEDIA);
	bool final = false;
	if (any(2)) {
		(void)worked(w, h, repo_chunk_release(w->f->repo, &h->claim, &w->f->e));
	} else if (worked(w, h, repo_chunk_failed(w->f->repo, &h->claim, &why, &final, &w->f->e))) {
		w->failed += final;
		HOLDS(final || why.retriable);
	}
	if (h->taken)
		claim_release(&h->claim);
	h->taken = false;
}

static void publish_or_retry(struct world *w, struct watched *x)
{
	struct repo *repo = w->f->repo;
	struct job j = { 0 };
	bool changed;
	int64_t wait;
	struct repo_fixture *f = w->f;
	if (any(4)) {
		OK(repo_advance(repo, x->id, 2000, any(4) == 0, &changed, &wait, &f->e));
		if (any(2))
			OK(repo_published(repo, x->id, any(x->visible + 2), &f->e));
		return;
	}
	int r = repo_job_retry(repo, "u", x->id, &j, &f->e);
	HOLDS(r >= 0 || r == -ERR_CONFLICT);
	job_release(&j);
}

static bool everything_gone(void *ctx, const char *worker_id)
{
	(void)ctx;
	(void)worker_id;
	return true;
}

static void step(struct world *w)
{
	struct repo_fixture *f = w->f;
	struct held *h = &w->held[any(CLAIMS)];
	uint32_t count;
	switch (any(24)) {
	case 0:
		age(f, any(2) ? 1500 : LEASE_MS + 1);
		break;
	case 1:
		if (h->taken)
			go_wrong(w, h);
		break;
	case 2:
		/* The worker's machine vanishes: nobody says anything. Or it comes back as a zombie much later. */
		if (h->taken && any(2)) {
			claim_release(&h->claim);
			h->taken = false;
		}
		break;
	case 3:
		if (any(10) == 0)
			OK(repo_release_workers(f->repo, everything_gone, NULL, &count, &f->e));
		break;
	case 4:
	case 5:
	case 6:
		publish_or_retry(w, &w->jobs[any(JOBS)]);
		break;
	default:
		if (h->taken)
			work(w, h);
		else
			take(w, h);
	}
}

static void make_jobs(struct world *w)
{
	for (int i = 0; i < JOBS; i++) {
		uint32_t chunks[CHUNKS_MAX + 1] = { 1 }, total = 1, n = 1 + any(CHUNKS_MAX - 1);
		for (uint32_t k = 1; k < n; k++)
			total += chunks[k] = 1 + any(3);
		make_job(w->f, "u", chunks, w->jobs[i].id);
		/* As planned, shorter, or longer. */
		uint32_t kind = any(3);
		w->jobs[i].real_segments = kind == 0 ? total : kind == 1 ? 1 + any(total) : total + 1 + any(3);
	}
}

static uint32_t play(struct repo_fixture *f, uint64_t seed)
{
	struct world world = { .f = f, .seed = seed }, *w = &world;
	random_state = seed;
	make_jobs(w);
	for (w->step = 0; w->step < 3000 && w->completed < JOBS; w->step++) {
		step(w);
		for (int i = 0; i < JOBS; i++)
			check_job(w, &w->jobs[i]);
	}
	for (int i = 0; i < CLAIMS; i++)
		claim_release(&w->held[i].claim);
	sql(f, "DELETE FROM job");
	return w->completed;
}

static void random_moves_keep_the_invariants(void **state)
{
	struct repo_fixture *f = *state;
	if (!fresh_db_is_postgres())
		sql(f, "PRAGMA synchronous = OFF"); /* this connection's; the test is about rows, not about the disk */
	const char *one = getenv("MILLRACE_TEST_SEED");
	if (one) {
		(void)play(f, strtoull(one, NULL, 10));
		return;
	}
	uint32_t completed = 0;
	/* A round trip for each of some thousand statements takes its time. */
	const uint32_t rounds = fresh_db_is_postgres() ? 2 : 12;
	for (uint64_t seed = 1; seed <= rounds; seed++)
		completed += play(f, seed * 7919);
	assert_true(completed * 6 >= rounds * 3 * 5); /* nearly all: else the moves are not worth much */
}

/* ---- kill -9 ---- */

/* Works everything there is, and says after each commit which segment it was told is committed. */
static _Noreturn void work_until_killed(const char *url, int tell)
{
	struct db *db = NULL;
	struct repo *repo = NULL;
	struct claim c = { 0 };
	if (db_open(&(struct db_opts){ .url = url }, &db, NULL) < 0 || repo_open(db, &repo, NULL) < 0)
		_exit(1);
	while (repo_claim(repo, WORK_JOBS, 0, "child", LEASE_MS, &c, NULL) == 0) {
		uint32_t end = c.chunk.first_segment + c.chunk.segment_count;
		for (uint32_t i = c.chunk.first_segment; i < end; i++)
			for (uint32_t r = 0; r < 3; r++) {
				struct segment s = segment_at(r, i);
				uint32_t key[2] = { r, i };
				if (commit_init(repo, &c, r, NULL) < 0 || repo_commit_segment(repo, &c, &s, NULL) < 0 ||
				    write(tell, key, sizeof(key)) != sizeof(key))
					_exit(1);
			}
		if (repo_chunk_done(repo, &c, end, NULL) < 0)
			_exit(1);
		claim_release(&c);
	}
	_exit(0);
}

static bool is_child(void *ctx, const char *worker_id)
{
	return strcmp(worker_id, ctx) == 0;
}

static void check_told(struct repo_fixture *f, const char *id, const uint32_t told[2])
{
	_cleanup_free_ struct segment *s = NULL;
	uint32_t count = 0;
	OK(repo_segments(f->repo, id, told[0], told[1], 1, &s, &count, &f->e));
	assert_int_equal(count, 1);
	assert_true(s[0].committed);
}

static void kill_9_loses_nothing_that_was_committed(void **state)
{
	struct repo_fixture *f = *state;
	char id[UUID_SIZE], child[] = "child";
	MAKE_JOB(f, "u", id, 1, 5, 5, 5, 5, 5, 5, 5);
	int64_t before = 0;
	for (uint32_t round = 1; round <= 5; round++) {
		int said[2];
		assert_int_equal(pipe2(said, O_CLOEXEC), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			work_until_killed(f->at.url, said[1]);
		close(said[1]);
		uint32_t told[108][2], n = 0;
		while (n < round * 3 && read(said[0], told[n], sizeof(told[n])) == sizeof(told[n]))
			n++;
		assert_int_equal(n, round * 3);
		assert_int_equal(kill(pid, SIGKILL), 0);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		while (n < 108 && read(said[0], told[n], sizeof(told[n])) == sizeof(told[n]))
			n++;
		close(said[0]);
		for (uint32_t i = 0; i < n; i++)
			check_told(f, id, told[i]);
		int64_t committed = number(f, "SELECT COUNT(*) FROM segment WHERE committed = 1");
		assert_true(committed >= before);
		before = committed;
		if (!fresh_db_is_postgres()) {
			assert_int_equal(number(f, "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
			assert_int_equal(number(f, "SELECT COUNT(*) FROM pragma_foreign_key_check"), 0);
		}
		uint32_t released;
		OK(repo_release_workers(f->repo, is_child, child, &released, &f->e));
		assert_true(released <= 1);
	}
	assert_int_equal(number(f, "SELECT SUM(failures) FROM chunk"), 0);
	work_all_media(f);
	work_finish(f);
	assert_int_equal(status_of(f, id), JOB_COMPLETED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_moves_keep_the_invariants, repo_fixture_setup,
						repo_fixture_teardown),
		cmocka_unit_test_setup_teardown(kill_9_loses_nothing_that_was_committed, repo_fixture_setup,
						repo_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
