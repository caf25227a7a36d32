/* /api/streams/{name}/live.m3u8, …/segments/… and …/link: listening. Who may: the stream's owner, who has its session's claim, and
 * who has a link, whose signature is in the URL; then each line of the playlist is signed with the link's own time and expiry, so
 * that lines never change while it grows. The server process, on the I/O pool. */
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "hls/playlist.h"
#include "live/listener.h"
#include "live/packed_audio.h"

#define LINK_USUAL_S 3600
#define LINK_MAX_S (7 * 24 * 3600) /* what SigV4 allows */

/* /api/streams/{name}, with the name as it stands in a path. Names are free of what would need escaping. */
static char *stream_path(const struct stream *s, const char *rest)
{
	return mr_asprintf("/api/streams/%s/%s", s->name, rest);
}

struct line_signer {
	const struct api *api;
	const struct stream *stream;
	const char *host;
	const struct sigv4_verified *by;
};

static bool sign_line(void *ctx, const char *relative_uri, struct buf *out)
{
	const struct line_signer *l = ctx;
	_cleanup_free_ char *path = stream_path(l->stream, relative_uri);
	const uint32_t expires_s = (uint32_t)((l->by->expires_at_ms - l->by->signed_at_ms) / 1000);
	return signer_presign(l->api->o.signer, "GET", l->host, path, l->by->signed_at_ms, expires_s, out, NULL) == 0;
}

static int type_of(const char *text, enum listener_type *ret, struct err *e)
{
	static const char *const names[] = { [LISTEN_WINDOWED] = "window", [LISTEN_EVENT] = "event", [LISTEN_VOD] = "vod" };
	*ret = LISTEN_AUTO;
	for (size_t i = LISTEN_WINDOWED; text && i < MR_ARRAY_SIZE(names); i++)
		if (strcmp(text, names[i]) == 0)
			*ret = (enum listener_type)i;
	return text && *ret == LISTEN_AUTO ? err_set(e, ERR_INVALID, "type: expected window, event or vod") : 0;
}

int listen_playlist(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct stream *s = http_request_resource(req);
	struct line_signer line = { .api = a, .stream = s, .host = http_request_host(req), .by = http_request_signature(req) };
	struct listener_view view = { .uri_fn = line.by ? sign_line : NULL, .uri_ctx = &line };
	_cleanup_buf_ struct buf text;
	buf_init(&text, HLS_PLAYLIST_MAX_BYTES);
	int r = type_of(http_request_query(req, "type"), &view.type, e);
	if (r == 0)
		r = listener_playlist(a->o.listener, s, &view, &text, e);
	return r < 0 ? r : http_respond_bytes(req, 200, HLS_CONTENT_TYPE, text.data, text.len);
}

static void again(void *req)
{
	http_request_again(req);
}

int listen_segment(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct listener_ref ref;
	struct listener_wait *wait = http_request_keep(req, sizeof(*wait));
	wait->again = again;
	wait->ctx = req;
	_cleanup_buf_ struct buf bytes;
	buf_init(&bytes, LISTEN_SEGMENT_MAX_BYTES);
	if (!listener_ref_parse(http_request_param(req, "segment"), &ref))
		return err_set(e, ERR_NOT_FOUND, "there is no such segment");
	int r = listener_segment(a->o.listener, http_request_resource(req), &ref, wait, &bytes, e);
	if (r != 0)
		return r == LISTENER_LATER ? HTTP_LATER : r;
	http_response_header(req, "Cache-Control", "private, max-age=60");
	return http_respond_bytes(req, 200, PACKED_AUDIO_TYPE, bytes.data, bytes.len);
}

/* The same for whoever has it, until it expires. */
static int put_link(const struct api *a, struct http_request *req, const char *rest, const char *type, int64_t now,
		    int64_t expires_s, struct buf *out, struct err *e)
{
	_cleanup_free_ char *path = stream_path(http_request_resource(req), rest);
	const struct sigv4_pair extra = { "type", type };
	(void)buf_puts(out, http_request_base_url(req));
	return signer_presign_with(a->o.signer, "GET", http_request_host(req), path, &extra, type ? 1 : 0, now,
				   (uint32_t)expires_s, out, e);
}

int listen_link(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	int64_t expires_s = LINK_USUAL_S;
	const char *type = NULL;
	enum listener_type ignored;
	const int64_t now = clock_wall_ms() / 1000 * 1000;
	_cleanup_buf_ struct buf playlist, events, page;
	buf_init(&playlist, 8192);
	buf_init(&events, 8192);
	buf_init(&page, 32768);
	if (strcmp(http_request_identity(req)->user, ((const struct stream *)http_request_resource(req))->user_id) != 0)
		return err_set(e, ERR_DENIED, "only its owner gives away links to a stream");
	int r = json_get_int(http_request_json(req), "expires_in", JSON_OPTIONAL, 1, LINK_MAX_S, &expires_s, e);
	if (r == 0)
		r = json_get_string(http_request_json(req), "type", JSON_OPTIONAL, &type, e);
	if (r == 0)
		r = type_of(type, &ignored, e);
	if (r == 0)
		r = put_link(a, req, "live.m3u8", type, now, expires_s, &playlist, e);
	if (r == 0)
		r = put_link(a, req, "events", NULL, now, expires_s, &events, e);
	if (r < 0)
		return r;
	(void)buf_printf(&page, "%s/#/listen?url=", http_request_base_url(req));
	(void)uri_encode(&page, playlist.data, playlist.len, false);
	r = buf_finish(&page, e);
	return r < 0 ? r
		     : http_respond_json(req, 201,
					 json_pack("{ss ss ss so}", "url", playlist.data, "events_url", events.data, "page_url",
						   page.data, "expires_at", json_time(now + expires_s * 1000)));
}
