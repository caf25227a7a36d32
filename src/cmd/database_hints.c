/* Hints through the database: see database_hints.h. A thread sends what publishers left; the database's own thread delivers what
 * comes from others. A message is the sender's id and a line for each event, so that one's own are known and left out. */
#include "cmd/database_hints.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/thread.h"

#define GATHER_MS 50 /* hints of a burst (a job's progress, its segments) go together */

struct database_hints {
	struct db *db;
	struct bus *bus;
	char id[UUID_SIZE];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* protected by lock */
	bool stopping;
	char text[DB_NOTIFY_MAX + 1]; /* id and lines */
	size_t len;
	bool away; /* said once, not for every hint */
};

static void clear_locked(struct database_hints *h)
{
	h->len = (size_t)snprintf(h->text, sizeof(h->text), "%s\n", h->id);
}

static bool is_empty_locked(const struct database_hints *h)
{
	return h->len == strlen(h->id) + 1;
}

/* The bus's: on the publisher's thread. */
static void on_published(void *ctx, const struct bus_event *ev)
{
	struct database_hints *h = ctx;
	char line[BUS_EVENT_MAX], whole[BUS_EVENT_MAX + 2];
	bus_event_format(ev, line);
	int n = snprintf(whole, sizeof(whole), "\n%s\n", line);
	(void)pthread_mutex_lock(&h->lock);
	/* With the line's end before it, which it shares with the line there. */
	if (n > 2 && !strstr(h->text, whole) && h->len + (size_t)n - 1 <= DB_NOTIFY_MAX) {
		memcpy(h->text + h->len, whole + 1, (size_t)n);
		h->len += (size_t)n - 1;
		(void)pthread_cond_signal(&h->changed);
	}
	(void)pthread_mutex_unlock(&h->lock);
}

static void deliver(struct database_hints *h, const char *line)
{
	struct bus_event_copy copy;
	if (bus_event_parse(line, &copy))
		bus_deliver(h->bus, &copy.event);
}

/* The database's: on its thread. */
static void on_heard(void *ctx, const char *text)
{
	struct database_hints *h = ctx;
	if (!text) { /* some may have been missed: let everybody look */
		bus_deliver(h->bus, &(struct bus_event){ .topic = BUS_WORK });
		bus_deliver(h->bus, &(struct bus_event){ .topic = BUS_DOOMED });
		return;
	}
	_cleanup_free_ char *copy = mr_strdup(text);
	char *rest = copy, *line = strsep(&rest, "\n");
	if (strcmp(line, h->id) == 0)
		return;
	while ((line = strsep(&rest, "\n")) != NULL)
		deliver(h, line);
}

static void send_text(struct database_hints *h, const char *text)
{
	struct err e = { 0 };
	int r = db_notify(h->db, text, &e);
	if (r < 0 && !h->away)
		log_warn("hints_not_sent", LOG_E(&e));
	h->away = r < 0;
}

static void *send_thread(void *arg)
{
	struct database_hints *h = arg;
	char text[DB_NOTIFY_MAX + 1];
	(void)pthread_mutex_lock(&h->lock);
	for (;;) {
		while (is_empty_locked(h) && !h->stopping)
			(void)pthread_cond_wait(&h->changed, &h->lock);
		if (h->stopping)
			break;
		memcpy(text, h->text, h->len + 1);
		clear_locked(h);
		(void)pthread_mutex_unlock(&h->lock);
		send_text(h, text);
		(void)nanosleep(&(struct timespec){ .tv_nsec = GATHER_MS * 1000000L }, NULL);
		(void)pthread_mutex_lock(&h->lock);
	}
	(void)pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void release(struct database_hints *h)
{
	(void)pthread_mutex_destroy(&h->lock);
	(void)pthread_cond_destroy(&h->changed);
	free(h);
}

int database_hints_start(struct db *db, struct bus *bus, struct database_hints **ret, struct err *e)
{
	struct database_hints *h = mr_calloc(1, sizeof(*h));
	h->db = db;
	h->bus = bus;
	uuid7_new(h->id);
	clear_locked(h);
	(void)pthread_mutex_init(&h->lock, NULL);
	cond_init_monotonic(&h->changed);
	int r = db_listen(db, on_heard, h, e);
	if (r < 0) {
		release(h);
		*ret = NULL;
		return r == -ERR_UNSUPPORTED ? 0 : r;
	}
	int errnum = thread_start(&h->thread, "db-hints", send_thread, h);
	if (errnum) {
		db_listen_stop(db);
		release(h);
		return err_errno(e, errnum, "start the thread that sends hints");
	}
	bus_relay(bus, on_published, h);
	*ret = h;
	return 0;
}

void database_hints_stop(struct database_hints *h)
{
	if (!h)
		return;
	bus_relay(h->bus, NULL, NULL);
	db_listen_stop(h->db);
	(void)pthread_mutex_lock(&h->lock);
	h->stopping = true;
	(void)pthread_cond_signal(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
	(void)pthread_join(h->thread, NULL);
	release(h);
}
