/* Playlists from rows: pure functions from values to text (RFC 8216 and its successor draft, "bis").
 *
 * The same values always give the same bytes; nothing here reads a clock, a database or a store. What may be listed is
 * the caller's promise (only committed segments); how it is written, and that it obeys the rules, is this folder's.
 *
 *   struct hls_media m = { .type = HLS_EVENT, .target_duration_s = 4, .timescale = 90000, … };
 *   struct buf text;
 *   buf_init(&text, HLS_PLAYLIST_MAX_BYTES);
 *   hls_render_media(&m, &text, e);
 *
 * Durations and times are integer ticks of a timescale (ticks per second), so that sums are exact.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define HLS_PLAYLIST_MAX_BYTES (16u << 20)
#define HLS_CONTENT_TYPE "application/vnd.apple.mpegurl"

/* Turns an object's relative URI ("v0/segment_000.m4s") into what the playlist's line shows: itself, or an absolute signed
 * URL. Appends to `out`; called once per line, in order. NULL: the relative URI as it is. */
typedef bool (*hls_uri_fn)(void *ctx, const char *relative_uri, struct buf *out);

struct hls_segment {
	int64_t duration_ticks; /* > 0 */
	const char *uri;	/* relative to the playlist */
	int64_t date_ms;	/* EXT-X-PROGRAM-DATE-TIME, UTC; 0: not written */
	bool discontinuity;	/* EXT-X-DISCONTINUITY before it */
};

/* HLS_WINDOW: a live list that segments leave at the front (RFC 8216, 6.2.2); it has no EXT-X-PLAYLIST-TYPE. */
enum hls_playlist_type { HLS_EVENT, HLS_VOD, HLS_WINDOW };

struct hls_media {
	enum hls_playlist_type type;
	uint32_t target_duration_s;
	uint32_t timescale;
	const char *map_uri; /* fMP4's init segment; NULL for TS */
	const struct hls_segment *segments;
	size_t segment_count; /* the committed prefix that is visible; of HLS_WINDOW those that have not left */
	/* HLS_WINDOW alone: how many segments, and how many EXT-X-DISCONTINUITY, have left it. They never fall. */
	uint64_t media_sequence, discontinuity_sequence;
	bool ended;	      /* writes EXT-X-ENDLIST */
	bool start_at_zero;   /* writes EXT-X-START:TIME-OFFSET=0: every version of an EVENT list, the ended one too,
			       * because it may only be appended to */
	hls_uri_fn uri_fn;
	void *uri_ctx;
};

/* An I-frame as a range of the segment that holds it. */
struct hls_iframe {
	int64_t duration_ticks; /* to the next I-frame, or to the end of the media; > 0 */
	uint64_t offset, size_bytes;
	const char *uri; /* of the segment */
};

/* The playlist of a rendition's I-frames, for seeking with pictures (RFC 8216, 4.3.3.6). As struct hls_media. */
struct hls_iframes {
	enum hls_playlist_type type;
	uint32_t target_duration_s;
	uint32_t timescale;
	const char *map_uri;
	const struct hls_iframe *iframes;
	size_t iframe_count;
	bool ended;
	hls_uri_fn uri_fn;
	void *uri_ctx;
};

struct hls_variant {
	uint64_t bandwidth_bps;		/* peak, audio of its group included */
	uint64_t average_bandwidth_bps; /* 0: not known yet, not written */
	const char *codecs;		/* RFC 6381, audio included, e.g. "avc1.4d401f,mp4a.40.2" */
	uint32_t width, height;		/* 0 for audio */
	uint32_t frame_rate_milli;	/* thousandths of a frame per second, e.g. 29970; 0: not written */
	const char *audio_group;	/* NULL: none */
	const char *subtitle_group;	/* NULL: none */
	const char *uri;
};

enum hls_rendition_type { HLS_AUDIO, HLS_SUBTITLES };

/* An EXT-X-MEDIA; the others of its group are those of the same type and group_id. */
struct hls_rendition {
	enum hls_rendition_type type;
	const char *group_id;
	const char *name;
	const char *language; /* RFC 5646; NULL: not written */
	bool is_default;
	bool autoselect; /* a player may choose it by itself, by its language; a default one it may anyway */
	bool forced;	 /* subtitles only */
	const char *characteristics; /* media characteristic tags with commas between; NULL: none */
	uint32_t channels;	     /* audio only */
	const char *uri;	     /* NULL (audio only): it is the variants' own */
};

struct hls_iframe_variant {
	uint64_t bandwidth_bps;		/* peak of its ranges alone */
	uint64_t average_bandwidth_bps; /* 0: not known yet, not written */
	const char *codecs;		/* of the video alone */
	uint32_t width, height;
	const char *uri;
};

struct hls_multivariant {
	const struct hls_variant *variants;
	size_t variant_count;
	const struct hls_iframe_variant *iframes;
	size_t iframe_count;
	const struct hls_rendition *renditions;
	size_t rendition_count;
	hls_uri_fn uri_fn;
	void *uri_ctx;
};

/* Append the whole playlist to `out`, or nothing. Fails with ERR_TOO_LARGE (buffer), ERR_INVALID (a value that no valid
 * playlist can carry: no segments, zero duration, one above the target duration, a quote in an attribute, a VOD list that
 * is not ended…), ERR_INTERNAL (uri_fn failed). EXT-X-VERSION is the lowest that holds (a multivariant list without
 * groups needs none). EXTINF has six decimals, rounded to nearest. Video is SDR:
 * that is all that is made. */
int hls_render_media(const struct hls_media *m, struct buf *out, struct err *e) MR_MUST_USE;
int hls_render_iframes(const struct hls_iframes *m, struct buf *out, struct err *e) MR_MUST_USE;
int hls_render_multivariant(const struct hls_multivariant *m, struct buf *out, struct err *e) MR_MUST_USE;

/* The smallest EXT-X-TARGETDURATION that these durations allow: the maximum of round(duration), at least 1. Durations
 * that are not > 0 count for nothing. */
uint32_t hls_target_duration(const struct hls_segment *segments, size_t count, uint32_t timescale);

struct hls_bitrate_segment {
	int64_t duration_ticks;
	uint64_t bytes;
};
/* BANDWIDTH and AVERAGE-BANDWIDTH as bis 4.4.6.2 defines them: the peak over every run of contiguous segments that lasts
 * 0.5–1.5 target durations, and the average over all. Bits per second, rounded up. Count 0 gives 0 and 0. A list whose
 * every run is shorter (a single short segment) gives the rate of the whole. The peak is never below the average, even
 * where a short segment beside a long one is in no run that counts. A duration that is not > 0 counts as no time. */
void hls_measure_bandwidth(const struct hls_bitrate_segment *segments, size_t count, uint32_t timescale,
			   uint32_t target_duration_s, uint64_t *ret_peak_bps, uint64_t *ret_average_bps);
