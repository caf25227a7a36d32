/* A file's by-products: what GET /api/files/{id} says of them, and GET /api/files/{id}/storyboard.vtt.
 *
 * Their URLs are signed as of the last full hour, for a day: lists that are asked for again give the same URLs, so that
 * posters stay in a browser's cache. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "job/analysis.h"
#include "job/keys.h"
#include "job/probe_json.h"

#define HOUR_MS (3600 * (int64_t)1000)
#define EXPIRES_S (24 * 3600)
#define VTT_MAX_BYTES (1u << 20)
#define URL_MAX_BYTES 4096

struct url_maker {
	const struct api *a;
	const struct file *f;
	const char *base_url, *host;
};

/* Appends the signed URL of a by-product. */
static bool put_url(void *ctx, const char *name, struct buf *out)
{
	const struct url_maker *m = ctx;
	_cleanup_free_ char *prefix = key_analysis_prefix(m->f->user_id, m->f->id);
	_cleanup_free_ char *key = mr_asprintf("%s/%s", prefix, name);
	int64_t now = clock_wall_ms();
	const struct media_link link = {
		.base_url = m->base_url, .host = m->host, .key = key, .signed_at_ms = now - now % HOUR_MS, .expires_s = EXPIRES_S
	};
	return media_url(m->a, &link, out, NULL) == 0;
}

static json_t *url_json(struct url_maker *m, bool made, enum byproduct byproduct)
{
	_cleanup_buf_ struct buf url;
	buf_init(&url, URL_MAX_BYTES);
	_cleanup_free_ char *name = key_byproduct(byproduct, 0);
	return made && put_url(m, name, &url) ? json_string(url.data) : json_null();
}

static json_t *storyboard_url(const struct url_maker *m, bool made)
{
	_cleanup_free_ char *url = mr_asprintf("%s/api/files/%s/storyboard.vtt", m->base_url, m->f->id);
	return made ? json_string(url) : json_null();
}

json_t *analysis_json(const struct api *a, const struct file *f, const char *base_url, const char *host)
{
	struct url_maker m = { .a = a, .f = f, .base_url = base_url, .host = host };
	json_t *known = f->analysis_json ? json_loads(f->analysis_json, 0, NULL) : NULL;
	json_t *poster = json_object_get(known, "poster"), *problems = json_object_get(known, "problems");
	bool waveform = json_object_get(known, "waveform") != NULL;
	json_t *o = json_pack("{ss so sO? so so so sO?}", "status", analysis_state_name(f->analysis), "poster_url",
			      url_json(&m, poster != NULL, BYPRODUCT_POSTER), "poster", poster, "storyboard_url",
			      storyboard_url(&m, json_object_get(known, "storyboard") != NULL), "waveform_url",
			      url_json(&m, waveform, BYPRODUCT_WAVEFORM), "waveform_image_url",
			      url_json(&m, waveform, BYPRODUCT_WAVEFORM_IMAGE), "problems", problems);
	if (!problems)
		json_object_set_new(o, "problems", json_array());
	json_decref(known);
	return o;
}

json_t *analysis_loudness(const struct file *f)
{
	json_t *known = f->analysis_json ? json_loads(f->analysis_json, 0, NULL) : NULL;
	json_t *loudness = json_object_get(known, "loudness");
	json_t *r = loudness ? json_incref(loudness) : json_null();
	json_decref(known);
	return r;
}

int storyboard_get(void *ctx, struct http_request *req, struct err *e)
{
	const struct file *f = http_request_resource(req);
	struct url_maker m = {
		.a = ctx, .f = f, .base_url = http_request_base_url(req), .host = http_request_host(req)
	};
	struct analyze_result *known = mr_calloc(1, sizeof(*known));
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	_cleanup_buf_ struct buf text;
	buf_init(&text, VTT_MAX_BYTES);
	int r = analysis_json_storyboard(f->analysis_json, known, e);
	if (r == 0 && !known->tile_count)
		r = err_set_code(e, ERR_NOT_FOUND, "NO_STORYBOARD", "the file has no storyboard (its analysis is %s)",
				 analysis_state_name(f->analysis));
	if (r == 0)
		r = probe_json_parse(f->probe_json, probe, e);
	if (r == 0)
		r = storyboard_vtt(known, probe->duration_ns / 100000 * 9,
				   &(struct storyboard_opts){ .uri_fn = put_url, .uri_ctx = &m }, &text, e);
	free(known);
	probe_result_release(probe);
	free(probe);
	return r < 0 ? r : http_respond_bytes(req, 200, "text/vtt; charset=utf-8", text.data, text.len);
}
