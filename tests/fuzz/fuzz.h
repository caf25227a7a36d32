/* What a fuzz target defines: libFuzzer's driver calls it, or replay_main.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
