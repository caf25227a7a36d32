/* The ladder's table. The bit rates are caps (capped CRF): quality is even, and simple content stays far below them. */
#include "job/plan_rungs.h"

#include <string.h>

#include "base/mem.h"
#include "job/plan_codecs.h"

#define SIDE_MAX 16384 /* what an H.264 encoder takes */
#define HEVC_SIDE_MIN 16
/* HEVC that looks the same (SSIM) takes 0.58 times the bytes on animation, more on grain: Apple's table of rates (Authoring
 * Specification, appendix) has 0.75. */
static const struct {
	uint32_t crf_x10;
	double maxrate_ratio;
} codecs[VIDEO_CODECS] = { [VIDEO_H264] = { 230, 1 }, [VIDEO_HEVC] = { 260, 0.7 } };
/* The rungs that a user gets without asking: none above the source, the source's own size on top where the table is far
 * off. */
static const uint32_t default_sides[] = { 1080, 720, 480, 360, 240 };

/* Small rungs are for thin connections and small screens: below this side one that isn't the largest has an even part of a fast
 * source's frames (60: 30; 50: 25; 120: 30), unless it says how many. */
#define FULL_RATE_SIDE_MIN 480
#define FAST_FPS 35.0
#define SMALL_FPS 30.5 /* 30 and a variable rate's rounding */

/* maxrate by picture area at up to 30 frames a second; between the rows it is interpolated. */
static const struct {
	double pixels;
	double maxrate_bps;
} rates[] = {
	{ 176 * 144, 150e3 },   { 426 * 240, 350e3 },    { 640 * 360, 800e3 },    { 854 * 480, 1400e3 },
	{ 1280 * 720, 2800e3 }, { 1920 * 1080, 5000e3 }, { 2560 * 1440, 9000e3 }, { 3840 * 2160, 16000e3 },
};

/* ITU-T H.264 table A-1: level, macroblocks a second, macroblocks a frame, kbit/s (Main; High allows 1.25 times that),
 * which is no more than the kbit of its buffer. */
static const struct {
	uint32_t level_x10, mb_rate, mb_frame, kbps;
} levels[] = {
	{ 10, 1485, 99, 64 },          { 11, 3000, 396, 192 },        { 12, 6000, 396, 384 },
	{ 13, 11880, 396, 768 },       { 20, 11880, 396, 2000 },      { 21, 19800, 792, 4000 },
	{ 22, 20250, 1620, 4000 },     { 30, 40500, 1620, 10000 },    { 31, 108000, 3600, 14000 },
	{ 32, 216000, 5120, 20000 },   { 40, 245760, 8192, 20000 },   { 42, 522240, 8704, 50000 },
	{ 50, 589824, 22080, 135000 }, { 51, 983040, 36864, 240000 }, { 52, 2073600, 36864, 240000 },
};

/* ITU-T H.265 tables A.8 and A.9, Main tier: level, luma samples a picture, samples a second, kbit/s, which is also the kbit of
 * the buffer but for the first. No side may be longer than the root of eight times the samples. */
static const struct {
	uint32_t level_x10, samples;
	uint64_t sample_rate;
	uint32_t kbps;
} hevc_levels[] = {
	{ 10, 36864, 552960, 128 },	     { 20, 122880, 3686400, 1500 },	  { 21, 245760, 7372800, 3000 },
	{ 30, 552960, 16588800, 6000 },	     { 31, 983040, 33177600, 10000 },	  { 40, 2228224, 66846720, 12000 },
	{ 41, 2228224, 133693440, 20000 },   { 50, 8912896, 267386880, 25000 },	  { 51, 8912896, 534773760, 40000 },
	{ 52, 8912896, 1069547520, 60000 },  { 60, 35651584, 1069547520, 60000 }, { 61, 35651584, 2139095040, 120000 },
};

static uint32_t maxrate_for(uint32_t width, uint32_t height, double fps)
{
	double px = (double)width * height;
	size_t last = MR_ARRAY_SIZE(rates) - 1;
	double rate = rates[last].maxrate_bps * (px / rates[last].pixels);
	if (px <= rates[0].pixels)
		rate = rates[0].maxrate_bps;
	for (size_t i = 1; i <= last; i++)
		if (px > rates[i - 1].pixels && px <= rates[i].pixels) {
			double t = (px - rates[i - 1].pixels) / (rates[i].pixels - rates[i - 1].pixels);
			rate = rates[i - 1].maxrate_bps + t * (rates[i].maxrate_bps - rates[i - 1].maxrate_bps);
		}
	if (fps > 35)
		rate *= 1.5;
	return (uint32_t)(rate / 1000 + 0.5) * 1000;
}

static uint32_t hevc_level_for(const struct ladder_rung *r, double fps)
{
	const uint64_t samples = (uint64_t)r->width * r->height;
	const uint64_t side = r->width > r->height ? r->width : r->height;
	for (size_t i = 0; i < MR_ARRAY_SIZE(hevc_levels); i++)
		if (samples <= hevc_levels[i].samples && side * side <= 8ULL * hevc_levels[i].samples &&
		    (double)samples * fps <= (double)hevc_levels[i].sample_rate &&
		    r->maxrate_bps <= hevc_levels[i].kbps * 1000ULL && r->bufsize_bits <= hevc_levels[i].kbps * 1000ULL)
			return hevc_levels[i].level_x10;
	return 62;
}

static uint32_t level_for(const struct ladder_rung *r, double fps)
{
	if (r->codec == VIDEO_HEVC)
		return hevc_level_for(r, fps);
	uint32_t mbs = (r->width + 15) / 16 * ((r->height + 15) / 16);
	for (size_t i = 0; i < MR_ARRAY_SIZE(levels); i++)
		if (mbs <= levels[i].mb_frame && mbs * fps <= levels[i].mb_rate &&
		    r->maxrate_bps <= levels[i].kbps * 1250ULL && r->bufsize_bits <= levels[i].kbps * 1250ULL)
			return levels[i].level_x10;
	return 62;
}

static uint32_t even(double v)
{
	uint32_t n = (uint32_t)(v / 2 + 0.5) * 2;
	return n < 2 ? 2 : n;
}

/* From one of its frames to the next, in ticks; 0: as in the source, which is `fps` on average. */
static uint32_t frame_ticks_for(const struct ladder_spec *spec, double fps, const struct rung_params *asked)
{
	double wanted = asked->frame_rate_milli / 1000.0;
	if (!asked->frame_rate_milli) {
		if (!spec->rung_count || asked->side >= FULL_RATE_SIDE_MIN || fps <= FAST_FPS)
			return 0;
		unsigned part = 2;
		while (fps / part > SMALL_FPS)
			part++;
		wanted = fps / part;
	}
	return (uint32_t)(VIDEO_TIMESCALE / wanted + 0.5);
}

static void add(struct ladder_spec *spec, uint32_t width, uint32_t height, double fps, enum video_codec codec,
		const struct rung_params *asked)
{
	uint32_t side = asked->side;
	bool portrait = height > width;
	uint32_t shorter = portrait ? width : height, longer = portrait ? height : width;
	const uint32_t frame_ticks = frame_ticks_for(spec, fps, asked);
	struct ladder_rung *r = &spec->rungs[spec->rung_count++];
	memset(r, 0, sizeof(*r));
	r->frame_ticks = frame_ticks;
	if (frame_ticks && fps > (double)VIDEO_TIMESCALE / frame_ticks)
		fps = (double)VIDEO_TIMESCALE / frame_ticks;
	uint32_t s = side, l = even((double)longer * side / shorter);
	if (side >= shorter - shorter % 2) { /* the source's own size: only made even, never scaled up */
		s = shorter < 2 ? 2 : shorter - shorter % 2;
		l = longer < 2 ? 2 : longer - longer % 2;
	}
	r->width = portrait ? s : l;
	r->height = portrait ? l : s;
	r->codec = codec;
	r->crf_x10 = asked->crf_x10 ? asked->crf_x10 : codecs[codec].crf_x10;
	r->maxrate_bps = asked->maxrate_bps;
	if (!r->maxrate_bps)
		r->maxrate_bps = (uint32_t)(maxrate_for(r->width, r->height, fps) * codecs[codec].maxrate_ratio);
	r->bufsize_bits = asked->bufsize_bits ? asked->bufsize_bits : r->maxrate_bps; /* one second */
	memcpy(r->profile, codec == VIDEO_HEVC ? "main" : "high", sizeof("high"));
	r->level_x10 = level_for(r, fps);
}

static int check_sides(const struct ladder_spec *spec, uint32_t width, uint32_t height, struct err *e)
{
	for (uint32_t i = 0; i < spec->rung_count; i++) {
		const struct ladder_rung *r = &spec->rungs[i];
		if (r->width > SIDE_MAX || r->height > SIDE_MAX)
			return err_set_code(e, ERR_MEDIA, "UNUSABLE_MEDIA",
					    "the picture is %ux%u: no side may be longer than %d", width, height,
					    SIDE_MAX);
		if (r->codec == VIDEO_HEVC && (r->width < HEVC_SIDE_MIN || r->height < HEVC_SIDE_MIN))
			return err_set(e, ERR_INVALID, "codecs: a picture of %ux%u is too small for \"hevc\"", r->width,
				       r->height);
	}
	return 0;
}

static void add_asked(uint32_t width, uint32_t height, double fps, uint32_t own, enum video_codec codec,
		      const struct ladder_params *asked, struct ladder_spec *spec)
{
	for (uint32_t i = 0; i < asked->rung_count; i++) {
		const struct rung_params *r = &asked->rungs[i];
		if (r->side <= own && ((r->codecs ? r->codecs : asked->codecs) & CODEC_BIT(codec)))
			add(spec, width, height, fps, codec, r);
	}
}

static void add_default(uint32_t width, uint32_t height, double fps, uint32_t own, enum video_codec codec,
			struct ladder_spec *spec)
{
	/* The table is far off the source if its nearest rung is below nine tenths of it. */
	uint32_t nearest = 0;
	for (size_t i = MR_ARRAY_SIZE(default_sides); i-- > 0;)
		if (default_sides[i] <= own)
			nearest = default_sides[i];
	if (own < default_sides[0] && nearest * 10 < own * 9)
		add(spec, width, height, fps, codec, &(struct rung_params){ .side = own });
	for (size_t i = 0; i < MR_ARRAY_SIZE(default_sides); i++)
		if (default_sides[i] <= own)
			add(spec, width, height, fps, codec, &(struct rung_params){ .side = default_sides[i] });
}

int plan_rungs(uint32_t width, uint32_t height, double fps, const struct ladder_params *asked, struct ladder_spec *spec,
	       struct err *e)
{
	width = width < 1 ? 1 : width;
	height = height < 1 ? 1 : height;
	uint32_t shorter = width < height ? width : height;
	uint32_t own = shorter < 2 ? 2 : shorter - shorter % 2;
	spec->rung_count = 0;
	for (uint32_t c = 0; c < VIDEO_CODECS; c++) {
		if (asked->rung_count)
			add_asked(width, height, fps, own, (enum video_codec)c, asked, spec);
		else if (asked->codecs & CODEC_BIT(c))
			add_default(width, height, fps, own, (enum video_codec)c, spec);
	}
	if (!spec->rung_count || spec->rungs[0].codec != VIDEO_H264)
		return err_set(e, ERR_INVALID,
			       "rungs: the source is %ux%u (%up), and every H.264 rung asked for is above that", width,
			       height, own);
	return check_sides(spec, width, height, e);
}

uint64_t plan_declared_video_bps(const struct ladder_rung *r, uint32_t target_duration_s)
{
	double peak = r->maxrate_bps + r->bufsize_bits / (0.5 * target_duration_s);
	return (uint64_t)(peak * 1.03) + 16000;
}
