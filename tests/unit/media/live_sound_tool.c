/* live_sound_tool BYTES FILE…: the files are one recording, fed in pieces of so many bytes; its samples (mono, 16 kHz,
 * s16) go to stdout, one line about it to stderr: samples, those in gaps, concealed ones, restarts, marks. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "media/webm_sound.h"
#include "os/fd.h"

struct told {
	int64_t end, gaps;
	uint32_t concealed, restarts, marks;
};

static int on_pcm(void *ctx, int64_t first, const int16_t *samples, uint32_t count, uint32_t concealed, bool restart,
		  struct err *e)
{
	static const int16_t silence[160];
	struct told *t = ctx;
	for (int64_t gap = first - t->end; gap > 0; gap -= 160) {
		t->gaps += gap < 160 ? gap : 160;
		if (fwrite(silence, sizeof(int16_t), gap < 160 ? (size_t)gap : 160, stdout) == 0)
			return err_set(e, ERR_IO, "stdout");
	}
	t->end = first + count;
	t->concealed += concealed;
	t->restarts += restart;
	return fwrite(samples, sizeof(int16_t), count, stdout) == count ? 0 : err_set(e, ERR_IO, "stdout");
}

static int on_mark(void *ctx, uint64_t offset, const uint8_t *state, size_t len, struct err *e)
{
	(void)offset;
	(void)state;
	(void)len;
	(void)e;
	((struct told *)ctx)->marks++;
	return 0;
}

static int feed_file(struct webm_sound *s, const char *path, size_t piece, struct err *e)
{
	char *data;
	size_t len;
	int r = file_read_all(path, 4 << 20, &data, &len, e);
	if (r < 0)
		return r;
	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = webm_sound_feed(s, data + at, len - at < piece ? len - at : piece, e);
	free(data);
	return r;
}

int main(int argc, char **argv)
{
	struct told t = { 0 };
	const struct webm_sound_sink sink = { .ctx = &t, .pcm = on_pcm, .mark = on_mark };
	struct webm_sound *s;
	struct err e;
	const size_t piece = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	if (piece == 0 || webm_sound_new(&sink, NULL, 0, false, &s, &e) < 0)
		return 2;
	int r = 0;
	for (int i = 2; r == 0 && i < argc; i++)
		r = feed_file(s, argv[i], piece, &e);
	webm_sound_free(s);
	if (r < 0)
		fprintf(stderr, "%s %s\n", err_code(&e), e.message);
	else
		fprintf(stderr, "%lld %lld %u %u %u\n", (long long)t.end, (long long)t.gaps, t.concealed, t.restarts, t.marks);
	return r < 0;
}
