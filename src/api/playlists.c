/* GET /hls/{job}/master.m3u8, of narrations /hls/{job}/playlist.m3u8, /hls/{job}/{rendition}/playlist.m3u8 and …/iframes.m3u8,
 * and of complete jobs /hls/{job}/manifest.mpd, rendered from rows.
 *
 * The signature in the URL is the authorisation. Every line is signed with the request's own signing time, so that lines
 * never change while the playlist grows (RFC 8216, 6.2.1), and a later visit with a fresh URL gets fresh ones. Lines last
 * twice as long as the URL, which lasts for two viewings at least: who gets the playlist at its last moment can play all
 * of it. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/id.h"
#include "base/mem.h"
#include "hls/dash.h"
#include "job/keys.h"
#include "job/presentation.h"

struct line_signer {
	const struct api *api;
	const char *host;
	/* What relative URIs lie in, one of the two: */
	const char *playlists; /* this server's "/hls/{job}" */
	const char *objects;   /* keys below "{prefix}" or "{prefix}/{rendition}" */
	int64_t signed_at_ms;
	uint32_t expires_s;
};

static bool sign_line(void *ctx, const char *relative_uri, struct buf *out)
{
	const struct line_signer *l = ctx;
	_cleanup_free_ char *path = mr_asprintf("%s/%s", l->playlists ? l->playlists : l->objects, relative_uri);
	if (l->playlists)
		return signer_presign(l->api->o.signer, "GET", l->host, path, l->signed_at_ms, l->expires_s, out, NULL) == 0;
	/* Without scheme and host where it is this server's: players know where the playlist came from. */
	const struct media_link link = {
		.base_url = "", .host = l->host, .key = path, .signed_at_ms = l->signed_at_ms, .expires_s = l->expires_s
	};
	return media_url(l->api, &link, out, NULL) == 0;
}

static uint32_t lines_expire_s(const struct sigv4_verified *v)
{
	int64_t s = 2 * (v->expires_at_ms - v->signed_at_ms) / 1000;
	return (uint32_t)(s < SIGV4_MAX_EXPIRES_S ? s : SIGV4_MAX_EXPIRES_S);
}

static int render(struct api *a, struct http_request *req, const struct job *j, struct buf *out, struct err *e)
{
	const struct sigv4_verified *v = http_request_signature(req);
	struct line_signer line = { .api = a,
				    .host = http_request_host(req),
				    .signed_at_ms = v->signed_at_ms,
				    .expires_s = lines_expire_s(v) };
	struct presentation view = presentation_of(j);
	view.uri_fn = sign_line;
	view.uri_ctx = &line;
	const char *path = http_request_param(req, "path");
	if (strcmp(path, KEY_MASTER) == 0) {
		line.playlists = http_request_printf(req, "/hls/%s", j->id);
		return presentation_multivariant(a->o.repo, j, &view, out, e);
	}
	if (strcmp(path, KEY_MANIFEST) == 0) {
		line.objects = j->prefix;
		return presentation_manifest(a->o.repo, j, &view, out, e);
	}
	if (strcmp(path, KEY_PLAYLIST) == 0) {
		line.objects = j->prefix;
		return presentation_media(a->o.repo, j, "", &view, out, e);
	}
	const char *slash = strchr(path, '/');
	bool media = slash && strcmp(slash, "/playlist.m3u8") == 0, iframes = slash && strcmp(slash, "/iframes.m3u8") == 0;
	if (!media && !iframes)
		return err_set(e, ERR_NOT_FOUND, "there is no such playlist");
	_cleanup_free_ char *rendition = mr_strndup(path, (size_t)(slash - path));
	line.objects = http_request_printf(req, "%s/%s", j->prefix, rendition);
	return media ? presentation_media(a->o.repo, j, rendition, &view, out, e)
		     : presentation_iframes(a->o.repo, j, rendition, &view, out, e);
}

int playlists_get(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const char *id = http_request_param(req, "job");
	struct job j;
	if (!uuid_valid(id))
		return err_set(e, ERR_NOT_FOUND, "there is no such job");
	int r = repo_job_get(a->o.repo, NULL, id, &j, e);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf text;
	buf_init(&text, DASH_MANIFEST_MAX_BYTES);
	if (!signer_may_reach(a->o.signer, http_request_signature(req)->access_key_id, j.prefix))
		r = err_set(e, ERR_DENIED, "this key does not reach the job");
	else if (!narration_streams(&j))
		r = err_set_code(e, ERR_GONE, "STREAM_REMOVED", "the stream was removed after its MP3 had been made");
	else
		r = render(a, req, &j, &text, e);
	job_release(&j);
	const char *type = store_content_type(http_request_param(req, "path"));
	return r < 0 ? r : http_respond_bytes(req, 200, type, text.data, text.len);
}
