/* By-products of a one-shot run. In the process of `millrace ladder`. */
#include "cmd/by_products.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/analysis.h"

#define VTT_MAX_BYTES (1u << 20)
#define USER "local"

int by_products_start(struct repo *repo, const char *path, const struct probe_result *probe, char ret_id[UUID_SIZE],
		      struct err *e)
{
	char none[] = "", id[UUID_SIZE];
	_cleanup_free_ char *key = mr_strdup(path);
	uuid7_new(id);
	struct file f = { .user_id = USER, .name = none, .content_type = none, .key = key };
	memcpy(f.id, id, UUID_SIZE);
	struct analysis_plan plan;
	analysis_plan(probe, "", &plan);
	int r = repo_file_create(repo, &f, e);
	if (r == 0)
		r = repo_file_ready(repo, id, 0, "", "{}", &plan, e);
	analysis_plan_release(&plan);
	if (r == 0)
		memcpy(ret_id, id, UUID_SIZE);
	return r;
}

bool by_products_pending(struct repo *repo, const char *id)
{
	struct file f;
	if (repo_file_get(repo, NULL, id, &f, NULL) < 0)
		return false;
	bool pending = f.analysis == ANALYSIS_PENDING;
	file_release(&f);
	return pending;
}

/* "picture: the cover art cannot be decoded; sound: …" */
static char *problems_of(const char *json)
{
	json_t *known = json_loads(json, 0, NULL), *item;
	char *text = NULL;
	size_t i;
	json_array_foreach(json_object_get(known, "problems"), i, item)
	{
		char *longer = mr_asprintf("%s%s%s: %s", text ? text : "", text ? "; " : "",
					   json_string_value(json_object_get(item, "part")),
					   json_string_value(json_object_get(item, "message")));
		free(text);
		text = longer;
	}
	json_decref(known);
	return text;
}

static int put_storyboard(struct store *store, const char *json, int64_t duration_ticks, struct err *e)
{
	struct analyze_result *known = mr_calloc(1, sizeof(*known));
	_cleanup_buf_ struct buf text;
	buf_init(&text, VTT_MAX_BYTES);
	int r = analysis_json_storyboard(json, known, e);
	if (r == 0 && known->tile_count) {
		r = storyboard_vtt(known, duration_ticks, &(struct storyboard_opts){ 0 }, &text, e);
		if (r == 0)
			r = store_put(store, "storyboard.vtt", text.data, text.len, "text/vtt", NULL, e);
	}
	free(known);
	return r;
}

int by_products_finish(struct repo *repo, struct store *store, const char *id, int64_t duration_ticks, char **ret_problems,
		       struct err *e)
{
	struct file f;
	int r = repo_file_get(repo, NULL, id, &f, e);
	if (r < 0)
		return r;
	const char *json = f.analysis_json ? f.analysis_json : "{}";
	r = put_storyboard(store, json, duration_ticks, e);
	if (r == 0)
		*ret_problems = problems_of(json);
	file_release(&f);
	return r;
}
