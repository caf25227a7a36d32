/* The subcommands: each parses its own options, runs, and returns an exit code: 0 done, 1 failed, 2 wrong usage. */
#pragma once

enum { EXIT_USAGE = 2 };

int cmd_serve(int argc, char **argv);
int cmd_worker(int argc, char **argv);
int cmd_ladder(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_narrate(int argc, char **argv);
int cmd_setup(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_version(int argc, char **argv);
