/* Converts a file as a worker would, chunk by chunk and joined, for tests driven by Python: the task's functions over files.
 *
 *   convert_tool SOURCE OUT format=mp3 rate=44100 channels=2 bitrate=128000 total=441000 chunks=0,115200 …
 *
 * total= is what the plan takes for the length, chunks= where chunks begin; order=reverse makes the last one first; measure=1
 * measures only; cpu=1 prints what each task took. Prints one JSON object: the results, or the error. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "media/media_io.h"

#define CHUNKS_MAX 4096
#define MEMORY ((size_t)8 << 30)

/* libvorbisenc keeps a setup of some layouts for itself; asked by the leak checker of sanitized builds. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:vorbis_encode_setup_init";
}

struct tool {
	int fd;
	uint64_t fail_at; /* reads of the source beyond this fail; 0: never */
	struct buf index[CHUNKS_MAX], parts[CHUNKS_MAX], head, tail;
	struct buf all_index, all_parts;
	uint32_t chunk, part_count, largest_part;
	int64_t last_progress, chunks[CHUNKS_MAX];
	uint32_t count;
	bool reverse, measure, join, damage;
	uint64_t bytes_read;
};

static int tool_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	struct tool *t = ctx;
	if (input == CONVERT_INPUT_SOURCE) {
		if (t->fail_at && offset + len > t->fail_at)
			return err_set(e, ERR_UNAVAILABLE, "the store is away");
		ssize_t n = pread(t->fd, buf, len, (off_t)offset);
		*ret_len = n > 0 ? (uint32_t)n : 0;
		t->bytes_read += *ret_len;
		return 0;
	}
	const struct buf *b = input == CONVERT_INPUT_INDEX ? &t->all_index : &t->all_parts;
	size_t left = offset < b->len ? b->len - (size_t)offset : 0;
	*ret_len = left < len ? (uint32_t)left : len;
	memcpy(buf, b->data + (*ret_len ? offset : 0), *ret_len);
	return 0;
}

static int tool_object(void *ctx, const struct task_object *o, const void *data, struct err *e)
{
	struct tool *t = ctx;
	struct buf *to = o->kind == TASK_OBJECT_HEAD ? &t->head : o->kind == TASK_OBJECT_TAIL ? &t->tail : &t->index[t->chunk];
	if (o->kind == TASK_OBJECT_PART) {
		if (o->index != t->part_count++ || o->size_bytes > CONVERT_PART_MAX_BYTES)
			return err_set(e, ERR_PROTOCOL, "part %u of %llu bytes", o->index, (unsigned long long)o->size_bytes);
		to = &t->parts[t->chunk];
	}
	return buf_append(to, data, o->size_bytes) ? 0 : buf_finish(to, e);
}

static int tool_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	struct tool *t = ctx;
	if (p->done_ticks < t->last_progress)
		return err_set(e, ERR_PROTOCOL, "progress fell");
	t->last_progress = p->done_ticks;
	return 0;
}

static int64_t cpu_ms(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static bool named(const char *value, const char *const *names, size_t count, int *ret)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(value, names[i]) == 0) {
			*ret = (int)i;
			return true;
		}
	return false;
}

static void set(struct convert_spec *c, struct tool *t, const char *key, const char *value)
{
	static const char *const formats[] = { "", "mp3", "wav", "aac", "m4a", "ogg", "opus", "flac" };
	static const char *const samples[] = { "coded", "s16", "s24", "f32" };
	static const struct {
		const char *key;
		size_t offset;
	} numbers[] = {
		{ "stream", offsetof(struct convert_spec, stream) },   { "rate", offsetof(struct convert_spec, rate) },
		{ "channels", offsetof(struct convert_spec, channels) }, { "bitrate", offsetof(struct convert_spec, bitrate_bps) },
		{ "quality", offsetof(struct convert_spec, quality) },  { "gain", offsetof(struct convert_spec, gain_mb) },
	};
	long long v = strtoll(value, NULL, 10);
	int n = 0;
	for (size_t i = 0; i < MR_ARRAY_SIZE(numbers); i++)
		if (strcmp(key, numbers[i].key) == 0) {
			int32_t number = (int32_t)v;
			memcpy((char *)c + numbers[i].offset, &number, sizeof(number));
			return;
		}
	if (strcmp(key, "format") == 0 && named(value, formats, MR_ARRAY_SIZE(formats), &n))
		c->format = (enum convert_format)n;
	else if (strcmp(key, "sample") == 0 && named(value, samples, MR_ARRAY_SIZE(samples), &n))
		c->sample = (enum convert_sample)n;
	else if (strcmp(key, "origin_ns") == 0)
		c->origin_ns = v;
	else if (strcmp(key, "start") == 0)
		c->start_sample = v;
	else if (strcmp(key, "end") == 0)
		c->end_sample = v;
	else if (strcmp(key, "total") == 0)
		c->sample_count = v;
	else if (strcmp(key, "tags") == 0)
		c->tags = v;
	else if (strcmp(key, "sequential") == 0)
		c->sequential = v;
	else if (strcmp(key, "fail_at") == 0)
		t->fail_at = (uint64_t)v;
	else if (strcmp(key, "measure") == 0)
		t->measure = v;
	else if (strcmp(key, "damage") == 0)
		t->damage = v;
	else if (strcmp(key, "order") == 0)
		t->reverse = strcmp(value, "reverse") == 0;
	else if (strcmp(key, "chunks") == 0)
		for (char *end; *value && t->count < CHUNKS_MAX; value = *end ? end + 1 : end)
			t->chunks[t->count++] = strtoll(value, &end, 10);
	else
		abort();
}

static int run_chunks(struct tool *t, struct task_spec *spec, const struct media_io *io, struct err *e)
{
	const int64_t total = spec->convert.sample_count;
	printf("{\"chunks\": [");
	for (uint32_t i = 0; i < t->count; i++) {
		struct convert_result res;
		t->chunk = t->reverse ? t->count - 1 - i : i;
		t->part_count = 0;
		t->last_progress = 0;
		t->bytes_read = 0;
		spec->convert.first_sample = t->chunks[t->chunk];
		spec->convert.last = t->chunk + 1 == t->count;
		const int64_t end = spec->convert.last ? total : t->chunks[t->chunk + 1];
		spec->convert.sample_count = end > spec->convert.first_sample ? end - spec->convert.first_sample : 1;
		const int64_t before = cpu_ms();
		int r = media_convert(spec, io, &res, e);
		if (r < 0)
			return r;
		printf("%s{\"chunk\": %u, \"samples\": %lld, \"bytes\": %llu, \"parts\": %u, \"errors\": %u, \"end\": %s, "
		       "\"progress\": %lld, \"read\": %llu, \"cpu_ms\": %lld}",
		       i ? ", " : "", t->chunk, (long long)res.samples, (unsigned long long)res.bytes, res.part_count,
		       res.decode_errors, res.end_of_media ? "true" : "false", (long long)t->last_progress,
		       (unsigned long long)t->bytes_read, (long long)(cpu_ms() - before));
		if (res.part_count != t->part_count || res.bytes != t->parts[t->chunk].len)
			return err_set(e, ERR_PROTOCOL, "the result isn't what was handed over");
	}
	printf("], ");
	spec->convert.first_sample = 0;
	spec->convert.sample_count = total;
	spec->convert.last = true;
	return 0;
}

static int run_join(struct tool *t, struct task_spec *spec, const struct media_io *io, const char *out, struct err *e)
{
	struct join_result res;
	for (uint32_t i = 0; i < t->count; i++) {
		(void)buf_append(&t->all_index, t->index[i].data, t->index[i].len);
		(void)buf_append(&t->all_parts, t->parts[i].data ? t->parts[i].data : "", t->parts[i].len);
	}
	if (t->damage)
		t->all_parts.data[t->all_parts.len / 2] ^= 1;
	spec->kind = TASK_JOIN;
	spec->input_count = CONVERT_JOIN_INPUTS;
	spec->inputs[CONVERT_INPUT_INDEX] = (struct task_input){ "index", t->all_index.len };
	spec->inputs[CONVERT_INPUT_PARTS] = (struct task_input){ "parts", t->all_parts.len };
	const int64_t before = cpu_ms();
	int r = media_join(spec, io, &res, e);
	if (r < 0)
		return r;
	printf("\"samples\": %lld, \"bytes\": %llu, \"head\": %llu, \"bitrate\": %u, \"join_cpu_ms\": %lld}\n",
	       (long long)res.samples, (unsigned long long)res.bytes, (unsigned long long)res.head_bytes, res.bitrate_bps,
	       (long long)(cpu_ms() - before));
	FILE *f = fopen(out, "wb");
	if (!f)
		return err_set(e, ERR_IO, "open %s", out);
	const struct buf *pieces[] = { &t->head, &t->all_parts, &t->tail };
	uint64_t written = 0;
	for (size_t i = 0; i < MR_ARRAY_SIZE(pieces); i++)
		written += pieces[i]->len ? fwrite(pieces[i]->data, 1, pieces[i]->len, f) : 0;
	if (fclose(f) != 0 || written != res.bytes)
		return err_set(e, ERR_IO, "%llu bytes of %llu", (unsigned long long)written, (unsigned long long)res.bytes);
	return 0;
}

static int run_measure(struct task_spec *spec, const struct media_io *io, struct err *e)
{
	struct measure_result m;
	spec->kind = TASK_MEASURE;
	spec->convert.last = true;
	int r = media_measure(spec, io, &m, e);
	if (r == 0)
		printf("{\"samples\": %lld, \"has_loudness\": %s, \"integrated\": %d, \"true_peak\": %d}\n", (long long)m.samples,
		       m.has_loudness ? "true" : "false", m.loudness.integrated_mlufs, m.loudness.true_peak_mdbtp);
	return r;
}

int main(int argc, char **argv)
{
	struct tool *t = mr_calloc(1, sizeof(*t));
	struct task_spec *spec = mr_calloc(1, sizeof(*spec));
	struct stat st;
	struct err e = { 0 };
	if (argc < 4)
		return 2;
	t->fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (t->fd < 0 || fstat(t->fd, &st) < 0)
		return 2;
	for (uint32_t i = 0; i < CHUNKS_MAX; i++) {
		buf_init(&t->index[i], MEMORY);
		buf_init(&t->parts[i], MEMORY);
	}
	struct buf *others[] = { &t->head, &t->tail, &t->all_index, &t->all_parts };
	for (size_t i = 0; i < MR_ARRAY_SIZE(others); i++)
		buf_init(others[i], MEMORY);
	spec->kind = TASK_CONVERT;
	spec->input_count = 1;
	spec->inputs[0] = (struct task_input){ "source", (uint64_t)st.st_size };
	spec->convert.end_sample = CONVERT_TO_END;
	for (int i = 3; i < argc; i++) {
		char *equals = strchr(argv[i], '=');
		if (!equals)
			return 2;
		*equals = '\0';
		set(&spec->convert, t, argv[i], equals + 1);
	}
	if (!t->count)
		t->count = 1;
	const struct media_io io = { t, tool_read, tool_object, tool_progress };
	media_init();
	int r = t->measure ? run_measure(spec, &io, &e) : run_chunks(t, spec, &io, &e);
	if (r == 0 && !t->measure)
		r = run_join(t, spec, &io, argv[2], &e);
	if (r < 0)
		printf("\n{\"error\": \"%s\", \"message\": \"%s\"}\n", err_code(&e), e.message);
	for (uint32_t i = 0; i < CHUNKS_MAX; i++) {
		buf_release(&t->index[i]);
		buf_release(&t->parts[i]);
	}
	for (size_t i = 0; i < MR_ARRAY_SIZE(others); i++)
		buf_release(others[i]);
	(void)close(t->fd);
	free(t);
	free(spec);
	return r < 0;
}
