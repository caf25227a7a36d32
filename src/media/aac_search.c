/* See aac_search.h. */
#include "media/aac_search.h"

#include <libavutil/opt.h>

#define LAMBDA_AT_START 280

int aac_search_quick(AVCodecContext *encoder)
{
	encoder->global_quality = LAMBDA_AT_START;
	return av_opt_set(encoder, "aac_coder", "fast", AV_OPT_SEARCH_CHILDREN);
}
