/* Parts and index of a chunk: see convert_out.h. */
#include "media/convert_out.h"

/* Small enough that a task and its parent hold little, large enough that a long file has not too many objects. */
#define PART_BYTES (4u << 20)
#define SIZES_MAX_BYTES (256u << 20)

void convert_out_init(struct convert_out *o, const struct convert_spec *spec, const struct media_io *io)
{
	*o = (struct convert_out){ .io = io, .index = { .format = spec->format, .first_sample = spec->first_sample } };
	buf_init(&o->part, PART_BYTES);
	buf_init(&o->sizes, SIZES_MAX_BYTES);
}

static int hand_over(struct convert_out *o, struct err *e)
{
	const struct task_object head = { .kind = TASK_OBJECT_PART, .index = o->part_count, .size_bytes = o->part.len,
					  .head_bytes = o->head_bytes };
	if (o->part_count >= CONVERT_PARTS_MAX)
		return err_set_code(e, ERR_TOO_LARGE, "TOO_LONG", "more than %d parts in one piece", CONVERT_PARTS_MAX);
	int r = o->io->object(o->io->ctx, &head, o->part.data, e);
	if (r < 0)
		return r;
	o->part_count++;
	buf_clear(&o->part);
	return 0;
}

int convert_out_bytes(struct convert_out *o, const void *data, size_t len, struct err *e)
{
	const char *from = data;
	o->index.bytes += len;
	while (len) {
		size_t n = PART_BYTES - o->part.len < len ? PART_BYTES - o->part.len : len;
		if (!buf_append(&o->part, from, n))
			return err_set_code(e, ERR_MEDIA, "TASK_MEMORY", "no memory for a part");
		from += n;
		len -= n;
		int r = o->part.len == PART_BYTES ? hand_over(o, e) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

void convert_out_frame(struct convert_out *o, uint32_t bytes)
{
	const uint8_t size[4] = { (uint8_t)bytes, (uint8_t)(bytes >> 8), (uint8_t)(bytes >> 16), (uint8_t)(bytes >> 24) };
	(void)buf_append(&o->sizes, size, sizeof(size)); /* checked at the end */
	o->index.frame_count++;
}

int convert_out_finish(struct convert_out *o, int64_t samples, struct err *e)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, SIZES_MAX_BYTES + 4096);
	int r = o->part.len ? hand_over(o, e) : 0;
	o->index.samples = samples;
	if (r == 0)
		r = buf_finish(&o->sizes, e);
	if (r == 0)
		r = convert_index_write(&o->index, &b, e);
	if (r == 0 && o->sizes.len && !buf_append(&b, o->sizes.data, o->sizes.len))
		r = buf_finish(&b, e);
	if (r < 0)
		return r;
	const struct task_object head = { .kind = TASK_OBJECT_INDEX, .size_bytes = b.len };
	return o->io->object(o->io->ctx, &head, b.data, e);
}

void convert_out_release(struct convert_out *o)
{
	buf_release(&o->part);
	buf_release(&o->sizes);
}
