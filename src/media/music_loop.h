/* Background music without an end: the source's sound at 48 kHz in two channels, and where it ends it begins anew under an
 * equal-power cross-fade. Decodes only as far as it is asked, and the cross-fade ahead. Runs in the task; one thread.
 *
 *   struct music_loop *m = NULL;
 *   if (music_loop_open(task, io, &m, e) < 0) ...
 *   if (music_loop_read(m, left, right, n, e) < 0) ...      // n samples, always
 *   music_loop_close(&m);
 *
 * Silence at the source's head and tail, up to 30 s at either, is left out, so that the cross-fade is between sound and
 * sound: what is 36 dB below the music's loudness, where that is known (-45 to -80 dBFS), else below -60 dBFS. It is found
 * while decoding, nothing is scanned ahead; a pause within the music stays.
 *
 * Guarantees: the same source gives the same samples, however reads are cut. Memory: twice the cross-fade and a decoded
 * frame; behind them silence that may turn out to be the tail's (23 MB at most).
 */
#pragma once

#include "base/err.h"
#include "media/media_io.h"

struct music_loop;
/* Input 0, the stream of task->narrate. Borrows task and io. Errors as source_open. */
int music_loop_open(const struct task_spec *task, const struct media_io *io, struct music_loop **ret, struct err *e) MR_MUST_USE;
/* ERR_MEDIA/UNDECODABLE where less than a tenth of a second can be decoded. */
int music_loop_read(struct music_loop *m, float *left, float *right, int count, struct err *e) MR_MUST_USE;
uint32_t music_loop_decode_errors(const struct music_loop *m);
void music_loop_close(struct music_loop **m);

/* The loudness of the music's first `seconds`; NARRATE_GAIN_UNKNOWN: silence. */
int music_loop_measure(const struct task_spec *task, const struct media_io *io, int seconds, int32_t *ret_mlufs,
		       struct err *e) MR_MUST_USE;
