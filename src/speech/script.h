/* A script to be spoken, as a list of sentences and pauses: pure text, the same in the server, which plans with it, and
 * in tests. Plain text and a small part of SSML (https://www.w3.org/TR/speech-synthesis11/) are one language here:
 *
 *   Close your eyes. Breathe in.         two sentences
 *                                        a blank line: a new paragraph, which begins after a longer pause
 *   [pause 5s] Breathe out.              5s, 1.5s, 500ms, 2min; a number alone is seconds
 *   Hold <break time="2s"/> let go.      a break ends the sentence; with strength="…" or nothing it has a length of its
 * own <p>…</p> <s>…</s>                    a paragraph; a sentence that isn't divided <speak>…</speak> around all of
 * it: then white space alone means nothing, and &amp; is XML's
 *
 *   struct script s;
 *   r = script_parse(text, strlen(text), &s, e);
 *   for (uint32_t i = 0; i < s.item_count; i++)
 *           s.items[i].text ? speak(s.items[i].text) : wait_ms(s.items[i].pause_ms);
 *   script_release(&s);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SCRIPT_MAX_BYTES (100u << 10)
#define SCRIPT_SENTENCE_MAX 4096 /* characters; longer ones are divided, at commas or spaces if there are any */
#define SCRIPT_SENTENCES_MAX 4096
#define SCRIPT_PARAGRAPH_MS 1200
#define SCRIPT_PAUSE_MAX_MS 600000                /* of one [pause] or <break> */
#define SCRIPT_PAUSES_MAX_MS (3u * 3600u * 1000u) /* of all together */

struct script_item {
	char *text;        /* a sentence: UTF-8 without line breaks or double spaces, never empty; NULL: a pause */
	uint32_t pause_ms; /* > 0 for a pause */
};
struct script {
	struct script_item *items; /* never two pauses in a row */
	uint32_t item_count, sentence_count;
	uint32_t pause_ms; /* of all pauses */
};

/* ERR_INVALID with SCRIPT_INVALID (the message begins with line and column) or SCRIPT_EMPTY (there is nothing to say),
 * ERR_TOO_LARGE with SCRIPT_TOO_LONG. Time and memory are linear in `len`. */
int script_parse(const char *text, size_t len, struct script *ret, struct err *e) MR_MUST_USE;
/* Frees what it owns and zeroes it. */
void script_release(struct script *s);
