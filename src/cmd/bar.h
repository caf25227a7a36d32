/* A progress bar on a terminal: percent, speed, time left; redrawn in place. On a pipe a line every ten percent. Never
 * goes back. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct bar {
	FILE *out;
	bool quiet, terminal;
	double shown; /* percent */
	int last_tenth;
};

void bar_init(struct bar *b, FILE *out, bool quiet);
/* speed: media seconds per second, 0 if not known; eta_seconds < 0 if not known. */
void bar_show(struct bar *b, double percent, double speed, double eta_seconds);
/* Leaves the cursor on a line of its own. */
void bar_end(struct bar *b);
