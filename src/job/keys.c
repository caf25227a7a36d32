/* Object keys. Pure; used wherever an object is put, signed or deleted, so that there is one place that knows the
 * layout. */
#include "job/keys.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/digest.h"

#define EXTENSION_MAX 8
#define EXTENSION_DEFAULT "bin"
/* A folder's name has at most 255 bytes on Linux; a user's subject of 256 bytes may be three times as long when
 * encoded. */
#define USER_KEY_MAX 200
#define USER_KEY_KEPT 120

static bool is_alnum(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* What is too long keeps its beginning and gets a digest. "~~" never occurs in an encoded name, so no two users meet.
 */
static char *shorten(char *take_encoded, const char *user_id)
{
	char hex[SHA256_HEX_SIZE];
	sha256_hex(user_id, strlen(user_id), hex);
	char *out = mr_asprintf("%.*s~~%s", USER_KEY_KEPT, take_encoded, hex);
	free(take_encoded);
	return out;
}

char *key_user(const char *user_id)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = mr_calloc(strlen(user_id) + 1, 3), *to = out;
	for (const char *s = user_id; *s; s++) {
		if (is_alnum(*s) || *s == '-' || *s == '_') {
			*to++ = *s;
			continue;
		}
		unsigned char byte = (unsigned char)*s;
		*to++ = '~';
		*to++ = digits[byte >> 4];
		*to++ = digits[byte & 15];
	}
	return to - out > USER_KEY_MAX ? shorten(out, user_id) : out;
}

/* The name's own, in small letters, if it is a plain one. */
static void extension_of(const char *file_name, char out[EXTENSION_MAX + 1])
{
	const char *dot = strrchr(file_name, '.');
	size_t n = dot ? strlen(dot + 1) : 0;
	if (n < 1 || n > EXTENSION_MAX || dot == file_name) {
		memcpy(out, EXTENSION_DEFAULT, sizeof(EXTENSION_DEFAULT));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		char c = dot[1 + i];
		if (!is_alnum(c)) {
			memcpy(out, EXTENSION_DEFAULT, sizeof(EXTENSION_DEFAULT));
			return;
		}
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	out[n] = '\0';
}

char *key_upload(const char *user_id, const char *file_id, const char *file_name)
{
	char extension[EXTENSION_MAX + 1];
	extension_of(file_name, extension);
	_cleanup_free_ char *user = key_user(user_id);
	return mr_asprintf("uploads/%s/%s.%s", user, file_id, extension);
}

char *key_upload_pieces(const char *upload_id)
{
	return mr_asprintf("parts/%s/", upload_id);
}

char *key_upload_piece(const char *upload_id, uint64_t offset, const char *writer)
{
	return mr_asprintf("parts/%s/%020llu-%s", upload_id, (unsigned long long)offset, writer);
}

char *key_job_prefix(enum job_kind kind, const char *user_id, const char *job_id)
{
	_cleanup_free_ char *user = key_user(user_id);
	const char *folder = "";
	switch (kind) {
	case JOB_LADDER:
		folder = "hls";
		break;
	case JOB_ANALYZE:
		folder = "analysis";
		break;
	case JOB_CONVERT:
		folder = "conversions";
		break;
	case JOB_NARRATION:
		folder = "narrations";
		break;
	case JOB_DOWNLOAD:
		folder = "downloads";
		break;
	}
	return mr_asprintf("%s/%s/%s", folder, user, job_id);
}

char *key_narration_again(const char *user_id, const char *job_id, uint32_t attempt)
{
	_cleanup_free_ char *first = key_job_prefix(JOB_NARRATION, user_id, job_id);
	return mr_asprintf("%s-%u", first, attempt);
}

char *key_analysis_prefix(const char *user_id, const char *file_id)
{
	return key_job_prefix(JOB_ANALYZE, user_id, file_id); /* there is one at most, so the file names it */
}

char *key_byproduct(enum byproduct byproduct, uint32_t index)
{
	switch (byproduct) {
	case BYPRODUCT_SPRITE:
		return mr_asprintf("sprite_%03u.jpg", index);
	case BYPRODUCT_WAVEFORM:
		return mr_strdup("waveform.json");
	case BYPRODUCT_WAVEFORM_IMAGE:
		return mr_strdup("waveform.png");
	case BYPRODUCT_POSTER:
		break;
	}
	return mr_strdup("poster.jpg");
}

char *key_conversion(const char *user_id, const char *job_id, const char *extension)
{
	_cleanup_free_ char *prefix = key_job_prefix(JOB_CONVERT, user_id, job_id);
	return mr_asprintf("%s.%s", prefix, extension);
}

char *key_download(const char *user_id, const char *job_id)
{
	_cleanup_free_ char *prefix = key_job_prefix(JOB_DOWNLOAD, user_id, job_id);
	return mr_asprintf("%s.mp3", prefix);
}

char *key_parts(const char *job_id)
{
	return mr_asprintf("parts/%s/", job_id);
}

char *key_part(const char *job_id, uint32_t chunk, uint32_t part)
{
	return mr_asprintf("parts/%s/%u/%u", job_id, chunk, part);
}

char *key_part_index(const char *job_id, uint32_t chunk)
{
	return mr_asprintf("parts/%s/%u/index", job_id, chunk);
}

char *key_part_head(const char *job_id)
{
	return mr_asprintf("parts/%s/head", job_id);
}

char *key_part_tail(const char *job_id)
{
	return mr_asprintf("parts/%s/tail", job_id);
}

char *key_stream(const char *user_id, const char *stream_id)
{
	_cleanup_free_ char *user = key_user(user_id);
	return mr_asprintf("streams/%s/%s/", user, stream_id);
}

char *key_fragment(const char *user_id, const char *stream_id, int64_t number)
{
	_cleanup_free_ char *user = key_user(user_id);
	return mr_asprintf("streams/%s/%s/%019lld.mkv", user, stream_id, (long long)number);
}

char *key_speech(const char *user_id, const char *sha256_hex)
{
	_cleanup_free_ char *user = key_user(user_id);
	return mr_asprintf("speech/%s/%s", user, sha256_hex);
}

char *key_in_job(const char *prefix, const char *relative)
{
	return *prefix ? mr_asprintf("%s/%s", prefix, relative) : mr_strdup(relative);
}

/* A presentation of one rendition may do without its folder. */
static char *in_rendition(const struct rendition *r, const char *name)
{
	return *r->name ? mr_asprintf("%s/%s", r->name, name) : mr_strdup(name);
}

char *key_init(const struct rendition *r)
{
	return in_rendition(r, "init.mp4");
}

char *key_segment(const struct rendition *r, enum segment_container c, uint32_t index)
{
	const char *extension = r->kind == RENDITION_SUBTITLES ? "vtt" : c == CONTAINER_TS ? "ts" : "m4s";
	char name[40];
	(void)snprintf(name, sizeof(name), "segment_%03u.%s", index, extension);
	return in_rendition(r, name);
}

char *key_playlist(const struct rendition *r)
{
	return in_rendition(r, KEY_PLAYLIST);
}

char *key_iframes(const struct rendition *r)
{
	return in_rendition(r, "iframes.m3u8");
}
