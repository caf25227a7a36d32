/* A producer for scenarios, and a second process that writes beside the server, as another front would: fragments of 16 kHz
 * mono PCM into a server's database and store.
 *
 *   stream_tool DATABASE-URL STORE-URL USER NAME FRAGMENT_MS PRODUCER_MS < samples.s16
 *
 * Prints the number of each fragment once it is durable, and ends, or dies, with its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "live/matroska_write.h"
#include "live/stream_store.h"

static const struct mkv_pcm pcm = { .sample_rate = 16000, .channels = 1 };

static int append(struct stream_writer *w, const struct stream *s, int64_t at_ms, const int16_t *samples, size_t frames,
		  struct err *e)
{
	_cleanup_buf_ struct buf header, cluster;
	struct fragment made = { 0 };
	char number[FRAGMENT_NUMBER_SIZE];
	buf_init(&header, 4096);
	buf_init(&cluster, 1u << 20);
	(void)mkv_write_pcm_header(&header, &pcm);
	(void)mkv_write_pcm_cluster(&cluster, &pcm, (uint64_t)at_ms, samples, frames);
	const struct stream_fragment_new n = {
		.header = header.data, .header_len = header.len, .producer_ms = at_ms, .timecode_ms = at_ms
	};
	int r = stream_writer_append(w, &n, cluster.data, cluster.len, (int64_t)(frames * 1000 / pcm.sample_rate), &made, e);
	if (r < 0)
		return r;
	fragment_number_format(s, made.number, number);
	printf("%s\n", number);
	return fflush(stdout);
}

static int produce(struct stream_writer *w, const struct stream *s, int64_t fragment_ms, int64_t at_ms, struct err *e)
{
	size_t frames = (size_t)fragment_ms * pcm.sample_rate / 1000, n;
	_cleanup_free_ int16_t *samples = mr_calloc(frames, sizeof(*samples));
	int r = 0;
	while (r == 0 && (n = fread(samples, sizeof(*samples), frames, stdin)) > 0) {
		r = append(w, s, at_ms, samples, n, e);
		at_ms += fragment_ms;
	}
	return r;
}

int main(int argc, char **argv)
{
	if (argc != 7)
		return 2;
	struct err e = { 0 };
	struct db *db = NULL;
	struct repo *repo = NULL;
	struct store *store = NULL;
	struct bus *bus = NULL;
	struct stream s = { 0 };
	struct stream_writer *w = NULL;
	int r = db_open(&(struct db_opts) { .url = argv[1] }, &db, &e);
	if (r == 0)
		r = repo_open(db, &repo, &e);
	if (r == 0)
		r = store_open(argv[2], &store, &e);
	if (r == 0)
		r = bus_open(&(struct bus_opts){ 0 }, &bus, &e);
	if (r == 0) {
		struct stream_store *ss =
			stream_store_new(&(struct stream_store_opts) { .repo = repo, .store = store, .bus = bus });
		r = stream_store_ensure(ss, argv[3], &(struct stream_new) { .name = argv[4], .retention_hours = 1 }, &s, &e);
		if (r == 0)
			r = stream_writer_open(ss, &s, &w, &e);
		if (r == 0)
			r = produce(w, &s, strtoll(argv[5], NULL, 10), strtoll(argv[6], NULL, 10), &e);
		stream_writer_close(w);
		stream_release(&s);
		stream_store_free(ss);
	}
	bus_close(bus);
	if (store)
		store_close(store);
	if (repo)
		repo_close(repo);
	db_close(db);
	if (r < 0)
		fprintf(stderr, "%s\n", e.message);
	return r < 0;
}
