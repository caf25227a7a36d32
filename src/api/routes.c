/* The route table: every URL of the product, who may call it, and what it takes. */
#include "api/internal.h"
#include "base/mem.h"

#define OWNED_JOB .access = HTTP_ACCESS_OWNER, .load = load_job, .unload = unload_job
#define OWNED_FILE .access = HTTP_ACCESS_OWNER, .load = load_file, .unload = unload_file
#define OWNED_STREAM .access = HTTP_ACCESS_OWNER, .load = load_stream, .unload = unload_stream
#define OWNED_UPLOAD .access = HTTP_ACCESS_OWNER, .load = load_upload, .unload = unload_upload
#define OWNED_DIRECT .access = HTTP_ACCESS_OWNER, .load = load_direct, .unload = unload_upload
/* 1000 fragment numbers are 50 KB. */
#define KVS                                                                                                              \
	.access = HTTP_ACCESS_SIGNED_HEADER, .service = "kinesisvideo", .body = HTTP_BODY_JSON, .body_max_bytes = 128u << 10, \
	.refuse = kvs_refuse
#define ADMIN .access = HTTP_ACCESS_ADMIN
#define PAGE .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE, .page = true

const struct http_route api_routes[] = {
	{ "GET", "/healthz", healthz, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE },
	{ "GET", "/readyz", readyz, .access = HTTP_ACCESS_PUBLIC },

	{ "GET", "/api/health", health_get, .access = HTTP_ACCESS_PUBLIC },
	{ "GET", "/metrics", metrics_get, ADMIN, .metrics_token = true },
	{ "GET", "/api/admin/stats", admin_stats_get, ADMIN },
	{ "GET", "/api/admin/active", admin_active, ADMIN },
	{ "GET", "/api/admin/history", admin_history, ADMIN },
	{ "GET", "/api/admin/jobs/{job}", admin_job, ADMIN },

	{ "GET", "/api/session", session_get, .access = HTTP_ACCESS_PUBLIC },
	{ "POST", "/api/session", session_start, .access = HTTP_ACCESS_PUBLIC, .body = HTTP_BODY_JSON },
	{ "DELETE", "/api/session", session_end, .access = HTTP_ACCESS_USER },

	{ "POST", "/api/files", NULL, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_STREAM, .sink = &upload_sink },
	{ "GET", "/api/files", files_list, .access = HTTP_ACCESS_USER },
	{ "GET", "/api/files/{id}", files_get, OWNED_FILE },
	{ "DELETE", "/api/files/{id}", files_delete, OWNED_FILE },
	{ "GET", "/api/files/{id}/content", files_content, OWNED_FILE },
	{ "GET", "/api/files/{id}/storyboard.vtt", storyboard_get, OWNED_FILE },

	{ "OPTIONS", "/api/uploads", uploads_options, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE },
	{ "OPTIONS", "/api/uploads/{id}", uploads_options, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE,
	  .public_param = true },
	{ "POST", "/api/uploads", NULL, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_STREAM_RAW,
	  .sink = &uploads_create_sink },
	{ "HEAD", "/api/uploads/{id}", uploads_head, OWNED_UPLOAD },
	{ "PATCH", "/api/uploads/{id}", NULL, OWNED_UPLOAD, .body = HTTP_BODY_STREAM_RAW, .sink = &uploads_patch_sink },
	{ "DELETE", "/api/uploads/{id}", uploads_delete, OWNED_UPLOAD },

	{ "POST", "/api/direct-uploads", direct_create, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON },
	{ "GET", "/api/direct-uploads/{id}", direct_get, OWNED_DIRECT },
	{ "DELETE", "/api/direct-uploads/{id}", direct_delete, OWNED_DIRECT },
	{ "POST", "/api/direct-uploads/{id}/parts", direct_parts, OWNED_DIRECT, .body = HTTP_BODY_JSON },
	{ "POST", "/api/direct-uploads/{id}/complete", direct_complete, OWNED_DIRECT, .body = HTTP_BODY_JSON },

	{ "POST", "/api/jobs", jobs_create, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON },
	{ "GET", "/api/jobs", jobs_list, .access = HTTP_ACCESS_USER },
	{ "GET", "/api/jobs/{id}", jobs_get, OWNED_JOB },
	{ "DELETE", "/api/jobs/{id}", jobs_delete, OWNED_JOB },
	{ "POST", "/api/jobs/{id}/retry", jobs_retry, OWNED_JOB, .body = HTTP_BODY_JSON },
	{ "GET", "/api/jobs/{id}/file", jobs_file, OWNED_JOB },
	{ "POST", "/api/jobs/{id}/download", jobs_download, OWNED_JOB, .body = HTTP_BODY_JSON },
	{ "GET", "/api/jobs/{id}/events", events_job, OWNED_JOB },
	{ "GET", "/api/events", events_all, .access = HTTP_ACCESS_USER },

	{ "POST", "/api/upload-audio", NULL, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_STREAM,
	  .sink = &converter_upload_sink },
	{ "POST", "/api/convert-audio", converter_convert, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON },
	{ "GET", "/api/progress", converter_progress, .access = HTTP_ACCESS_USER },
	{ "GET", "/api/download", converter_download, .access = HTTP_ACCESS_USER },

	{ "GET", "/api/live", live_connect, .access = HTTP_ACCESS_USER, .websocket = true },
	{ "GET", "/api/streams", streams_list, .access = HTTP_ACCESS_USER },
	{ "GET", "/api/streams/{name}", streams_get, OWNED_STREAM },
	{ "GET", "/api/streams/{name}/events", streams_events, OWNED_STREAM, .signed_too = true },
	{ "GET", "/api/streams/{name}/live.m3u8", listen_playlist, OWNED_STREAM, .signed_too = true },
	{ "GET", "/api/streams/{name}/segments/{segment}", listen_segment, OWNED_STREAM, .signed_too = true },
	{ "POST", "/api/streams/{name}/link", listen_link, OWNED_STREAM, .body = HTTP_BODY_JSON },

	{ "GET", "/api/voices", voices_get, .access = HTTP_ACCESS_USER },
	{ "POST", "/api/voices/preview", voices_preview, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON },
	{ "POST", "/", meditation_create, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON },
	{ "GET", "/job/{id}", meditation_get, OWNED_JOB },
	{ "POST", "/job/{id}/download", meditation_download, OWNED_JOB, .body = HTTP_BODY_JSON },

	{ "GET", "/hls/{job}/{path...}", playlists_get, .access = HTTP_ACCESS_SIGNED },
	{ "GET", "/media/{key...}", media_get, .access = HTTP_ACCESS_SIGNED, .where = HTTP_INLINE_FIRST },
	{ "PUT", "/media/{key...}", NULL, .access = HTTP_ACCESS_SIGNED, .body = HTTP_BODY_STREAM_RAW,
	  .sink = &media_sink },

	{ "POST", "/createStream", kvs_create_stream, KVS },
	{ "POST", "/describeStream", kvs_describe_stream, KVS },
	{ "POST", "/listStreams", kvs_list_streams, KVS },
	{ "POST", "/updateDataRetention", kvs_update_retention, KVS },
	{ "POST", "/deleteStream", kvs_delete_stream, KVS },
	{ "POST", "/tagStream", kvs_tag_stream, KVS },
	{ "POST", "/untagStream", kvs_untag_stream, KVS },
	{ "POST", "/listTagsForStream", kvs_list_tags, KVS },
	{ "POST", "/getDataEndpoint", kvs_get_data_endpoint, KVS },
	{ "POST", "/getMedia", kvs_get_media, KVS },
	{ "POST", "/listFragments", kvs_list_fragments, KVS },
	{ "POST", "/getMediaForFragmentList", kvs_get_media_for_fragments, KVS },

	{ "GET", "/", page_get, PAGE },
	{ "GET", "/{asset}", page_get, PAGE, .public_param = true },
};
const size_t api_route_count = MR_ARRAY_SIZE(api_routes);

const struct http_route api_watch_routes[] = {
	{ "GET", "/healthz", healthz, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE },
	{ "GET", "/readyz", readyz, .access = HTTP_ACCESS_PUBLIC },
	{ "GET", "/api/health", health_get, .access = HTTP_ACCESS_PUBLIC },
	{ "GET", "/metrics", metrics_get, ADMIN, .metrics_token = true },
};
const size_t api_watch_route_count = MR_ARRAY_SIZE(api_watch_routes);
