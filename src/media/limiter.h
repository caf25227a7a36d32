/* A look-ahead limiter of true peaks, for two channels at 48 kHz: what goes in comes out LIMITER_DELAY samples later, and between
 * samples, too, never above the ceiling. Its gain falls before a peak, evenly over the look-ahead, and comes back slowly, so that
 * neither clicks. Pure: no libav. One thread.
 *
 *   struct limiter *l = limiter_new(0.8F);
 *   limiter_run(l, left, right, n);       // in place: what was put in LIMITER_DELAY samples before (zeros at first)
 *   limiter_free(&l);
 *
 * The peak between samples is that of the signal at four times the rate (ITU-R BS.1770-4, annex 2).
 */
#pragma once

#define LIMITER_LOOK 240 /* 5 ms */
#define LIMITER_DELAY (LIMITER_LOOK - 1 + 6)

struct limiter;
struct limiter *limiter_new(float ceiling);
/* In place; what comes out doesn't depend on how the signal is cut into calls. */
void limiter_run(struct limiter *l, float *left, float *right, int count);
void limiter_free(struct limiter **l);
