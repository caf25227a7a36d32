/* How a source's pictures are to be looked at: its colours, its light, which way up; and how its decoded frames become upright
 * 8-bit 4:2:0 in video range with standard light (SDR). Runs in the task; pure.
 *
 *   struct video_look look = video_look_of(stream);
 *   video_look_upright(&look, 90, &text);                       // "transpose=clock,"
 *   video_look_scale(&look, frame, 1280, 720, SCALER, &text);   // "scale=1280:720:…,format=yuv420p,setsar=1"
 *
 * PQ and HLG are tone-mapped to BT.709: in linear light where 1.0 is 100 cd/m², by Hable's curve, whose white is the peak
 * that the container tells (MaxCLL, else the mastering display's), or 1000 cd/m². The stream's header alone decides: frames'
 * own metadata may come and go, and chunks would differ. Pictures of a wider gamut with standard light (BT.2020, P3) are
 * converted to BT.709. All others keep the colours that they came with and the tags that say so.
 */
#pragma once

#include <libavformat/avformat.h>
#include <stdbool.h>

#include "base/buf.h"

/* How the output's colours are to be read. The same for every rung, or a player would guess by each rung's size and the
 * colours would jump when it switches. */
struct video_color {
	enum AVColorSpace space;
	enum AVColorPrimaries primaries;
	enum AVColorTransferCharacteristic transfer;
};

enum video_light { LIGHT_AS_IT_IS, LIGHT_WIDE_GAMUT, LIGHT_PQ, LIGHT_HLG };

struct video_look {
	struct video_color out; /* the source's own tags, or a guess by its size where it has none; BT.709 if converted */
	enum video_light light;
	enum AVColorSpace space; /* of the source, if light is converted */
	enum AVColorPrimaries primaries;
	double peak;   /* PQ, HLG: the brightest light, in units of 100 cd/m² */
	bool mirrored; /* besides being turned */
};

/* `stream` NULL: black pictures. */
struct video_look video_look_of(const AVStream *stream);
/* True for light that cannot be shown right: Dolby Vision profile 5, whose colours mean nothing to others. */
bool video_look_unsupported(const AVStream *stream);
/* Appends filters (each with a comma behind) that turn pictures by `degrees` clockwise, and mirror them. */
void video_look_upright(const struct video_look *look, uint32_t degrees, struct buf *out);
/* Appends filters that make frames like `in` yuv420p of width × height. */
void video_look_scale(const struct video_look *look, const AVFrame *in, uint32_t width, uint32_t height, const char *scaler,
		      struct buf *out);
