/* Groups of tracks: see job/presentation_tracks.h. */
#include "job/presentation_tracks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/keys.h"
#include "job/language.h"

#define AUDIO_GROUP "audio"
#define SUBTITLE_GROUP "subs"

/* Of Apple's list of media characteristics (RFC 8216, 4.3.4.1, names the first two). */
static const char *characteristics(const struct rendition *r)
{
	if (r->kind == RENDITION_AUDIO)
		return r->visual_impaired ? "public.accessibility.describes-video" : NULL;
	return r->hearing_impaired ? "public.accessibility.transcribes-spoken-dialog,"
				     "public.accessibility.describes-music-and-sound"
				   : NULL;
}

static bool name_taken(const struct track_groups *g, size_t before, const char *group_id, const char *name)
{
	for (size_t i = 0; i < before; i++)
		if (strcmp(g->items[i].group_id, group_id) == 0 && strcmp(g->names[i], name) == 0)
			return true;
	return false;
}

/* What its track is called, else its language; unique in its group (RFC 8216, 4.3.4.1.1). */
static void name_item(struct track_groups *g, size_t i, const struct rendition *r)
{
	const char *language = language_name(r->language);
	const char *base = r->label[0]	    ? r->label
			   : language	    ? language
			   : r->language[0] ? r->language
			   : r->kind == RENDITION_AUDIO ? "Audio" : "Subtitles";
	char clean[RENDITION_LABEL_SIZE], *name = g->names[i];
	(void)snprintf(clean, sizeof(clean), "%s", base);
	for (char *c = clean; *c; c++)
		if (*c == '"') /* an attribute's string can't have it */
			*c = '\'';
	(void)snprintf(name, TRACK_NAME_SIZE, "%s", clean);
	for (unsigned n = 2; name_taken(g, i, g->items[i].group_id, name); n++)
		(void)snprintf(name, TRACK_NAME_SIZE, "%s %u", clean, n);
}

static void add(struct track_groups *g, const struct rendition *r, bool own)
{
	size_t i = g->count;
	bool audio = r->kind == RENDITION_AUDIO;
	g->uris[i] = own ? NULL : key_playlist(r);
	g->items[i] = (struct hls_rendition){ .type = audio ? HLS_AUDIO : HLS_SUBTITLES,
					      .group_id = audio ? AUDIO_GROUP : SUBTITLE_GROUP,
					      .name = g->names[i],
					      .language = r->language[0] ? r->language : NULL,
					      .is_default = r->is_default,
					      /* A comment on the film isn't the film in that language. */
					      .autoselect = !r->commentary,
					      .forced = r->forced,
					      .characteristics = characteristics(r),
					      .channels = r->channels,
					      .uri = g->uris[i] };
	name_item(g, i, r);
	g->count++;
	if (audio) {
		g->audio_group = AUDIO_GROUP;
		g->audio_codecs = r->codecs;
	} else {
		g->subtitle_group = SUBTITLE_GROUP;
	}
}

void track_groups_init(struct track_groups *g, const struct rendition *renditions, uint32_t count, bool measured)
{
	uint64_t peak[2] = { 0, 0 }, average[2] = { 0, 0 };
	uint32_t audios = 0;
	bool video = false;
	*g = (struct track_groups){ 0 };
	for (uint32_t i = 0; i < count; i++) {
		audios += renditions[i].kind == RENDITION_AUDIO;
		video = video || renditions[i].kind == RENDITION_VIDEO;
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct rendition *r = &renditions[i];
		if (r->kind == RENDITION_VIDEO || (r->kind == RENDITION_AUDIO && !video && audios == 1))
			continue;
		add(g, r, !video && i == 0);
		int k = r->kind == RENDITION_SUBTITLES;
		uint64_t r_peak = measured ? r->peak_bps : r->declared_bps;
		peak[k] = r_peak > peak[k] ? r_peak : peak[k];
		if (measured && r->average_bps > average[k])
			average[k] = r->average_bps;
	}
	if (!video && count && audios > 1) { /* another sound is played instead of the variant's own, not beside it */
		peak[0] -= measured ? renditions[0].peak_bps : renditions[0].declared_bps;
		average[0] -= measured ? renditions[0].average_bps : 0;
	}
	g->peak_bps = peak[0] + peak[1];
	g->average_bps = average[0] + average[1];
}

void track_groups_release(struct track_groups *g)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->uris[i]);
	g->count = 0;
}
