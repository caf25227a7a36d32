/* Makes millrace-task's warm-up never end, busy, as a codec did that met chance bytes: LD_PRELOAD=stuck_warm_up.so.
 *
 *   STUCK_FROM=loading LD_PRELOAD=…/stuck_warm_up.so build/millrace-task
 *
 * With STUCK_FROM=loading it does not even begin before its parent is gone: main() then runs in an orphan. Says on stderr where it
 * is. Not for production.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static void say(const char *text)
{
	ssize_t n = write(STDERR_FILENO, text, strlen(text));
	(void)n;
}

/* The first that warming up asks libavcodec for. */
EXPORT const void *avcodec_find_decoder(int id);
EXPORT const void *avcodec_find_decoder(int id)
{
	(void)id;
	say("stuck: in warm-up\n");
	for (;;)
		__asm__ volatile("");
}

__attribute__((constructor)) static void load(void)
{
	const char *from = getenv("STUCK_FROM");
	(void)alarm(600); /* where a test fails, nothing stays busy for ever */
	if (!from || strcmp(from, "loading") != 0)
		return;
	const pid_t parent = getppid();
	say("stuck: loading\n");
	while (getppid() == parent)
		(void)usleep(1000);
}
