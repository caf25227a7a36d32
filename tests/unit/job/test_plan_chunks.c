/* Chunks of a ladder's plan, the runs of encoders in them, and what a task is told of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "job/plan.h"
#include "plan_source.h"

static void runs_are_the_chunks_of_a_source_that_can_be_sought(void **state)
{
	(void)state;
	struct source s = { 640, 360, 0, 25, 1, 48000, 2, 1000, 0 };
	struct ladder_plan seekable, sequential;
	assert_int_equal(plan_source(&s, NULL, &seekable, NULL), 0);
	s.not_seekable = true;
	assert_int_equal(plan_source(&s, NULL, &sequential, NULL), 0);
	assert_int_equal(sequential.chunk_count, 2);
	assert_true(seekable.chunk_count > 30);
	for (uint32_t i = 1; i < seekable.chunk_count; i++)
		assert_true(seekable.chunks[i].segment_count <= 6);
	assert_true(seekable.chunks[0].segment_count <= 1 + 6);

	uint32_t runs[300];
	uint32_t n = ladder_runs(seekable.segment_count, &seekable.spec, 0, seekable.segment_count, runs);
	assert_int_equal(n, seekable.chunk_count + 1);
	assert_int_equal(runs[0], 0);
	assert_int_equal(runs[1], 1); /* within the first chunk */
	for (uint32_t i = 2; i < n; i++)
		assert_int_equal(runs[i], seekable.chunks[i - 1].first_segment);
	ladder_plan_release(&seekable);
	ladder_plan_release(&sequential);
}

/* Segments of each chunk of half a minute; those of larger pictures are shorter. */
static void chunks_of_small_pictures_are_longer(void **state)
{
	(void)state;
	static const struct {
		uint32_t width, height, count, chunks[3];
	} cases[] = {
		{ 854, 480, 2, { 1 + 4, 3 } },
		{ 480, 854, 2, { 1 + 4, 3 } },
		{ 1280, 720, 3, { 1 + 3, 2, 2 } },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct source s = { cases[i].width, cases[i].height, 0, 24, 1, 48000, 2, 30, 0 };
		struct ladder_plan p;
		assert_int_equal(plan_source(&s, NULL, &p, NULL), 0);
		assert_int_equal(p.chunk_count, cases[i].count);
		for (uint32_t k = 0; k < p.chunk_count; k++)
			assert_int_equal(p.chunks[k].segment_count, cases[i].chunks[k]);
		ladder_plan_release(&p);
	}
}

static void free_chunk_spec(struct ladder_spec *s)
{
	free(s->video_ticks);
	free(s->audio_frames);
	free(s->runs);
}

static void a_chunk_gets_its_boundaries(void **state)
{
	(void)state;
	struct source s = { 640, 360, 0, 25, 1, 48000, 2, 60, 0 };
	struct ladder_plan p;
	struct ladder_spec spec;
	assert_int_equal(plan_source(&s, NULL, &p, NULL), 0);
	struct segment video[2], audio[2];
	for (uint32_t i = 0; i < 2; i++) {
		video[i] = (struct segment){ .start_ticks = p.video_ticks[3 + i],
					      .duration_ticks = p.video_ticks[4 + i] - p.video_ticks[3 + i] };
		audio[i] =
			(struct segment){ .start_ticks = p.audio_frames[3 + i] * 1024,
					   .duration_ticks = (p.audio_frames[4 + i] - p.audio_frames[3 + i]) * 1024 };
	}
	struct chunk c = { .index = 3, .first_segment = 3, .segment_count = 2 };
	assert_int_equal(ladder_chunk_spec(&p.spec, &c, video, audio, 4, &spec, NULL), 0);
	assert_memory_equal(spec.video_ticks, p.video_ticks + 3, 3 * sizeof(int64_t));
	assert_memory_equal(spec.audio_frames, p.audio_frames + 3, 3 * sizeof(int64_t));
	assert_int_equal(spec.run_count, 1);
	assert_int_equal(spec.runs[0], 3);
	assert_int_equal(spec.resume_segment, 4);
	assert_int_equal(spec.video_threads, 1);
	free_chunk_spec(&spec);
	ladder_plan_release(&p);
}

/* Its encoders begin anew after the first segment, so that this one is complete early. Of a plan of before that was so, the first
 * chunk is that one segment. */
static void the_first_chunk_begins_with_one_segment(void **state)
{
	(void)state;
	struct source s = { 640, 360, 0, 25, 1, 48000, 2, 60, 0 };
	struct ladder_plan p;
	struct ladder_spec spec;
	assert_int_equal(plan_source(&s, NULL, &p, NULL), 0);
	struct chunk c = { .segment_count = p.chunks[0].segment_count };
	struct segment *video = mr_calloc(c.segment_count, sizeof(*video));
	for (uint32_t i = 0; i < c.segment_count; i++)
		video[i] = (struct segment){ .start_ticks = p.video_ticks[i],
					      .duration_ticks = p.video_ticks[i + 1] - p.video_ticks[i] };
	assert_int_equal(ladder_chunk_spec(&p.spec, &c, video, NULL, 0, &spec, NULL), 0);
	assert_int_equal(spec.run_count, 2);
	assert_int_equal(spec.runs[0], 0);
	assert_int_equal(spec.runs[1], 1);
	free_chunk_spec(&spec);
	c.segment_count = 1;
	assert_int_equal(ladder_chunk_spec(&p.spec, &c, video, NULL, 0, &spec, NULL), 0);
	assert_int_equal(spec.run_count, 1);
	free_chunk_spec(&spec);
	free(video);
	ladder_plan_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_the_chunks_of_a_source_that_can_be_sought),
		cmocka_unit_test(chunks_of_small_pictures_are_longer),
		cmocka_unit_test(a_chunk_gets_its_boundaries),
		cmocka_unit_test(the_first_chunk_begins_with_one_segment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
