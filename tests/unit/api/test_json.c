/* api: files and jobs as their JSON, field by field. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../job/repo_fixture.h"
#include "api/internal.h"

static void expect(json_t *take_value, const char *want)
{
	json_t *wanted = json_loads(want, JSON_DECODE_ANY, NULL);
	assert_non_null(wanted);
	if (!json_equal(take_value, wanted)) {
		_cleanup_free_ char *got = json_dumps(take_value, JSON_ENCODE_ANY | JSON_SORT_KEYS);
		fail_msg("%s\ninstead of\n%s", got ? got : "nothing", want);
	}
	json_decref(take_value);
	json_decref(wanted);
}

static void times_are_iso_8601(void **state)
{
	(void)state;
	expect(json_time(0), "null");
	expect(json_time(1700000000123), "\"2023-11-14T22:13:20.123Z\"");
}

struct json_fixture {
	struct repo_fixture *rows;
	struct signer *signer;
	struct api api;
	char root[64];
};

static int setup(void **state)
{
	struct json_fixture *j = mr_calloc(1, sizeof(*j));
	void *rows;
	(void)repo_fixture_setup(&rows);
	j->rows = rows;
	struct repo_fixture *f = rows;
	OK(signer_new(f->repo, NULL, 0, &j->signer, &f->e));
	j->api.o.signer = j->signer;
	(void)snprintf(j->root, sizeof(j->root), "/tmp/millrace-api-XXXXXX");
	assert_non_null(mkdtemp(j->root));
	OK(store_open_local(&(struct store_local_opts){ .root = j->root }, &j->api.o.store, &f->e));
	*state = j;
	return 0;
}

static int unlink_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct json_fixture *j = *state;
	signer_free(j->signer);
	void *rows = j->rows;
	(void)repo_fixture_teardown(&rows);
	store_close(j->api.o.store);
	assert_int_equal(nftw(j->root, unlink_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(j);
	return 0;
}

static json_t *shown(struct json_fixture *j, const struct file *f)
{
	return file_json(&j->api, f, "https://media.example", "media.example");
}

static void a_file(void **state)
{
	struct json_fixture *j = *state;
	char name[] = "a \"film\".mp4", type[] = "video/mp4", none[] = "", probe[] = "{\"format\":\"mov\"}";
	struct file f = { .id = "0190aaaa-0000-7000-8000-000000000001",
			  .user_id = "u",
			  .name = name,
			  .content_type = type,
			  .size_bytes = 1ull << 40,
			  .sha256 = "ab",
			  .ready = true,
			  .probe_json = probe,
			  .created_ms = 1000,
			  .updated_ms = 2000 };
	expect(shown(j, &f), "{\"file_id\":\"0190aaaa-0000-7000-8000-000000000001\",\"filename\":\"a \\\"film\\\".mp4\","
			      "\"content_type\":\"video/mp4\",\"size\":1099511627776,\"sha256\":\"ab\","
			      "\"probe\":{\"format\":\"mov\",\"loudness\":null},"
			      "\"analysis\":{\"status\":\"off\",\"poster_url\":null,\"poster\":null,\"storyboard_url\":null,"
			      "\"waveform_url\":null,\"waveform_image_url\":null,\"problems\":[]},"
			      "\"status\":\"ready\",\"created_at\":\"1970-01-01T00:00:01.000Z\","
			      "\"updated_at\":\"1970-01-01T00:00:02.000Z\"}");
	/* one that is still arriving */
	f.content_type = none;
	f.sha256[0] = '\0';
	f.size_bytes = 0;
	f.ready = false;
	f.probe_json = NULL;
	expect(shown(j, &f), "{\"file_id\":\"0190aaaa-0000-7000-8000-000000000001\",\"filename\":\"a \\\"film\\\".mp4\","
			      "\"content_type\":null,\"size\":0,\"sha256\":null,\"probe\":null,"
			      "\"analysis\":{\"status\":\"off\",\"poster_url\":null,\"poster\":null,\"storyboard_url\":null,"
			      "\"waveform_url\":null,\"waveform_image_url\":null,\"problems\":[]},"
			      "\"status\":\"uploading\",\"created_at\":\"1970-01-01T00:00:01.000Z\","
			      "\"updated_at\":\"1970-01-01T00:00:02.000Z\"}");
}

static void a_file_with_by_products(void **state)
{
	struct json_fixture *j = *state;
	char name[] = "n", key[] = "k", type[] = "", probe[] = "{}",
	     known[] = "{\"problems\":[],\"poster\":{\"width\":4},\"waveform\":{},\"storyboard\":{},"
		       "\"loudness\":{\"integrated_lufs\":-23.5}}";
	struct file f = { .id = "0190aaaa-0000-7000-8000-000000000001", .user_id = "u@x", .name = name, .key = key,
			  .content_type = type, .ready = true, .probe_json = probe, .analysis = ANALYSIS_DONE,
			  .analysis_json = known };
	json_t *out = shown(j, &f), *a = json_object_get(out, "analysis");
	assert_string_equal(json_string_value(json_object_get(a, "status")), "done");
	static const char *const names[] = { "poster", "waveform", "waveform_image" };
	static const char *const files[] = { "poster.jpg", "waveform.json", "waveform.png" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *member = mr_asprintf("%s_url", names[i]);
		_cleanup_free_ char *start = mr_asprintf("https://media.example/media/analysis/u~40x/%s/%s?X-Amz-", f.id, files[i]);
		const char *url = json_string_value(json_object_get(a, member));
		assert_non_null(url);
		assert_memory_equal(url, start, strlen(start));
		assert_non_null(strstr(url, "0000Z&X-Amz-Expires=86400")); /* as of a full hour, so that it stays the same */
	}
	assert_string_equal(json_string_value(json_object_get(a, "storyboard_url")),
			    "https://media.example/api/files/0190aaaa-0000-7000-8000-000000000001/storyboard.vtt");
	json_t *loudness = json_object_get(json_object_get(out, "probe"), "loudness");
	assert_true(json_real_value(json_object_get(loudness, "integrated_lufs")) == -23.5);
	json_decref(out);
}

static void by_products_in_a_bucket(void **state)
{
	struct json_fixture *j = *state;
	struct repo_fixture *f = j->rows;
	struct store *folder = j->api.o.store;
	char name[] = "n", key[] = "k", type[] = "", probe[] = "{}", known[] = "{\"poster\":{\"width\":4}}";
	struct file file = { .id = "0190aaaa-0000-7000-8000-000000000001", .user_id = "u", .name = name, .key = key,
			  .content_type = type, .ready = true, .probe_json = probe, .analysis = ANALYSIS_DONE,
			  .analysis_json = known };
	static const struct {
		const char *store, *start;
	} cases[] = {
		{ "s3://films/a%20b?endpoint=https://s3.example",
		  "https://films.s3.example/a%20b/analysis/u/0190aaaa-0000-7000-8000-000000000001/poster.jpg?X-Amz-Algorithm=" },
		{ "s3://films?public_url=https://cdn.example/",
		  "https://cdn.example/analysis/u/0190aaaa-0000-7000-8000-000000000001/poster.jpg" },
	};
	assert_int_equal(setenv("AWS_ACCESS_KEY_ID", "AK", 1) | setenv("AWS_SECRET_ACCESS_KEY", "S", 1), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		OK(store_open(cases[i].store, &j->api.o.store, &f->e));
		json_t *out = shown(j, &file);
		const char *url = json_string_value(json_object_get(json_object_get(out, "analysis"), "poster_url"));
		assert_non_null(url);
		assert_memory_equal(url, cases[i].start, strlen(cases[i].start));
		json_decref(out);
		store_close(j->api.o.store);
	}
	j->api.o.store = folder;
}

static json_t *json_of(struct json_fixture *j, const struct job *job)
{
	json_t *out = job_json(&j->api, job, "https://media.example", "media.example");
	assert_non_null(out);
	return out;
}

/* The value at "a.b". */
static json_t *at(json_t *value, const char *path)
{
	char name[64];
	const char *dot = strchr(path, '.');
	(void)snprintf(name, sizeof(name), "%.*s", (int)(dot ? dot - path : (long)strlen(path)), path);
	json_t *found = json_object_get(value, name);
	assert_non_null(found);
	return dot ? at(found, dot + 1) : found;
}

static void a_new_job(void **state)
{
	struct json_fixture *j = *state;
	char id[UUID_SIZE];
	MAKE_JOB(j->rows, "u", id, 1, 2);
	struct job job = get_job(j->rows, id);
	json_t *out = json_of(j, &job);
	assert_string_equal(json_string_value(at(out, "job_id")), id);
	assert_string_equal(json_string_value(at(out, "user_id")), "u");
	assert_string_equal(json_string_value(at(out, "kind")), "ladder");
	assert_string_equal(json_string_value(at(out, "status")), "pending");
	assert_true(json_is_null(at(out, "file_id"))); /* a one-shot run's */
	assert_string_equal(json_string_value(at(out, "filename")), "source.mp4");
	assert_true(json_real_value(at(out, "duration")) == 12);
	assert_int_equal(json_integer_value(at(out, "streaming.segments_total")), 3);
	assert_int_equal(json_integer_value(at(out, "streaming.segments_completed")), 0);
	assert_int_equal(json_integer_value(at(out, "generation_attempt")), 1);
	static const char *const nulls[] = { "streaming.playlist_url", "streaming.started_at", "progress.speed",
					     "progress.eta_seconds", "started_at", "finished_at", "expires_at", "result",
					     "error", "tts_cache_key" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(nulls); i++)
		if (!json_is_null(at(out, nulls[i])))
			fail_msg("%s is not null", nulls[i]);
	json_decref(out);
	job_release(&job);
}

static void progress_is_rounded_down(void **state)
{
	struct json_fixture *j = *state;
	char id[UUID_SIZE];
	MAKE_JOB(j->rows, "u", id, 1);
	struct job job = get_job(j->rows, id);
	job.percent = 99.99;
	job.speed = 2.04;
	job.eta_seconds = 0;
	json_t *out = json_of(j, &job);
	assert_true(json_real_value(at(out, "progress.percent")) == 99.9);
	assert_true(json_real_value(at(out, "progress.speed")) == 2.0);
	assert_true(json_real_value(at(out, "progress.eta_seconds")) == 0);
	json_decref(out);
	job_release(&job);
}

static void a_failed_job_says_why(void **state)
{
	struct json_fixture *j = *state;
	char id[UUID_SIZE];
	job_in_status(j->rows, JOB_FAILED, id);
	struct job job = get_job(j->rows, id);
	json_t *out = json_of(j, &job);
	expect(json_incref(at(out, "error")),
	       "{\"code\":\"UNUSABLE_MEDIA\",\"message\":\"it did not work\",\"retriable\":false}");
	assert_true(json_is_string(at(out, "finished_at")));
	json_decref(out);
	job_release(&job);
}

/* How long the playlist's URL is valid, or 0 without one. */
static int expires_of(struct json_fixture *j, const struct job *job)
{
	json_t *out = json_of(j, job);
	const char *url = json_string_value(at(out, "streaming.playlist_url"));
	int seconds = 0;
	if (url) {
		_cleanup_free_ char *start = mr_asprintf("https://media.example/hls/%s/master.m3u8?", job->id);
		assert_memory_equal(url, start, strlen(start));
		const char *expires = strstr(url, "X-Amz-Expires=");
		assert_non_null(expires);
		assert_int_equal(sscanf(expires, "X-Amz-Expires=%9d&", &seconds), 1);
	}
	json_decref(out);
	return seconds;
}

static void the_playlists_url_lasts_for_the_making_and_two_viewings(void **state)
{
	struct json_fixture *j = *state;
	char id[UUID_SIZE];
	MAKE_JOB(j->rows, "u", id, 1);
	struct job job = get_job(j->rows, id);
	job.status = JOB_STREAMING;
	assert_int_equal(expires_of(j, &job), 0); /* nothing is published */
	job.published_segments = 1;
	job.eta_seconds = -1;
	static const struct {
		enum job_status status;
		int64_t length_s;
		double eta_s;
		int want;
	} t[] = {
		{ JOB_STREAMING, 60, 10, 3600 },	   { JOB_STREAMING, 3600, 1000, 8200 },
		{ JOB_STREAMING, 3600, -1, 3 * 3600 },	   { JOB_COMPLETED, 3600, 1000, 7200 },
		{ JOB_FAILED, 3600, -1, 7200 },		   { JOB_STREAMING, 100 * 3600, 10, 86400 },
		{ JOB_CANCELED, 3600, -1, 0 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		job.status = t[i].status;
		job.duration_ticks = t[i].length_s * VIDEO_TIMESCALE;
		job.eta_seconds = t[i].eta_s;
		int got = expires_of(j, &job);
		if (got != t[i].want)
			fail_msg("row %zu: %d s instead of %d", i, got, t[i].want);
	}
	job_release(&job);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_iso_8601),
		T(a_file),
		T(a_file_with_by_products),
		T(by_products_in_a_bucket),
		T(a_new_job),
		T(progress_is_rounded_down),
		T(a_failed_job_says_why),
		T(the_playlists_url_lasts_for_the_making_and_two_viewings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
