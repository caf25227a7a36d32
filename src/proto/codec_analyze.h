/* Layout and checks of an analysis' messages, for the codecs of both directions. Private to proto/. */
#pragma once

#include "proto/task.h"
#include "proto/wire.h"

void walk_analyze_spec(struct wire *w, struct analyze_spec *s);
const char *check_analyze_spec(const struct analyze_spec *s);
void walk_loudness(struct wire *w, struct loudness *l);
void walk_analyze_result(struct wire *w, struct analyze_result *r);
const char *check_analyze_result(const struct analyze_result *r);
