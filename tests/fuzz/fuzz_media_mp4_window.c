/* libFuzzer target: whatever stands for an MP4's index is a row of whole boxes at its place and of its length, and reading it
 * is bounded. The first byte says which range is asked for; the rest is the file. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "media/mp4_boxes.h"
#include "media/mp4_window.h"

struct file {
	const uint8_t *data;
	uint64_t size, bytes;
};

static int file_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	struct file *f = ctx;
	(void)input;
	(void)e;
	if (offset > f->size)
		abort();
	*ret_len = f->size - offset < len ? (uint32_t)(f->size - offset) : len;
	memcpy(buf, f->data + offset, *ret_len);
	f->bytes += *ret_len;
	return 0;
}

/* Every byte of the file once, from the overlay or from itself; asked for in uneven pieces. */
static uint8_t *laid_over(const struct mp4_window *w, const struct file *f)
{
	uint8_t *out = malloc(f->size);
	if (!out)
		abort();
	for (uint64_t at = 0; at < f->size;) {
		uint32_t len = f->size - at < 101 ? (uint32_t)(f->size - at) : 101;
		const uint32_t asked = len;
		if (!mp4_window_overlay(w, at, out + at, &len))
			memcpy(out + at, f->data + at, len);
		if (len == 0 || len > asked)
			abort();
		at += len;
	}
	return out;
}

/* The boxes within are as long as those around them say. */
static void check_boxes(struct mp4_reader *r, uint64_t at, uint64_t end, int depth)
{
	struct mp4_box box;
	struct err e;
	for (; at < end; at = box.end) {
		if (mp4_box_read(r, at, end, &box, &e) < 0)
			abort();
		switch (box.type) {
		case MP4_TYPE('m', 'o', 'o', 'v'):
		case MP4_TYPE('t', 'r', 'a', 'k'):
		case MP4_TYPE('m', 'd', 'i', 'a'):
		case MP4_TYPE('m', 'i', 'n', 'f'):
			if (depth < 4)
				check_boxes(r, box.body, box.end, depth + 1);
			break;
		default:
			break;
		}
	}
}

static void check(const struct mp4_window *w, const struct file *f)
{
	uint8_t *out = laid_over(w, f);
	struct file over = { out, f->size, 0 };
	const struct media_io io = { .ctx = &over, .read = file_read };
	struct mp4_reader *r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->io = &io;
	r->size_bytes = f->size;
	check_boxes(r, 0, f->size, 0);
	for (uint32_t i = 0; mp4_window_stream(w, i); i++)
		(void)mp4_window_holds(w, (int)i, (int64_t)f->size / 2, i & 1);
	(void)mp4_window_complete(w);
	free(r);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct file f = { data + 1, size - 1, 0 };
	const struct media_io io = { .ctx = &f, .read = file_read };
	const int64_t second = 1000000000;
	const struct mp4_window_opts o = {
		.video = (data[0] & 1) ? 0 : -1,
		.audios = data[0] & 2,
		.from_ns = (data[0] & 4) ? (data[0] >> 4) * second : INT64_MIN,
		.end_ns = (data[0] & 8) ? ((data[0] >> 4) + 2) * second : INT64_MAX,
		.to_ns = (data[0] & 8) ? ((data[0] >> 4) + 4) * second : INT64_MAX,
	};
	struct mp4_window *w = NULL;
	struct err e;
	const int r = mp4_window_new(&io, 0, f.size, &o, &w, &e);
	if (r < 0 && r != -(int)ERR_UNSUPPORTED)
		abort();
	if (r == 0)
		check(w, &f);
	/* no table is read more often than a few times for each track */
	if (f.bytes > (uint64_t)size * 64 * TASK_STREAMS_MAX + (1 << 20))
		abort();
	mp4_window_free(&w);
	return 0;
}
