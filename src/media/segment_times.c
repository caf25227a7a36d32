/* Times of a segment's packets: see segment_times.h. */
#include "media/segment_times.h"

#include <stdlib.h>

#include "base/mem.h"

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int64_t *sorted_pts(const struct segment_input *in)
{
	int64_t *sorted = mr_calloc(in->count, sizeof(*sorted));
	for (size_t i = 0; i < in->count; i++)
		sorted[i] = in->packets[i]->pts;
	qsort(sorted, in->count, sizeof(*sorted), compare_times);
	return sorted;
}

void segment_video_times(struct segment_input *in, int64_t shift)
{
	_cleanup_free_ int64_t *sorted = sorted_pts(in);
	const size_t n = in->count, d = in->reorder_frames;
	const int64_t step = in->lead_ticks / in->reorder_frames;
	const int64_t next_first = in->end - in->lead_ticks; /* where the next segment's decoding begins */
	for (size_t k = 0; k < n; k++) {
		int64_t dts = k < d ? in->start - (int64_t)(d - k) * step : sorted[k - d];
		int64_t latest = next_first - (int64_t)(n - k);
		in->packets[k]->dts = (dts < latest ? dts : latest) + shift;
		in->packets[k]->pts += shift;
	}
	for (size_t k = 0; k < n; k++)
		in->packets[k]->duration = (k + 1 < n ? in->packets[k + 1]->dts : next_first + shift) - in->packets[k]->dts;
}
