/* Looking at what the process stands on. Server and worker process: the monitor's thread, and threads that answer for health. */
#include "worker/checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/figures.h"
#include "net/fetch.h"
#include "worker/speech_config.h"
#include "worker/task_client.h"

#define DISK_NEEDED_BYTES (4u << 20) /* with less than that nothing can be stored any more */
#define REACH_TIMEOUT_MS 3000

const char *const check_names[CHECK_NAMES] = {
	[CHECK_DATABASE] = "database", [CHECK_STORE] = "store",	    [CHECK_BUS] = "bus",   [CHECK_SPEECH] = "speech",
	[CHECK_TASKS] = "tasks",	[CHECK_QUEUE] = "queue",     [CHECK_CPU] = "cpu",   [CHECK_MEMORY] = "memory",
	[CHECK_DISK] = "disk",		[CHECK_DESCRIPTORS] = "descriptors",
};

const char *check_status_name(enum check_status s)
{
	static const char *const names[] = { "ok", "warn", "fail" };
	return names[s];
}

struct check_thresholds checks_defaults(void)
{
	return (struct check_thresholds){ .of = { [CHECK_DATABASE] = 0.5,
						  [CHECK_STORE] = 2,
						  [CHECK_BUS] = 0.5,
						  [CHECK_SPEECH] = 2,
						  [CHECK_QUEUE] = 120,
						  [CHECK_CPU] = 16,
						  [CHECK_MEMORY] = 0.05,
						  [CHECK_DISK] = 0.05,
						  [CHECK_DESCRIPTORS] = 0.8 } };
}

int checks_threshold_set(struct check_thresholds *t, const char *text, struct err *e)
{
	const char *is = strchr(text, '=');
	size_t len = is ? (size_t)(is - text) : 0;
	for (size_t i = 0; i < CHECK_NAMES && is; i++) {
		char *end;
		double v = strtod(is + 1, &end);
		if (strlen(check_names[i]) != len || strncmp(check_names[i], text, len) != 0 || t->of[i] <= 0)
			continue;
		if (end == is + 1 || *end || !(v > 0 && v <= 1e9))
			break;
		t->of[i] = v;
		return 0;
	}
	return err_set(e, ERR_INVALID,
		       "expected NAME=NUMBER with database, store, bus, speech, queue, cpu, memory, disk or descriptors");
}

/* ---- dependencies ---- */

static struct check asked(int r, const struct err *why, int64_t since_ns, double threshold_s, enum check_status when_away)
{
	struct check c = { .there = true, .latency_us = (clock_mono_ns() - since_ns) / 1000 };
	if (r < 0) {
		c.status = when_away;
		(void)snprintf(c.message, sizeof(c.message), "%s", why->message);
	} else if ((double)c.latency_us > threshold_s * 1e6) {
		c.status = CHECK_WARN;
		(void)snprintf(c.message, sizeof(c.message), "answers late");
	}
	c.unit = "seconds";
	c.value = (double)c.latency_us / 1e6;
	c.threshold = threshold_s;
	return c;
}

static void database(const struct checks_opts *o, struct check_list *l)
{
	struct err e = { 0 };
	int64_t began = clock_mono_ns();
	int r = repo_queue_oldest(o->repo, &l->queue_oldest_ms, &e);
	l->of[CHECK_DATABASE] = asked(r, &e, began, o->thresholds.of[CHECK_DATABASE], CHECK_FAIL);
	if (r < 0) {
		l->queue_oldest_ms = -1;
		return;
	}
	struct check *q = &l->of[CHECK_QUEUE];
	*q = (struct check){ .there = true,
			     .latency_us = -1,
			     .unit = "seconds",
			     .value = l->queue_oldest_ms < 0 ? 0 : (double)l->queue_oldest_ms / 1e3,
			     .threshold = o->thresholds.of[CHECK_QUEUE] };
	if (q->value > q->threshold) {
		q->status = CHECK_WARN;
		(void)snprintf(q->message, sizeof(q->message), "work has waited for %.0f s: more workers are needed, or none runs",
			       q->value);
	}
}

static void store(const struct checks_opts *o, struct checks_memory *m, struct check_list *l)
{
	struct err e = { 0 };
	int64_t began = clock_mono_ns();
	if (clock_mono_ms() >= m->store_due_ms) {
		int r = store_check(o->store, &e);
		m->store = asked(r, &e, began, o->thresholds.of[CHECK_STORE], CHECK_FAIL);
		/* A folder can be asked each time; of a bucket each question is a request that somebody pays for. What is away is
		 * looked for soon. */
		m->store_due_ms = clock_mono_ms() + (store_has_urls(o->store) && r == 0 ? o->rest_ms : 0);
	}
	l->of[CHECK_STORE] = m->store;
}

static void bus(const struct checks_opts *o, struct check_list *l)
{
	struct bus_state s;
	bus_get_state(o->bus, &s);
	if (!s.remote)
		return;
	double limit_s = o->thresholds.of[CHECK_BUS];
	struct check *c = &l->of[CHECK_BUS];
	*c = (struct check){ .there = true, .latency_us = s.latency_us, .unit = "seconds", .threshold = limit_s };
	c->value = s.latency_us < 0 ? 0 : (double)s.latency_us / 1e6;
	if (s.connected && c->value <= limit_s)
		return;
	c->status = CHECK_WARN; /* everything goes on without it */
	(void)snprintf(c->message, sizeof(c->message), "%s", s.connected ? "answers late" : s.error);
}

static void speech(const struct checks_opts *o, struct checks_memory *m, struct check_list *l)
{
	if (!o->speech || o->speech->kind != SPEECH_OPENAI)
		return;
	if (clock_mono_ms() >= m->speech_due_ms) {
		struct err e = { 0 };
		int64_t began = clock_mono_ns();
		int r = net_reach(o->speech->url, REACH_TIMEOUT_MS, &e);
		m->speech = asked(r, &e, began, o->thresholds.of[CHECK_SPEECH], CHECK_WARN);
		m->speech_due_ms = clock_mono_ms() + o->rest_ms;
	}
	l->of[CHECK_SPEECH] = m->speech;
}

static void tasks(const struct checks_opts *o, struct check_list *l)
{
	struct err e = { 0 };
	struct check *c = &l->of[CHECK_TASKS];
	int64_t began = clock_mono_ns();
	int r = zygote_check(o->zygote, &e);
	*c = (struct check){ .there = true, .latency_us = (clock_mono_ns() - began) / 1000 };
	if (r < 0) {
		c->status = CHECK_FAIL;
		(void)snprintf(c->message, sizeof(c->message), "%s", e.message);
	} else {
		zygote_sandbox(o->zygote, c->message, sizeof(c->message));
	}
}

/* ---- resources ---- */

static struct check measured(const char *unit, double value, double threshold, bool below, const char *what)
{
	struct check c = { .there = true, .latency_us = -1, .unit = unit, .value = value, .threshold = threshold };
	if (below ? value < threshold : value > threshold) {
		c.status = CHECK_WARN;
		(void)snprintf(c.message, sizeof(c.message), "%s", what);
	}
	return c;
}

static void disks(const struct checks_opts *o, struct check_list *l)
{
	uint64_t least = UINT64_MAX;
	l->disk_free = -1;
	for (size_t i = 0; i < CHECK_DISKS_MAX; i++) {
		struct machine_disk d;
		if (!o->disks[i] || !machine_disk(o->disks[i], &d))
			continue;
		double free = (double)d.available / (double)d.total;
		if (l->disk_free < 0 || free < l->disk_free)
			l->disk_free = free;
		least = d.available < least ? d.available : least;
	}
	if (l->disk_free < 0)
		return;
	struct check *c = &l->of[CHECK_DISK];
	*c = measured("ratio", l->disk_free, o->thresholds.of[CHECK_DISK], true, "little room is left");
	if (least < DISK_NEEDED_BYTES) {
		c->status = CHECK_FAIL;
		(void)snprintf(c->message, sizeof(c->message), "the disk is full");
	}
}

static void machine(const struct checks_opts *o, struct check_list *l)
{
	machine_read(&l->machine);
	const struct machine *m = &l->machine;
	const double *t = o->thresholds.of;
	l->of[CHECK_CPU] = measured("load_per_core", m->load / m->cores, t[CHECK_CPU], false, "too much runs at once");
	if (m->memory_total)
		l->of[CHECK_MEMORY] = measured("ratio", (double)m->memory_available / (double)m->memory_total,
					       t[CHECK_MEMORY], true, "little memory is left");
	if (m->descriptors_max)
		l->of[CHECK_DESCRIPTORS] = measured("ratio", (double)m->descriptors / (double)m->descriptors_max,
						    t[CHECK_DESCRIPTORS], false, "few descriptors are left");
}

void checks_run(const struct checks_opts *o, struct checks_memory *m, struct check_list *ret)
{
	struct check_list l = { 0 };
	database(o, &l);
	store(o, m, &l);
	bus(o, &l);
	speech(o, m, &l);
	tasks(o, &l);
	machine(o, &l);
	disks(o, &l);
	for (size_t i = 0; i < CHECK_NAMES; i++)
		if (l.of[i].there && l.of[i].status > l.worst)
			l.worst = l.of[i].status;
	*ret = l;
}
