/* libFuzzer target: whatever a store gives in place of a conversion's indexes, it is read to its end or refused; what is told of
 * the frames agrees with what is told of the chunk. The first byte says which format is joined. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "media/convert_index.h"

struct input {
	const uint8_t *data;
	size_t size;
};

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	const struct input *in = ctx;
	(void)e;
	if (input != CONVERT_INPUT_INDEX || offset > in->size || len > in->size - offset)
		abort();
	*ret_len = len;
	memcpy(buf, in->data + offset, len);
	return 0;
}

static void read_all(struct index_reader *r, bool frames)
{
	struct convert_index ix;
	struct err e;
	while (index_reader_chunk(r, &ix, &e) > 0) {
		uint64_t sum = 0;
		uint32_t size = 0, i = 0;
		while (frames && i < ix.frame_count && index_reader_size(r, &size, &e) == 0) {
			if (size < 1 || size > CONVERT_FRAME_MAX_BYTES)
				abort();
			sum += size;
			i++;
		}
		if (frames && i < ix.frame_count)
			return;
		if (frames && i && sum != ix.bytes)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct input in = { data + 1, size - 1 };
	const struct media_io io = { .ctx = &in, .read = on_read };
	struct task_spec *spec = mr_calloc(1, sizeof(*spec));
	struct index_reader *r = mr_calloc(1, sizeof(*r));
	spec->convert.format = (enum convert_format)(CONVERT_MP3 + data[0] % CONVERT_FLAC);
	spec->inputs[CONVERT_INPUT_INDEX].size_bytes = in.size;
	for (int frames = 0; frames < 2; frames++) {
		index_reader_init(r, spec, &io);
		read_all(r, frames);
	}
	free(r);
	free(spec);
	return 0;
}
