/* libav error codes as our errors: see averror.h. */
#include "media/averror.h"

#include <errno.h>
#include <libavutil/error.h>

int averror_internal(struct err *e, int averror, const char *what)
{
	char text[AV_ERROR_MAX_STRING_SIZE] = "";
	(void)av_strerror(averror, text, sizeof(text));
	if (averror == AVERROR(ENOMEM))
		return err_set_code(e, ERR_MEDIA, "TASK_MEMORY", "%s: %s", what, text);
	return err_set(e, ERR_INTERNAL, "%s: %s", what, text);
}
