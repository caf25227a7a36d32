/* A process on a bus, for tests/scenario/test_bus.py: bus_tool URL. Publishes each line of its input (an event's text), prints
 * what it hears ("heard …") and what becomes of the connection ("connected", "away: …"), and ends with its input. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "bus/bus.h"

static void hear(void *ctx, const struct bus_event *ev)
{
	char text[BUS_EVENT_MAX];
	(void)ctx;
	bus_event_format(ev, text);
	printf("heard %s\n", text);
}

static void on_state(void *ctx, bool connected, const char *why)
{
	(void)ctx;
	printf(connected ? "connected\n" : "away: %s\n", why);
}

static void publish(struct bus *b, char *line)
{
	struct bus_event_copy copy;
	line[strcspn(line, "\n")] = '\0';
	if (bus_event_parse(line, &copy))
		bus_publish(b, &copy.event);
}

int main(int argc, char **argv)
{
	const enum bus_topic topics[] = { BUS_JOB, BUS_WORK, BUS_DOOMED, BUS_STREAM };
	struct bus_subscription *subs[MR_ARRAY_SIZE(topics)] = { 0 };
	struct bus *b = NULL;
	struct err e = { 0 };
	char line[BUS_EVENT_MAX];
	if (argc != 2)
		return 2;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	int r = bus_open(&(struct bus_opts){ .url = argv[1], .on_state = on_state }, &b, &e);
	for (size_t i = 0; i < MR_ARRAY_SIZE(topics) && r == 0; i++)
		r = bus_subscribe(b, topics[i], hear, NULL, &subs[i], &e);
	while (r == 0 && fgets(line, sizeof(line), stdin))
		publish(b, line);
	for (size_t i = 0; b && i < MR_ARRAY_SIZE(topics); i++)
		bus_unsubscribe(b, subs[i]);
	bus_close(b);
	if (r < 0)
		fprintf(stderr, "bus_tool: %s\n", e.message);
	return r < 0;
}
