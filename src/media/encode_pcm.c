/* PCM, the body of a WAV. Runs in a sandboxed child of millrace-task. */
#include <stdint.h>

#include "base/mem.h"
#include "media/encode.h"
#include "media/sample_store.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "samples are stored as they lie in memory");

#define BLOCK 4096

struct pcm {
	struct convert_out *out;
	struct sample_store store;
	int64_t position;
	uint8_t bytes[BLOCK * AUDIO_CHANNELS_MAX * sizeof(float)];
};

static int pcm_open(const struct encode_job *job, void **ret, struct err *e)
{
	(void)e;
	static const enum store_kind kinds[] = { [SAMPLE_S16] = STORE_S16, [SAMPLE_S24] = STORE_S24, [SAMPLE_F32] = STORE_F32 };
	struct pcm *p = mr_calloc(1, sizeof(*p));
	p->out = job->out;
	p->store = (struct sample_store){ kinds[job->spec->sample], (int)job->spec->channels, job->dither };
	p->position = job->from;
	*ret = p;
	return 0;
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
