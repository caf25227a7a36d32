/* The page: files that the build embedded into the binary. */
#include <string.h>

#include "api/internal.h"
#include "api/page_assets.h"

/* Media come from the store's own origins where it has such. data: is where hls.js makes its text tracks begin: an empty one. */
#define POLICY                                                                                            \
	"default-src 'self'; media-src 'self' blob: data:%s; connect-src 'self'%s%s; worker-src 'self' blob:; " \
	"img-src 'self' data:%s; style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; " \
	"frame-ancestors 'none'"
#define ORIGINS_MAX_BYTES 1024

static void add_policy(const struct api *a, struct http_request *req)
{
	_cleanup_buf_ struct buf origins;
	buf_init(&origins, ORIGINS_MAX_BYTES);
	bool any = buf_puts(&origins, " ") && store_origins(a->o.store, &origins);
	const char *more = any ? origins.data : "";
	_cleanup_buf_ struct buf login;
	buf_init(&login, ORIGINS_MAX_BYTES);
	sign_in_put_origin(&a->o.sign_in, &login);
	http_response_header(req, "Content-Security-Policy",
			     http_request_printf(req, POLICY, more, more, login.data ? login.data : "", more));
}

int page_get(void *ctx, struct http_request *req, struct err *e)
{
	const char *path = http_request_path(req);
	add_policy(ctx, req);
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
