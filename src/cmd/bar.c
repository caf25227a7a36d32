/* The progress bar of one-shot commands. */
#include "cmd/bar.h"

#include <unistd.h>

#define WIDTH 40

void bar_init(struct bar *b, FILE *out, bool quiet)
{
	*b = (struct bar){ .out = out, .quiet = quiet, .terminal = isatty(fileno(out)) == 1, .last_tenth = -1 };
}

static void put_times(struct bar *b, double speed, double eta_seconds)
{
	if (speed > 0)
		fprintf(b->out, "  %.1fx", speed);
	if (eta_seconds >= 0 && b->shown < 100)
		fprintf(b->out, "  %u:%02u left", (unsigned)(eta_seconds / 60), (unsigned)eta_seconds % 60);
}

static void draw(struct bar *b, double speed, double eta_seconds)
{
	int full = (int)(b->shown * WIDTH / 100);
	fputs("\r[", b->out);
	for (int i = 0; i < WIDTH; i++)
		fputc(i < full ? '#' : '.', b->out);
	fprintf(b->out, "] %5.1f%%", b->shown);
	put_times(b, speed, eta_seconds);
	fputs("\033[K", b->out);
	fflush(b->out);
}

void bar_show(struct bar *b, double percent, double speed, double eta_seconds)
{
	if (b->quiet)
		return;
	b->shown = percent > b->shown ? percent : b->shown;
	if (b->terminal) {
		draw(b, speed, eta_seconds);
		return;
	}
	int tenth = (int)(b->shown / 10);
	if (tenth == b->last_tenth)
		return;
	b->last_tenth = tenth;
	fprintf(b->out, "%3d%%", tenth * 10);
	put_times(b, speed, eta_seconds);
	fputc('\n', b->out);
}

void bar_end(struct bar *b)
{
	if (!b->quiet && b->terminal)
		fputc('\n', b->out);
}
