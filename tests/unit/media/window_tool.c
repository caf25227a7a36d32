/* Opens a file whole and for a range of time alone, and compares what libav says of it, for tests driven by Python.
 *
 *   window_tool SOURCE VIDEO AUDIO FROM_MS END_MS TO_MS
 *
 * FROM_MS < 0: from the beginning; END_MS < 0: to the end. Prints one JSON object: what was compared and read, or why the file is
 * read whole ("unsupported"), or what differs ("differs"). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/input.h"

#define NS_PER_MS 1000000

struct file {
	FILE *f;
	uint64_t bytes, reads;
};

static int file_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	struct file *f = ctx;
	if (input != 0 || len > TASK_READ_MAX_BYTES || fseeko(f->f, (off_t)offset, SEEK_SET) != 0)
		return err_set(e, ERR_PROTOCOL, "read of input %u, %u bytes", input, len);
	*ret_len = (uint32_t)fread(buf, 1, len, f->f);
	f->bytes += *ret_len;
	f->reads++;
	return 0;
}

struct pair {
	AVFormatContext *whole, *part;
	struct media_input *whole_in, *part_in;
	int wanted[2];
	int64_t to_us;
	uint64_t packets;
};

static void differs(const char *what, int64_t whole, int64_t part)
{
	printf("{\"differs\": \"%s\", \"whole\": %" PRId64 ", \"part\": %" PRId64 "}\n", what, whole, part);
	exit(1);
}

static void same(const char *what, int64_t whole, int64_t part)
{
	if (whole != part)
		differs(what, whole, part);
}

static void compare_streams(const struct pair *p)
{
	same("streams", p->whole->nb_streams, p->part->nb_streams);
	same("start_time", p->whole->start_time, p->part->start_time);
	same("duration", p->whole->duration, p->part->duration);
	for (unsigned i = 0; i < p->whole->nb_streams; i++) {
		const AVStream *a = p->whole->streams[i], *b = p->part->streams[i];
		same("stream's id", a->id, b->id);
		same("stream's start_time", a->start_time, b->start_time);
		same("stream's duration", a->duration, b->duration);
		same("stream's nb_frames", a->nb_frames, b->nb_frames);
		same("time_base", a->time_base.den, b->time_base.den);
		same("disposition", a->disposition, b->disposition);
		same("codec_type", a->codecpar->codec_type, b->codecpar->codec_type);
		same("codec_id", a->codecpar->codec_id, b->codecpar->codec_id);
		same("width", a->codecpar->width, b->codecpar->width);
		same("sample_rate", a->codecpar->sample_rate, b->codecpar->sample_rate);
		same("frame_size", a->codecpar->frame_size, b->codecpar->frame_size);
		same("format", a->codecpar->format, b->codecpar->format);
		same("profile", a->codecpar->profile, b->codecpar->profile);
		same("extradata", a->codecpar->extradata_size, b->codecpar->extradata_size);
		same("avg_frame_rate", a->avg_frame_rate.num, b->avg_frame_rate.num);
		same("avg_frame_rate's den", a->avg_frame_rate.den, b->avg_frame_rate.den);
		same("r_frame_rate", a->r_frame_rate.num, b->r_frame_rate.num);
		same("r_frame_rate's den", a->r_frame_rate.den, b->r_frame_rate.den);
	}
}

static void discard_others(const struct pair *p, AVFormatContext *f)
{
	for (unsigned i = 0; i < f->nb_streams; i++)
		if ((int)i != p->wanted[0] && (int)i != p->wanted[1])
			f->streams[i]->discard = AVDISCARD_ALL;
}

static int64_t packet_us(const AVFormatContext *f, const AVPacket *k)
{
	const int64_t ts = k->dts != AV_NOPTS_VALUE ? k->dts : k->pts;
	return av_rescale_q(ts, f->streams[k->stream_index]->time_base, AV_TIME_BASE_Q);
}

static void compare_packets(const AVPacket *a, const AVPacket *b)
{
	same("packet's stream", a->stream_index, b->stream_index);
	same("pos", a->pos, b->pos);
	same("pts", a->pts, b->pts);
	same("dts", a->dts, b->dts);
	same("size", a->size, b->size);
	same("flags", a->flags & ~AV_PKT_FLAG_DISPOSABLE, b->flags & ~AV_PKT_FLAG_DISPOSABLE);
	same("packet's duration", a->duration, b->duration);
	same("side data", a->side_data_elems, b->side_data_elems);
	for (int i = 0; i < a->side_data_elems; i++) {
		same("side data's size", (int64_t)a->side_data[i].size, (int64_t)b->side_data[i].size);
		same("side data's bytes", memcmp(a->side_data[i].data, b->side_data[i].data, a->side_data[i].size), 0);
	}
	same("data", a->size ? memcmp(a->data, b->data, (size_t)a->size) : 0, 0);
}

/* Both from where they are, up to a time, the end, or (in the part) what isn't of this range. */
static bool compare_reading(struct pair *p, int64_t until_us, bool at_start)
{
	AVPacket *a = av_packet_alloc(), *b = av_packet_alloc();
	bool held = true;
	for (;;) {
		const int ra = av_read_frame(p->whole, a), rb = av_read_frame(p->part, b);
		if (rb >= 0 && !media_input_holds(p->part_in, b, at_start)) {
			held = false;
			break;
		}
		if (rb < 0 && !media_input_complete(p->part_in)) {
			held = false;
			break;
		}
		same("end", ra, rb);
		if (ra < 0)
			break;
		compare_packets(a, b);
		p->packets++;
		if (packet_us(p->whole, a) > until_us)
			break;
		av_packet_unref(a);
		av_packet_unref(b);
	}
	av_packet_free(&a);
	av_packet_free(&b);
	return held;
}

static void compare_seeking(struct pair *p, int64_t target_us)
{
	const int stream = p->wanted[0] >= 0 ? p->wanted[0] : p->wanted[1];
	const int64_t ts = av_rescale_q(target_us, AV_TIME_BASE_Q, p->whole->streams[stream]->time_base);
	const int ra = av_seek_frame(p->whole, stream, ts, AVSEEK_FLAG_BACKWARD);
	same("seek", ra, av_seek_frame(p->part, stream, ts, AVSEEK_FLAG_BACKWARD));
	if (!compare_reading(p, p->to_us, false))
		differs("range left", target_us, p->to_us);
}

/* Of libav's index, which is what a long film costs in memory. */
static int entries(AVFormatContext *f)
{
	int sum = 0;
	for (unsigned i = 0; i < f->nb_streams; i++)
		sum += avformat_index_get_entries_count(f->streams[i]);
	return sum;
}

int main(int argc, char **argv)
{
	if (argc != 7)
		return 2;
	struct file file = { .f = fopen(argv[1], "rb") };
	if (!file.f || fseeko(file.f, 0, SEEK_END) != 0)
		return 2;
	struct task_spec spec = { .input_count = 1 };
	spec.inputs[0].size_bytes = (uint64_t)ftello(file.f);
	const struct media_io io = { .ctx = &file, .read = file_read };
	const int64_t from = strtoll(argv[4], NULL, 10), end = strtoll(argv[5], NULL, 10), to = strtoll(argv[6], NULL, 10);
	struct pair p = { .wanted = { (int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10) } };
	p.to_us = end < 0 ? INT64_MAX : (end + to) / 2 * 1000;
	const struct mp4_window_opts range = {
		.video = p.wanted[0], .audios = p.wanted[1] >= 0 ? 1u << p.wanted[1] : 0,
		.from_ns = from < 0 ? INT64_MIN : from * NS_PER_MS,
		.end_ns = end < 0 ? INT64_MAX : end * NS_PER_MS,
		.to_ns = end < 0 ? INT64_MAX : to * NS_PER_MS,
	};
	media_init();
	struct err e = { 0 };
	struct mp4_window *w = NULL;
	if (mp4_window_new(&io, 0, spec.inputs[0].size_bytes, &range, &w, &e) < 0) {
		printf("{\"unsupported\": \"%s\"}\n", e.message);
		(void)fclose(file.f);
		return 0;
	}
	mp4_window_free(&w);
	const uint64_t index_bytes = file.bytes;
	file.bytes = file.reads = 0;
	if (media_input_open_range(&spec, 0, &io, &range, &p.part_in, &e) < 0 || !media_input_ranged(p.part_in))
		differs("opening", 0, 1);
	const uint64_t part_bytes = file.bytes, part_reads = file.reads;
	file.bytes = file.reads = 0;
	if (media_input_open(&spec, 0, &io, &p.whole_in, &e) < 0)
		differs("opening", 1, 0);
	const uint64_t whole_bytes = file.bytes, whole_reads = file.reads;
	p.whole = media_input_format(p.whole_in);
	p.part = media_input_format(p.part_in);
	compare_streams(&p);
	discard_others(&p, p.whole);
	discard_others(&p, p.part);
	(void)compare_reading(&p, 8 * AV_TIME_BASE, true);
	/* where decoding order is before presentation, a seek goes back a little further than it is told */
	const int64_t start = from < 0 ? 0 : from * 1000 + AV_TIME_BASE;
	for (int64_t target = start; target <= (end < 0 ? start : end * 1000); target += AV_TIME_BASE)
		compare_seeking(&p, target);
	printf("{\"entries\": %d, \"whole_entries\": %d, ", entries(p.part), entries(p.whole));
	printf("\"packets\": %" PRIu64 ", \"index_bytes\": %" PRIu64 ", \"part_bytes\": %" PRIu64 ", \"part_reads\": %" PRIu64
	       ", \"whole_bytes\": %" PRIu64 ", \"whole_reads\": %" PRIu64 "}\n",
	       p.packets, index_bytes, part_bytes, part_reads, whole_bytes, whole_reads);
	media_input_close(&p.whole_in);
	media_input_close(&p.part_in);
	(void)fclose(file.f);
	return 0;
}
