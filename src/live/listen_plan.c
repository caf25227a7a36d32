/* See listen_plan.h. */
#include "live/listen_plan.h"

#include <stdlib.h>

#include "base/mem.h"
#include "proto/listen.h"

#define PER_MS (LISTEN_RATE / 1000)

int64_t listen_frame_at(int64_t ms)
{
	return ms * PER_MS / LISTEN_FRAME_SAMPLES;
}

int64_t listen_frame_ms(int64_t frame)
{
	return (frame * LISTEN_FRAME_SAMPLES + PER_MS / 2) / PER_MS;
}

bool listen_joins(int64_t end_ms, int64_t ms)
{
	return ms - end_ms <= LISTEN_JOIN_MS && end_ms - ms <= LISTEN_JOIN_MS;
}

static void put(struct listen_plan *p, int64_t to, bool first)
{
	if (p->count == p->capacity) {
		p->capacity = p->capacity ? 2 * p->capacity : 16;
		p->list = mr_reallocarray(p->list, p->capacity, sizeof(*p->list));
	}
	p->list[p->count++] = (struct listen_segment){
		.number = p->number, .from = p->next, .to = to, .discontinuity = p->broken, .first = first
	};
	p->broken = false;
	p->next = to;
}

/* What is there up to frame `end`, evenly. */
static void cut(struct listen_plan *p, int64_t end)
{
	const int64_t start = p->next, most = listen_frame_at(LISTEN_MOST_MS);
	const int64_t parts = (end - start + most - 1) / most;
	for (int64_t i = 1; i <= parts; i++)
		put(p, start + (end - start) * i / parts, i == 1);
	p->pending = false;
}

static void end_run(struct listen_plan *p)
{
	int64_t end = (p->end_ms * PER_MS + LISTEN_FRAME_SAMPLES - 1) / LISTEN_FRAME_SAMPLES;
	if (!p->open)
		return;
	if (end < p->next + LISTEN_TAIL_FRAMES)
		end = p->next + LISTEN_TAIL_FRAMES;
	cut(p, end);
	p->open = false;
	p->broken = true;
}

void listen_plan_begin(struct listen_plan *p, const struct listen_segment *at)
{
	p->open = false;
	p->broken = at->discontinuity;
	p->next = at->from;
	p->number = at->number;
	p->pending = true; /* the fragment `number` comes next, and the frames are known */
}

void listen_plan_add(struct listen_plan *p, const struct fragment *f)
{
	if (p->open && !listen_joins(p->end_ms, f->producer_ms))
		end_run(p);
	const bool resumed = !p->open && p->pending && p->number == f->number;
	if (!p->open && !resumed)
		p->next = listen_frame_at(f->producer_ms);
	if (!p->pending || !p->open)
		p->number = f->number;
	p->open = p->pending = true;
	p->end_ms = f->producer_ms + f->length_ms;
	const int64_t end = listen_frame_at(p->end_ms) - LISTEN_BEHIND_FRAMES;
	if (end - p->next >= listen_frame_at(LISTEN_LEAST_MS))
		cut(p, end);
}

void listen_plan_finish(struct listen_plan *p)
{
	end_run(p);
}

void listen_plan_drop(struct listen_plan *p, size_t n)
{
	p->count -= n;
	for (size_t i = 0; i < p->count; i++)
		p->list[i] = p->list[i + n];
}

void listen_plan_release(struct listen_plan *p)
{
	free(p->list);
	*p = (struct listen_plan){ 0 };
}
