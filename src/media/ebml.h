/* EBML read as it comes: a push walker over elements, fed with pieces cut anywhere (RFC 8794; RFC 9559 for Matroska's
 * levels). Runs in the sandbox.
 *
 *   struct ebml p;
 *   ebml_init(&p, &sink, 0);
 *   r = ebml_feed(&p, bytes, len, e);     // calls the sink: begin, data, raw, end
 *   r = ebml_finish(&p, e);               // the end of the input: closes what may end here
 *   ebml_release(&p);
 *
 * The sink's begin says what is wanted of each element: to go into it, its first bytes, or nothing. Elements of unknown
 * size (Segment and Cluster alone) end where an element of their own or a higher level begins. Memory: what one element's
 * `collect` asks for, and the depth is bounded. Errors are ERR_MEDIA (bytes that are no Matroska) or the sink's own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum ebml_id {
	EBML_HEADER = 0x1A45DFA3,
	EBML_DOCTYPE = 0x4282,
	EBML_VOID = 0xEC,
	EBML_CRC32 = 0xBF,
	MKV_SEGMENT = 0x18538067,
	MKV_SEEKHEAD = 0x114D9B74,
	MKV_INFO = 0x1549A966,
	MKV_TIMESTAMP_SCALE = 0x2AD7B1,
	MKV_TRACKS = 0x1654AE6B,
	MKV_TRACK_ENTRY = 0xAE,
	MKV_TRACK_NUMBER = 0xD7,
	MKV_TRACK_TYPE = 0x83,
	MKV_DEFAULT_DURATION = 0x23E383,
	MKV_CODEC_ID = 0x86,
	MKV_CODEC_PRIVATE = 0x63A2,
	MKV_VIDEO = 0xE0,
	MKV_PIXEL_WIDTH = 0xB0,
	MKV_PIXEL_HEIGHT = 0xBA,
	MKV_AUDIO = 0xE1,
	MKV_SAMPLING_FREQUENCY = 0xB5,
	MKV_CHANNELS = 0x9F,
	MKV_BIT_DEPTH = 0x6264,
	MKV_CLUSTER = 0x1F43B675,
	MKV_TIMESTAMP = 0xE7,
	MKV_SILENT_TRACKS = 0x5854,
	MKV_POSITION = 0xA7,
	MKV_PREV_SIZE = 0xAB,
	MKV_SIMPLE_BLOCK = 0xA3,
	MKV_BLOCK_GROUP = 0xA0,
	MKV_BLOCK = 0xA1,
	MKV_BLOCK_DURATION = 0x9B,
	MKV_DISCARD_PADDING = 0x75A2,
	MKV_ENCRYPTED_BLOCK = 0xAF,
	MKV_CUES = 0x1C53BB6B,
	MKV_CHAPTERS = 0x1043A770,
	MKV_ATTACHMENTS = 0x1941A469,
	MKV_TAGS = 0x1254C367,
	MKV_TAG = 0x7373,
	MKV_SIMPLE_TAG = 0x67C8,
	MKV_TAG_NAME = 0x45A3,
	MKV_TAG_STRING = 0x4487,
};

#define EBML_DEPTH_MAX 8
#define EBML_HEAD_MAX 12 /* an id of four bytes and a size of eight */

struct ebml_element {
	uint32_t id;
	bool unknown_size;
	uint64_t size;	 /* of its data */
	uint64_t offset; /* of its first byte */
	unsigned head_bytes;
	unsigned depth; /* 0: not in another */
};

/* What is wanted of an element. */
struct ebml_choice {
	bool enter;	  /* its children, one by one */
	bool collect;	  /* else its first bytes, at most `max_bytes`, in one piece */
	uint32_t max_bytes;
};

struct ebml_sink {
	void *ctx;
	int (*begin)(void *ctx, const struct ebml_element *el, struct ebml_choice *ret, struct err *e);
	/* What was collected; fewer than max_bytes only if the element is smaller. */
	int (*data)(void *ctx, const struct ebml_element *el, const uint8_t *p, size_t len, struct err *e);
	/* The end of an element that was entered. */
	int (*end)(void *ctx, const struct ebml_element *el, struct err *e);
	/* Every byte there is, in order: an element's head after its begin, its last data before the end of what it is
	 * in. May be NULL. */
	int (*raw)(void *ctx, const uint8_t *p, size_t len, struct err *e);
};

struct ebml {
	struct ebml_sink sink;
	uint64_t offset; /* of the next byte */
	uint8_t head[EBML_HEAD_MAX];
	unsigned head_len; /* of a head that is not whole yet; after an error: of the one that was refused */
	unsigned depth;
	struct ebml_element stack[EBML_DEPTH_MAX];
	bool in_data; /* of `current`, which isn't entered */
	struct ebml_element current;
	uint64_t left; /* bytes of its data */
	uint32_t want; /* of these to collect */
	struct buf collected;
};

void ebml_init(struct ebml *p, const struct ebml_sink *sink, uint64_t offset);
/* As if a Segment of unknown size had been entered just before: where parsing begins in the middle. Forgets what was open. */
void ebml_restart(struct ebml *p, uint64_t offset, bool in_segment);
void ebml_release(struct ebml *p);
/* Takes all of it, or fails: then p->offset says where, and the walker can only be restarted. */
int ebml_feed(struct ebml *p, const uint8_t *data, size_t len, struct err *e) MR_MUST_USE;
/* -ERR_MEDIA if an element of known size isn't whole. */
int ebml_finish(struct ebml *p, struct err *e) MR_MUST_USE;

/* Values of collected elements. Integers of 0 to 8 bytes (0: zero), floats of 0, 4 or 8; false for other lengths. */
bool ebml_uint(const uint8_t *p, size_t len, uint64_t *ret);
bool ebml_int(const uint8_t *p, size_t len, int64_t *ret);
bool ebml_float(const uint8_t *p, size_t len, double *ret);
/* A variable-length integer: its length (1 to 8), 0 if it isn't whole or no such. With `marker` kept in it (an id) or without;
 * all ones is UINT64_MAX without it. */
unsigned ebml_vint(const uint8_t *p, size_t len, bool marker, uint64_t *ret);
/* Text ends at the first NUL (it may be padded); what isn't printable ASCII becomes '?'; cut to `size`. */
void ebml_text(const uint8_t *p, size_t len, char *out, size_t size);
