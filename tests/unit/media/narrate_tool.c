/* Mixes a narration without a server: a specification by options, music and sentences as files, segments into a folder.
 *
 *   narrate_tool OUT MUSIC|- [name=value…] item…      an item is a sentence's file, or a number: a pause of so many ms
 *
 * Prints a line for each segment (index start duration bytes), then "end SEGMENTS FRAMES MUSIC_MLUFS".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "media/media_io.h"
#include "os/fd.h"

#define SENTENCES_MAX 256

struct tool {
	const char *out, *music;
	const char *sentences[SENTENCES_MAX];
	uint32_t sentence_count;
};

static int read_file(const char *path, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, len, (off_t)offset);
	if (n < 0)
		return err_set(e, ERR_IO, "read %s", path);
	*ret_len = (uint32_t)n;
	return 0;
}

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	const struct tool *t = ctx;
	if (input == NARRATE_INPUT_MUSIC)
		return read_file(t->music, offset, buf, len, ret_len, e);
	if (offset >> 32 >= t->sentence_count)
		return err_set(e, ERR_INTERNAL, "there is no such sentence");
	return read_file(t->sentences[offset >> 32], (uint32_t)offset, buf, len, ret_len, e);
}

static int on_object(void *ctx, const struct task_object *head, const void *data, struct err *e)
{
	const struct tool *t = ctx;
	if (head->kind != TASK_OBJECT_SEGMENT)
		return 0;
	_cleanup_free_ char *path = mr_asprintf("%s/segment_%03u.ts", t->out, head->index);
	FILE *f = fopen(path, "wb");
	bool ok = f && fwrite(data, 1, head->size_bytes, f) == head->size_bytes;
	if (!f || fclose(f) != 0 || !ok)
		return err_set(e, ERR_IO, "write %s", path);
	printf("%u %lld %lld %llu\n", head->index, (long long)head->start_ticks, (long long)head->duration_ticks,
	       (unsigned long long)head->size_bytes);
	return 0;
}

static int on_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	(void)ctx;
	(void)p;
	(void)e;
	return 0;
}

static void set(struct narrate_spec *s, const char *name, long v)
{
	const struct {
		const char *name;
		uint32_t *value;
	} fields[] = {
		{ "bitrate", &s->bitrate_bps },
		{ "attack", &s->attack_ms },
		{ "release", &s->release_ms },
		{ "hold", &s->hold_ms },
		{ "fade_in", &s->fade_in_ms },
		{ "fade_out", &s->fade_out_ms },
		{ "crossfade", &s->crossfade_ms },
		{ "lead", &s->lead_ms },
		{ "tail", &s->tail_ms },
		{ "gap", &s->gap_ms },
		{ "min", &s->min_ms },
		{ "resume", &s->resume_segment },
		{ "target", (uint32_t *)&s->target_mlufs },
		{ "peak", (uint32_t *)&s->peak_mdbtp },
		{ "below", (uint32_t *)&s->music_below_mdb },
		{ "music_mlufs", (uint32_t *)&s->music_mlufs },
		{ "duck", (uint32_t *)&s->duck_mdb },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			*fields[i].value = (uint32_t)v;
}

static void add_item(struct tool *t, struct narrate_spec *s, char *argument)
{
	char *end, *equals = strchr(argument, '=');
	long ms = strtol(argument, &end, 10);
	if (equals) {
		*equals = '\0';
		set(s, argument, strtol(equals + 1, NULL, 10));
		return;
	}
	s->items = mr_reallocarray(s->items, s->item_count + 1, sizeof(*s->items));
	s->items[s->item_count++] = *end ? 0 : (uint32_t)ms;
	if (*end && t->sentence_count < SENTENCES_MAX)
		t->sentences[t->sentence_count++] = argument;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	struct tool t = { .out = argv[1], .music = argv[2] };
	struct task_spec *spec = mr_calloc(1, sizeof(*spec));
	const bool music = strcmp(t.music, "-") != 0;
	struct stat st;
	spec->kind = TASK_NARRATE;
	spec->input_count = NARRATE_INPUTS;
	spec->inputs[0].size_bytes = music && stat(t.music, &st) == 0 ? (uint64_t)st.st_size : 0;
	spec->narrate = (struct narrate_spec){ .bitrate_bps = 128000, .target_mlufs = -16000, .peak_mdbtp = -1000,
					       .music_stream = music ? 0 : -1, .music_below_mdb = -18000,
					       .music_mlufs = NARRATE_GAIN_UNKNOWN, .duck_mdb = -6000, .attack_ms = 300,
					       .release_ms = 800, .hold_ms = 300, .fade_in_ms = 4000, .fade_out_ms = 4000,
					       .crossfade_ms = 2000, .lead_ms = 4000, .tail_ms = 4000, .gap_ms = 350 };
	for (int i = 3; i < argc; i++)
		add_item(&t, &spec->narrate, argv[i]);
	const struct media_io io = { .ctx = &t, .read = on_read, .object = on_object, .progress = on_progress };
	struct narrate_result result;
	struct err e = { 0 };
	media_init();
	int r = media_narrate(spec, &io, &result, &e);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", err_code(&e), e.message);
	else
		printf("end %u %lld %d\n", result.next_segment, (long long)result.frames, result.music_mlufs);
	task_spec_release(spec);
	free(spec);
	return r < 0;
}
