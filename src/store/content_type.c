/* Content types by extension, for everything that Millrace takes in or puts out. Pure; any thread. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "store/store.h"

/* m3u8: RFC 8216, section 4. mpd: ISO/IEC 23009-1, annex C. m4s: ISO/IEC 23000-19 (CMAF) names the type of a bare
 * segment. The others: IANA's registry. */
static const struct {
	const char *extension;
	const char *type;
} types[] = {
	{ "m3u8", "application/vnd.apple.mpegurl" },
	{ "mpd", "application/dash+xml" },
	{ "m4s", "video/iso.segment" },
	{ "ts", "video/mp2t" },
	{ "mp4", "video/mp4" },
	{ "m4v", "video/mp4" },
	{ "mov", "video/quicktime" },
	{ "webm", "video/webm" },
	{ "mkv", "video/x-matroska" },
	{ "avi", "video/x-msvideo" },
	{ "mpg", "video/mpeg" },
	{ "mpeg", "video/mpeg" },
	{ "mp3", "audio/mpeg" },
	{ "m4a", "audio/mp4" },
	{ "aac", "audio/aac" },
	{ "adts", "audio/aac" },
	{ "wav", "audio/wav" },
	{ "flac", "audio/flac" },
	{ "ogg", "audio/ogg" },
	{ "oga", "audio/ogg" },
	{ "opus", "audio/ogg" },
	{ "amr", "audio/amr" },
	{ "weba", "audio/webm" },
	{ "mka", "audio/x-matroska" },
	{ "vtt", "text/vtt" },
	{ "srt", "application/x-subrip" },
	{ "json", "application/json" },
	{ "txt", "text/plain; charset=utf-8" },
	{ "html", "text/html; charset=utf-8" },
	{ "jpg", "image/jpeg" },
	{ "jpeg", "image/jpeg" },
	{ "png", "image/png" },
	{ "webp", "image/webp" },
};

const char *store_content_type(const char *key)
{
	const char *slash = strrchr(key, '/');
	const char *name = slash ? slash + 1 : key;
	const char *dot = strrchr(name, '.');
	if (dot && dot != name)
		for (size_t i = 0; i < MR_ARRAY_SIZE(types); i++)
			if (strcasecmp(dot + 1, types[i].extension) == 0)
				return types[i].type;
	return "application/octet-stream";
}
