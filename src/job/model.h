/* The rows of the product as values: files, jobs, renditions, segments, chunks. Plain data; pure.
 *
 * A job's life (who makes each transition; everything else is refused by the repository's conditional writes):
 *
 *   pending ──claim of its first chunk (worker)──▶ processing ──first visible segment (publisher)──▶ streaming
 *   processing | streaming ──the finish chunk is done (worker)──▶ completed
 *   pending | processing | streaming ──a chunk failed for good (worker)──▶ failed
 *   pending | processing | streaming ──DELETE (api)──▶ canceled
 *   failed ──retry (api)──▶ pending, with everything committed kept and failures forgotten; generation_attempt + 1
 *     (its next claim makes it streaming at once where segments are visible already)
 *   any ──DELETE of an ended job (api) or its expiry (janitor)──▶ deleting ──objects gone (janitor)──▶ no row
 *
 * A chunk's life:
 *   waiting (for all chunks of an earlier kind to be done) ──▶ ready
 *   ready ──claim: claims + 1, lease──▶ running ──▶ done
 *   running ──lease ran out, worker gone, told to stop──▶ ready (not a failure)
 *   running ──failed──▶ ready with a delay (back-off), or failed for good after CHUNK_FAILURES_MAX since its last commit
 *   any ──job canceled or failed──▶ canceled (done stays done)
 * A job of kind `analyze` makes a file's by-products (job/repo_analysis.c): nobody sees it, it has one chunk, and it is
 * gone, with a result on its file's row, when that is done or failed for good, or when the file is deleted.
 *
 * A conversion's chunks are measuring (where loudness is to be normalized), converting, joining; each kind waits for the one
 * before. What they made lies under parts/{job}/ until the join has put it into one file.
 *
 * A narration has one chunk with media, whose segments become rows as they are made. Its failures count whatever was committed in
 * between, and each makes a new generation_attempt; after the last nothing of it is kept but the sentences' sounds.
 *
 * A job of kind `download` makes a narration's MP3 (job/repo_download.c): nobody sees it, it is a conversion of the segments, and
 * goes with the narration.
 *
 * A claim's number is the fencing token: every write of a worker names it, and fails with ERR_LOST if the row has moved on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "proto/task.h"
#include "store/store.h"

#define USER_ID_MAX 256 /* bytes of a token's subject */
#define CHUNK_FAILURES_MAX 3
#define RENDITIONS_MAX TASK_RENDITIONS_MAX
#define RENDITION_LABEL_SIZE 64
#define RENDITION_NAME_SIZE 16

enum job_kind { JOB_LADDER = 1, JOB_ANALYZE = 2, JOB_CONVERT = 3, JOB_NARRATION = 4, JOB_DOWNLOAD = 5 };
enum job_status {
	JOB_PENDING = 1,
	JOB_PROCESSING,
	JOB_STREAMING,
	JOB_COMPLETED,
	JOB_FAILED,
	JOB_CANCELED,
	JOB_DELETING, /* shown to nobody */
};
const char *job_kind_name(enum job_kind kind);     /* "ladder" */
const char *job_status_name(enum job_status status); /* "pending" */
bool job_kind_parse(const char *name, enum job_kind *ret);
bool job_status_parse(const char *name, enum job_status *ret);
bool job_status_is_final(enum job_status status); /* completed, failed, canceled */

/* Within a job the lower kinds come first. */
enum chunk_kind {
	CHUNK_LADDER = 1,
	CHUNK_FINISH = 2,
	CHUNK_ANALYZE = 3,
	CHUNK_MEASURE = 4,
	CHUNK_CONVERT = 5,
	CHUNK_JOIN = 6,
	CHUNK_NARRATE = 7,
};
enum chunk_state { CHUNK_WAITING = 1, CHUNK_READY, CHUNK_RUNNING, CHUNK_DONE, CHUNK_FAILED, CHUNK_CANCELED };

/* What hasn't become ready so long after its last byte came is removed. */
#define UPLOAD_LIFETIME_MS (24 * 3600 * INT64_C(1000))
/* A narration's stream, from its creation. */
#define NARRATION_LIFETIME_MS (24 * 3600 * INT64_C(1000))
/* A narration's MP3, and with it the narration, from when it was made. */
#define DOWNLOAD_LIFETIME_MS (7 * 24 * 3600 * INT64_C(1000))
/* A conversion, from its creation and again from its completion. */
#define CONVERSION_LIFETIME_MS (7 * 24 * 3600 * INT64_C(1000))
/* Of a file's by-products. */
enum analysis_state {
	ANALYSIS_OFF = 0, /* none was asked for */
	ANALYSIS_PENDING,
	ANALYSIS_DONE,
	ANALYSIS_FAILED, /* nothing could be made; why is in analysis_json */
};
const char *analysis_state_name(enum analysis_state state); /* "pending" */

/* An uploaded file. Owned strings are freed by file_release. */
struct file {
	char id[UUID_SIZE];
	char user_id[USER_ID_MAX + 1];
	char *name;	    /* as the client called it; UTF-8, for display only */
	char *content_type; /* as the client called it */
	char *key;	    /* in the store */
	uint64_t size_bytes;
	char sha256[SHA256_HEX_SIZE];
	bool ready;	 /* false while it is arriving */
	char *probe_json; /* job/probe_json.h; NULL until it is ready */
	enum analysis_state analysis;
	char *analysis_json; /* job/analysis.h; NULL until it is done or failed */
	int64_t created_ms, updated_ms;
};
void file_release(struct file *f);

struct job {
	char id[UUID_SIZE];
	char user_id[USER_ID_MAX + 1];
	enum job_kind kind;
	enum job_status status;
	char *params_json; /* validated and complete, as planned */
	char file_id[UUID_SIZE];
	char *source_key; /* of the input in the store */
	uint64_t source_bytes;
	char *source_name; /* as its file was called: for people */
	char *prefix;	  /* of its objects: "hls/{user}/{job}" (no trailing slash; "" in one-shot runs); a conversion's:
			     the key of its file */
	char *spec_json;  /* struct job_plan's */
	int64_t duration_ticks; /* planned length in 1/90000 s */
	uint32_t segment_count;	   /* planned, corrected when the source ended early or late */
	uint32_t target_duration_s;
	uint32_t rendition_count;
	uint32_t visible_segments; /* what every playlist lists; only rises */
	uint32_t published_segments; /* how many the stored playlist objects list */
	bool ended;		   /* playlists carry EXT-X-ENDLIST */
	double percent;		   /* never falls */
	double speed;		   /* media seconds per second; 0: not known */
	double eta_seconds;	   /* < 0: not known */
	char stage[24];		   /* "queued", "encoding", "measuring", "converting", "finishing", "done" */
	uint32_t generation_attempt; /* from 1 */
	char error_code[40];
	char *error_message; /* NULL: none */
	char *result_json;   /* of a completed conversion; NULL: none */
	char *download_key;  /* of a narration: its MP3; "": not made */
	int64_t stream_until_ms; /* of a narration: when its stream goes; 0: with the job */
	char parent_id[UUID_SIZE]; /* of a download: its narration */
	int64_t grace_ms;	   /* of a download: how long the stream stays once the file is there */
	int64_t removed_ms;  /* its file was removed after a download; 0: it was not */
	bool error_retriable;
	int64_t created_ms, updated_ms;
	int64_t started_ms;   /* first claim; 0: not yet */
	int64_t streaming_ms; /* first visible segment; 0: not yet */
	int64_t finished_ms;  /* final state; 0: not yet */
	int64_t expires_ms;   /* 0: never */
	int64_t revision;     /* rises by every change that a user can see; unique over all jobs of a database */
};
void job_release(struct job *j);

enum rendition_kind { RENDITION_VIDEO = 1, RENDITION_AUDIO, RENDITION_SUBTITLES };

struct rendition {
	uint32_t index; /* rungs from 0, then audios, then subtitles: as in struct ladder_spec */
	enum rendition_kind kind;
	char name[RENDITION_NAME_SIZE]; /* "1080p", "audio", "audio2", "subs": also its folder under the job's prefix */
	uint32_t width, height;		/* 0 but for video */
	uint32_t frame_rate_milli;	/* 0 but for video */
	uint32_t channels;		/* 0 but for audio */
	char language[16];		/* RFC 5646; empty: unknown */
	char label[RENDITION_LABEL_SIZE]; /* the track's title as the container has it; empty: none */
	bool is_default;		/* of its kind, what plays unless somebody chooses; of audio exactly one */
	bool forced;			/* subtitles for what is foreign in the film itself */
	bool commentary, hearing_impaired, visual_impaired; /* as the container marks the track */
	uint32_t timescale;		/* of its segments' ticks */
	uint64_t declared_bps;		/* cap that the multivariant playlist declares while it is being made */
	uint64_t peak_bps, average_bps; /* measured; 0 until the job is finished */
	bool has_iframes;		/* its segments' rows say where their I-frames are */
	uint64_t iframe_peak_bps, iframe_average_bps; /* of the playlist of I-frames alone; as above */
	bool init_committed;
	char codecs[64]; /* empty until init_committed */
	uint64_t init_bytes;
	char init_sha256[SHA256_HEX_SIZE];
};

/* A segment of one rendition; planned (committed = false) or committed. Its key is derived: job/keys.h. */
struct segment {
	uint32_t rendition, index;
	bool committed;
	int64_t start_ticks, duration_ticks; /* of the rendition's timescale */
	uint64_t bytes;
	char sha256[SHA256_HEX_SIZE];
	uint32_t iframe_count; /* committed video only */
	struct task_iframe iframes[TASK_IFRAMES_MAX];
};

/* A run of segments of all renditions; the unit of work. */
struct chunk {
	char job_id[UUID_SIZE];
	uint32_t index;
	enum chunk_kind kind;
	uint32_t first_segment, segment_count; /* of a conversion: in frames of its codec's grid */
	bool last; /* the last with media: open-ended */
	enum chunk_state state;
	uint32_t claims; /* how often it was claimed: the fencing token */
	uint32_t failures; /* of its own, since its last committed segment */
	int64_t weight_ticks; /* its share of the job's duration, 1/90000 s */
	int64_t done_ticks;
};

/* A chunk before it is a row. */
struct plan_chunk {
	enum chunk_kind kind;
	uint32_t first_segment, segment_count;
	bool last;
	bool waits; /* until all of lower kinds are done */
	int64_t weight_ticks;
};

/* What is planned of a job, of whatever kind: what the repository makes rows of. Borrows everything; each kind's planner
 * makes one (job/plan.h: ladder_job_plan). A job without segments has no renditions either. */
struct job_plan {
	const char *spec_json; /* constants for the handlers of its chunks, in a form of the kind's own */
	int64_t duration_ticks;
	uint32_t target_duration_s;
	uint32_t rendition_count;
	const struct rendition *renditions;
	uint32_t segment_count;
	const int64_t *video_ticks;  /* segment_count + 1 boundaries, or NULL without video */
	const int64_t *audio_frames; /* segment_count + 1 boundaries, or NULL without audio */
	uint32_t chunk_count;
	const struct plan_chunk *chunks;
};

/* What a worker holds after a claim. */
struct claim {
	struct chunk chunk;
	struct job job;
	char worker_id[96];
	int64_t lease_ms; /* how long a heartbeat prolongs it */
};
void claim_release(struct claim *c);
