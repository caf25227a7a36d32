/* Events as text, for what carries them between processes: "job ID USER", "work", "doomed", "stream ID". The user comes last, since
 * it may hold anything but a line's end. */
#include <stdio.h>
#include <string.h>

#include "bus/bus.h"

void bus_event_format(const struct bus_event *ev, char out[BUS_EVENT_MAX])
{
	out[0] = '\0';
	switch (ev->topic) {
	case BUS_JOB:
		(void)snprintf(out, BUS_EVENT_MAX, "job %s %s", ev->job_id, ev->user_id ? ev->user_id : "");
		break;
	case BUS_WORK:
		(void)snprintf(out, BUS_EVENT_MAX, "work");
		break;
	case BUS_DOOMED:
		(void)snprintf(out, BUS_EVENT_MAX, "doomed");
		break;
	case BUS_STREAM:
		(void)snprintf(out, BUS_EVENT_MAX, "stream %s", ev->stream_id);
		break;
	}
}

static bool parse_job(const char *text, struct bus_event_copy *ret)
{
	size_t id = strcspn(text, " ");
	if (id == 0 || id >= sizeof(ret->id) || text[id] != ' ')
		return false;
	(void)snprintf(ret->id, sizeof(ret->id), "%.*s", (int)id, text);
	(void)snprintf(ret->user, sizeof(ret->user), "%s", text + id + 1);
	ret->event = (struct bus_event){ .topic = BUS_JOB, .job_id = ret->id, .user_id = ret->user };
	return true;
}

bool bus_event_parse(const char *text, struct bus_event_copy *ret)
{
	*ret = (struct bus_event_copy){ 0 };
	if (strcmp(text, "work") == 0)
		ret->event.topic = BUS_WORK;
	else if (strcmp(text, "doomed") == 0)
		ret->event.topic = BUS_DOOMED;
	else if (strncmp(text, "job ", 4) == 0)
		return parse_job(text + 4, ret);
	else if (strncmp(text, "stream ", 7) == 0 && text[7] && strlen(text + 7) < sizeof(ret->id)) {
		(void)snprintf(ret->id, sizeof(ret->id), "%s", text + 7);
		ret->event = (struct bus_event){ .topic = BUS_STREAM, .stream_id = ret->id };
	}
	return ret->event.topic != 0;
}
