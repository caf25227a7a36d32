/* URLs by which clients reach a bucket's objects themselves. In the server process; any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "store/s3.h"

int s3_url(struct store *store, const struct store_url *u, struct buf *out, struct err *e)
{
	struct store_s3 *s = s3_of(store);
	const struct s3_config *c = &s->config;
	_cleanup_free_ char *path = mr_asprintf("%s/%s%s", c->root, c->prefix, u->key);
	/* Who reads without a signature can't ask for other headers. */
	if (c->public_url && !u->extra_count && strcmp(u->method, "GET") == 0) {
		buf_puts(out, c->public_url);
		uri_encode(out, path + strlen(c->root), strlen(path) - strlen(c->root), true);
		return buf_finish(out, e);
	}
	struct aws_keys keys;
	int r = aws_credentials_get(s->credentials, &keys, e);
	if (r < 0)
		return r;
	const struct sigv4_key key = { .access_key_id = keys.access_key_id,
				       .secret = keys.secret,
				       .session_token = keys.session_token,
				       .region = c->region,
				       .service = "s3" };
	buf_puts(out, c->base);
	r = u->body_bytes ? sigv4_presign_body(&key, u->method, c->host, path, u->extra, u->extra_count, u->signed_at_ms,
					       u->expires_s, u->body_bytes, out, e)
			  : sigv4_presign(&key, u->method, c->host, path, u->extra, u->extra_count, u->signed_at_ms,
					  u->expires_s, out, e);
	aws_keys_release(&keys);
	return r;
}

bool s3_origins(const struct store *store, struct buf *out)
{
	const struct s3_config *c = &((const struct store_s3 *)store)->config;
	buf_puts(out, c->base);
	if (c->public_url) {
		const char *host = strstr(c->public_url, "://") + 3;
		buf_puts(out, " ");
		buf_append(out, c->public_url, (size_t)(host - c->public_url) + strcspn(host, "/"));
	}
	return !out->failed;
}
