/* Events as text, for what carries them between processes: "job ID USER", "progress ID REVISION STATUS PERCENT STAGE USER", "work",
 * "doomed", "stream ID". The user comes last, since it may hold anything but a line's end. Percent has all its digits, so that what
 * is read from the row is never less than what was told. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"

void bus_event_format(const struct bus_event *ev, char out[BUS_EVENT_MAX])
{
	out[0] = '\0';
	switch (ev->topic) {
	case BUS_JOB:
		if (ev->progress)
			(void)snprintf(out, BUS_EVENT_MAX, "progress %s %" PRId64 " %d %.17g %s %s", ev->job_id,
				       ev->progress->revision, ev->progress->status, ev->progress->percent,
				       *ev->progress->stage ? ev->progress->stage : "-", ev->user_id ? ev->user_id : "");
		else
			(void)snprintf(out, BUS_EVENT_MAX, "job %s %s", ev->job_id,
				       ev->user_id ? ev->user_id : "");
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

/* A word of `text`, which goes on behind the blank. */
static bool word(const char **text, char *out, size_t size)
{
	size_t n = strcspn(*text, " ");
	if (n == 0 || n >= size || (*text)[n] != ' ')
		return false;
	(void)snprintf(out, size, "%.*s", (int)n, *text);
	*text += n + 1;
	return true;
}

static bool parse_job(const char *text, struct bus_event_copy *ret)
{
	if (!word(&text, ret->id, sizeof(ret->id)))
		return false;
	(void)snprintf(ret->user, sizeof(ret->user), "%s", text);
	ret->event = (struct bus_event){ .topic = BUS_JOB, .job_id = ret->id, .user_id = ret->user };
	return true;
}

static bool number(const char **text, double max, double *ret)
{
	char digits[40], *end;
	if (!word(text, digits, sizeof(digits)))
		return false;
	*ret = strtod(digits, &end);
	return !*end && *ret >= 0 && *ret <= max;
}

static bool parse_progress(const char *text, struct bus_event_copy *ret)
{
	struct bus_progress *p = &ret->progress;
	char id[sizeof(ret->id)];
	double revision, status;
	if (!word(&text, id, sizeof(id)) || !number(&text, 9e15, &revision) || !number(&text, 255, &status) ||
	    !number(&text, 100, &p->percent) || !word(&text, p->stage, sizeof(p->stage)))
		return false;
	p->revision = (int64_t)revision;
	p->status = (int)status;
	memcpy(ret->id, id, sizeof(id));
	(void)snprintf(ret->user, sizeof(ret->user), "%s", text);
	ret->event = (struct bus_event){ .topic = BUS_JOB, .job_id = ret->id, .user_id = ret->user, .progress = p };
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
	else if (strncmp(text, "progress ", 9) == 0)
		return parse_progress(text + 9, ret);
	else if (strncmp(text, "stream ", 7) == 0 && text[7] && strlen(text + 7) < sizeof(ret->id)) {
		(void)snprintf(ret->id, sizeof(ret->id), "%s", text + 7);
		ret->event = (struct bus_event){ .topic = BUS_STREAM, .stream_id = ret->id };
	}
	return ret->event.topic != 0;
}
