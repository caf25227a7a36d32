/* cmd/bar: what it writes to a pipe and to a terminal. */
#include "cmd/bar.h"

#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/cm.h"
#include "base/mem.h"

static char text[8192];

struct to_memory {
	FILE *out;
	struct bar bar;
};

static void begin(struct to_memory *m, bool quiet)
{
	memset(text, 0, sizeof(text));
	m->out = tmpfile(); /* has a descriptor, unlike memory, which is what the bar asks about */
	assert_non_null(m->out);
	bar_init(&m->bar, m->out, quiet);
	assert_false(m->bar.terminal);
}

static const char *end(struct to_memory *m)
{
	bar_end(&m->bar);
	rewind(m->out);
	size_t n = fread(text, 1, sizeof(text) - 1, m->out);
	text[n] = '\0';
	(void)fclose(m->out);
	return text;
}

static void a_pipe_gets_a_line_every_ten_percent(void **state)
{
	(void)state;
	struct to_memory m;
	begin(&m, false);
	bar_show(&m.bar, 0, 0, -1);
	bar_show(&m.bar, 9.9, 1, 60);
	bar_show(&m.bar, 10.1, 2.04, 125.9);
	bar_show(&m.bar, 5, 0, -1); /* never back */
	bar_show(&m.bar, 19.9, 2, 9);
	bar_show(&m.bar, 55, 0, 59);
	bar_show(&m.bar, 100, 3, 0);
	bar_show(&m.bar, 100, 3, 0);
	assert_string_equal(end(&m), "  0%\n"
				     " 10%  2.0x  2:05 left\n"
				     " 50%  0:59 left\n"
				     "100%  3.0x\n");
}

static void quiet_is_quiet(void **state)
{
	(void)state;
	struct to_memory m;
	begin(&m, true);
	bar_show(&m.bar, 50, 1, 1);
	assert_string_equal(end(&m), "");
}

static void a_terminal_is_redrawn_in_place(void **state)
{
	(void)state;
	int master, slave;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	FILE *out = fdopen(slave, "w");
	assert_non_null(out);
	struct bar b;
	bar_init(&b, out, false);
	assert_true(b.terminal);
	bar_show(&b, 50, 1.5, 61);
	bar_show(&b, 25, 0, -1);
	bar_show(&b, 100, 0, 0);
	bar_end(&b);
	assert_int_equal(fflush(out), 0);
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	size_t used = 0;
	memset(text, 0, sizeof(text));
	for (ssize_t n; (n = read(master, text + used, sizeof(text) - 1 - used)) > 0;)
		used += (size_t)n;
	(void)fclose(out);
	(void)close(master);
#define DOTS10 ".........."
#define FULL10 "##########"
	assert_string_equal(text, "\r[" FULL10 FULL10 DOTS10 DOTS10 "]  50.0%  1.5x  1:01 left\033[K"
				  "\r[" FULL10 FULL10 DOTS10 DOTS10 "]  50.0%\033[K"
				  "\r[" FULL10 FULL10 FULL10 FULL10 "] 100.0%\033[K\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipe_gets_a_line_every_ten_percent),
		cmocka_unit_test(quiet_is_quiet),
		cmocka_unit_test(a_terminal_is_redrawn_in_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
