/* struct probe_result as JSON: what a file's row keeps and what the API shows as "probe". Pure. */
#pragma once

#include "base/err.h"
#include "proto/task.h"

/* The caller frees. */
char *probe_json_format(const struct probe_result *p);
int probe_json_parse(const char *json, struct probe_result *ret, struct err *e) MR_MUST_USE;
