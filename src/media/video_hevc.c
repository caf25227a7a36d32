/* libx265 set up for chunks: see video_hevc.h. */
#include "media/video_hevc.h"

#include <inttypes.h>
#include <libavutil/opt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* The slowest that keeps up: against x264's veryfast (480p animation, equal SSIM) it takes 2.5 times the CPU for 0.58 times
 * the bytes; superfast 2.3 times for 0.68. */
#define PRESET "veryfast"
/* A picture has to hold a coding tree block; the preset's are 64 wide. */
#define CTU_MAX 64
#define CTU_MIN 16

/* keyint=-1: every IDR is one that was asked for (cadence.c). pools=none, frame-threads=1 (and so no wavefronts): one
 * picture after the other, each by one thread, which alone gives equal bytes. info: x265 would write its version and options
 * into the headers. rc-lookahead: each picture ahead is held, 7 MB at 1080p; 10 instead of 15 costs no bytes. high-tier: the
 * plan's levels are of the Main tier. b-pyramid of three: reorders by VIDEO_REORDER_FRAMES. */
#define X265_PARAMS                                                                                                    \
	"keyint=-1:min-keyint=1:scenecut=0:open-gop=0:bframes=3:b-pyramid=1:pools=none:frame-threads=1:wpp=0:info=0:"  \
	"hrd=0:repeat-headers=0:rc-lookahead=10:high-tier=0:log-level=none"

static uint32_t ctu_for(const struct ladder_rung *rung)
{
	uint32_t shorter = rung->width < rung->height ? rung->width : rung->height, ctu = CTU_MAX;
	while (ctu > CTU_MIN && ctu > shorter)
		ctu /= 2;
	return ctu;
}

int video_hevc_set(AVCodecContext *c, const struct ladder_rung *rung)
{
	char params[400];
	(void)snprintf(params, sizeof(params), X265_PARAMS ":level-idc=%" PRIu32 ":ctu=%" PRIu32, rung->level_x10,
		       ctu_for(rung));
	int r = av_opt_set(c->priv_data, "preset", PRESET, 0);
	if (r >= 0)
		r = av_opt_set_double(c->priv_data, "crf", rung->crf_x10 / 10.0, 0);
	if (r >= 0)
		r = av_opt_set(c->priv_data, "profile", rung->profile, 0);
	if (r >= 0)
		r = av_opt_set_int(c->priv_data, "forced-idr", 1, 0);
	if (r >= 0)
		r = av_opt_set(c->priv_data, "x265-params", params, 0);
	return r;
}

/* ---- RFC 6381 ---- */

#define NAL_SPS 33
#define PROFILE_OFFSET 1 /* in the SPS: behind the ids that take one byte (H.265, 7.3.2.2) */
#define PROFILE_BYTES 12 /* space, tier and profile; compatibility; constraints; level (7.3.3) */
#define CONSTRAINT_BYTES 6

/* The SPS' first bytes without the bytes that keep start codes out (7.3.1.1). */
static bool sps_start(const uint8_t *b, size_t len, uint8_t out[PROFILE_OFFSET + PROFILE_BYTES])
{
	for (size_t i = 0; i + 5 < len; i++) {
		if (b[i] != 0 || b[i + 1] != 0 || b[i + 2] != 1 || (b[i + 3] >> 1 & 0x3f) != NAL_SPS)
			continue;
		size_t n = 0, zeros = 0;
		for (size_t k = i + 5; k < len && n < PROFILE_OFFSET + PROFILE_BYTES; k++) {
			bool inserted = zeros >= 2 && b[k] == 3;
			zeros = b[k] == 0 ? zeros + 1 : 0;
			if (!inserted)
				out[n++] = b[k];
		}
		return n == PROFILE_OFFSET + PROFILE_BYTES;
	}
	return false;
}

static uint32_t reversed(const uint8_t *b)
{
	uint32_t r = 0;
	for (unsigned bit = 0; bit < 32; bit++)
		r |= (uint32_t)(b[bit / 8] >> (7 - bit % 8) & 1) << bit;
	return r;
}

/* ISO/IEC 14496-15, annex E.3. */
int video_hevc_codec_string(const uint8_t *annex_b, size_t len, char *out, size_t out_size, struct err *e)
{
	static const char *const spaces[] = { "", "A", "B", "C" };
	uint8_t sps[PROFILE_OFFSET + PROFILE_BYTES];
	if (!sps_start(annex_b, len, sps))
		return err_set(e, ERR_INTERNAL, "the encoder gave no sequence parameters");
	const uint8_t *p = sps + PROFILE_OFFSET, *constraints = p + 5;
	int n = snprintf(out, out_size, "hvc1.%s%u.%" PRIX32 ".%c%u", spaces[p[0] >> 6], p[0] & 0x1fu, reversed(p + 1),
			 p[0] & 0x20 ? 'H' : 'L', p[11]);
	size_t used = n < 0 ? 0 : (size_t)n, last = CONSTRAINT_BYTES;
	while (last > 0 && constraints[last - 1] == 0) /* trailing zeros are left out */
		last--;
	for (size_t i = 0; i < last && used < out_size; i++, used += 3)
		(void)snprintf(out + used, out_size - used, ".%02X", constraints[i]);
	return used < out_size ? 0 : err_set(e, ERR_INTERNAL, "the codec's name is too long");
}
