/* The bus's check: see doctor.h. Two that know of each other only through what is between them: what one publishes the
 * other hears. What goes over the wire is an event of a job that nobody has, or a hint without an event. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/doctor.h"

#define LIMIT_MS 20000
#define CONNECT_MS 6000
#define HEAR_MS 5000
#define STEP_MS 20
#define AGAIN_STEPS 10 /* published again after so many: the other may not have been listening yet */

static void rest(void)
{
	(void)nanosleep(&(struct timespec) { .tv_nsec = STEP_MS * 1000000L }, NULL);
}

struct ear {
	const char *id;
	_Atomic bool heard;
};

static void on_event(void *ctx, const struct bus_event *ev)
{
	struct ear *ear = ctx;
	if (ev->job_id && strcmp(ev->job_id, ear->id) == 0)
		ear->heard = true;
}

static int wait_connected(struct bus *b, struct bus_state *state, struct err *e)
{
	int64_t due = clock_mono_ms() + CONNECT_MS;
	for (bus_get_state(b, state); state->remote && !state->connected; bus_get_state(b, state)) {
		if (clock_mono_ms() > due)
			return err_set(e, ERR_UNAVAILABLE, "Redis is away: %s",
				       *state->error ? state->error : "no connection yet");
		rest();
	}
	return 0;
}

static int hear(struct bus *speaker, struct ear *ear, struct err *e)
{
	int64_t due = clock_mono_ms() + HEAR_MS;
	for (unsigned step = 0; !ear->heard; step++) {
		if (clock_mono_ms() > due)
			return err_set(e, ERR_TIMEOUT, "what is published isn't heard within %d s", HEAR_MS / 1000);
		if (step % AGAIN_STEPS == 0)
			bus_publish(speaker,
				    &(struct bus_event) { .topic = BUS_JOB, .user_id = "doctor", .job_id = ear->id });
		rest();
	}
	return 0;
}

static int check_bus(struct doctor *d, struct finding *f, struct err *e)
{
	struct bus *speaker = NULL, *other = NULL;
	struct bus_subscription *sub = NULL;
	struct bus_state state = { 0 };
	struct ear ear = { .id = d->id };
	char place[PLACE_SIZE];
	bool local = strcmp(d->at.bus, "local") == 0;
	place_name(d->at.bus, place);
	int r = bus_open(&(struct bus_opts) { .url = d->at.bus }, &speaker, e);
	if (r == 0 && !local)
		r = bus_open(&(struct bus_opts) { .url = d->at.bus }, &other, e);
	struct bus *listener = local ? speaker : other;
	if (r == 0)
		r = wait_connected(speaker, &state, e);
	if (r == 0)
		r = wait_connected(listener, &state, e);
	if (r == 0)
		r = bus_subscribe(listener, BUS_JOB, on_event, &ear, &sub, e);
	if (r == 0)
		r = hear(speaker, &ear, e);
	if (sub)
		bus_unsubscribe(listener, sub);
	bus_close(other);
	bus_close(speaker);
	return r < 0 ? r : finding_say(f, "%s: published and heard", place);
}

/* ---- LISTEN and NOTIFY ---- */

static void on_notice(void *ctx, const char *text)
{
	struct ear *ear = ctx;
	if (text && strcmp(text, ear->id) == 0)
		ear->heard = true;
}

static int notify_until_heard(struct doctor *d, struct ear *ear, struct err *e)
{
	int64_t due = clock_mono_ms() + HEAR_MS;
	int r = 0;
	for (unsigned step = 0; r == 0 && !ear->heard; step++) {
		if (clock_mono_ms() > due)
			return err_set(e, ERR_TIMEOUT,
				       "what is told by NOTIFY isn't heard within %d s: a pooler between, which "
				       "doesn't keep sessions?",
				       HEAR_MS / 1000);
		if (step % AGAIN_STEPS == 0)
			r = db_notify(d->db, ear->id, e); /* the sender's line of a hint, and no event behind it */
		rest();
	}
	return r;
}

static int check_hints(struct doctor *d, struct finding *f, struct err *e)
{
	struct ear ear = { .id = d->id };
	if (!d->db || strcmp(d->at.bus, "local") != 0) {
		f->result = REPORT_SKIPPED;
		return finding_say(f, d->db ? "the bus carries them" : "not tried, because the database doesn't work");
	}
	int r = db_listen(d->db, on_notice, &ear, e);
	if (r == -ERR_UNSUPPORTED) {
		err_clear(e);
		f->result = REPORT_SKIPPED;
		return finding_say(
			f, "this database tells nothing: its processes are on this machine, and look for themselves");
	}
	if (r == 0) {
		r = notify_until_heard(d, &ear, e);
		db_listen_stop(d->db);
	}
	return r < 0 ? r : finding_say(f, "told by NOTIFY, and heard");
}

const struct doctor_check doctor_bus_checks[] = {
	{ "bus", GROUP_BUS, check_bus, LIMIT_MS },
	{ "database hints", GROUP_DATABASE, check_hints, LIMIT_MS },
};
const size_t doctor_bus_check_count = MR_ARRAY_SIZE(doctor_bus_checks);
