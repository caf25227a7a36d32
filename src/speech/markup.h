/* What stands between '<' and '>', and durations. Pure; for script.c alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum markup_tag { TAG_SPEAK = 1, TAG_BREAK, TAG_P, TAG_S, TAG_IGNORED /* a comment, <?xml … ?> */ };

struct markup {
	enum markup_tag tag;
	bool closes, empty; /* </p>; <break/> */
	uint32_t pause_ms;  /* of a break */
};

/* Reads the markup that begins at text[0] == '<'. Returns its length, or 0 with *ret_wrong saying what is wrong with
 * it. */
size_t markup_read(const char *text, size_t len, struct markup *ret, const char **ret_wrong);

/* "5s", "1.5 s", "500ms"; with `lenient` also "2 min", "3 seconds" and a number alone, which is seconds. False if it is
 * none, or longer than SCRIPT_PAUSE_MAX_MS. */
bool markup_duration(const char *text, size_t len, bool lenient, uint32_t *ret_ms);
