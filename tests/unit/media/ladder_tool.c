/* Makes one chunk of a ladder from a file, for tests driven by Python: media_ladder() over a file in memory, its
 * objects as files.
 *
 *   ladder_tool SOURCE OUTDIR container=fmp4 video=0 audios=1:2:128000 origin_ns=0 … video_ticks=0,360000 audio_frames=0,187 runs=0
 *
 * Prints one JSON object a line for each object and progress, and the result or the error at last. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/media_io.h"

struct tool {
	uint8_t *data;
	uint64_t size;
	uint64_t fail_at; /* reads beyond this fail; 0: never */
	const char *out;
	int64_t last_progress;
};

static int tool_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	struct tool *t = ctx;
	if (input != 0 || len > TASK_READ_MAX_BYTES)
		return err_set(e, ERR_PROTOCOL, "read of input %u, %u bytes", input, len);
	if (t->fail_at && offset + len > t->fail_at)
		return err_set(e, ERR_UNAVAILABLE, "the store is away");
	uint64_t left = offset < t->size ? t->size - offset : 0;
	uint32_t n = left < len ? (uint32_t)left : len;
	memcpy(buf, t->data + (n ? offset : 0), n);
	*ret_len = n;
	return 0;
}

static int tool_object(void *ctx, const struct task_object *o, const void *data, struct err *e)
{
	struct tool *t = ctx;
	_cleanup_free_ char *path =
		o->kind == TASK_OBJECT_INIT ? mr_asprintf("%s/r%u_init.mp4", t->out, o->rendition)
					    : mr_asprintf("%s/r%u_%05u.seg", t->out, o->rendition, o->index);
	FILE *f = fopen(path, "wb");
	if (!f)
		return err_set(e, ERR_IO, "open %s", path);
	bool written = o->size_bytes == 0 || fwrite(data, 1, o->size_bytes, f) == o->size_bytes;
	if (fclose(f) != 0 || !written)
		return err_set(e, ERR_IO, "write %s", path);
	/* Progress is told by another thread: a line stays in one piece. */
	flockfile(stdout);
	printf("{\"object\": \"%s\", \"rendition\": %u, \"index\": %u, \"start\": %lld, \"duration\": %lld, \"size\": %llu, "
	       "\"codecs\": \"%s\", \"iframes\": [",
	       o->kind == TASK_OBJECT_INIT ? "init" : "segment", o->rendition, o->index, (long long)o->start_ticks,
	       (long long)o->duration_ticks, (unsigned long long)o->size_bytes, o->codecs);
	for (uint32_t i = 0; i < o->iframe_count; i++)
		printf("%s[%lld, %llu, %llu]", i ? ", " : "", (long long)o->iframes[i].ticks,
		       (unsigned long long)o->iframes[i].offset, (unsigned long long)o->iframes[i].size_bytes);
	printf("]}\n");
	funlockfile(stdout);
	return 0;
}

static int tool_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	struct tool *t = ctx;
	if (p->done_ticks < t->last_progress)
		return err_set(e, ERR_PROTOCOL, "progress fell");
	t->last_progress = p->done_ticks;
	printf("{\"progress\": %lld, \"bytes\": %llu}\n", (long long)p->done_ticks, (unsigned long long)p->bytes_read);
	return 0;
}

static bool load(struct tool *t, const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) != 0)
		return false;
	long size = ftell(f);
	rewind(f);
	t->size = (uint64_t)size;
	t->data = mr_calloc(1, (size_t)size + 1);
	bool ok = fread(t->data, 1, (size_t)size, f) == (size_t)size;
	(void)fclose(f);
	return ok;
}

static uint32_t list64(const char *text, int64_t **ret)
{
	uint32_t n = 0;
	*ret = mr_calloc(strlen(text) + 1, sizeof(int64_t));
	for (char *end; *text; text = *end ? end + 1 : end)
		(*ret)[n++] = strtoll(text, &end, 10);
	return n;
}

static void set_rungs(struct ladder_spec *l, const char *text)
{
	/* WxH:crf_x10:maxrate:bufsize:profile:level[:hevc],… */
	_cleanup_free_ char *copy = mr_strdup(text);
	char *rest = NULL;
	for (char *r = strtok_r(copy, ",", &rest); r; r = strtok_r(NULL, ",", &rest)) {
		struct ladder_rung *rung = &l->rungs[l->rung_count++];
		if (sscanf(r, "%ux%u:%u:%u:%u:%15[^:]:%u", &rung->width, &rung->height, &rung->crf_x10, &rung->maxrate_bps,
			   &rung->bufsize_bits, rung->profile, &rung->level_x10) != 7)
			abort();
		rung->codec = strstr(r, ":hevc") ? VIDEO_HEVC : VIDEO_H264;
	}
}

static void set_audios(struct ladder_spec *l, const char *text)
{
	/* stream:channels:bitrate,… */
	_cleanup_free_ char *copy = mr_strdup(text);
	char *rest = NULL;
	for (char *a = strtok_r(copy, ",", &rest); a; a = strtok_r(NULL, ",", &rest)) {
		struct ladder_audio *audio = &l->audios[l->audio_count++];
		if (sscanf(a, "%d:%u:%u", &audio->stream, &audio->channels, &audio->bitrate_bps) != 3)
			abort();
	}
}

static void set(struct ladder_spec *l, struct tool *t, const char *key, const char *value)
{
	long long v = strtoll(value, NULL, 10);
	int64_t *list = NULL;
	if (strcmp(key, "container") == 0) {
		l->container = strcmp(value, "ts") == 0 ? CONTAINER_TS : CONTAINER_FMP4;
	} else if (strcmp(key, "rungs") == 0) {
		set_rungs(l, value);
	} else if (strcmp(key, "video_ticks") == 0) {
		l->segment_count = list64(value, &l->video_ticks) - 1;
	} else if (strcmp(key, "audio_frames") == 0) {
		l->segment_count = list64(value, &l->audio_frames) - 1;
	} else if (strcmp(key, "runs") == 0) {
		l->run_count = list64(value, &list);
		l->runs = mr_calloc(l->run_count + 1, sizeof(uint32_t));
		for (uint32_t i = 0; i < l->run_count; i++)
			l->runs[i] = (uint32_t)list[i];
		free(list);
	} else if (strcmp(key, "origin_ns") == 0) {
		l->origin_ns = v;
	} else if (strcmp(key, "fail_at") == 0) {
		t->fail_at = (uint64_t)v;
	} else if (strcmp(key, "video") == 0) {
		l->video_stream = (int32_t)v;
	} else if (strcmp(key, "audios") == 0) {
		set_audios(l, value);
	} else if (strcmp(key, "subtitles") == 0) {
		l->subtitle_count = list64(value, &list);
		for (uint32_t i = 0; i < l->subtitle_count; i++)
			l->subtitle_streams[i] = (int32_t)list[i];
		free(list);
	} else if (strcmp(key, "sequential") == 0) {
		l->sequential = v != 0;
	} else if (strcmp(key, "last") == 0) {
		l->last = v != 0;
	} else if (strcmp(key, "copy") == 0) {
		l->rungs[0].copy = v != 0; /* after the rungs */
	} else {
		struct { const char *key; uint32_t *field; } fields[] = {
			{ "rotation", &l->rotation_degrees }, { "threads", &l->video_threads },
			{ "frame_ticks", &l->frame_ticks },   { "gop_ticks", &l->gop_ticks },
			{ "segment_ticks", &l->segment_ticks }, { "rate", &l->audio_rate },
			{ "first", &l->first_segment },	      { "resume", &l->resume_segment },
			{ "reorder_frames", &l->reorder_frames },
		};
		for (size_t i = 0; i < MR_ARRAY_SIZE(fields); i++)
			if (strcmp(key, fields[i].key) == 0) {
				*fields[i].field = (uint32_t)v;
				return;
			}
		abort();
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct tool t = { .out = argv[2] };
	struct task_spec spec = { .kind = TASK_LADDER, .input_count = 1 };
	if (!load(&t, argv[1]))
		return 2;
	spec.inputs[0].size_bytes = t.size;
	memcpy(spec.inputs[0].name, "source", sizeof("source"));
	spec.ladder.video_stream = -1;
	spec.ladder.reorder_frames = VIDEO_REORDER_FRAMES;
	for (int i = 3; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		if (!value)
			return 2;
		*value = '\0';
		set(&spec.ladder, &t, argv[i], value + 1);
	}
	media_init();
	struct media_io io = { &t, tool_read, tool_object, tool_progress };
	struct ladder_result res;
	struct err e = { 0 };
	int r = media_ladder(&spec, &io, &res, &e);
	if (r < 0)
		printf("{\"error\": \"%s\", \"message\": \"%s\"}\n", err_code(&e), e.message);
	else
		printf("{\"result\": true, \"next_segment\": %u, \"end_of_media\": %d, \"end_video_ticks\": %lld, "
		       "\"end_audio_frames\": %lld, \"decode_errors\": %u, \"frames_in\": %llu, \"frames_out\": %llu}\n",
		       res.next_segment, res.end_of_media, (long long)res.end_video_ticks, (long long)res.end_audio_frames,
		       res.decode_errors, (unsigned long long)res.frames_in, (unsigned long long)res.frames_out);
	free(spec.ladder.video_ticks);
	free(spec.ladder.audio_frames);
	free(spec.ladder.runs);
	free(t.data);
	return r < 0 ? 1 : 0;
}
