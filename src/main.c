/* millrace: the subcommand table. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/cmd.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "serve", cmd_serve, "the server: HTTP API, page, worker threads" },
	{ "worker", cmd_worker, "worker threads alone, for a server's database and store" },
	{ "setup", cmd_setup, "makes what they need: tables, folder or bucket, the bucket's rules" },
	{ "doctor", cmd_doctor, "checks every part that they need, and says what to do" },
	{ "ladder", cmd_ladder, "FILE DIR: adaptive HLS of one file into a folder, without a server" },
	{ "convert", cmd_convert, "IN OUT: one file's sound in another format, without a server" },
	{ "narrate", cmd_narrate, "SCRIPT OUT: a script spoken over music, as HLS or MP3, without a server" },
	{ "version", cmd_version, "print the version" },
};

static int usage(FILE *out, int code)
{
	fputs("usage: millrace COMMAND [OPTIONS]    (millrace COMMAND --help explains them)\n\n", out);
	for (size_t i = 0; i < MR_ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	return code;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout, 0);
	const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
	for (size_t i = 0; i < MR_ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "millrace: there is no command \"%s\"\n\n", argv[1]);
	return usage(stderr, EXIT_USAGE);
}
