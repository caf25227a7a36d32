/* Rules between playlists: versions of one EVENT list, and renditions of one presentation. Runs in the worker before a
 * version is stored, and in tests on what was fetched. Time linear in the texts; no allocation. */
#include "hls/check.h"

#include <inttypes.h>
#include <string.h>

#include "hls/check_lex.h"

static struct hls_slice line_around(const char *text, size_t len, size_t at)
{
	size_t start = at;
	while (start && text[start - 1] != '\n')
		start--;
	const char *lf = memchr(text + at, '\n', len - at);
	size_t end = lf ? (size_t)(lf - text) : len;
	if (end > start && text[end - 1] == '\r')
		end--;
	return (struct hls_slice){ text + start, end - start };
}

/* RFC 8216, 4.3.3.5: an EVENT list may only be appended to. So the older text is how the newer one begins, byte for
 * byte: that alone keeps its constants (TARGETDURATION, VERSION, MAP), its signed URLs and its segments as they were.
 */
static int check_prefix(const char *previous, size_t previous_len, const char *next, size_t next_len, struct err *e)
{
	size_t same = 0, line = 1;
	for (; same < previous_len && same < next_len && previous[same] == next[same]; same++)
		line += previous[same] == '\n';
	if (same == previous_len)
		return 0;
	struct hls_slice was = line_around(previous, previous_len, same);
	if (same == next_len)
		return hls_refuse(e, "append-only", line, "\"%.*s\" is gone (RFC 8216, 4.3.3.5)", HLS_SHOW(was));
	struct hls_slice is = line_around(next, next_len, same);
	return hls_refuse(e, "append-only", line, "\"%.*s\" became \"%.*s\" (RFC 8216, 4.3.3.5)", HLS_SHOW(was),
			  HLS_SHOW(is));
}

int hls_check_event_growth(const char *previous, size_t previous_len, const char *next, size_t next_len, struct err *e)
{
	struct err why;
	struct hls_media_facts was, is;
	if (hls_check_media(previous, previous_len, &was, &why) < 0) {
		(void)err_wrap(&why, "the version before");
		return err_copy(e, &why);
	}
	int r = hls_check_media(next, next_len, &is, e);
	if (r < 0)
		return r;
	if (!was.event || !is.event)
		return hls_refuse(e, "playlist-type", 0, "only an EVENT list grows, the %s is none",
				  was.event ? "next version" : "version before");
	if (was.ended)
		return hls_refuse(e, "endlist", 0, "a version behind the one with EXT-X-ENDLIST");
	r = check_prefix(previous, previous_len, next, next_len, e);
	if (r < 0)
		return r;
	if (is.segment_count == was.segment_count && !is.ended)
		return hls_refuse(e, "growth", 0, "neither a new segment nor EXT-X-ENDLIST, still %zu segments",
				  is.segment_count);
	return 0;
}

static int check_pair(const struct hls_media_facts *a, const struct hls_media_facts *b, size_t index, struct err *e)
{
	if (a->target_duration_s != b->target_duration_s)
		return hls_refuse(e, "lockstep", 0,
				  "rendition %zu has a target duration of %" PRIu32 ", rendition 0 of %" PRIu32, index,
				  b->target_duration_s, a->target_duration_s);
	if (a->segment_count != b->segment_count)
		return hls_refuse(e, "lockstep", 0, "rendition %zu has %zu segments, rendition 0 has %zu", index,
				  b->segment_count, a->segment_count);
	if (a->ended != b->ended)
		return hls_refuse(e, "lockstep", 0, "rendition %zu has %s, rendition 0 has %s", index,
				  b->ended ? "ended" : "not ended", a->ended ? "ended" : "not");
	return 0;
}

int hls_check_lockstep(const struct hls_media_facts *facts, size_t count, double frame_s, struct err *e)
{
	if (!count)
		return 0;
	size_t shortest = 0, longest = 0;
	for (size_t i = 1; i < count; i++) {
		int r = check_pair(&facts[0], &facts[i], i, e);
		if (r < 0)
			return r;
		if (facts[i].total_seconds < facts[shortest].total_seconds)
			shortest = i;
		if (facts[i].total_seconds > facts[longest].total_seconds)
			longest = i;
	}
	/* Each printed duration is off by up to half a microsecond, in either list. */
	double printed_s = 1e-6 * (double)facts[0].segment_count;
	double apart_s = facts[longest].total_seconds - facts[shortest].total_seconds;
	if (apart_s > frame_s + printed_s)
		return hls_refuse(
			e, "lockstep", 0, "rendition %zu lasts %.6f s and rendition %zu %.6f s, more than %.6f s apart",
			longest, facts[longest].total_seconds, shortest, facts[shortest].total_seconds, frame_s);
	return 0;
}

int hls_check_iframes(const struct hls_media_facts *iframes, const struct hls_media_facts *media, struct err *e)
{
	if (!iframes->iframes_only || media->iframes_only)
		return hls_refuse(e, "iframes", 0, "%s (RFC 8216, 4.3.3.6)",
				  media->iframes_only ? "the rendition's own list is I-frames only" : "no EXT-X-I-FRAMES-ONLY");
	if (iframes->target_duration_s != media->target_duration_s || iframes->ended != media->ended)
		return hls_refuse(e, "iframes", 0, "the rendition has another target duration, or only one of the two has ended");
	if (iframes->segment_count < media->segment_count)
		return hls_refuse(e, "iframes", 0, "%zu I-frames of %zu segments", iframes->segment_count, media->segment_count);
	double printed_s = 1e-6 * (double)iframes->segment_count;
	double apart_s = iframes->total_seconds - media->total_seconds;
	if (apart_s > printed_s || -apart_s > printed_s)
		return hls_refuse(e, "iframes", 0, "the I-frames last %.6f s, the rendition %.6f s", iframes->total_seconds,
				  media->total_seconds);
	return 0;
}
