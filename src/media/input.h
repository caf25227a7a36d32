/* An input of the task as an opened libav container: custom I/O over media_io.read, no protocol and no file behind it.
 *
 *   _cleanup_media_input_ struct media_input *in = NULL;
 *   if (media_input_open(spec, 0, io, &in, e) < 0)
 *           return -(int)e->kind;
 *   AVFormatContext *f = media_input_format(in);
 *   int r = av_read_frame(f, packet);
 *   if (r < 0 && r != AVERROR_EOF)
 *           return media_input_error(in, r, e, "read the source");
 *
 * Only demuxers of an allow-list are opened: none that opens further resources (playlists, image sequences, concat…), and
 * io_open refuses in any case. Probing is bounded in bytes, time and streams. One thread. Runs in the task only.
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "base/err.h"
#include "base/mem.h"
#include "media/media_io.h"
#include "media/mp4_window.h"

struct media_input;

/* It is read once, forwards: it can't be sought, and its end isn't known. */
bool media_input_forward(const struct media_input *in);
/* Opens input number `input` of the spec (header and stream info read; av_seek_frame works where the container can).
 * `spec` and `io` are borrowed and must outlive the input. ERR_UNSUPPORTED/UNSUPPORTED_FORMAT for a format that is not on the
 * list ("starts with plain text"), ERR_MEDIA/EMPTY_MEDIA for an empty or header-only file, ERR_MEDIA/DAMAGED_MEDIA where
 * the header is broken, ERR_MEDIA/TASK_MEMORY for want of memory, and whatever io->read failed with. */
int media_input_open(const struct task_spec *spec, uint32_t input, const struct media_io *io, struct media_input **ret,
		     struct err *e) MR_MUST_USE;
/* The same for a range of time: of a long MP4's index only what the range needs is held (mp4_window.h); every other file is opened
 * whole. Then each packet, and the end of the file, has to be asked for whether it is what the whole index would have given. */
int media_input_open_range(const struct task_spec *spec, uint32_t input, const struct media_io *io,
			   const struct mp4_window_opts *range, struct media_input **ret, struct err *e) MR_MUST_USE;
bool media_input_holds(const struct media_input *in, const AVPacket *p, bool at_start);
bool media_input_complete(const struct media_input *in);
/* False for a file that is opened whole. */
bool media_input_ranged(const struct media_input *in);
/* Borrowed. Streams that are not wanted should be set to AVDISCARD_ALL by the caller. */
AVFormatContext *media_input_format(struct media_input *in);
/* Bytes that were asked of io->read so far. */
uint64_t media_input_bytes_read(const struct media_input *in);
/* Turns a failed libav call on this input into an error: the failure of io->read if that was the reason, else the AVERROR.
 * Returns the negative kind, never 0. */
int media_input_error(const struct media_input *in, int averror, struct err *e, const char *what);
/* True when io->read has failed: libav often hides that as an end of file, so check it after AVERROR_EOF, too. */
bool media_input_failed(const struct media_input *in);
/* Frees and sets NULL; fine with NULL. */
void media_input_close(struct media_input **in);
#define _cleanup_media_input_ MR_CLEANUP(media_input_close)

/* A decoder for the stream, opened, with `threads` frame or slice threads (1: none; pkt_timebase is set). The caller frees
 * with avcodec_free_context. ERR_MEDIA/UNDECODABLE when there is no decoder or it refuses the parameters. */
int media_decoder_open(const AVStream *st, int threads, AVCodecContext **ret, struct err *e) MR_MUST_USE;

/* From an AVERROR to an error: ENOMEM is ERR_MEDIA/TASK_MEMORY, the rest ERR_MEDIA/DAMAGED_MEDIA. */
int media_averror(struct err *e, int averror, const char *fmt, ...) MR_PRINTF(3, 4);
