/* A thread around an encoder: see rung_encode.h. The queue is the only thing that both sides touch while the thread runs;
 * its outcome is read after it has been joined. A thread that fails closes the queue, so that the other side notices. */
#include "media/rung_encode.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/video_encode.h"
#include "os/queue.h"
#include "os/thread.h"

struct rung_encode {
	const struct ladder_spec *spec;
	uint32_t rung;
	struct video_color color;
	struct rendition *rendition;
	struct queue *jobs; /* of struct job */
	atomic_bool dropped;
	pthread_t thread;
	bool running; /* not joined yet */
	/* the thread's own until it is joined */
	AVCodecContext *encoder;
	int result;
	struct err error;
};

struct job {
	AVFrame *frame;
	bool begins_run;
};

static void job_free(struct job *j)
{
	av_frame_free(&j->frame);
	free(j);
}

/* ---- On the thread ---- */

static int end_run(struct rung_encode *r)
{
	if (!r->encoder)
		return 0;
	int rc = encoder_send(r->encoder, NULL, rendition_packet, r->rendition, &r->error);
	avcodec_free_context(&r->encoder);
	return rc < 0 ? rc : rendition_flush(r->rendition, &r->error);
}

static int begin_run(struct rung_encode *r)
{
	const bool later = r->encoder != NULL;
	int rc = end_run(r);
	if (later && r->spec->ease_off)
		thread_step_behind((int)r->spec->ease_off);
	if (rc == 0)
		rc = video_encoder_open(r->spec, r->rung, &r->color, &r->encoder, &r->error);
	return rc < 0 ? rc : rendition_encoder(r->rendition, r->encoder, &r->error);
}

static int encode(struct rung_encode *r, const struct job *j)
{
	int rc = j->begins_run ? begin_run(r) : 0;
	return rc < 0 ? rc : encoder_send(r->encoder, j->frame, rendition_packet, r->rendition, &r->error);
}

static void *encode_all(void *arg)
{
	struct rung_encode *r = arg;
	void *item;
	int rc = 0;
	while (rc == 0 && queue_pop(r->jobs, -1, &item) == 0) {
		struct job *j = item;
		if (!atomic_load(&r->dropped))
			rc = encode(r, j);
		job_free(j);
	}
	if (rc == 0 && !atomic_load(&r->dropped))
		rc = end_run(r);
	r->result = rc;
	queue_close(r->jobs);
	return NULL;
}

/* ---- On the caller's ---- */

int rung_encode_new(const struct ladder_spec *spec, uint32_t rung, const struct video_color *color, struct rendition *rendition,
		    struct rung_encode **ret, struct err *e)
{
	const bool is_large = spec->rungs[rung].width * spec->rungs[rung].height > RUNG_ENCODE_LARGE;
	struct rung_encode *r = mr_calloc(1, sizeof(*r));
	r->spec = spec;
	r->rung = rung;
	r->color = *color;
	r->rendition = rendition;
	r->jobs = queue_new(is_large ? RUNG_ENCODE_AHEAD / 2 : RUNG_ENCODE_AHEAD);
	atomic_init(&r->dropped, false);
	int errnum = pthread_create(&r->thread, NULL, encode_all, r);
	if (errnum) {
		queue_free(r->jobs);
		free(r);
		return err_errno(e, errnum, "start an encoder's thread");
	}
	r->running = true;
	*ret = r;
	return 0;
}

void rung_encode_end(struct rung_encode *r)
{
	queue_close(r->jobs);
}

int rung_encode_wait(struct rung_encode *r, struct err *e)
{
	if (r->running)
		(void)pthread_join(r->thread, NULL);
	r->running = false;
	return r->result < 0 ? err_copy(e, &r->error) : 0;
}

int rung_encode_frame(struct rung_encode *r, AVFrame *take_frame, bool begins_run, struct err *e)
{
	struct job *j = mr_calloc(1, sizeof(*j));
	j->begins_run = begins_run;
	j->frame = av_frame_alloc();
	if (!j->frame) {
		job_free(j);
		return averror_internal(e, AVERROR(ENOMEM), "encode a frame");
	}
	av_frame_move_ref(j->frame, take_frame);
	if (queue_push(r->jobs, j) == 0)
		return 0;
	job_free(j);
	int rc = rung_encode_wait(r, e); /* it has closed the queue: it failed */
	return rc < 0 ? rc : err_set(e, ERR_INTERNAL, "a frame for an encoder that has ended");
}

void rung_encode_free(struct rung_encode **pr)
{
	struct rung_encode *r = *pr;
	if (!r)
		return;
	void *item;
	atomic_store(&r->dropped, true);
	rung_encode_end(r);
	if (r->running)
		(void)pthread_join(r->thread, NULL);
	while (queue_pop(r->jobs, 0, &item) == 0) /* left behind by a thread that failed */
		job_free(item);
	avcodec_free_context(&r->encoder);
	queue_free(r->jobs);
	free(r);
	*pr = NULL;
}
