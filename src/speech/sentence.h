/* Where sentences end. Pure; knows what English and most languages with Latin, Greek, Cyrillic or CJK writing have in
 * common.
 *
 *   while (len > 0) {
 *           size_t n = sentence_length(text, len);
 *           use(text, n);
 *           text += n;
 *           len -= n;
 *   }
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* How many bytes of the (valid) UTF-8 are the first sentence, the spaces behind it included; `len` where there is no
 * second. A full stop ends none in "Dr. Who", "3.5", "e.g. this", "J. S. Bach", "wait... what", "No. 5"; quotes and
 * brackets that close belong to what they close. Never more than sentence_cut allows. */
size_t sentence_length(const char *text, size_t len);
/* Where a text that is one sentence is divided all the same: `len`, unless it has more than SCRIPT_SENTENCE_MAX
 * characters; then at the last comma (or semicolon, colon) of the second half, else at the last space, else in the
 * middle of a word. */
size_t sentence_cut(const char *text, size_t len);
/* Something in it can be said: a letter, a digit. */
bool sentence_is_speakable(const char *text, size_t len);
