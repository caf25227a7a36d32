/* Layout and checks of a narration's messages, for the codecs of both directions. Private to proto/. */
#pragma once

#include "proto/task.h"
#include "proto/wire.h"

void walk_narrate_spec(struct wire *w, struct narrate_spec *s);
const char *check_narrate_spec(const struct narrate_spec *s, uint32_t input_count);
void walk_narrate_result(struct wire *w, struct narrate_result *r);
const char *check_narrate_result(const struct narrate_result *r);
void walk_voice_result(struct wire *w, struct voice_result *r);
const char *check_voice_result(const struct voice_result *r);
