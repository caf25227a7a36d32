/* Live sessions: what the server and a live process (TASK_LIVE) say to each other. One process serves many sessions until
 * its channel closes; there is no result. Frames are proto/channel.h's; a payload is a head, coded by the functions
 * below, and bytes behind it.
 *
 *   parent → child   MSG_LIVE_OPEN   struct live_open, state     a session begins
 *                    MSG_LIVE_BYTES  u32 session, bytes
 *                    MSG_LIVE_LOST   u32 session                 bytes are missing here (sound)
 *                    MSG_LIVE_CLOSE  u32 session                 no more will come
 *   child → parent   MSG_LIVE_EVENT  struct live_event, bytes
 *                    MSG_LIVE_TAKEN  u32 session                 the oldest message that wasn't taken yet is done with
 *
 * Every message of the parent is answered by one TAKEN, in order, behind the events that it led to: so the parent knows
 * what a process died of and how much waits. After LIVE_END the child has forgotten the session; messages to it that
 * cross are taken and dropped. The child is not trusted: what it says is bounded and checked when it is decoded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define LIVE_RATE 16000
#define LIVE_SESSIONS_MAX 4096		   /* of one process */
#define LIVE_MESSAGE_MAX_BYTES (64u << 10) /* bytes behind a head, either way */
#define LIVE_HEAD_MAX_BYTES 1024
#define LIVE_STATE_MAX_BYTES 256
#define LIVE_TRACKS_MAX 3
#define LIVE_TAGS_MAX 10 /* of a fragment */
#define LIVE_FRAGMENT_MAX_BYTES (50u << 20)
#define LIVE_FRAGMENT_MAX_MS 20000

enum live_kind { LIVE_SOUND = 1, LIVE_SPLIT = 2 };

/* KVS's ErrorId that media can be at fault for (PutMedia's acknowledgements). */
enum live_error_id {
	LIVE_OK = 0,
	LIVE_E_SIZE = 4001,
	LIVE_E_DURATION = 4002,
	LIVE_E_TIMECODE_ORDER = 4004,
	LIVE_E_MKV = 4006,
	LIVE_E_METADATA = 4009,
	LIVE_E_TRACK_NUMBER = 4010,
	LIVE_E_FRAMES_MISSING = 4011,
	LIVE_E_TRACKS = 4012,
};

struct live_open {
	uint32_t session; /* a number that this process hasn't seen */
	enum live_kind kind;
	bool resumed; /* the state is of an earlier life: what comes follows on its sound, whatever its times say */
};

struct live_track {
	uint32_t number;
	bool is_audio, is_video;
	char codec[32];				/* as it stands there: "V_MPEG4/ISO/AVC", "A_PCM/INT/LIT" */
	uint32_t width, height;			/* video */
	uint32_t rate_hz, channels, bit_depth;	/* audio */
};

struct live_header {
	uint32_t track_count;
	struct live_track tracks[LIVE_TRACKS_MAX];
};

struct live_tag {
	char name[129], value[257]; /* KVS: 128 and 256 */
};

struct live_fragment {
	int64_t timecode_ms; /* of its cluster */
	int64_t duration_ms; /* from there to the end of its last frame; END */
	uint64_t size_bytes; /* of the cluster; END */
};

/* What a sound session passed over. */
struct live_losses {
	uint64_t skipped_bytes; /* that were no WebM, or didn't follow */
	uint32_t late_packets;	/* there already: a chunk that came twice */
	uint32_t damaged_packets;
};

enum live_event_kind {
	/* sound */
	LIVE_PCM = 1, /* bytes: samples, s16 little-endian */
	LIVE_MARK,    /* bytes: a state */
	LIVE_LOSSES,
	/* split */
	LIVE_HEADER, /* bytes: EBML header, Segment's head, Info, Tracks */
	LIVE_FRAGMENT_BEGIN,
	LIVE_FRAGMENT_DATA, /* bytes */
	LIVE_FRAGMENT_TAG,
	LIVE_FRAGMENT_END,
	/* both */
	LIVE_END, /* the last one of a session */
};

struct live_event {
	uint32_t session;
	enum live_event_kind kind;
	int64_t first_sample; /* PCM */
	uint32_t concealed;   /* PCM: of the samples, at the front */
	bool restart;	      /* PCM: a recording begins */
	uint64_t offset;      /* MARK: of the session's bytes, since its OPEN */
	struct live_losses losses;
	struct live_header header;
	struct live_fragment fragment;
	struct live_tag tag;
	uint32_t error_id;    /* END of a split session: KVS's, or 0 */
	int64_t timecode_ms;  /* END: of the fragment that is refused; -1: not known, or none */
	struct err why;	   /* END: of kind ERR_OK if it was closed and all is well */
};

/* Append head and bytes; fail with ERR_PROTOCOL on what the other side would refuse. */
int live_open_encode(const struct live_open *o, const void *state, size_t len, struct buf *out, struct err *e) MR_MUST_USE;
int live_session_encode(uint32_t session, const void *bytes, size_t len, struct buf *out, struct err *e) MR_MUST_USE;
int live_event_encode(const struct live_event *v, const void *bytes, size_t len, struct buf *out, struct err *e) MR_MUST_USE;
/* The bytes are borrowed from `data`. */
int live_open_decode(const void *data, size_t len, struct live_open *ret, const uint8_t **ret_state, size_t *ret_len,
		     struct err *e) MR_MUST_USE;
int live_session_decode(const void *data, size_t len, uint32_t *ret, const uint8_t **ret_bytes, size_t *ret_len,
			struct err *e) MR_MUST_USE;
int live_event_decode(const void *data, size_t len, struct live_event *ret, const uint8_t **ret_bytes, size_t *ret_len,
		      struct err *e) MR_MUST_USE;
