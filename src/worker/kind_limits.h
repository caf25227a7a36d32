/* How many chunks of each kind of job run at once in this process, where somebody wants fewer than there are threads.
 *
 *   kind_limits_parse("ladder=2,convert=4", &max, e);
 *   struct kind_limits *l = kind_limits_new(&max);
 *   uint32_t without = kind_limits_claim(l);            // kinds that are full; other claims wait here meanwhile
 *   … kind_limits_claimed(l, claimed ? &kind : NULL);
 *   … kind_limits_done(l, kind);                        // true: whoever left something for it should look again
 *
 * Any thread. Without limits nothing waits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/model.h"

#define KIND_LIMITS_KINDS (JOB_DOWNLOAD + 1)
#define KIND_LIMIT_MAX 256

/* By enum job_kind; -1: as many as there are threads; 0: none here. Zeroed, it would allow nothing. */
struct kind_limits_max {
	int32_t of[KIND_LIMITS_KINDS];
};
/* "KIND=N", several separated by commas; NULL: no limits. ERR_INVALID. Kinds that users see: the others have
 * threads of their own. */
int kind_limits_parse(const char *text, struct kind_limits_max *ret, struct err *e) MR_MUST_USE;

struct kind_limits;
/* NULL: no limits. */
struct kind_limits *kind_limits_new(const struct kind_limits_max *max) __attribute__((returns_nonnull));
/* NULL is fine. */
void kind_limits_free(struct kind_limits *l);
/* Bits of the kinds that are full, for repo_next_dues. */
uint32_t kind_limits_full(struct kind_limits *l);
/* The same for a claim, until kind_limits_claimed, which has to follow: so two don't take the same last place. */
uint32_t kind_limits_claim(struct kind_limits *l);
void kind_limits_claimed(struct kind_limits *l, const enum job_kind *kind);
bool kind_limits_done(struct kind_limits *l, enum job_kind kind);
