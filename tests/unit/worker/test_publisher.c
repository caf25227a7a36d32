/* worker/publisher: versions over real rows and a real store: they grow in lock-step, come in order and not too fast, survive a
 * store that refuses and a crash between storing and recording, and none is stored that breaks the rules. */
#include "worker/publisher.h"

#include <string.h>
#include <sys/stat.h>

#include "hls/playlist.h"
#include "worker_fixture.h"

static void versions_grow_in_lock_step(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	_cleanup_claim_ struct claim c = job_with_segments(f, id, 4, 1);
	/* the pictures are ahead of the sound */
	for (uint32_t r = 0; r < 2; r++) {
		struct segment s = segment_at(r, 1);
		OK(repo_commit_segment(f->rows->repo, &c, &s, &f->e));
	}
	publisher_nudge(f->publisher, id);
	wait_published(f, id, 1);
	expect_lists(f, 1, false);
	assert_int_equal(status_of(f->rows, id), JOB_STREAMING);
	_cleanup_free_ char *first = text_of(f, "hls/u/j/master.m3u8");
	assert_int_equal(count_lines(first, "#EXT-X-STREAM-INF:"), 3); /* the sound alone, too: no rung is as thin */

	struct segment sound = segment_at(2, 1);
	OK(repo_commit_segment(f->rows->repo, &c, &sound, &f->e));
	age(f->rows, 2000);
	publisher_nudge(f->publisher, id);
	wait_published(f, id, 2);
	expect_lists(f, 2, false);
	_cleanup_free_ char *second = text_of(f, "hls/u/j/master.m3u8");
	assert_string_equal(second, first);
}

static void versions_are_half_a_target_duration_apart(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	_cleanup_claim_ struct claim c = job_with_segments(f, id, 4, 1);
	publisher_nudge(f->publisher, id);
	wait_published(f, id, 1);
	int64_t first_ms = number(f->rows, "SELECT advanced_ms FROM job");
	commit_segments(f->rows, &c, 1, 2);
	publisher_nudge(f->publisher, id);
	publisher_nudge(f->publisher, id); /* twice is no more than once */
	wait_published(f, id, 2);	   /* by itself, when the time has come */
	assert_true(number(f->rows, "SELECT advanced_ms FROM job") - first_ms >= 2000);
}

static void nothing_is_published_before_the_first_segment(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE], other[UUID_SIZE];
	job_begun(f, id, 4, 0);
	publisher_nudge(f->publisher, id);
	publisher_nudge(f->publisher, "00000000-0000-7000-8000-000000000000"); /* there is no such job */
	/* one thread takes them in order: once the second job is published, the first was looked at */
	struct ladder_plan p;
	PLAN(&p, 4);
	struct job_new n = job_new_of("u2", &p);
	n.prefix = "hls/u2/k";
	struct job j = { 0 };
	bool existing;
	OK(repo_job_create(f->rows->repo, &n, &j, &existing, &f->e));
	memcpy(other, j.id, UUID_SIZE);
	job_release(&j);
	ladder_plan_release(&p);
	_cleanup_claim_ struct claim c2 = claim_as(f->rows, "w2");
	commit_inits(f->rows, &c2);
	commit_segments(f->rows, &c2, 0, 1);
	publisher_nudge(f->publisher, other);
	wait_published(f, other, 1);
	assert_false(stored(f, "hls/u/j/master.m3u8"));
	assert_false(stored(f, "hls/u/j/720p/playlist.m3u8"));
	assert_int_equal(status_of(f->rows, id), JOB_PROCESSING);
}

static void a_store_that_refuses_is_tried_again(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	job_begun(f, id, 4, 1);
	put(f, "hls/u/j/360p", "in the way of the folder");
	log_catch(f);
	publisher_nudge(f->publisher, id);
	log_wait(f, "event=publish_failed");
	/* what is not stored is not said, and nothing names it */
	struct job j = get_job(f->rows, id);
	assert_int_equal(j.visible_segments, 1);
	assert_int_equal(j.published_segments, 0);
	job_release(&j);
	assert_true(stored(f, "hls/u/j/720p/playlist.m3u8"));
	assert_false(stored(f, "hls/u/j/master.m3u8"));

	OK(store_delete(f->store, "hls/u/j/360p", &f->e));
	wait_published(f, id, 1); /* nobody nudges */
	expect_lists(f, 1, false);
	assert_true(stored(f, "hls/u/j/master.m3u8"));
}

/* Which file the object is: a put makes a new one. */
static ino_t file_of(struct worker_fixture *f, const char *key)
{
	_cleanup_free_ char *path = mr_asprintf("%s/%s", f->root, key);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void a_version_that_was_stored_before_a_crash_is_recorded(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	job_begun(f, id, 4, 1);
	publisher_nudge(f->publisher, id);
	wait_published(f, id, 1);
	ino_t before = file_of(f, "hls/u/j/720p/playlist.m3u8");
	/* as if it had died after the media playlists and before the multivariant one and the row */
	OK(store_delete(f->store, "hls/u/j/master.m3u8", &f->e));
	sql(f->rows, "UPDATE job SET published_segments = 0");
	publisher_nudge(f->publisher, id);
	wait_published(f, id, 1);
	assert_true(stored(f, "hls/u/j/master.m3u8"));
	assert_int_equal(file_of(f, "hls/u/j/720p/playlist.m3u8"), before);
}

static void a_list_that_players_have_seen_is_only_appended_to(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	_cleanup_claim_ struct claim c = job_with_segments(f, id, 4, 1);
	publisher_nudge(f->publisher, id);
	wait_published(f, id, 1);
	_cleanup_free_ char *seen = text_of(f, "hls/u/j/360p/playlist.m3u8");
	char *extinf = strstr(seen, "#EXTINF:4.");
	assert_non_null(extinf);
	extinf[strlen("#EXTINF:")] = '3';
	put(f, "hls/u/j/360p/playlist.m3u8", seen);
	commit_segments(f->rows, &c, 1, 2);
	age(f->rows, 2000);
	log_catch(f);
	publisher_nudge(f->publisher, id);
	log_wait(f, "event=publish_failed");
	_cleanup_free_ char *now = text_of(f, "hls/u/j/360p/playlist.m3u8");
	assert_string_equal(now, seen);
	struct job j = get_job(f->rows, id);
	assert_int_equal(j.published_segments, 1);
	job_release(&j);
}

static void what_is_no_playlist_is_not_read_into_memory(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	job_begun(f, id, 4, 1);
	struct store_put *p;
	static const char megabyte[1u << 20];
	OK(store_put_begin(f->store, "hls/u/j/audio/playlist.m3u8", NULL, &p, &f->e));
	for (size_t i = 0; i <= HLS_PLAYLIST_MAX_BYTES / sizeof(megabyte); i++)
		OK(store_put_write(p, megabyte, sizeof(megabyte), &f->e));
	OK(store_put_finish(p, NULL, NULL, &f->e));
	log_catch(f);
	publisher_nudge(f->publisher, id);
	log_wait(f, "code=TOO_LARGE");
}

static void renditions_that_drift_apart_are_not_shown(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	_cleanup_claim_ struct claim c = job_with_segments(f, id, 4, 0);
	commit_segments(f->rows, &c, 0, 1);
	sql(f->rows, "UPDATE segment SET duration_ticks = duration_ticks - 270000 WHERE rendition = 1 AND idx = 0");
	log_catch(f);
	publisher_nudge(f->publisher, id);
	log_wait(f, "event=publish_failed");
	assert_false(stored(f, "hls/u/j/master.m3u8"));
	struct job j = get_job(f->rows, id);
	assert_int_equal(j.published_segments, 0);
	job_release(&j);
}

static void a_job_that_has_ended_is_left_alone(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE], next[UUID_SIZE];
	job_begun(f, id, 4, 1);
	struct job j = { 0 };
	OK(repo_job_cancel(f->rows->repo, "u", id, &j, &f->e));
	job_release(&j);
	publisher_nudge(f->publisher, id);
	_cleanup_claim_ struct claim c2 = job_with_segments(f, next, 4, 0);
	commit_segments(f->rows, &c2, 0, 1);
	publisher_nudge(f->publisher, next);
	wait_published(f, next, 1);
	j = get_job(f->rows, id);
	assert_int_equal(j.visible_segments, 0);
	job_release(&j);
}

static void a_job_that_is_not_there_has_no_last_version(void **state)
{
	struct worker_fixture *f = *state;
	char id[UUID_SIZE];
	_cleanup_claim_ struct claim c = job_to_finish(f, id, 2);
	OK(repo_job_end(f->rows->repo, &c, &f->e));
	OK(publisher_finish(f->publisher, id, &f->e));
	assert_true(stored(f, "hls/u/j/master.m3u8"));
	sql(f->rows, "DELETE FROM job");
	assert_int_equal(publisher_finish(f->publisher, id, &f->e), -ERR_NOT_FOUND);
	assert_non_null(strstr(f->e.message, "last version"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(versions_grow_in_lock_step),
		T(versions_are_half_a_target_duration_apart),
		T(nothing_is_published_before_the_first_segment),
		T(a_store_that_refuses_is_tried_again),
		T(a_version_that_was_stored_before_a_crash_is_recorded),
		T(a_list_that_players_have_seen_is_only_appended_to),
		T(what_is_no_playlist_is_not_read_into_memory),
		T(renditions_that_drift_apart_are_not_shown),
		T(a_job_that_has_ended_is_left_alone),
		T(a_job_that_is_not_there_has_no_last_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
