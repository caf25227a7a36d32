/* Narrations where streaming is switched off (ENABLE_HLS_STREAMING=false): a job's answer has no `streaming`, and is completed when
 * its MP3 is there, which it carries as result.base64. The first that asks for the rendered job has it made; where that failed, the
 * job looks failed, until POST …/download has it made again. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/encode.h"
#include "base/mem.h"

#define INLINE_MAX_BYTES (64u << 20) /* what is larger is fetched by its address */
#define ALMOST_PERCENT 99.9

static int read_file(struct api *a, const char *key, struct buf *out, struct err *e)
{
	struct store_reader *reader;
	struct store_info info;
	size_t got = 0;
	int r = store_reader_open(a->o.store, key, &reader, &info, e);
	if (r == -ERR_NOT_FOUND)
		return err_set_code(e, ERR_GONE, "FILE_GONE", "the file is not in the store any more");
	if (r < 0)
		return r;
	void *room = info.size <= out->max ? buf_reserve(out, (size_t)info.size) : NULL;
	r = room ? store_reader_read(reader, 0, room, (size_t)info.size, &got, e)
		 : err_set_code(e, ERR_TOO_LARGE, "TOO_LARGE", "the MP3 is too large for an answer: fetch download.url");
	if (r == 0)
		buf_commit(out, got);
	store_reader_close(reader);
	return r;
}

static int put_result(struct api *a, const struct job *j, json_t *job, struct err *e)
{
	_cleanup_buf_ struct buf file, text;
	buf_init(&file, INLINE_MAX_BYTES);
	buf_init(&text, 2 * INLINE_MAX_BYTES);
	int r = read_file(a, j->download_key, &file, e);
	if (r < 0)
		return r;
	if (!base64_encode(&text, file.data, file.len, false))
		return err_set(e, ERR_UNAVAILABLE, "no memory for the answer");
	json_object_set_new(job, "result",
			    json_pack("{ss sI ss#}", "format", "mp3", "bytes", (json_int_t)file.len, "base64", text.data,
				      text.len));
	return 0;
}

static void put_failure(const struct job *download, json_t *job)
{
	const char *message = download->error_message ? download->error_message : "it failed";
	json_object_set_new(job, "status", json_string(job_status_name(JOB_FAILED)));
	json_object_set_new(job, "error",
			    json_pack("{ss ss+ sb}", "code", download->error_code, "message", "the MP3 cannot be made: ", message,
				      "retriable", (int)download->error_retriable));
}

/* Rendered, but its MP3 isn't there: it looks as if it were still being made. */
static int make_file(struct api *a, const struct job *j, json_t *job, struct err *e)
{
	struct job download;
	int r = narration_download_start(a, j, false, &download, e);
	if (r < 0)
		return r;
	const bool failed = download.status == JOB_FAILED;
	if (failed)
		put_failure(&download, job);
	job_release(&download);
	if (failed)
		return 0;
	json_object_set_new(job, "status", json_string(job_status_name(JOB_PROCESSING)));
	json_object_set_new(json_object_get(job, "progress"), "stage", json_string("finishing"));
	json_object_set_new(json_object_get(job, "progress"), "percent", json_real(ALMOST_PERCENT));
	json_object_set_new(job, "finished_at", json_null());
	return 0;
}

int narration_inline(struct api *a, const struct job *j, json_t *job, struct err *e)
{
	if (j->kind != JOB_NARRATION || a->o.hls_streaming)
		return 0;
	json_object_del(job, "streaming");
	if (j->status == JOB_STREAMING)
		json_object_set_new(job, "status", json_string(job_status_name(JOB_PROCESSING)));
	if (j->status != JOB_COMPLETED)
		return 0;
	return *j->download_key ? put_result(a, j, job, e) : make_file(a, j, job, e);
}
