/* The built-in voices: flite, in the sandboxed task and nowhere else.
 *
 *   flite_warm_up();                                      // in the zygote: voices are shared by children that come later
 *   flite_speak(voice, text, len, &wav, &result, e);      // in a task
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/speak.h"

/* Makes the voices and speaks once, so that what is made lazily is there. Without it flite_speak does so. */
void flite_warm_up(void);
/* Appends a WAV file (proto/speak.h) to `wav`, whose maximum holds; its bytes depend on voice and text alone. `text` is UTF-8
 * without NUL. Blocks while it computes, about a hundredth of the sound's length. ERR_MEDIA/UNSPEAKABLE where flite gives
 * nothing back. */
int flite_speak(uint32_t voice, const char *text, size_t len, struct buf *wav, struct speak_result *ret,
		struct err *e) MR_MUST_USE;
