/* Signals and limits of serve and worker. */
#include "cmd/process.h"

#include <sys/resource.h>

#include "base/log.h"

/* Connections, objects on their way and the database may need more descriptors than the 1024 that a shell usually allows. Nothing
 * here uses select(2), which could not take them. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void process_prepare(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, ret_signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
}

void process_wait(const sigset_t *signals)
{
	int number = 0;
	(void)sigwait(signals, &number);
	log_info("stopping", LOG_S("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"));
}
