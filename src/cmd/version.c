/* millrace version */
#include <stdio.h>

#include "cmd/cmd.h"

int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("millrace " MILLRACE_VERSION);
	return 0;
}
