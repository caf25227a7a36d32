/* Object keys (DESIGN: kind first, so that a bucket's lifecycle rules can match by prefix). Pure.
 * All return strings that the caller frees. `user` is encoded so that any character is safe: percent-encoding with '~'
 * in the place of '%', of everything but A–Z a–z 0–9 - _; what would be longer than 200 bytes keeps its beginning and
 * ends in "~~" and a digest of the whole, so that it fits a folder's name.
 */
#pragma once

#include <stdint.h>

#include "job/model.h"

char *key_user(const char *user_id);
char *key_upload(const char *user_id, const char *file_id, const char *file_name); /* uploads/{user}/{file}.{ext} */
/* parts/{upload}/: what has arrived of a resumable upload, until it is joined; and one piece of it. The writer is part
 * of the name, so that one who is too late never overwrites what another has stored. */
char *key_upload_pieces(const char *upload_id);
char *key_upload_piece(const char *upload_id, uint64_t offset, const char *writer);
char *key_job_prefix(enum job_kind kind, const char *user_id, const char *job_id); /* hls/{user}/{job} */
char *key_narration_again(const char *user_id, const char *job_id, uint32_t attempt); /* narrations/{user}/{job}-{attempt} */
char *key_analysis_prefix(const char *user_id, const char *file_id); /* analysis/{user}/{file} */
/* Relative to that: poster.jpg, sprite_000.jpg, waveform.json, waveform.png */
char *key_byproduct(enum byproduct byproduct, uint32_t index);
/* "{prefix}/{relative}", or relative alone if the prefix is empty. */
char *key_in_job(const char *prefix, const char *relative);
/* conversions/{user}/{job}.{ext} */
char *key_conversion(const char *user_id, const char *job_id, const char *extension);
/* downloads/{user}/{narration}.mp3 */
char *key_download(const char *user_id, const char *job_id);
/* parts/{job}/: what a conversion's chunks have made, until it is joined. Of each chunk its parts in order and an index
 * that describes them; of the join what comes before and behind all of them. */
char *key_parts(const char *job_id);
char *key_part(const char *job_id, uint32_t chunk, uint32_t part);
char *key_part_index(const char *job_id, uint32_t chunk);
char *key_part_head(const char *job_id);
char *key_part_tail(const char *job_id);
/* streams/{user}/{stream}/: a stream's fragments; and one of them. */
char *key_stream(const char *user_id, const char *stream_id);
char *key_fragment(const char *user_id, const char *stream_id, int64_t number);
/* speech/{user}/{digest}: a spoken sentence, whoever's job it was made for (worker/speech.h). */
char *key_speech(const char *user_id, const char *sha256_hex);
/* Relative to the job's prefix; a rendition without a name has no folder. */
char *key_init(const struct rendition *r);				       /* 720p/init.mp4 */
char *key_segment(const struct rendition *r, enum segment_container c, uint32_t index); /* 720p/segment_000.m4s | .ts | .vtt */
char *key_playlist(const struct rendition *r);				       /* 720p/playlist.m3u8 */
char *key_iframes(const struct rendition *r);				       /* 720p/iframes.m3u8 */
#define KEY_VOICE "voice.mp3" /* of a narration, without its music */
#define KEY_MASTER "master.m3u8"
#define KEY_PLAYLIST "playlist.m3u8"
#define KEY_MANIFEST "manifest.mpd"
