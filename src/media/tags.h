/* Tags and cover art that a conversion carries over: text that is clean and bounded, whatever the source holds, and without what
 * describes the source's own encoding. Runs in the task.
 *
 *   struct tags tags = { 0 };
 *   tags_read(&tags, format_context, stream, gain_applied);
 *   tags_copy(&tags, muxer);                     // its metadata, and a stream for the cover
 *   tags_release(&tags);
 */
#pragma once

#include <libavformat/avformat.h>
#include <stdbool.h>

#define TAGS_MAX 200
#define TAG_KEY_MAX_BYTES 64
#define TAG_VALUE_MAX_BYTES (64u << 10)
#define TAGS_COVER_MAX_BYTES (16u << 20)

struct tags {
	AVDictionary *text;	   /* libav's generic names: title, artist, … */
	AVPacket *cover;	   /* NULL: none */
	AVCodecParameters *picture; /* the cover's: MJPEG or PNG */
};

/* Those of the container, completed by the stream's; the first attached picture. Leaves out what doesn't fit the bounds.
 * `gain`: what tells of the source's loudness isn't true any more. Returns an AVERROR for want of memory. */
int tags_read(struct tags *t, const AVFormatContext *source, int stream, bool gain);
bool tags_any(const struct tags *t);
/* Gives a muxer the texts before its header is written. */
int tags_copy_text(const struct tags *t, AVFormatContext *muxer);
/* Adds the cover's stream, behind the sound's; before the header. Nothing without a cover. */
int tags_add_cover(const struct tags *t, AVFormatContext *muxer);
/* Writes the cover, behind the header. */
int tags_write_cover(const struct tags *t, AVFormatContext *muxer);
void tags_release(struct tags *t);
