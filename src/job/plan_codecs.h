/* Video codecs by name, as requests and renditions call them. Pure. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/task.h"

#define VIDEO_CODECS 2

/* "h264", "hevc" */
const char *video_codec_name(enum video_codec codec);
/* Adds CODEC_BIT of the name; ERR_INVALID names `field`. */
int codec_bits_add(const char *field, const char *name, size_t len, uint32_t *bits, struct err *e) MR_MUST_USE;
/* A list of names; ERR_INVALID if it is none, or empty. */
int codec_bits_read(const char *field, json_t *list, uint32_t *ret, struct err *e) MR_MUST_USE;
/* "h264","hevc" */
void codec_bits_format(struct buf *b, uint32_t bits);
