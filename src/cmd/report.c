/* Lines or JSON for people and scripts: see report.h. */
#include "cmd/report.h"

#include <stdio.h>

static const char *const result_names[REPORT_RESULTS] = { "ok", "changed", "warning", "skipped", "failed" };

void report_begin(struct report *r, const char *command, bool json)
{
	*r = (struct report) { .command = command, .parts = json ? json_array() : NULL };
	if (!json)
		printf("%-20s %-8s %9s  %s\n", "PART", "RESULT", "MS", "WHAT");
}

static void add_json(json_t *parts, const struct report_line *line)
{
	json_t *ms = line->us < 0 ? json_null() : json_real((double)line->us / 1000);
	(void)json_array_append_new(parts, json_pack("{s:s, s:s, s:o, s:s, s:s?}", "part", line->part, "result",
						     result_names[line->result], "ms", ms, "text", line->text, "advice",
						     line->advice));
}

void report_add(struct report *r, const struct report_line *line)
{
	r->counts[line->result]++;
	if (r->parts) {
		add_json(r->parts, line);
		return;
	}
	char ms[16] = "";
	if (line->us >= 0)
		(void)snprintf(ms, sizeof(ms), "%.1f", (double)line->us / 1000);
	printf("%-20s %-8s %9s  %s\n", line->part, result_names[line->result], ms, line->text);
	if (line->advice)
		printf("%-20s %-8s %9s  → %s\n", "", "", "", line->advice);
	(void)fflush(stdout);
}

static void end_json(struct report *r)
{
	json_t *whole = json_pack("{s:s, s:b, s:o}", "command", r->command, "ok", r->counts[REPORT_FAILED] == 0,
				  "parts", r->parts);
	(void)json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
	(void)putchar('\n');
	json_decref(whole);
}

int report_end(struct report *r)
{
	if (r->parts)
		end_json(r);
	else if (r->counts[REPORT_FAILED])
		printf("%u failed\n", r->counts[REPORT_FAILED]);
	else if (r->counts[REPORT_CHANGED])
		printf("%u changed\n", r->counts[REPORT_CHANGED]);
	else if (r->counts[REPORT_WARNING])
		printf("%u to look at\n", r->counts[REPORT_WARNING]);
	else
		printf("nothing to do\n");
	(void)fflush(stdout);
	return r->counts[REPORT_FAILED] ? 1 : 0;
}
