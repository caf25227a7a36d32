/* The last step of a conversion: what comes before the parts, from all chunks' indexes and the source's tags. Runs in a
 * sandboxed child of millrace-task; one thread.
 *
 * Guarantees: the same chunks, the same head. The parts are read by FLAC's head alone. Memory: a window of the index, the tags
 * (bounded), and the head itself; for M4A libav's table of the frames besides (72 bytes a frame, 11 MB an hour).
 */
#include "media/join.h"

#include <libavutil/mathematics.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/crc16.h"
#include "media/input.h"

#define HEAD_MAX_BYTES (128u << 20)

static int add_frames(struct join *j, struct index_reader *r, uint32_t count, struct err *e)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t size;
		int res = index_reader_size(r, &size, e);
		if (res < 0)
			return res;
		j->frame_min = !j->frame_min || size < j->frame_min ? size : j->frame_min;
		j->frame_max = size > j->frame_max ? size : j->frame_max;
	}
	j->frames += count;
	return 0;
}

static int add_up(struct join *j, struct err *e)
{
	struct index_reader *r = mr_calloc(1, sizeof(*r));
	struct convert_index ix;
	int more;
	index_reader_init(r, j->task, j->io);
	while ((more = index_reader_chunk(r, &ix, e)) > 0) {
		if (!j->frames)
			j->first_header = ix.first_header;
		j->crc = crc16_join(j->crc, (uint16_t)ix.crc, ix.bytes);
		j->samples += ix.samples;
		j->bytes += ix.bytes;
		more = add_frames(j, r, ix.frame_count, e);
		if (more < 0)
			break;
	}
	free(r);
	if (more == 0 && j->bytes != j->task->inputs[CONVERT_INPUT_PARTS].size_bytes)
		return err_set_code(e, ERR_MEDIA, "DAMAGED_INDEX", "the parts have %llu bytes, their indexes say %llu",
				    (unsigned long long)j->task->inputs[CONVERT_INPUT_PARTS].size_bytes,
				    (unsigned long long)j->bytes);
	return more;
}

int join_frames(const struct join *j, join_frame *each, void *ctx, struct err *e)
{
	struct index_reader *r = mr_calloc(1, sizeof(*r));
	struct convert_index ix;
	int more;
	index_reader_init(r, j->task, j->io);
	while ((more = index_reader_chunk(r, &ix, e)) > 0) {
		for (uint32_t i = 0; more >= 0 && i < ix.frame_count; i++) {
			uint32_t size;
			more = index_reader_size(r, &size, e);
			if (more == 0)
				more = each(ctx, size, e);
		}
		if (more < 0)
			break;
	}
	free(r);
	return more;
}

/* Tags are worth no failure of a conversion: a source that doesn't open gives none. It did open when its chunks were made. */
static int read_tags(struct join *j, struct err *e)
{
	_cleanup_media_input_ struct media_input *in = NULL;
	if (!j->spec->tags || j->spec->format == CONVERT_AAC || !convert_grid_samples(j->spec->format, j->spec->rate))
		return 0;
	int r = media_input_open(j->task, CONVERT_INPUT_SOURCE, j->io, &in, e);
	if (r < 0)
		return r;
	r = tags_read(&j->tags, media_input_format(in), j->spec->stream, j->spec->gain_mb != 0);
	return r < 0 ? averror_internal(e, r, "read the tags") : 0;
}

static int make_head(const struct join *j, struct buf *head, struct err *e)
{
	switch (j->spec->format) {
	case CONVERT_WAV:
		return join_wav(j, head, e);
	case CONVERT_MP3:
		return join_mp3(j, head, e);
	case CONVERT_M4A:
		return join_m4a(j, head, e);
	case CONVERT_FLAC:
		return join_flac(j, head, e);
	case CONVERT_AAC:
	case CONVERT_OGG:
	case CONVERT_OPUS:
		break;
	}
	return 0;
}

static int hand_over(const struct join *j, enum task_object_kind kind, const void *data, size_t len, struct err *e)
{
	const struct task_object o = { .kind = kind, .size_bytes = len };
	return len ? j->io->object(j->io->ctx, &o, data, e) : 0;
}

static int join_all(struct join *j, struct buf *head, struct join_result *ret, struct err *e)
{
	int r = add_up(j, e);
	if (r == 0 && j->samples == 0)
		r = err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "there is no sound between start and end");
	if (r == 0)
		r = read_tags(j, e);
	if (r == 0)
		r = make_head(j, head, e);
	if (r == 0)
		r = buf_finish(head, e);
	if (r < 0)
		return r;
	/* RIFF's chunks have an even length. */
	const uint8_t pad = 0;
	const size_t tail = j->spec->format == CONVERT_WAV && j->bytes % 2 ? 1 : 0;
	r = hand_over(j, TASK_OBJECT_HEAD, head->data, head->len, e);
	if (r == 0)
		r = hand_over(j, TASK_OBJECT_TAIL, &pad, tail, e);
	if (r < 0)
		return r;
	const int64_t rate = av_rescale((int64_t)j->bytes, (int64_t)8 * j->spec->rate, j->samples);
	*ret = (struct join_result){
		.samples = j->samples,
		.head_bytes = head->len,
		.tail_bytes = tail,
		.bytes = head->len + j->bytes + tail,
		.bitrate_bps = rate > 0 && rate < UINT32_MAX ? (uint32_t)rate : 0,
	};
	return 0;
}

int media_join(const struct task_spec *task, const struct media_io *io, struct join_result *ret, struct err *e)
{
	if (task->kind != TASK_JOIN || task->input_count != CONVERT_JOIN_INPUTS)
		return err_set(e, ERR_INVALID, "not a join");
	struct join j = { .task = task, .spec = &task->convert, .io = io };
	_cleanup_buf_ struct buf head;
	buf_init(&head, HEAD_MAX_BYTES);
	int r = join_all(&j, &head, ret, e);
	tags_release(&j.tags);
	return r;
}
