/* What to do about a failure, in a sentence. Pure; NULL where nobody knows better than the failure's own text. */
#pragma once

#include "base/err.h"

const char *advice_database(const struct err *e);
const char *advice_store(const struct err *e);
const char *advice_bus(const struct err *e);
const char *advice_speech(const struct err *e);
const char *advice_task(const struct err *e);
