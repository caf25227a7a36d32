/* GET, HEAD and PUT /media/{key}: the store's objects by pre-signed URL, as S3 itself would answer them; and the URLs that the API
 * gives out, which lead to the bucket itself where the store is one. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"

/* Segments, init segments and by-products never change under their key. */
#define CACHE_OBJECT "private, max-age=86400, immutable"
#define CACHE_REVALIDATE "private, no-cache"

int media_url(const struct api *a, const struct media_link *l, struct buf *out, struct err *e)
{
	if (store_has_urls(a->o.store))
		return store_url(a->o.store,
				 &(struct store_url){ .method = "GET",
						      .key = l->key,
						      .extra = l->extra,
						      .extra_count = l->extra ? 1 : 0,
						      .signed_at_ms = l->signed_at_ms,
						      .expires_s = l->expires_s },
				 out, e);
	_cleanup_free_ char *path = mr_asprintf("/media/%s", l->key);
	(void)buf_puts(out, l->base_url);
	return signer_presign_with(a->o.signer, "GET", l->host, path, l->extra, l->extra ? 1 : 0, l->signed_at_ms, l->expires_s,
				   out, e);
}

static int reachable_key(struct api *a, struct http_request *req, bool replace, const char **ret, struct err *e)
{
	const char *id = http_request_signature(req)->access_key_id;
	const char *key = http_request_param(req, "key");
	int r = store_key_check(key, e);
	if (r < 0)
		return r;
	if (!(replace ? signer_may_replace : signer_may_reach)(a->o.signer, id, key))
		return err_set_code(e, ERR_DENIED, "AccessDenied", "this key does not reach the object");
	*ret = key;
	return 0;
}

int media_get(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const char *key = "";
	int r = reachable_key(a, req, false, &key, e);
	if (r < 0)
		return r;
	size_t n = strlen(key);
	bool is_playlist = n > 5 && strcmp(key + n - 5, ".m3u8") == 0;
	bool stays = (strncmp(key, "hls/", 4) == 0 && !is_playlist) || strncmp(key, "analysis/", 9) == 0;
	struct http_object_opts opts = { .cache_control = stays ? CACHE_OBJECT : CACHE_REVALIDATE,
					 .s3_overrides = true };
	return http_respond_object(req, a->o.store, key, &opts, e);
}

static int put_begin(void *ctx, struct http_request *req, const struct http_upload *up, void **ret_state, struct err *e)
{
	struct api *a = ctx;
	const char *key = "";
	struct store_put *put;
	int r = reachable_key(a, req, true, &key, e);
	if (r == 0)
		r = store_put_begin(a->o.store, key, up->content_type, &put, e);
	if (r == 0)
		*ret_state = put;
	return r;
}

static int put_write(void *state, const void *data, size_t len, struct err *e)
{
	return store_put_write(state, data, len, e);
}

static int put_finish(void *ctx, struct http_request *req, void *take_state, struct err *e)
{
	(void)ctx;
	struct store_info info;
	int r = store_put_finish(take_state, NULL, &info, e);
	if (r < 0)
		return r;
	http_response_header(req, "ETag", http_request_printf(req, "\"%s\"", info.etag));
	return http_respond_empty(req, 200);
}

static void put_abort(void *take_state)
{
	store_put_abort(take_state);
}

const struct http_sink media_sink = {
	.begin = put_begin, .write = put_write, .finish = put_finish, .abort = put_abort
};
