/* The page: files that the build embedded into the binary. */
#include <string.h>

#include "api/internal.h"
#include "api/page_assets.h"

int page_get(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	const char *path = http_request_path(req);
	for (size_t i = 0; i < page_asset_count; i++) {
		const struct page_asset *p = &page_assets[i];
		if (strcmp(p->path, path) != 0)
			continue;
		struct http_asset asset = { .path = p->path,
					    .content_type = p->content_type,
					    .data = p->plain,
					    .len = p->plain_len,
					    .gzip = p->gzip,
					    .gzip_len = p->gzip_len,
					    .etag = p->etag };
		return http_respond_asset(req, &asset);
	}
	return err_set(e, ERR_NOT_FOUND, "there is nothing at %.200s", path);
}
