/* Parts of the codecs of specifications and results, for TASK_SPEAK. Private to proto/. */
#pragma once

#include "proto/task.h"
#include "proto/wire.h"

void walk_speak_spec(struct wire *w, struct speak_spec *s);
/* What is wrong with it, or NULL. */
const char *check_speak_spec(const struct task_spec *s);
void walk_speak_result(struct wire *w, struct speak_result *r);
const char *check_speak_result(const struct speak_result *r);
const char *check_speak_object(const struct task_object *o);
