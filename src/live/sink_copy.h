/* A sink whose fragments are kept in a second one as well, for those who listen here: what goes to Kinesis Video Streams leaves
 * rows and objects in the built-in store, so that sessions are listed and heard as if they were stored here.
 *
 *   sink_kvs_new(&kvs, &to, e);
 *   sink_builtin_new(&(struct sink_builtin_opts){ .store = streams, .retention_hours = 1 }, &copy, e);
 *   struct sink *both = sink_copy_new(to, copy);           // owns both
 *
 * The first sink alone decides: what it has taken, stored or failed at is what the session learns, with its numbers. The copy may
 * fail or fall behind (a full disk, a name that is another user's): then listeners miss something, and the session doesn't. A
 * session never goes on from it: its fragments name no recording. */
#pragma once

#include "live/sink.h"

struct sink *sink_copy_new(struct sink *take_to, struct sink *take_copy) __attribute__((returns_nonnull));
