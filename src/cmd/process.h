/* What a process that runs until it is told to stop does first, and how it waits. The main thread.
 *
 *   sigset_t signals;
 *   process_prepare(&signals);           // before any thread starts
 *   … process_wait(&signals);
 */
#pragma once

#include <signal.h>

/* SIGTERM and SIGINT are blocked from now on, in every thread that starts later, so that process_wait gets them; SIGPIPE is
 * ignored; as many descriptors may be open as the hard limit allows. */
void process_prepare(sigset_t *ret_signals);
/* Until SIGTERM or SIGINT; logs which ("stopping"). */
void process_wait(const sigset_t *signals);
