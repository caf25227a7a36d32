/* millrace-task: the only executable that parses media. Started by millrace with an empty environment and a control socket; warms
 * up, compiles the sandbox, and serves as the zygote (task/zygote.c) until that socket closes, which ends it at any moment.
 * Links no network, database or TLS library. */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "media/media_io.h"
#include "proto/channel.h"
#include "speech/flite.h"
#include "task/task.h"

/* Codecs make many threads that hardly use their stacks, and the memory limit counts stacks as a whole. */
#define THREAD_STACK_BYTES (2u << 20)
/* Each further arena of malloc keeps freed frames to itself; two are enough for threads that mostly compute. */
#define MALLOC_ARENAS 2
/* What is larger is mapped by itself, and given back when it is freed. Without a word from us malloc would take the size of the
 * largest picture that was ever freed, and keep all of them in arenas with holes: 20 MB of a 1080p ladder. */
#define MALLOC_MAPPED_BYTES (1 << 20)

static bool is_control_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

static void prepare_process(void)
{
	pthread_attr_t attr;
	(void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	(void)mallopt(M_MMAP_THRESHOLD, MALLOC_MAPPED_BYTES);
	if (pthread_attr_init(&attr) == 0) {
		if (pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES) == 0)
			(void)pthread_setattr_default_np(&attr);
		(void)pthread_attr_destroy(&attr);
	}
}

/* While nobody polls the control socket the kernel watches it: before we have said that we are ready nothing happens there but
 * its end, and SIGIO's default is to end the process, however busy it is. PR_SET_PDEATHSIG would not do: it follows the thread
 * that started us, and the server starts a zygote from any of its threads. */
static int end_with_control_socket(bool on)
{
	int flags = fcntl(ZYGOTE_CONTROL_FD, F_GETFL);
	if (flags < 0 || fcntl(ZYGOTE_CONTROL_FD, F_SETOWN, getpid()) < 0 ||
	    fcntl(ZYGOTE_CONTROL_FD, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC) < 0)
		return -1;
	struct pollfd p = { .fd = ZYGOTE_CONTROL_FD };
	return poll(&p, 1, 0) == 0 ? 0 : -1; /* its end may have come before */
}

/* Takes 16 ms, a thirtieth of what it takes to convert ten minutes of MP3. */
static void warm_up_the_rest(void)
{
	media_warm_up_rest();
	flite_warm_up();
}

int main(void)
{
	struct err e;
	struct sandbox *sandbox;
	if (!is_control_socket(ZYGOTE_CONTROL_FD)) {
		fputs("millrace-task: started by millrace, not by hand\n", stderr);
		return 2;
	}
	if (chdir("/") < 0 || end_with_control_socket(true) < 0)
		return 1;
	prepare_process();
	media_init();
	media_warm_up();
	if (sandbox_prepare(&sandbox, &e) < 0) {
		log_error("task_sandbox", LOG_E(&e));
		return 1;
	}
	if (end_with_control_socket(false) < 0)
		return 1;
	int code = zygote_run(ZYGOTE_CONTROL_FD, sandbox, warm_up_the_rest);
	sandbox_free(sandbox);
	return code;
}
