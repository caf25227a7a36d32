/* A subtitle's text as WebVTT cue text. Pure: no libav, no I/O. Runs in the task.
 *
 *   subtitle_text("0,0,Default,,0,0,0,,{\\i1}Who?{\\i0}\\NMe & you", &out);   // "<i>Who?</i>\nMe &amp; you"
 *
 * The input is what libavcodec's decoders make of every text format: an event of an ASS script without its times, that
 * is eight fields with commas behind each, then text with override blocks. Italics, bold and underlining are kept, and
 * line breaks; fonts, colours, places, drawings and effects are not. What can't be in a cue (blank lines, control
 * characters, bytes that aren't UTF-8) is left out; &, < and > are escaped, so nothing can end the cue or open a tag.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* Longer texts are cut there: no viewer reads that much. */
#define SUBTITLE_TEXT_MAX_BYTES 4096

/* Appends the text; false if there is none to show (then nothing is appended). `out` must have room for
 * SUBTITLE_TEXT_MAX_BYTES more, or its failure is seen at buf_finish. */
bool subtitle_text(const char *event, struct buf *out);
