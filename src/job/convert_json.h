/* What a conversion's chunks found out, as the texts of their rows (sql/0007), and what came of the job. Pure.
 *
 *   {"samples": 441000, "bytes": 160500, "parts": 1}                    of a chunk that converts
 *   {"gain_mb": -230, "integrated_lufs": -13.7, "true_peak_dbtp": 0.1}  of the one that measures
 *   {"format": "mp3", "bytes": …, "duration": 10.0, …}                  of the job: the API shows it as "result"
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/plan_convert.h"

char *convert_step_format(const struct convert_result *r); /* the caller frees, as of all of these */
/* Of the rest nothing is kept. */
int convert_step_parse(const char *json, struct convert_result *ret, struct err *e) MR_MUST_USE;
char *convert_measure_format(const struct measure_result *m, int32_t gain_mb);
int convert_measure_gain(const char *json, int32_t *ret_gain_mb, struct err *e) MR_MUST_USE;

/* What the join knows; `measured` is the measuring chunk's text, or NULL. */
char *convert_result_format(const struct convert_constants *c, const struct join_result *j, const char *sha256,
			    const char *measured);
