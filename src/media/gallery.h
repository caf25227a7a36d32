/* The pictures among a file's by-products: a poster, which is the keyframe most worth showing, and a storyboard of small ones.
 * One pass over keyframes makes both. Runs in the task; one thread.
 *
 *   if (gallery_of_video(task, io, result, e) < 0) ...      // sends the sprites and the poster
 *   if (gallery_of_cover(task, io, result, e) < 0) ...      // sound: its cover art becomes the poster
 */
#pragma once

#include "base/err.h"
#include "media/media_io.h"
#include "proto/task.h"

/* ERR_MEDIA/UNDECODABLE where not one picture can be decoded. Fills the picture's part of `result`. */
int gallery_of_video(const struct task_spec *task, const struct media_io *io, struct analyze_result *result,
		     struct err *e) MR_MUST_USE;
int gallery_of_cover(const struct task_spec *task, const struct media_io *io, struct analyze_result *result,
		     struct err *e) MR_MUST_USE;
