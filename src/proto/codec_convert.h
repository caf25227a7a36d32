/* Layout and checks of a conversion's messages, for the codecs of both directions. Private to proto/. */
#pragma once

#include "proto/task.h"
#include "proto/wire.h"

void walk_convert_spec(struct wire *w, struct convert_spec *s);
/* `kind` is TASK_CONVERT, TASK_MEASURE or TASK_JOIN. */
const char *check_convert_spec(const struct convert_spec *s, enum task_kind kind, uint32_t input_count);
/* The same for results: r->kind says which. */
void walk_convert_result(struct wire *w, struct task_result *r);
const char *check_convert_result(const struct task_result *r);
/* PART, INDEX, HEAD and TAIL. */
const char *check_convert_object(const struct task_object *o);
