/* worker/janitor and worker/leftovers: what dead processes, deleted jobs and cut uploads leave behind goes; nothing else does. */
#include "worker/janitor.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/identity.h"
#include "worker/leftovers.h"
#include "worker_fixture.h"

static struct janitor *start(struct worker_fixture *f)
{
	struct janitor *j;
	const struct janitor_opts opts = {
		.repo = f->rows->repo, .store = f->store, .bus = f->bus, .publisher = f->publisher
	};
	OK(janitor_start(&opts, &j, &f->e));
	return j;
}

/* The id of a process that is dead. */
static void dead_worker(char out[WORKER_ID_SIZE])
{
	int told[2];
	assert_int_equal(pipe(told), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char id[WORKER_ID_SIZE] = "";
		worker_identity(id);
		_exit(write(told[1], id, sizeof(id)) == (ssize_t)sizeof(id) ? 0 : 1);
	}
	assert_int_equal(read(told[0], out, WORKER_ID_SIZE), WORKER_ID_SIZE);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(told[0]);
	(void)close(told[1]);
}

static void on_work(void *ctx, const struct bus_event *ev)
{
	(void)ev;
	++*(unsigned *)ctx;
}

static void claims_of_the_dead_are_given_back_at_the_start(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE], dead[WORKER_ID_SIZE], own[WORKER_ID_SIZE];
	MAKE_JOB(f->rows, "u", id, 1, 1);
	dead_worker(dead);
	worker_identity(own);
	_cleanup_claim_ struct claim lost = claim_as(f->rows, dead);
	_cleanup_claim_ struct claim kept = claim_as(f->rows, own);
	unsigned hints = 0;
	struct bus_subscription *work;
	OK(bus_subscribe(f->bus, BUS_WORK, on_work, &hints, &work, &f->e));
	struct janitor *j = start(f);
	bus_unsubscribe(f->bus, work);
	assert_int_equal(hints, 1);
	REFUSED(ERR_LOST, repo_heartbeat(f->rows->repo, &lost, 0, NULL, &f->e));
	OK(repo_heartbeat(f->rows->repo, &kept, 0, NULL, &f->e));
	_cleanup_claim_ struct claim again = claim_as(f->rows, own);
	assert_int_equal(again.chunk.index, lost.chunk.index);
	assert_int_equal(again.chunk.failures, 0);
	janitor_stop(j);
}

static void a_job_that_nobody_nudged_for_is_published(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	job_begun(f, id, 4, 1);
	struct janitor *j = start(f);
	wait_published(f, id, 1);
	janitor_stop(j);
}

static void a_deleted_job_goes_with_its_objects(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	job_in_status(f->rows, JOB_COMPLETED, id);
	put(f, "hls/u/j/720p/segment_000.m4s", "x");
	put(f, "hls/u/j2/720p/segment_000.m4s", "another job's");
	log_catch(f);
	struct janitor *j = start(f);
	/* its first long round has passed by the time that a hint asks for another */
	OK(repo_job_delete(f->rows->repo, "u", id, &f->e));
	bus_publish(f->bus, &(struct bus_event){ .topic = BUS_DOOMED });
	log_wait(f, "event=job_removed");
	janitor_stop(j);
	assert_false(stored(f, "hls/u/j/720p/segment_000.m4s"));
	assert_true(stored(f, "hls/u/j2/720p/segment_000.m4s"));
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM job"), 0);
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM segment"), 0);
}

/* A hint, and waiting for what it leads to: every round that began before has ended then. */
static void rounds_pass(struct worker_fixture *f)
{
	char id[UUID_SIZE];
	for (int i = 0; i < 2; i++) {
		job_in_status(f->rows, JOB_DELETING, id);
		bus_publish(f->bus, &(struct bus_event){ .topic = BUS_DOOMED });
		log_wait(f, "event=job_removed");
	}
}

static void make_upload(struct worker_fixture *f, const char *key, char id[UUID_SIZE])
{
	char name[] = "film.mp4", type[] = "video/mp4";
	_cleanup_free_ char *own_key = mr_strdup(key);
	struct file file = { .name = name, .content_type = type, .key = own_key, .user_id = "u" };
	uuid7_new(id);
	memcpy(file.id, id, UUID_SIZE);
	OK(repo_file_create(f->rows->repo, &file, &f->e));
	put(f, key, "so far");
}

static void an_upload_that_was_cut_goes_after_a_day(void **state)
{
	struct worker_fixture *f = *state;
	char old[UUID_SIZE], young[UUID_SIZE], whole[UUID_SIZE];
	make_upload(f, "uploads/u/old.mp4", old);
	make_file(f->rows, "u", whole);
	sql(f->rows, "UPDATE file SET updated_ms = updated_ms - 25 * 3600000");
	make_upload(f, "uploads/u/young.mp4", young);
	log_catch(f);
	struct janitor *j = start(f);
	rounds_pass(f);
	janitor_stop(j);
	struct file file;
	REFUSED(ERR_NOT_FOUND, repo_file_get(f->rows->repo, "u", old, &file, &f->e));
	assert_false(stored(f, "uploads/u/old.mp4"));
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM file"), 2);
	assert_true(stored(f, "uploads/u/young.mp4"));
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM doomed_object"), 0);
}

static void an_object_that_cannot_be_deleted_is_remembered(void **state)
{
	struct worker_fixture *f = *state;
	put(f, "uploads/u/a.mp4", "x");
	sql(f->rows, "INSERT INTO doomed_object (object_key, doomed_ms) VALUES ('../refused', 1), ('uploads/u/a.mp4', 2)");
	log_catch(f);
	struct janitor *j = start(f);
	log_wait(f, "event=janitor_failed what=\"delete an object\"");
	rounds_pass(f);
	janitor_stop(j);
	/* one that fails doesn't keep the others */
	assert_false(stored(f, "uploads/u/a.mp4"));
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM doomed_object WHERE object_key = '../refused'"), 1);
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM doomed_object"), 1);
}

static void rows_wait_for_their_objects(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	job_in_status(f->rows, JOB_DELETING, id);
	sql(f->rows, "UPDATE job SET prefix = 'hls/../u'");
	log_catch(f);
	struct janitor *j = start(f);
	log_wait(f, "event=janitor_failed what=\"delete a job\"");
	janitor_stop(j);
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM job"), 1);
}

static void a_database_that_is_away_ends_no_janitor(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	sql(f->rows, "ALTER TABLE chunk RENAME TO chunk_away");
	sql(f->rows, "ALTER TABLE doomed_object RENAME TO doomed_away");
	log_catch(f);
	struct janitor *j = start(f);
	log_wait(f, "event=janitor_failed what=claims");
	log_wait(f, "event=janitor_failed what=\"look for work\"");
	sql(f->rows, "ALTER TABLE doomed_away RENAME TO doomed_object");
	sql(f->rows, "ALTER TABLE chunk_away RENAME TO chunk");
	job_in_status(f->rows, JOB_DELETING, id);
	bus_publish(f->bus, &(struct bus_event){ .topic = BUS_DOOMED });
	log_wait(f, "event=job_removed");
	janitor_stop(j);
}

static void leftovers_of_a_deleted_job_go_and_of_no_other(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	MAKE_JOB(f->rows, "u", id, 1);
	struct job j = get_job(f->rows, id);
	put(f, "hls/u/j/720p/segment_000.m4s", "x");
	leftovers_remove(f->rows->repo, f->store, &j);
	assert_true(stored(f, "hls/u/j/720p/segment_000.m4s"));
	sql(f->rows, "UPDATE job SET status = 7");
	leftovers_remove(f->rows->repo, f->store, &j);
	assert_false(stored(f, "hls/u/j/720p/segment_000.m4s"));
	/* a one-shot run's job has the whole folder for itself: nothing is ever removed there */
	put(f, "film.m3u8", "x");
	sql(f->rows, "DELETE FROM job");
	j.prefix[0] = '\0';
	leftovers_remove(f->rows->repo, f->store, &j);
	assert_true(stored(f, "film.m3u8"));
	job_release(&j);
}

/* A task or a publisher that stores something of a narration that has failed meanwhile. */
static void leftovers_of_a_failed_narration_go_and_of_its_retry_none(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	bool final;
	struct err why = failure(ERR_MEDIA);
	make_narration(f->rows, id);
	_cleanup_claim_ struct claim c = claim_as(f->rows, "w");
	_cleanup_free_ char *key = mr_asprintf("%s/segment_000.ts", c.job.prefix);
	put(f, key, "x");
	leftovers_remove(f->rows->repo, f->store, &c.job);
	assert_true(stored(f, key));
	why.retriable = false;
	OK(repo_chunk_failed(f->rows->repo, &c, &why, &final, &f->e));
	leftovers_remove(f->rows->repo, f->store, &c.job);
	assert_false(stored(f, key));

	struct job again;
	OK(repo_job_retry(f->rows->repo, "u", id, &again, &f->e));
	_cleanup_free_ char *other = mr_asprintf("%s/segment_000.ts", again.prefix);
	put(f, key, "x");
	put(f, other, "x");
	leftovers_remove(f->rows->repo, f->store, &c.job);
	assert_false(stored(f, key));
	leftovers_remove(f->rows->repo, f->store, &again);
	assert_true(stored(f, other));
	job_release(&again);
}

#define T(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(claims_of_the_dead_are_given_back_at_the_start),
		T(a_job_that_nobody_nudged_for_is_published),
		T(a_deleted_job_goes_with_its_objects),
		T(an_upload_that_was_cut_goes_after_a_day),
		T(an_object_that_cannot_be_deleted_is_remembered),
		T(rows_wait_for_their_objects),
		T(a_database_that_is_away_ends_no_janitor),
		T(leftovers_of_a_deleted_job_go_and_of_no_other),
		T(leftovers_of_a_failed_narration_go_and_of_its_retry_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
