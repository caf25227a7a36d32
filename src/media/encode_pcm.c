/* PCM, the body of a WAV. Runs in a sandboxed child of millrace-task. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/encode.h"
#include "media/join.h"
#include "media/sample_store.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "samples are stored as they lie in memory");

#define BLOCK 4096

struct pcm {
	struct convert_out *out;
	struct sample_store store;
	int64_t position;
	uint8_t bytes[BLOCK * AUDIO_CHANNELS_MAX * sizeof(float)];
};

/* Formats whose tags are all read when a file is opened. (Elsewhere more may be found on the way, or less in the range that a chunk
 * needs.) */
static bool tells_tags_at_once(const AVFormatContext *source)
{
	static const char *const names[] = { "mp3", "flac", "wav", "w64", "aiff" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++)
		if (strcmp(source->iformat->name, names[i]) == 0)
			return true;
	return false;
}

/* As the join will find it. */
static int know_head(const struct encode_job *job, struct err *e)
{
	struct tags tags = { 0 };
	if (job->source && !tells_tags_at_once(job->source))
		return 0;
	int r = job->source ? tags_read(&tags, job->source, job->spec->stream, job->spec->gain_mb != 0) : 0;
	r = r < 0 ? averror_internal(e, r, "read the tags") : join_wav_size(job->spec, &tags, &job->out->head_bytes, e);
	tags_release(&tags);
	return r;
}

static int pcm_open(const struct encode_job *job, void **ret, struct err *e)
{
	static const enum store_kind kinds[] = { [SAMPLE_S16] = STORE_S16, [SAMPLE_S24] = STORE_S24, [SAMPLE_F32] = STORE_F32 };
	struct pcm *p = mr_calloc(1, sizeof(*p));
	p->out = job->out;
	p->store = (struct sample_store){ kinds[job->spec->sample], (int)job->spec->channels, job->dither };
	p->position = job->from;
	*ret = p;
	return know_head(job, e);
}

static int pcm_samples(void *encoder, const float *const *planes, int count, struct err *e)
{
	struct pcm *p = encoder;
	const float *from[AUDIO_CHANNELS_MAX] = { NULL };
	int r = 0;
	for (int done = 0, n; r == 0 && done < count; done += n) {
		n = count - done < BLOCK ? count - done : BLOCK;
		for (int c = 0; c < p->store.channels; c++)
			from[c] = planes[c] + done;
		sample_store(&p->store, from, n, p->position, p->bytes);
		p->position += n;
		r = convert_out_bytes(p->out, p->bytes,
				      (size_t)n * (size_t)p->store.channels * sample_store_bytes(p->store.kind), e);
	}
	return r;
}

static int pcm_finish(void *encoder, int64_t total, struct err *e)
{
	(void)encoder;
	(void)total;
	(void)e;
	return 0;
}

static void pcm_close(void *encoder)
{
	free(encoder);
}

const struct encode_family encode_pcm = { pcm_open, pcm_samples, pcm_finish, pcm_close };
