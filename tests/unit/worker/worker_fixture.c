/* The worker's tests: see worker_fixture.h. */
#include "worker_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/folder.h"
#include "base/clock.h"
#include "os/thread.h"

static void on_job(void *ctx, const struct bus_event *ev)
{
	struct worker_fixture *f = ctx;
	(void)ev;
	(void)pthread_mutex_lock(&f->lock);
	f->events++;
	(void)pthread_cond_signal(&f->told);
	(void)pthread_mutex_unlock(&f->lock);
}

int worker_fixture_setup(void **state)
{
	struct worker_fixture *f = mr_calloc(1, sizeof(*f));
	void *rows;
	(void)repo_fixture_setup(&rows);
	f->rows = rows;
	f->log = f->real_stderr = -1;
	(void)snprintf(f->root, sizeof(f->root), "%s", "/tmp/millrace-worker-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	(void)pthread_mutex_init(&f->lock, NULL);
	cond_init_monotonic(&f->told);
	OK(store_open_local(&(struct store_local_opts){ .root = f->root }, &f->store, &f->e));
	OK(bus_open(&(struct bus_opts){ 0 }, &f->bus, &f->e));
	OK(bus_subscribe(f->bus, BUS_JOB, on_job, f, &f->jobs, &f->e));
	OK(publisher_start(&(struct publisher_opts){ .repo = f->rows->repo, .store = f->store, .bus = f->bus },
			   &f->publisher, &f->e));
	*state = f;
	return 0;
}

static void log_release(struct worker_fixture *f)
{
	if (f->real_stderr < 0)
		return;
	(void)dup2(f->real_stderr, STDERR_FILENO);
	(void)close(f->real_stderr);
	(void)close(f->log);
	f->real_stderr = -1;
}

int worker_fixture_teardown(void **state)
{
	struct worker_fixture *f = *state;
	publisher_stop(f->publisher);
	log_release(f);
	bus_unsubscribe(f->bus, f->jobs);
	bus_close(f->bus);
	store_close(f->store);
	(void)pthread_mutex_destroy(&f->lock);
	(void)pthread_cond_destroy(&f->told);
	void *rows = f->rows;
	(void)repo_fixture_teardown(&rows);
	int r = folder_remove(f->root);
	free(f);
	return r;
}

/* ---- waiting ---- */

static uint32_t published(struct worker_fixture *f, const char *job_id)
{
	struct job j = get_job(f->rows, job_id);
	uint32_t n = j.published_segments;
	job_release(&j);
	return n;
}

void wait_published(struct worker_fixture *f, const char *job_id, uint32_t segments)
{
	int64_t give_up = clock_mono_ms() + WAIT_MS;
	for (;;) {
		(void)pthread_mutex_lock(&f->lock);
		uint64_t seen = f->events;
		(void)pthread_mutex_unlock(&f->lock);
		if (published(f, job_id) >= segments)
			return;
		(void)pthread_mutex_lock(&f->lock);
		while (f->events == seen)
			if (!cond_wait_until(&f->told, &f->lock, give_up)) {
				(void)pthread_mutex_unlock(&f->lock);
				fail_msg("no version with %u segments was published", segments);
			}
		(void)pthread_mutex_unlock(&f->lock);
	}
}

void log_catch(struct worker_fixture *f)
{
	int pipe_fds[2];
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	f->real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(f->real_stderr >= 0 && dup2(pipe_fds[1], STDERR_FILENO) == STDERR_FILENO);
	(void)close(pipe_fds[1]);
	f->log = pipe_fds[0];
}

/* A line is one write, and shorter than what a pipe takes at once; several may be waiting, so it is read byte by byte. */
void log_wait(struct worker_fixture *f, const char *text)
{
	char line[4096];
	size_t n = 0;
	int64_t give_up = clock_mono_ms() + WAIT_MS;
	for (;;) {
		struct pollfd p = { .fd = f->log, .events = POLLIN };
		int64_t left = give_up - clock_mono_ms();
		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			fail_msg("nothing with \"%s\" was logged", text);
		assert_int_equal(read(f->log, &line[n], 1), 1);
		if (line[n] != '\n' && n < sizeof(line) - 2) {
			n++;
			continue;
		}
		line[n] = '\0';
		n = 0;
		if (strstr(line, text))
			return;
	}
}

/* ---- jobs ---- */

struct claim job_with_segments(struct worker_fixture *f, char id[UUID_SIZE], uint32_t planned, uint32_t segments)
{
	MAKE_JOB(f->rows, "u", id, planned);
	struct claim c = claim_as(f->rows, "w");
	commit_inits(f->rows, &c);
	commit_segments(f->rows, &c, 0, segments);
	return c;
}

void job_begun(struct worker_fixture *f, char id[UUID_SIZE], uint32_t planned, uint32_t segments)
{
	struct claim c = job_with_segments(f, id, planned, segments);
	claim_release(&c);
}

struct claim job_to_finish(struct worker_fixture *f, char id[UUID_SIZE], uint32_t segments)
{
	struct claim c = job_with_segments(f, id, segments, segments);
	OK(repo_chunk_done(f->rows->repo, &c, segments, &f->e));
	claim_release(&c);
	c = claim_as(f->rows, "w");
	assert_int_equal(c.chunk.kind, CHUNK_FINISH);
	return c;
}

/* ---- objects ---- */

void put(struct worker_fixture *f, const char *key, const char *text)
{
	OK(store_put(f->store, key, text, strlen(text), NULL, NULL, &f->e));
}

bool stored(struct worker_fixture *f, const char *key)
{
	struct store_info info;
	int r = store_stat(f->store, key, &info, &f->e);
	assert_true(r == 0 || r == -ERR_NOT_FOUND);
	return r == 0;
}

char *text_of(struct worker_fixture *f, const char *key)
{
	struct store_reader *reader;
	struct store_info info;
	size_t len;
	OK(store_reader_open(f->store, key, &reader, &info, &f->e));
	char *text = mr_calloc(info.size + 1, 1);
	OK(store_reader_read(reader, 0, text, info.size, &len, &f->e));
	store_reader_close(reader);
	assert_int_equal(len, info.size);
	return text;
}

unsigned count_lines(const char *text, const char *beginning)
{
	unsigned n = 0;
	size_t len = strlen(beginning);
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		n += strncmp(line, beginning, len) == 0;
	return n;
}

void expect_lists(struct worker_fixture *f, unsigned segments, bool ended)
{
	static const char *const names[] = { "720p", "360p", "audio" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *key = mr_asprintf("hls/u/j/%s/playlist.m3u8", names[i]);
		_cleanup_free_ char *text = text_of(f, key);
		assert_int_equal(count_lines(text, "#EXTINF:"), segments);
		assert_int_equal(count_lines(text, "#EXT-X-ENDLIST"), ended ? 1 : 0);
		if (i == 2)
			continue;
		_cleanup_free_ char *iframes_key = mr_asprintf("hls/u/j/%s/iframes.m3u8", names[i]);
		_cleanup_free_ char *iframes = text_of(f, iframes_key);
		assert_int_equal(count_lines(iframes, "#EXT-X-BYTERANGE:100@24"), segments);
		assert_int_equal(count_lines(iframes, "#EXTINF:2.000000,"), 2 * segments);
		assert_int_equal(count_lines(iframes, "#EXT-X-ENDLIST"), ended ? 1 : 0);
	}
}
