/* Numbers in a request's "params", read the same way for every kind of job: a value of another type or out of its range is
 * ERR_INVALID with the field's name and what would be right. Pure.
 *
 *   r = params_whole("vbr", value, 0, 9, &p->vbr, e);
 *   r = params_milli("normalize", value, -70, 0, &p->target_mlufs, e);
 *
 * `name` is the field's as the client wrote it. Results are written on success only. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

int params_whole(const char *name, json_t *v, uint32_t min, uint32_t max, uint32_t *ret, struct err *e) MR_MUST_USE;
int params_number(const char *name, json_t *v, double min, double max, double *ret, struct err *e) MR_MUST_USE;
/* In thousandths, rounded to the nearest. */
int params_milli(const char *name, json_t *v, double min, double max, int32_t *ret, struct err *e) MR_MUST_USE;
