/* The queue alone: jobs without work, taken in, claimed and finished through the repository, by many threads. One process.
 *
 *   queue_load DATABASE-URL THREADS JOBS     →  one line of JSON on stdout
 *
 * Each thread makes a job, claims one (whoever made it) and finishes that, JOBS times in all: three transactions each, as a front
 * and a worker make them. Latencies are those of a claim, from the call to its commit, which is when work starts. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "job/repo.h"

#define THREADS_MAX 64
#define LEASE_MS 60000

struct load {
	struct repo *repo;
	atomic_int left;
	atomic_uint claimed;
	int64_t *claim_ns; /* one for each job */
	uint32_t jobs;
	atomic_bool failed;
};

static int make(struct load *l, struct err *e)
{
	static const struct plan_chunk chunk = { .kind = CHUNK_JOIN, .last = true, .weight_ticks = 90000 };
	struct job_new n = { .user_id = "load",
			     .kind = JOB_CONVERT,
			     .file_id = "",
			     .source_key = "uploads/load/none",
			     .prefix = "conversions/load/none",
			     .params_json = "{}",
			     .plan = { .spec_json = "{}", .duration_ticks = 90000, .chunk_count = 1, .chunks = &chunk } };
	struct job made = { 0 };
	bool existing;
	uuid7_new(n.id);
	int r = repo_job_create(l->repo, &n, &made, &existing, e);
	if (r == 0)
		job_release(&made);
	return r;
}

static int work(struct load *l, struct err *e)
{
	struct claim c = { 0 };
	int r;
	int64_t began_ns;
	do { /* somebody else's claim may have been quicker with the last one */
		began_ns = clock_mono_ns();
		r = repo_claim(l->repo, WORK_JOBS, 0, "load:1:0", LEASE_MS, &c, e);
	} while (r == -ERR_NOT_FOUND);
	if (r < 0)
		return r;
	l->claim_ns[atomic_fetch_add(&l->claimed, 1)] = clock_mono_ns() - began_ns;
	r = repo_convert_complete(l->repo, &c, "{}", e);
	claim_release(&c);
	return r;
}

static void *run(void *arg)
{
	struct load *l = arg;
	struct err e = { 0 };
	while (atomic_fetch_sub(&l->left, 1) > 0 && !atomic_load(&l->failed)) {
		if (make(l, &e) < 0 || work(l, &e) < 0) {
			fprintf(stderr, "%s\n", e.message);
			atomic_store(&l->failed, true);
		}
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static double percentile_ms(const struct load *l, uint64_t percent)
{
	const uint64_t at = l->jobs * percent / 100;
	return (double)l->claim_ns[at] / 1e6;
}

static void report(struct load *l, uint32_t threads, int64_t took_ns)
{
	qsort(l->claim_ns, l->jobs, sizeof(*l->claim_ns), by_value);
	printf("{\"threads\": %u, \"jobs\": %u, \"seconds\": %.3f, \"jobs_per_second\": %.1f, \"claim_p50_ms\": %.2f,"
	       " \"claim_p99_ms\": %.2f}\n",
	       threads, l->jobs, (double)took_ns / 1e9, l->jobs * 1e9 / (double)took_ns, percentile_ms(l, 50),
	       percentile_ms(l, 99));
}

int main(int argc, char **argv)
{
	struct load l = { 0 };
	struct err e = { 0 };
	struct db *db = NULL;
	pthread_t threads[THREADS_MAX];
	uint32_t count = argc == 4 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	l.jobs = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	if (!count || count > THREADS_MAX || !l.jobs)
		return 2;
	atomic_init(&l.left, (int)l.jobs);
	l.claim_ns = mr_calloc(l.jobs, sizeof(*l.claim_ns));
	if (db_open(&(struct db_opts){ .url = argv[1], .connections = count }, &db, &e) < 0 || repo_open(db, &l.repo, &e) < 0) {
		fprintf(stderr, "%s\n", e.message);
		return 1;
	}
	int64_t began_ns = clock_mono_ns();
	uint32_t started = 0;
	while (started < count && pthread_create(&threads[started], NULL, run, &l) == 0)
		started++;
	for (uint32_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	bool fine = started == count && !atomic_load(&l.failed);
	if (fine)
		report(&l, count, clock_mono_ns() - began_ns);
	repo_close(l.repo);
	db_close(db);
	free(l.claim_ns);
	return fine ? 0 : 1;
}
