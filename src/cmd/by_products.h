/* By-products of a one-shot run: poster.jpg, storyboard.vtt with its sprites, waveform.json and waveform.png beside the
 * playlists. The same analysis as a server's, over the run's own database and folder.
 *
 *   char id[UUID_SIZE];
 *   by_products_start(repo, path, &probe, id, e);     // a worker's background thread does it
 *   while (by_products_pending(repo, id)) …
 *   by_products_finish(repo, store, id, ticks, &note, e);    // the storyboard's text; what could not be made
 */
#pragma once

#include <stdbool.h>

#include "base/id.h"
#include "job/repo.h"
#include "proto/task.h"
#include "store/store.h"

int by_products_start(struct repo *repo, const char *path, const struct probe_result *probe, char ret_id[UUID_SIZE],
		      struct err *e) MR_MUST_USE;
/* False too where that cannot be told. */
bool by_products_pending(struct repo *repo, const char *id);
/* *ret_problems (freed by the caller) is a text for people, or NULL if all could be made. */
int by_products_finish(struct repo *repo, struct store *store, const char *id, int64_t duration_ticks,
		       char **ret_problems, struct err *e) MR_MUST_USE;
