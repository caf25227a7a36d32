/* Live sound in sandboxed processes: recordings of browsers through the real task, with processes that die. Arguments:
 * the task, the folder of the recordings. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../captures/capture.h"
#include "../base/cm.h"
#include "base/log.h"
#include "live/decoder.h"
#include "os/fd.h"
#include "os/sandbox_build.h"
#include "os/thread.h"

#define SAMPLES_MAX (16000 * 20)

static const char *folder;
static struct zygote *zygote;
static struct live_decoder *decoder;

/* What a session gave. */
struct heard {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct live_sound *sound;
	int64_t end; /* of the samples */
	int64_t gaps; /* samples of them */
	int restarts, notices, ends;
	struct err why; /* ERR_OK: as asked */
	int16_t samples[SAMPLES_MAX];
};

static void on_pcm(void *ctx, const struct live_pcm *p)
{
	struct heard *h = ctx;
	(void)pthread_mutex_lock(&h->lock);
	assert_int_equal(h->ends, 0);
	assert_true(p->count > 0 && p->first_sample >= h->end);
	h->gaps += p->first_sample - h->end;
	h->end = p->first_sample + p->count;
	h->restarts += p->restart;
	if (h->end <= SAMPLES_MAX)
		memcpy(h->samples + p->first_sample, p->samples, p->count * sizeof(int16_t));
	(void)pthread_cond_broadcast(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
}

/* Of many sessions together. */
static void count_pcm(void *ctx, const struct live_pcm *p)
{
	struct heard *h = ctx;
	(void)pthread_mutex_lock(&h->lock);
	h->end += p->count;
	(void)pthread_cond_broadcast(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
}

static void on_notice(void *ctx, const char *text)
{
	(void)text;
	((struct heard *)ctx)->notices++;
}

static void on_end(void *ctx, const struct err *why)
{
	struct heard *h = ctx;
	(void)pthread_mutex_lock(&h->lock);
	h->ends++;
	if (why)
		h->why = *why;
	(void)pthread_cond_broadcast(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
}

static struct heard *listen_to(const void *state, size_t len)
{
	struct heard *h = mr_calloc(1, sizeof(*h));
	struct err e;
	(void)pthread_mutex_init(&h->lock, NULL);
	cond_init_monotonic(&h->changed);
	const struct live_sound_handlers handlers = { .ctx = h, .pcm = on_pcm, .notice = on_notice, .end = on_end };
	assert_int_equal(live_sound_open(decoder, &handlers, state, len, &h->sound, &e), 0);
	return h;
}

static void await_samples(struct heard *h, int64_t end)
{
	(void)pthread_mutex_lock(&h->lock);
	while (h->end < end && !h->ends)
		(void)pthread_cond_wait(&h->changed, &h->lock);
	(void)pthread_mutex_unlock(&h->lock);
}

static void await_end(struct heard *h)
{
	(void)pthread_mutex_lock(&h->lock);
	while (!h->ends)
		(void)pthread_cond_wait(&h->changed, &h->lock);
	(void)pthread_mutex_unlock(&h->lock);
}

static void drop(struct heard *h)
{
	assert_int_equal(h->ends, 1);
	(void)pthread_cond_destroy(&h->changed);
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}

static void say(struct heard *h, const struct capture *c, size_t blob)
{
	const size_t from = blob ? c->ends[blob - 1] : 0;
	struct err e;
	assert_int_equal(live_sound_bytes(h->sound, c->data + from, c->ends[blob] - from, &e), 0);
}

static struct heard *whole(const struct capture *c)
{
	struct heard *h = listen_to(NULL, 0);
	for (size_t i = 0; i < c->count; i++)
		say(h, c, i);
	live_sound_finish(h->sound);
	await_end(h);
	assert_int_equal(h->why.kind, ERR_OK);
	return h;
}

/* Waits until the processes are done with all that was said, or (`busy`) have something to do. */
static struct live_decoder_stats await_flight(bool busy)
{
	struct live_decoder_stats stats;
	live_decoder_stats(decoder, &stats);
	for (int quiet = 0; busy ? !stats.in_flight : quiet < 3; live_decoder_stats(decoder, &stats)) {
		quiet = stats.in_flight ? 0 : quiet + 1;
		(void)usleep(1000);
	}
	return stats;
}

static void kill_processes(void)
{
	struct live_decoder_stats stats;
	live_decoder_stats(decoder, &stats);
	for (uint32_t i = 0; i < stats.processes; i++)
		if (stats.pids[i])
			(void)kill(stats.pids[i], SIGKILL);
}

static void recordings_become_samples(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t samples;
	} all[] = { { "chromium-100ms", 159360 }, { "chromium-pause", 127680 }, { "firefox", 0 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(all); i++) {
		struct capture c;
		capture_load(&c, folder, all[i].name);
		struct heard *h = whole(&c);
		if (all[i].samples)
			assert_int_equal(h->end, all[i].samples);
		assert_int_equal(h->gaps, 0);
		assert_int_equal(h->restarts, 1);
		assert_int_equal(h->notices, 0);
		drop(h);
		capture_free(&c);
	}
}

/* Every blob is followed by the death of all processes: the same samples come, none twice, none missing; they differ only
 * in what the codec's memory is missing where it was taken up. */
static void processes_that_die_lose_nothing(void **state)
{
	(void)state;
	struct capture c;
	capture_load(&c, folder, "chromium-100ms");
	struct heard *undisturbed = whole(&c), *h = listen_to(NULL, 0);
	for (size_t i = 0; i < c.count; i++) {
		say(h, &c, i);
		if (i % 20 == 10) {
			await_samples(h, (int64_t)i * 1600);
			kill_processes();
		}
	}
	live_sound_finish(h->sound);
	await_end(h);
	assert_int_equal(h->why.kind, ERR_OK);
	assert_int_equal(h->end, undisturbed->end);
	assert_int_equal(h->gaps, 0);
	double power = 0, error = 0;
	for (int64_t i = 0; i < h->end; i++) {
		const double difference = h->samples[i] - undisturbed->samples[i];
		power += (double)undisturbed->samples[i] * undisturbed->samples[i];
		error += difference * difference;
	}
	assert_true(power > 0 && error < power / 1000);
	struct live_decoder_stats stats;
	live_decoder_stats(decoder, &stats);
	assert_true(stats.deaths >= 4 && stats.reestablished >= 4);
	drop(h);
	drop(undisturbed);
	capture_free(&c);
}

/* Chromium's blobs end with the first byte of the next element: without a blob the next one's first block lacks it, and
 * is lost too. Of three packets of 60 ms two are concealed. */
static void a_lost_blob_costs_its_own_sound(void **state)
{
	(void)state;
	struct capture c;
	capture_load(&c, folder, "chromium-100ms");
	struct heard *undisturbed = whole(&c), *h = listen_to(NULL, 0);
	for (size_t i = 0; i < c.count; i++) {
		if (i == 40)
			live_sound_lost(h->sound);
		else
			say(h, &c, i);
	}
	live_sound_finish(h->sound);
	await_end(h);
	assert_int_equal(h->why.kind, ERR_OK);
	assert_int_equal(h->end, undisturbed->end);
	assert_int_equal(h->gaps, 960);
	assert_memory_equal(h->samples, undisturbed->samples, 39 * 1920 * sizeof(int16_t));
	drop(h);
	drop(undisturbed);
	capture_free(&c);
}

/* The last samples of two sessions: how large the difference is, as a share of the sound. */
static double apart(const struct heard *a, const struct heard *b, int64_t count)
{
	double difference = 0, sound = 1;
	assert_true(a->end >= count && b->end >= count && a->end <= SAMPLES_MAX && b->end <= SAMPLES_MAX);
	for (int64_t i = 1; i <= count; i++) {
		const double x = a->samples[a->end - i], y = b->samples[b->end - i];
		difference += (x - y) * (x - y);
		sound += x * x;
	}
	return difference / sound;
}

/* Another front takes the session over with the state and no header. What it is given is all that it gives, right behind what
 * the state knows of, though it is later by its times. */
static void a_state_goes_on_elsewhere(void **state)
{
	(void)state;
	struct capture c;
	capture_load(&c, folder, "firefox");
	struct heard *undisturbed = whole(&c), *first = listen_to(NULL, 0);
	for (size_t i = 0; i < 8; i++)
		say(first, &c, i);
	live_sound_abandon(first->sound);
	await_end(first);
	assert_int_equal(first->why.kind, ERR_CANCELED);
	uint8_t kept[LIVE_STATE_MAX_BYTES];
	struct heard *donor = listen_to(NULL, 0);
	for (size_t i = 0; i < 8; i++)
		say(donor, &c, i);
	await_samples(donor, 16000 * 11 / 10);
	const size_t len = live_sound_state(donor->sound, kept);
	assert_true(len > 0);
	live_sound_abandon(donor->sound);
	await_end(donor);
	struct heard *second = listen_to(kept, len);
	for (size_t i = 8; i < c.count; i++)
		say(second, &c, i);
	live_sound_finish(second->sound);
	await_end(second);
	assert_int_equal(second->why.kind, ERR_OK);
	assert_int_equal(second->restarts, 1);
	const int64_t given = second->end - second->gaps; /* before its first sample there is what the state knows of */
	assert_true(given > 1280);
	assert_true(apart(undisturbed, second, given - 1280) < 0.05);
	drop(first);
	drop(second);
	drop(donor);
	drop(undisturbed);
	capture_free(&c);
}

static void what_is_no_recording_ends_its_session_alone(void **state)
{
	(void)state;
	struct capture c;
	capture_load(&c, folder, "chromium-pause");
	struct heard *good = listen_to(NULL, 0), *bad = listen_to(NULL, 0), *odd = listen_to("x", 1);
	static uint8_t noise[100000];
	struct err e;
	memset(noise, 'n', sizeof(noise));
	for (size_t i = 0; i < c.count; i++) {
		say(good, &c, i);
		if (i == 5)
			assert_int_equal(live_sound_bytes(bad->sound, noise, sizeof(noise), &e), 0);
	}
	live_sound_finish(good->sound);
	await_end(good);
	await_end(bad);
	await_end(odd);
	assert_int_equal(good->end, 127680);
	assert_string_equal(bad->why.code, "NOT_WEBM");
	assert_int_equal(odd->why.kind, ERR_INVALID);
	drop(good);
	drop(bad);
	drop(odd);
	capture_free(&c);
}

/* A process is stopped, given something of this session, and crashes with it: what it was at is left out; at the third time the
 * session ends, and another one in the same process has lost nothing. */
static void what_processes_die_of_ends(void **state)
{
	(void)state;
	struct capture c;
	capture_load(&c, folder, "chromium-100ms");
	struct live_decoder *all = decoder;
	struct err e;
	assert_int_equal(live_decoder_new(zygote, &(struct live_decoder_opts){ .processes = 1 }, &decoder, &e), 0);
	struct heard *bad = listen_to(NULL, 0), *good = listen_to(NULL, 0);
	size_t said = 0;
	for (int death = 0; death < 3; death++) {
		say(bad, &c, (size_t)death);
		for (; said < 10 * ((size_t)death + 1); said++)
			say(good, &c, said);
		await_samples(good, (int64_t)(said - 4) * 1600);
		struct live_decoder_stats stats = await_flight(false);
		assert_int_equal(kill(stats.pids[0], SIGSTOP), 0);
		say(bad, &c, 40 + (size_t)death);
		(void)await_flight(true);
		assert_int_equal(kill(stats.pids[0], SIGSEGV), 0);
		assert_int_equal(kill(stats.pids[0], SIGCONT), 0);
		while (stats.deaths < (uint64_t)death + 1) {
			(void)usleep(1000);
			live_decoder_stats(decoder, &stats);
		}
	}
	await_end(bad);
	assert_string_equal(bad->why.code, "TASK_CRASHED");
	assert_true(bad->notices >= 2);
	for (; said < c.count; said++)
		say(good, &c, said);
	live_sound_finish(good->sound);
	await_end(good);
	assert_int_equal(good->why.kind, ERR_OK);
	assert_int_equal(good->end, 159360);
	assert_int_equal(good->gaps, 0);
	live_decoder_free(decoder);
	decoder = all;
	drop(bad);
	drop(good);
	capture_free(&c);
}

static int64_t resident_kb(pid_t pid)
{
	char path[64], *text;
	long pages = 0;
	struct err e;
	(void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	assert_int_equal(file_read_all(path, 256, &text, NULL, &e), 0);
	assert_int_equal(sscanf(text, "%*u %9ld", &pages), 1);
	free(text);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Memory of everything that decodes, with and without sessions that are in their midst. The bar is 300 KB a session,
 * fragments and connection included. */
static void many_sessions_are_small(void **state)
{
	(void)state;
	if (MR_SANITIZED)
		skip();
	enum { COUNT = 400 };
	static struct live_sound *sessions[COUNT];
	struct capture c;
	struct err e;
	capture_load(&c, folder, "firefox");
	struct heard *sum = mr_calloc(1, sizeof(*sum));
	(void)pthread_mutex_init(&sum->lock, NULL);
	cond_init_monotonic(&sum->changed);
	const struct live_sound_handlers handlers = { .ctx = sum, .pcm = count_pcm, .end = on_end };
	struct live_decoder_stats stats;
	do { /* as after a death before */
		(void)usleep(1000);
		live_decoder_stats(decoder, &stats);
	} while (!stats.pids[0] || !stats.pids[1]);
	const int64_t before = resident_kb(stats.pids[0]) + resident_kb(stats.pids[1]) + resident_kb(getpid());
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(live_sound_open(decoder, &handlers, NULL, 0, &sessions[i], &e), 0);
	for (size_t blob = 0; blob + 1 < c.count; blob++) {
		const size_t from = blob ? c.ends[blob - 1] : 0;
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(live_sound_bytes(sessions[i], c.data + from, c.ends[blob] - from, &e), 0);
		await_samples(sum, (int64_t)COUNT * (int64_t)blob * 3000);
	}
	stats = await_flight(false);
	const int64_t after = resident_kb(stats.pids[0]) + resident_kb(stats.pids[1]) + resident_kb(getpid());
	printf("%d sessions: %.1f KB each\n", COUNT, (double)(after - before) / COUNT);
	assert_int_equal(stats.sessions, COUNT);
	assert_true(after - before < COUNT * 100);
	for (size_t i = 0; i < COUNT; i++)
		live_sound_abandon(sessions[i]);
	(void)pthread_mutex_lock(&sum->lock);
	while (sum->ends < COUNT)
		(void)pthread_cond_wait(&sum->changed, &sum->lock);
	(void)pthread_mutex_unlock(&sum->lock);
	(void)pthread_cond_destroy(&sum->changed);
	(void)pthread_mutex_destroy(&sum->lock);
	free(sum);
	capture_free(&c);
}

static void sessions_end_with_their_decoder(void **state)
{
	(void)state;
	struct heard *h = listen_to(NULL, 0);
	live_decoder_free(decoder);
	decoder = NULL;
	assert_int_equal(h->ends, 1);
	assert_int_equal(h->why.kind, ERR_CANCELED);
	drop(h);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct err e;
	folder = argv[2];
	log_setup(LOG_ERROR, false);
	if (zygote_start(argv[1], &zygote, &e) < 0 ||
	    live_decoder_new(zygote, &(struct live_decoder_opts){ .processes = 2 }, &decoder, &e) < 0) {
		fprintf(stderr, "%s\n", e.message);
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings_become_samples),
		cmocka_unit_test(processes_that_die_lose_nothing),
		cmocka_unit_test(a_lost_blob_costs_its_own_sound),
		cmocka_unit_test(a_state_goes_on_elsewhere),
		cmocka_unit_test(what_is_no_recording_ends_its_session_alone),
		cmocka_unit_test(what_processes_die_of_ends),
		cmocka_unit_test(many_sessions_are_small),
		cmocka_unit_test(sessions_end_with_their_decoder),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	zygote_stop(zygote);
	return failed;
}
