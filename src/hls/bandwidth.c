/* BANDWIDTH and AVERAGE-BANDWIDTH measured from what was made (RFC 8216, 4.1 and 4.3.4.2). Runs in the worker when a
 * rendition ends. Integers throughout, so that the playlist's bytes don't depend on a compiler's floating point. */
#include "hls/playlist.h"

typedef unsigned __int128 u128;

struct run {
	u128 bytes;
	u128 ticks;
};

static u128 lasting(const struct hls_bitrate_segment *s)
{
	return s->duration_ticks > 0 ? (uint64_t)s->duration_ticks : 0;
}

static void run_add(struct run *r, const struct hls_bitrate_segment *s)
{
	r->bytes += s->bytes;
	r->ticks += lasting(s);
}

static void run_subtract(struct run *r, const struct hls_bitrate_segment *s)
{
	r->bytes -= s->bytes;
	r->ticks -= lasting(s);
}

/* Bits per second, rounded up; 0 where no time passes. */
static uint64_t run_rate(const struct run *r, uint32_t timescale)
{
	if (!r->ticks)
		return 0;
	u128 bps = (r->bytes * 8 * timescale + r->ticks - 1) / r->ticks;
	return bps > UINT64_MAX ? UINT64_MAX : (uint64_t)bps;
}

/* Window [first, last] is the longest run up to `last` that isn't too long; from there the starts move on while the run
 * is long enough. So each run that counts is looked at once and no other. */
static uint64_t peak_rate(const struct hls_bitrate_segment *segments, size_t count, uint32_t timescale,
			  uint32_t target_duration_s)
{
	u128 target_ticks = (u128)timescale * target_duration_s;
	struct run window = { 0 };
	uint64_t peak = 0;
	size_t first = 0;
	for (size_t last = 0; last < count; last++) {
		run_add(&window, &segments[last]);
		while (2 * window.ticks > 3 * target_ticks)
			run_subtract(&window, &segments[first++]);
		struct run r = window;
		for (size_t start = first; start <= last && 2 * r.ticks >= target_ticks; start++) {
			uint64_t rate = run_rate(&r, timescale);
			if (rate > peak)
				peak = rate;
			run_subtract(&r, &segments[start]);
		}
	}
	return peak;
}

void hls_measure_bandwidth(const struct hls_bitrate_segment *segments, size_t count, uint32_t timescale,
			   uint32_t target_duration_s, uint64_t *ret_peak_bps, uint64_t *ret_average_bps)
{
	struct run all = { 0 };
	for (size_t i = 0; i < count; i++)
		run_add(&all, &segments[i]);
	uint64_t average = run_rate(&all, timescale);
	uint64_t peak = peak_rate(segments, count, timescale, target_duration_s);
	*ret_peak_bps = peak > average ? peak : average;
	*ret_average_bps = average;
}
