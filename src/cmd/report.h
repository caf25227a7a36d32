/* What setup and doctor say: a line for each part, as it is known, or all of it as JSON at the end. The main thread.
 *
 *   struct report r;
 *   report_begin(&r, "doctor", options_flag(&o, "json"));
 *   report_add(&r, &(struct report_line){ .part = "store write", .result = REPORT_FAILED, .us = 1520, .text = e.message });
 *   return report_end(&r);       // the exit code: 1 if a part failed
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum report_result { REPORT_OK, REPORT_CHANGED, REPORT_WARNING, REPORT_SKIPPED, REPORT_FAILED, REPORT_RESULTS };

struct report_line {
	const char *part;
	enum report_result result;
	int64_t us; /* how long it took; < 0: that says nothing */
	const char *text;
	const char *advice; /* what to do; NULL: nothing */
};
struct report {
	const char *command;
	json_t *parts; /* NULL: lines */
	unsigned counts[REPORT_RESULTS];
};
void report_begin(struct report *r, const char *command, bool json);
void report_add(struct report *r, const struct report_line *line);
int report_end(struct report *r);
