/* The by-products of a file: pictures, waveform and loudness. Runs in a sandboxed child of millrace-task.
 *
 * Two passes: keyframes for the pictures, one decoding of the whole sound for peaks and loudness together. What media is at
 * fault for is noted as a problem of that part; what the world is at fault for (io->read) ends the analysis.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/gallery.h"
#include "media/loudness.h"
#include "media/media_io.h"
#include "media/sound_scan.h"
#include "media/still.h"
#include "media/waveform.h"

#define IMAGE_WIDTH 1800
#define IMAGE_HEIGHT 280
#define FILE_MAX_BYTES (4u << 20)

struct sound {
	struct loudness_meter *meter;
	struct waveform waveform;
};

static int on_open(void *ctx, int sample_rate, const AVChannelLayout *layout, struct err *e)
{
	struct sound *s = ctx;
	waveform_init(&s->waveform, sample_rate, layout->nb_channels);
	return loudness_meter_new(sample_rate, layout, &s->meter, e);
}

static int on_samples(void *ctx, const float *interleaved, size_t frames, struct err *e)
{
	struct sound *s = ctx;
	waveform_add(&s->waveform, interleaved, frames);
	return loudness_meter_add(s->meter, interleaved, frames, e);
}

static int send(const struct media_io *io, enum byproduct byproduct, const struct buf *file, struct err *e)
{
	struct task_object head = { .kind = TASK_OBJECT_BYPRODUCT, .byproduct = byproduct, .size_bytes = file->len };
	int r = buf_finish(file, e);
	return r < 0 ? r : io->object(io->ctx, &head, file->data, e);
}

static int send_waveform(const struct waveform *w, const struct media_io *io, struct err *e)
{
	_cleanup_buf_ struct buf file;
	buf_init(&file, FILE_MAX_BYTES);
	waveform_json(w, &file);
	int r = send(io, BYPRODUCT_WAVEFORM, &file, e);
	if (r < 0)
		return r;
	AVFrame *image = still_frame(AV_PIX_FMT_RGBA, IMAGE_WIDTH, IMAGE_HEIGHT);
	if (!image)
		return averror_internal(e, AVERROR(ENOMEM), "waveform");
	waveform_draw(w, image->data[0], IMAGE_WIDTH, IMAGE_HEIGHT, image->linesize[0]);
	buf_clear(&file);
	r = still_png(image, &file, e);
	av_frame_free(&image);
	return r < 0 ? r : send(io, BYPRODUCT_WAVEFORM_IMAGE, &file, e);
}

static int analyze_sound(const struct task_spec *task, const struct media_io *io, struct analyze_result *ret, struct err *e)
{
	struct sound *s = mr_calloc(1, sizeof(*s));
	const struct sound_scan scan = { .ctx = s, .open = on_open, .add = on_samples };
	int r = sound_scan_run(task, io, task->analyze.audio_stream, &scan, e);
	if (r == 0) {
		waveform_finish(&s->waveform);
		r = send_waveform(&s->waveform, io, e);
	}
	if (r == 0)
		r = loudness_meter_read(s->meter, &ret->loudness, e);
	if (r == 0) {
		ret->point_count = s->waveform.count;
		ret->has_loudness = true;
	}
	loudness_meter_free(&s->meter);
	free(s);
	return r;
}

/* A part that could not be made: 0 where its media is at fault, or our own dealing with it. */
static int note(struct analyze_problem *p, const struct err *why, int r, struct err *e)
{
	if (why->kind != ERR_MEDIA && why->kind != ERR_UNSUPPORTED && why->kind != ERR_INTERNAL)
		return r < 0 ? err_copy(e, why) : 0;
	(void)snprintf(p->code, sizeof(p->code), "%s", err_code(why));
	(void)snprintf(p->message, sizeof(p->message), "%.199s", why->message);
	return 0;
}

int media_analyze(const struct task_spec *task, const struct media_io *io, struct analyze_result *ret, struct err *e)
{
	const struct analyze_spec *s = &task->analyze;
	struct err why = { 0 };
	int r = 0;
	if (s->video_stream >= 0)
		r = gallery_of_video(task, io, ret, &why);
	else if (s->cover_stream >= 0)
		r = gallery_of_cover(task, io, ret, &why);
	if (r < 0)
		r = note(&ret->picture, &why, r, e);
	if (r < 0 || s->audio_stream < 0)
		return r;
	why = (struct err){ 0 };
	r = analyze_sound(task, io, ret, &why);
	return r < 0 ? note(&ret->sound, &why, r, e) : 0;
}
