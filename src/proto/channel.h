/* The framed socket between a worker and a task, and the zygote's control socket.
 *
 * A frame is a header (u32 payload length, u32 type, little-endian) and its payload. All encoding is explicit and
 * little-endian; no struct crosses the socket. Lengths are checked against the type's maximum before anything is read, so a
 * hostile peer can make the reader neither allocate nor wait without bound (the caller's deadline closes the socket).
 *
 * Blocking I/O; one thread per side. EINTR is handled; a closed peer is ERR_LOST on either side.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/task.h"

enum msg_type {
	/* parent → child */
	MSG_SPEC = 1,	 /* struct task_spec */
	MSG_DATA = 2,	 /* the answer to a MSG_READ: the bytes, fewer than asked only at the end of the input */
	MSG_READ_FAILED = 3, /* the answer to a MSG_READ: a struct err */
	MSG_LIVE_OPEN = 4, /* these four: proto/live.h */
	MSG_LIVE_BYTES = 5,
	MSG_LIVE_LOST = 6,
	MSG_LIVE_CLOSE = 7,
	MSG_LISTEN_BYTES = 8, /* these two: proto/listen.h */
	MSG_LISTEN_ORDER = 9,
	/* child → parent */
	MSG_READ = 16,	 /* struct task_read */
	MSG_PROGRESS = 17, /* struct task_progress */
	MSG_OBJECT = 18, /* struct task_object; then MSG_BLOB until size_bytes are there */
	MSG_BLOB = 19,	 /* raw bytes, at most TASK_BLOB_MAX_BYTES */
	MSG_RESULT = 20, /* struct task_result; the last message */
	MSG_FAILURE = 21, /* struct err; the last message */
	MSG_LIVE_EVENT = 22,
	MSG_LIVE_TAKEN = 23,
	MSG_LISTEN_FRAMES = 24,
	MSG_LISTEN_DONE = 25,
};
#define MSG_MAX_BYTES (2u << 20)

/* One frame, sent without copying `data`. */
int channel_send(int fd, enum msg_type type, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* Reads one frame into `payload` (cleared first). -ERR_LOST if the peer closed between frames, -ERR_PROTOCOL on a bad
 * header. */
int channel_recv(int fd, enum msg_type *ret_type, struct buf *payload, struct err *e) MR_MUST_USE;
/* The header alone, for a side that moves the bytes itself (the parent, which never blocks on a task's socket). Both check
 * the type and its maximum: -ERR_PROTOCOL. */
#define MSG_HEADER_BYTES 8
int channel_header_encode(enum msg_type type, size_t len, uint8_t ret[MSG_HEADER_BYTES], struct err *e) MR_MUST_USE;
int channel_header_decode(const uint8_t header[MSG_HEADER_BYTES], enum msg_type *ret_type, uint32_t *ret_len,
			  struct err *e) MR_MUST_USE;

/* Encoders append to `out`; decoders accept exactly what encoders write and fail with ERR_PROTOCOL on anything else
 * (trailing bytes, lengths and enums out of range, strings not UTF-8 or with control characters, falling boundaries…). */
int task_spec_encode(const struct task_spec *s, struct buf *out, struct err *e) MR_MUST_USE;
int task_spec_decode(const void *data, size_t len, struct task_spec *ret, struct err *e) MR_MUST_USE;
int task_read_encode(const struct task_read *r, struct buf *out, struct err *e) MR_MUST_USE;
int task_read_decode(const void *data, size_t len, struct task_read *ret, struct err *e) MR_MUST_USE;
int task_progress_encode(const struct task_progress *p, struct buf *out, struct err *e) MR_MUST_USE;
int task_progress_decode(const void *data, size_t len, struct task_progress *ret, struct err *e) MR_MUST_USE;
int task_object_encode(const struct task_object *o, struct buf *out, struct err *e) MR_MUST_USE;
int task_object_decode(const void *data, size_t len, struct task_object *ret, struct err *e) MR_MUST_USE;
int task_result_encode(const struct task_result *r, struct buf *out, struct err *e) MR_MUST_USE;
int task_result_decode(const void *data, size_t len, struct task_result *ret, struct err *e) MR_MUST_USE;
int task_failure_encode(const struct err *failure, struct buf *out, struct err *e) MR_MUST_USE;
/* Decodes the peer's error into *ret_failure; the return value says whether decoding worked. */
int task_failure_decode(const void *data, size_t len, struct err *ret_failure, struct err *e) MR_MUST_USE;

/* ---- The zygote's control socket (SOCK_SEQPACKET) ----
 * Zygote → parent, once: a text, sandbox_describe()'s: it is warm and its sandbox is compiled.
 * Parent → zygote: one struct zygote_spawn with two descriptors (SCM_RIGHTS): the child's end of the task's channel
 * (SOCK_STREAM) and the zygote's end of a status socket (SOCK_SEQPACKET). Zygote → status socket: one struct zygote_status of
 * ZYGOTE_STARTED with a pidfd (SCM_RIGHTS) or ZYGOTE_FAILED, and after the child ended one ZYGOTE_EXITED; then it closes it.
 * A control socket that closes tells the zygote to kill its children and exit. Same binary build on both sides, so these
 * structs cross as they are. The limits come with the packet, not with the specification, because the child is in its sandbox
 * before it reads anything. */
#define ZYGOTE_CONTROL_FD 3
enum { ZYGOTE_SPAWN = 'S' };
struct zygote_spawn {
	uint32_t op;	      /* ZYGOTE_SPAWN */
	uint32_t cpu_seconds; /* struct sandbox_limits */
	uint64_t memory_bytes;
	int32_t nice;  /* of the child, 0 to 19 */
	uint32_t batch; /* 1: it never needs a core at once (os/thread.h) */
};
enum zygote_event { ZYGOTE_STARTED = 1, ZYGOTE_FAILED = 2, ZYGOTE_EXITED = 3 };
struct zygote_status {
	int32_t event;
	int32_t pid;
	int32_t wait_status; /* EXITED: as waitpid gives it */
	int32_t errnum;	     /* FAILED */
	int64_t max_rss_kb;  /* EXITED */
	int64_t cpu_ms;	     /* EXITED: user and system */
};
/* One packet with up to two descriptors; received descriptors are CLOEXEC and owned by the caller (-1 where absent). */
int packet_send(int fd, const void *data, size_t len, const int *fds, size_t fd_count, struct err *e) MR_MUST_USE;
int packet_recv(int fd, void *data, size_t len, size_t *ret_len, int ret_fds[2], struct err *e) MR_MUST_USE;
