/* The page's files as they are embedded into the binary. Front process only.
 *
 *   for (size_t i = 0; i < page_asset_count; i++)
 *           if (strcmp(page_assets[i].path, path) == 0)
 *                   answer(&page_assets[i]);
 *
 * The definitions are written at build time by tools/embed.py from web/'s output (see web/meson.build). All of it is
 * read-only data of the executable: nothing is allocated, nothing is freed, any thread may read it.
 * Guarantees: sorted by path (strcmp), no path twice, "/" is there and is the page itself. The same bytes in give the
 * same C file out.
 */
#pragma once

#include <stddef.h>

struct page_asset {
	const char *path;         /* as requested: "/", "/app.js" */
	const char *content_type; /* with charset where it is text */
	const char *etag;         /* 16 hex digits of the plain bytes' SHA-256, without quotes */
	const unsigned char *gzip;
	size_t gzip_len;
	const unsigned char *plain;
	size_t plain_len;
};

extern const struct page_asset page_assets[];
extern const size_t page_asset_count;
