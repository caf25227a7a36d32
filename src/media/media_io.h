/* How media code meets the world: by these callbacks and nothing else. task/ implements them over the channel to the
 * parent; tests implement them over memory and files. No media code opens, connects, reads a clock or logs.
 *
 * All callbacks return 0 or a negative err_kind and fill *e; media code stops at the first failure. One thread reads and
 * tells progress; objects come from several at once.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "proto/task.h"

struct media_io {
	void *ctx;
	/* Up to `len` bytes of input `input` at `offset`; *ret_len is short only at the end of the input. Blocks until
	 * the bytes exist. */
	int (*read)(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		    struct err *e);
	/* One whole object; `data` has head->size_bytes bytes and is borrowed. Those of one rendition come in order. */
	int (*object)(void *ctx, const struct task_object *head, const void *data, struct err *e);
	int (*progress)(void *ctx, const struct task_progress *p, struct err *e);
};

/* What the container holds. ERR_UNSUPPORTED (code UNSUPPORTED_FORMAT) if libav knows no such format, ERR_MEDIA with a
 * code (NO_MEDIA_STREAMS, UNDECODABLE, EMPTY_MEDIA, ENCRYPTED_MEDIA) if there is nothing to use; the message says what
 * was found. */
int media_probe(const struct task_spec *spec, const struct media_io *io, struct probe_result *ret,
		struct err *e) MR_MUST_USE;

/* Makes one chunk of a ladder (see struct ladder_spec). */
int media_ladder(const struct task_spec *task, const struct media_io *io, struct ladder_result *ret,
		 struct err *e) MR_MUST_USE;

/* Makes the by-products of a file (see proto/analyze.h). What cannot be made of it is noted in the result. */
int media_analyze(const struct task_spec *task, const struct media_io *io, struct analyze_result *ret,
		  struct err *e) MR_MUST_USE;

/* Makes one chunk of a conversion, measures what would be converted, makes what comes before all chunks' parts (proto/convert.h).
 * ERR_UNSUPPORTED/UNSUPPORTED_PARAMETERS where the encoder refuses what is asked; ERR_MEDIA with UNDECODABLE, EMPTY_MEDIA
 * (nothing between start and end), DAMAGED_MEDIA or DAMAGED_INDEX (parts and indexes don't fit). */
int media_convert(const struct task_spec *task, const struct media_io *io, struct convert_result *ret, struct err *e) MR_MUST_USE;
int media_measure(const struct task_spec *task, const struct media_io *io, struct measure_result *ret, struct err *e) MR_MUST_USE;
int media_join(const struct task_spec *task, const struct media_io *io, struct join_result *ret, struct err *e) MR_MUST_USE;

/* Mixes a narration (proto/narrate.h). ERR_MEDIA with UNDECODABLE or EMPTY_MEDIA (music or a sentence), SPEECH_TOO_LARGE, TOO_LONG;
 * and what io->read failed with. */
int media_voice(const struct task_spec *task, const struct media_io *io, struct voice_result *ret, struct err *e) MR_MUST_USE;
int media_narrate(const struct task_spec *task, const struct media_io *io, struct narrate_result *ret, struct err *e) MR_MUST_USE;

/* Tries each codec and filter that a job may need: encoders with some frames, whose decoders have to understand them; of other
 * decoders and filters that there are any. Tells of each; `problem` is NULL where there is none. Stops where `fn` fails. */
typedef int (*media_finding_fn)(void *ctx, const char *name, const char *problem, struct err *e);
int media_check_codecs(media_finding_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* Before any of the above, once per process: libav's log level and callback. */
void media_init(void);
/* Runs codecs once, so that what they initialise lazily exists before the sandbox and is shared by forked children.
 * Makes threads and ends them. */
void media_warm_up(void);
/* Those that work without, but not as soon. */
void media_warm_up_rest(void);
