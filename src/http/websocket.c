/* The opening handshake of a WebSocket, and the hand-over of its connection. The front process: the handshake on the pool, the
 * hand-over on HTTP threads. */
#include "http/websocket.h"

#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/encode.h"
#include "base/log.h"
#include "http/internal.h"
#include "http/response.h"
#include "net/digest.h"

#define KEY_BYTES 16
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */

const char *http_websocket_token(struct http_request *req)
{
	const char *list = http_request_header(req, "Sec-WebSocket-Protocol");
	for (const char *s = list; s && *s; s += strcspn(s, ",")) {
		s += strspn(s, ", \t");
		if (strncmp(s, HTTP_WEBSOCKET_BEARER, strlen(HTTP_WEBSOCKET_BEARER)) == 0) {
			s += strlen(HTTP_WEBSOCKET_BEARER);
			return arena_strndup(&req->arena, s, strcspn(s, ", \t"));
		}
	}
	return http_request_query(req, "token");
}

static int check_handshake(const struct http_request *req, const char **ret_key, struct err *e)
{
	_cleanup_buf_ struct buf nonce;
	buf_init(&nonce, 64);
	if (!http_request_header_has(req, "Upgrade", "websocket") || !http_request_header_has(req, "Connection", "Upgrade") ||
	    strcmp(req->method, "GET") != 0 || !req->needs_host)
		return err_set_code(e, ERR_INVALID, "NOT_A_WEBSOCKET", "this address takes WebSocket connections alone");
	const char *version = http_request_header(req, "Sec-WebSocket-Version");
	if (!version || strcmp(version, "13") != 0)
		return err_set_code(e, ERR_INVALID, "WEBSOCKET_VERSION", "Sec-WebSocket-Version must be 13");
	const char *key = http_request_header(req, "Sec-WebSocket-Key");
	if (!key || !base64_decode(&nonce, key, strlen(key)) || nonce.len != KEY_BYTES)
		return err_set(e, ERR_INVALID, "Sec-WebSocket-Key must be 16 bytes in base64");
	*ret_key = key;
	return 0;
}

static const char *accept_value(struct http_request *req, const char *key)
{
	assert(key);
	uint8_t digest[DIGEST_MAX_BYTES];
	_cleanup_buf_ struct buf text;
	buf_init(&text, 64);
	struct digest_stream *d = digest_stream_new("sha1");
	digest_stream_update(d, key, strlen(key));
	digest_stream_update(d, ACCEPT_GUID, strlen(ACCEPT_GUID));
	size_t len = digest_stream_final(d, digest);
	(void)base64_encode(&text, digest, len, false);
	assert(text.data); /* 28 characters fit */
	return arena_strdup(&req->arena, text.data);
}

/* libmicrohttpd has suspended the connection and taken it out of its epoll set before it calls this, so the duplicate is in nobody
 * else's set. */
static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *req_cls, const char *early, size_t early_len, MHD_socket sock,
		       struct MHD_UpgradeResponseHandle *handle)
{
	(void)cls;
	(void)mhd;
	struct http_request *req = req_cls;
	int fd = fcntl(sock, F_DUPFD_CLOEXEC, 3);
	int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
	if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		void *ctx = mr_steal(req->websocket.ctx);
		req->websocket.taken = true;
		req->websocket.accept(ctx, fd, early, early_len);
	} else {
		log_warn("websocket_lost", LOG_S("request_id", req->id), LOG_S("why", "no descriptor is left"));
	}
	(void)MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

void websocket_release(struct http_request *req)
{
	if (req->websocket.accept && !req->websocket.taken)
		req->websocket.drop(req->websocket.ctx);
	req->websocket.accept = NULL;
}

int http_respond_websocket(struct http_request *req, const struct http_websocket_opts *opts, struct err *e)
{
	const char *key = NULL;
	int r = check_handshake(req, &key, e);
	if (r < 0) {
		http_response_header(req, "Upgrade", "websocket");
		http_response_header(req, "Sec-WebSocket-Version", "13");
		return r;
	}
	(void)pthread_mutex_lock(&req->server->lock);
	bool draining = req->server->draining;
	(void)pthread_mutex_unlock(&req->server->lock);
	if (draining)
		return err_set_code(e, ERR_UNAVAILABLE, "DRAINING", "the server is stopping");
	struct MHD_Response *mhd = MHD_create_response_for_upgrade(on_upgrade, NULL);
	if (!mhd)
		return err_set(e, ERR_UNAVAILABLE, "no memory for the connection");
	reply_set(req, MHD_HTTP_SWITCHING_PROTOCOLS, mhd, 0);
	http_response_header(req, "Upgrade", "websocket");
	http_response_header(req, "Sec-WebSocket-Accept", accept_value(req, key));
	if (http_request_header_has(req, "Sec-WebSocket-Protocol", HTTP_WEBSOCKET_PROTOCOL))
		http_response_header(req, "Sec-WebSocket-Protocol", HTTP_WEBSOCKET_PROTOCOL);
	req->websocket.accept = opts->accept;
	req->websocket.drop = opts->drop;
	req->websocket.ctx = opts->ctx;
	req->websocket.taken = false;
	return 0;
}
