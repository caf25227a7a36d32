/* The audio converter's routes, kept for its clients: thin adapters in the shapes that they know.
 *
 *   POST /api/upload-audio                                  → {"fileId", "filename", "size", "format"}
 *   POST /api/convert-audio {"fileId", "format", "quality"} → {"jobId", "status": "created"}
 *   GET  /api/progress?jobId=                               → {"jobId", "progress", "stage", "status"}
 *   GET  /api/download?jobId= [&presigned=1]                → the file, or {"url", "expiresIn"}
 */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "job/plan_convert.h"
#include "job/probe_json.h"
#include "worker/file_probe.h"

/* ---- upload ---- */

struct audio_upload {
	void *inner; /* of upload_sink */
	uint64_t limit, received;
};

static int audio_begin(void *ctx, struct http_request *req, const struct http_upload *up, void **ret_state, struct err *e)
{
	const struct api *a = ctx;
	struct audio_upload *u = mr_calloc(1, sizeof(*u));
	u->limit = worker_max_audio_bytes(a->o.worker);
	int r = up->length >= 0 && (uint64_t)up->length > u->limit ? file_probe_refuse_audio(u->limit, e)
								   : upload_sink.begin(ctx, req, up, &u->inner, e);
	if (r < 0)
		free(u);
	else
		*ret_state = u;
	return r;
}

static int audio_write(void *state, const void *data, size_t len, struct err *e)
{
	struct audio_upload *u = state;
	u->received += len;
	return u->received > u->limit ? file_probe_refuse_audio(u->limit, e) : upload_sink.write(u->inner, data, len, e);
}

static void audio_abort(void *take_state)
{
	struct audio_upload *u = take_state;
	upload_sink.abort(u->inner);
	free(u);
}

/* What the converter calls a container's format, by the names that the probe gives it; NULL: it takes none such. */
static const char *format_of(const struct probe_result *p)
{
	static const struct {
		const char *probed, *format;
	} known[] = { { "mp3", "mp3" },	 { "wav", "wav" }, { "aac", "aac" },		     { "mov,mp4,m4a,3gp,3g2,mj2", "m4a" },
		      { "flac", "flac" }, { "ogg", "ogg" }, { "matroska,webm", "webm" } };
	bool opus = false, vorbis = false;
	for (uint32_t i = 0; i < p->stream_count; i++) {
		const struct probe_stream *s = &p->streams[i];
		if (s->kind == STREAM_VIDEO && !s->attached_picture)
			return NULL;
		opus = opus || (s->kind == STREAM_AUDIO && strcmp(s->codec, "opus") == 0);
		vorbis = vorbis || (s->kind == STREAM_AUDIO && strcmp(s->codec, "vorbis") == 0);
	}
	if (strcmp(p->format, "matroska,webm") == 0 && !opus && !vorbis)
		return NULL; /* WebM has these alone */
	if (strcmp(p->format, "ogg") == 0 && opus)
		return "opus";
	for (size_t i = 0; i < MR_ARRAY_SIZE(known); i++)
		if (strcmp(known[i].probed, p->format) == 0)
			return known[i].format;
	return NULL;
}

static int check_audio(const struct probe_result *p, struct err *e)
{
	if (p->best_audio >= 0 && format_of(p))
		return 0;
	const char *codec = p->stream_count ? p->streams[0].codec : "nothing";
	return err_set_code(e, ERR_UNSUPPORTED, "UNSUPPORTED_FORMAT",
			    "found %s with %s: expected sound as MP3, WAV, AAC, M4A, OGG, FLAC, Opus or WebM", p->format, codec);
}

static int audio_finish(void *ctx, struct http_request *req, void *take_state, struct err *e)
{
	struct audio_upload *u = take_state;
	struct file f;
	int r = upload_settle(ctx, mr_steal(u->inner), check_audio, &f, e);
	free(u);
	if (r < 0)
		return r;
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	r = probe_json_parse(f.probe_json, probe, e);
	if (r == 0)
		r = http_respond_json(req, 200,
				      json_pack("{ss ss sI ss}", "fileId", f.id, "filename", f.name, "size",
						(json_int_t)f.size_bytes, "format", format_of(probe)));
	probe_result_release(probe);
	free(probe);
	file_release(&f);
	return r;
}

const struct http_sink converter_upload_sink = {
	.begin = audio_begin, .write = audio_write, .finish = audio_finish, .abort = audio_abort
};

/* ---- convert ---- */

int converter_convert(void *ctx, struct http_request *req, struct err *e)
{
	static const char *const fields[] = { "fileId", "format", "quality", "user_id", NULL };
	struct api *a = ctx;
	const json_t *in = http_request_json(req);
	const char *file_id, *format, *quality = NULL;
	if (json_only_fields(in, fields, e) < 0 || json_get_string(in, "fileId", JSON_REQUIRED, &file_id, e) < 0 ||
	    json_get_string(in, "format", JSON_REQUIRED, &format, e) < 0 ||
	    json_get_string(in, "quality", JSON_OPTIONAL, &quality, e) < 0)
		return -ERR_INVALID;
	struct file f;
	struct job j;
	int r = source_file(a, req, file_id, &f, e);
	if (r < 0)
		return r;
	json_t *params = json_pack("{ss ss*}", "format", format, "quality", quality);
	r = conversion_create(a, req, &f, params, &(struct repeatable){ 0 }, &j, e);
	json_decref(params);
	file_release(&f);
	if (r < 0)
		return r;
	r = http_respond_json(req, 202, json_pack("{ss ss}", "jobId", j.id, "status", "created"));
	job_release(&j);
	return r;
}

/* ---- progress and download ---- */

static int query_id(struct http_request *req, const char **ret, struct err *e)
{
	const char *id = http_request_query(req, "jobId");
	if (!id || !*id)
		return err_set(e, ERR_INVALID, "jobId: missing");
	if (!uuid_valid(id))
		return err_set(e, ERR_NOT_FOUND, "there is no such job");
	http_request_log(req, "job", id);
	*ret = id;
	return 0;
}

int converter_progress(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct progress_view v;
	const char *id = NULL;
	int r = query_id(req, &id, e);
	if (r == 0)
		r = progress_cache_get(a->progress, http_request_identity(req)->user, id, &v, e);
	if (r < 0)
		return r;
	return http_respond_json(req, 200,
				 json_pack("{ss si ss ss}", "jobId", v.job_id, "progress", (int)v.percent, "stage", v.stage,
					   "status", job_status_name(v.status)));
}

int converter_download(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct job j;
	const char *id = NULL, *presigned = http_request_query(req, "presigned");
	int r = query_id(req, &id, e);
	if (r == 0)
		r = repo_job_get(a->o.repo, http_request_identity(req)->user, id, &j, e);
	if (r < 0)
		return r;
	if (presigned && strcmp(presigned, "1") == 0)
		r = conversion_respond_url(a, req, &j, "url", "expiresIn", e);
	else
		r = conversion_respond_file(a, req, &j, e);
	job_release(&j);
	return r;
}
