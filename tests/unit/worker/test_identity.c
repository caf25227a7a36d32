/* worker/identity: a holder is called gone only where that is certain. */
#include "worker/identity.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/cm.h"

/* The id that a child process has, which is dead and unreaped when this returns, or runs until its pipe closes. */
static pid_t child_id(char out[WORKER_ID_SIZE], int *ret_hold)
{
	int told[2], hold[2];
	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(hold), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char id[WORKER_ID_SIZE] = "", byte;
		(void)close(hold[1]);
		worker_identity(id);
		if (write(told[1], id, sizeof(id)) == (ssize_t)sizeof(id) && read(hold[0], &byte, 1) == 0)
			_exit(0);
		_exit(1);
	}
	assert_int_equal(read(told[0], out, WORKER_ID_SIZE), WORKER_ID_SIZE);
	(void)close(told[0]);
	(void)close(told[1]);
	(void)close(hold[0]);
	*ret_hold = hold[1];
	return pid;
}

static void a_process_is_gone_once_it_is_dead(void **state)
{
	(void)state;
	char id[WORKER_ID_SIZE];
	int hold;
	pid_t pid = child_id(id, &hold);
	assert_false(worker_identity_gone(id));
	(void)close(hold);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(worker_identity_gone(id)); /* a zombie */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(worker_identity_gone(id));
}

static void what_is_not_certain_is_not_gone(void **state)
{
	(void)state;
	char own[WORKER_ID_SIZE], host[64], boot[16], id[160];
	long pid;
	unsigned long long started;
	worker_identity(own);
	assert_int_equal(sscanf(own, "%63[^:]:%15[^:]:%ld:%llu", host, boot, &pid, &started), 4);
	assert_false(worker_identity_gone(own));
	(void)snprintf(id, sizeof(id), "%s:%s:%ld:%llu", host, boot, pid, started + 1);
	assert_true(worker_identity_gone(id)); /* the number was given again */
	(void)snprintf(id, sizeof(id), "%s:00000000:%ld:%llu", host, pid, started);
	assert_false(worker_identity_gone(id)); /* an earlier boot, or another machine that is called the same */
	(void)snprintf(id, sizeof(id), "%s:unknown:%ld:%llu", host, pid, started);
	assert_false(worker_identity_gone(id));
	(void)snprintf(id, sizeof(id), "0123456789abcdef:%s:%ld:%llu", boot, pid, started + 1);
	assert_false(worker_identity_gone(id)); /* another machine's */
	assert_false(worker_identity_gone(""));
	assert_false(worker_identity_gone("a:b:c:d"));
}

static void a_process_without_descriptors_gives_nobody_up(void **state)
{
	(void)state;
	char own[WORKER_ID_SIZE], id[WORKER_ID_SIZE];
	struct rlimit before, none = { 0 };
	worker_identity(own);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	bool gone = worker_identity_gone(own);
	worker_identity(id);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(gone);
	assert_false(worker_identity_gone(id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_gone_once_it_is_dead),
		cmocka_unit_test(what_is_not_certain_is_not_gone),
		cmocka_unit_test(a_process_without_descriptors_gives_nobody_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
