/* Tags and covers: see tags.h. */
#include "media/tags.h"

#include <errno.h>
#include <libavutil/avstring.h>
#include <string.h>

#include "base/mem.h"
#include "proto/wire.h"

/* What containers and encoders say of themselves, and what would be wrong of the new file. */
static const char *const own[] = {
	"encoder",    "encoder_options", "encoded_by",	"major_brand", "minor_version", "compatible_brands", "creation_time",
	"handler_name", "vendor_id",	 "duration",	"iTunSMPB",    "iTunNORM",	"TLEN",		     "TSSE",
	"BPS",	      "DURATION",	 "timecode",	"id3v2_priv.", "_STATISTICS",	"NUMBER_OF_",
	"METADATA_BLOCK_PICTURE",
	"waveformatextensible", "CUESHEET", "Accurate", "variant_bitrate",
};

static bool about_encoding(const char *key)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(own); i++)
		if (av_strncasecmp(key, own[i], strlen(own[i])) == 0)
			return true;
	return false;
}

static bool about_loudness(const char *key)
{
	return av_strncasecmp(key, "replaygain", 10) == 0 || av_strncasecmp(key, "r128_", 5) == 0;
}

/* Keys become names of frames, atoms and comments: printable ASCII without '='. */
static bool key_fits(const char *key)
{
	size_t n = strlen(key);
	if (n < 1 || n > TAG_KEY_MAX_BYTES)
		return false;
	for (; *key; key++)
		if (*key < 0x20 || *key > 0x7d || *key == '=')
			return false;
	return true;
}

/* Texts may have several lines; other control characters have no business there. */
static char *clean_value(const char *value)
{
	size_t n = strlen(value);
	if (n < 1 || n > TAG_VALUE_MAX_BYTES)
		return NULL;
	char *copy = mr_strdup(value);
	for (char *c = copy; *c; c++)
		if (*c == '\n' || *c == '\r' || *c == '\t')
			*c = ' ';
	bool ok = wire_text_valid(copy, n);
	if (ok)
		for (size_t i = 0; i < n; i++)
			copy[i] = value[i];
	else
		mr_free_ptr(&copy);
	return ok ? copy : NULL;
}

static int read_text(struct tags *t, const AVDictionary *from, bool gain)
{
	const AVDictionaryEntry *tag = NULL;
	int r = 0;
	while (r >= 0 && (tag = av_dict_get(from, "", tag, AV_DICT_IGNORE_SUFFIX)) && av_dict_count(t->text) < TAGS_MAX) {
		if (!key_fits(tag->key) || about_encoding(tag->key) || (gain && about_loudness(tag->key)))
			continue;
		_cleanup_free_ char *value = clean_value(tag->value);
		if (value)
			r = av_dict_set(&t->text, tag->key, value, AV_DICT_DONT_OVERWRITE);
	}
	return r;
}

static int read_cover(struct tags *t, const AVStream *st)
{
	const enum AVCodecID id = st->codecpar->codec_id;
	if (t->cover || !(st->disposition & AV_DISPOSITION_ATTACHED_PIC) || st->attached_pic.size < 1 ||
	    st->attached_pic.size > (int)TAGS_COVER_MAX_BYTES || (id != AV_CODEC_ID_MJPEG && id != AV_CODEC_ID_PNG))
		return 0;
	t->cover = av_packet_clone(&st->attached_pic);
	t->picture = avcodec_parameters_alloc();
	if (!t->cover || !t->picture)
		return AVERROR(ENOMEM);
	int r = avcodec_parameters_copy(t->picture, st->codecpar);
	t->picture->codec_tag = 0;
	/* muxers write them, and want them to be known */
	if (t->picture->width < 1 || t->picture->height < 1)
		t->picture->width = t->picture->height = 1;
	return r;
}

int tags_read(struct tags *t, const AVFormatContext *source, int stream, bool gain)
{
	int r = read_text(t, source->metadata, gain);
	if (r >= 0 && stream >= 0 && (unsigned)stream < source->nb_streams)
		r = read_text(t, source->streams[stream]->metadata, gain);
	for (unsigned i = 0; r >= 0 && i < source->nb_streams; i++)
		r = read_cover(t, source->streams[i]);
	return r < 0 ? r : 0;
}

bool tags_any(const struct tags *t)
{
	return t->cover || av_dict_count(t->text) > 0;
}

int tags_copy_text(const struct tags *t, AVFormatContext *muxer)
{
	return av_dict_copy(&muxer->metadata, t->text, 0);
}

int tags_add_cover(const struct tags *t, AVFormatContext *muxer)
{
	if (!t->cover)
		return 0;
	AVStream *st = avformat_new_stream(muxer, NULL);
	if (!st)
		return AVERROR(ENOMEM);
	st->disposition = AV_DISPOSITION_ATTACHED_PIC;
	st->time_base = av_make_q(1, 90000);
	return avcodec_parameters_copy(st->codecpar, t->picture);
}

int tags_write_cover(const struct tags *t, AVFormatContext *muxer)
{
	if (!t->cover)
		return 0;
	AVPacket *p = av_packet_clone(t->cover);
	if (!p)
		return AVERROR(ENOMEM);
	p->stream_index = (int)muxer->nb_streams - 1;
	p->pts = p->dts = 0;
	int r = av_write_frame(muxer, p);
	av_packet_free(&p);
	return r;
}

void tags_release(struct tags *t)
{
	av_dict_free(&t->text);
	av_packet_free(&t->cover);
	avcodec_parameters_free(&t->picture);
}
