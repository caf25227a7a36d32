/* Streamed bodies. Two buffers of 256 KiB go round: the HTTP thread fills one while a job on the pool writes the other;
 * when both are in use the connection is suspended until the job is done. The front process.
 *
 * Who owns a struct upload: its request until upload_detach; if a job is writing then, that job, which aborts and frees
 * it. */
#include "http/upload.h"

#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "http/fields.h"
#include "http/internal.h"
#include "http/response.h"
#include "os/pool.h"

#define HALF_BYTES (256u << 10)
#define WRITE_FROM_BYTES (64u << 10) /* less is not worth a job while more may come */
#define FEED_BYTES (32u << 10)       /* given to the multipart parser at once */
#define PARSER_BYTES (32u << 10)     /* what it may hold back */
#define FORM_FIELDS_MAX 16
#define FORM_VALUE_MAX (8u << 10)
#define PACE_FROM_MS 30000

struct form_field {
	struct form_field *next;
	const char *name;
	struct buf value;
};

struct upload {
	struct http_server *server;
	struct http_request *req; /* until detached */
	const struct http_sink *sink;
	struct http_upload info;
	void *state;
	bool begun; /* begin has succeeded, and neither finish nor abort has been called */

	/* HTTP thread */
	struct MHD_PostProcessor *parser;
	struct form_field *form, *field; /* all; the one that is being received */
	unsigned form_count;
	bool in_file, file_seen, begin_due;
	char *halves[2];
	unsigned filling; /* index of the half that is being filled */
	size_t fill_len;
	size_t write_len; /* of the other half; the job's while `writing` */

	atomic_int_fast64_t started_ms, waited_ms, waiting_since_ms;
	atomic_uint_fast64_t bytes;

	pthread_mutex_t lock;
	/* protected by lock */
	bool writing, suspended, detached, failed;
	struct err why;
};

const char *http_request_form(const struct http_request *req, const char *name)
{
	for (const struct form_field *f = req->upload ? req->upload->form : NULL; f; f = f->next)
		if (strcmp(f->name, name) == 0)
			return f->value.data ? f->value.data : "";
	return NULL;
}

bool upload_is_too_slow(const struct upload *u, int64_t now_ms, uint32_t min_bytes_per_s)
{
	int64_t since = atomic_load(&u->waiting_since_ms);
	int64_t ours = atomic_load(&u->waited_ms) + (since ? now_ms - since : 0);
	int64_t theirs = now_ms - atomic_load(&u->started_ms) - ours;
	return theirs > PACE_FROM_MS && atomic_load(&u->bytes) < (uint64_t)theirs / 1000 * min_bytes_per_s;
}

/* ---- end of life ---- */

static void upload_free(struct upload *u)
{
	for (unsigned i = 0; i < 2; i++)
		if (u->halves[i])
			(void)munmap(u->halves[i], HALF_BYTES);
	for (struct form_field *f = u->form; f; f = f->next)
		buf_release(&f->value);
	(void)pthread_mutex_destroy(&u->lock);
	free(u);
}

static void abandon(struct upload *u)
{
	struct err ignored;
	bool rest = u->sink->write_rest && u->fill_len && !u->failed;
	/* The client is gone: nobody is left to tell of a failure. */
	if (u->begun && rest && u->sink->write(u->state, u->halves[u->filling], u->fill_len, &ignored) < 0)
		u->failed = true;
	if (u->begun)
		u->sink->abort(u->state);
	u->begun = false;
}

static void abandon_job(void *arg)
{
	struct upload *u = arg;
	struct http_server *s = u->server;
	abandon(u);
	upload_free(u);
	work_release(s);
}

void upload_detach(struct http_request *req)
{
	struct upload *u = req->upload;
	req->upload = NULL;
	if (u->parser)
		(void)MHD_destroy_post_processor(u->parser);
	u->parser = NULL;
	/* The fields' names are in the request's arena. */
	for (struct form_field *f = u->form; f; f = f->next)
		buf_release(&f->value);
	u->form = NULL;
	(void)pthread_mutex_lock(&u->lock);
	bool writing = u->writing;
	u->detached = true;
	(void)pthread_mutex_unlock(&u->lock);
	if (writing)
		return;
	if (u->begun && work_hold(u->server)) {
		if (pool_submit(u->server->opts.pool, abandon_job, u) == 0)
			return;
		work_release(u->server);
	}
	/* Nothing to abort; or the pool is full or the server stopping: then an unlink on this thread is the lesser
	 * evil. */
	abandon(u);
	upload_free(u);
}

/* ---- the sink's side: jobs ---- */

static void write_job(void *arg)
{
	struct upload *u = arg;
	struct http_server *s = u->server;
	struct err e;
	int r = u->sink->write(u->state, u->halves[!u->filling], u->write_len, &e);
	(void)pthread_mutex_lock(&u->lock);
	u->writing = false;
	if (r < 0) {
		u->failed = true;
		u->why = e;
	}
	bool detached = u->detached;
	if (u->suspended) {
		u->suspended = false;
		atomic_fetch_add(&u->waited_ms, clock_mono_ms() - atomic_load(&u->waiting_since_ms));
		atomic_store(&u->waiting_since_ms, 0);
		MHD_resume_connection(u->req->mhd);
	}
	(void)pthread_mutex_unlock(&u->lock);
	/* From here on `u` is ours only if the request has gone. */
	if (detached) {
		abandon(u);
		upload_free(u);
	}
	work_release(s);
}

static int call_begin(struct upload *u, struct err *e)
{
	void *state = NULL;
	int r = u->sink->begin(u->server->opts.ctx, u->req, &u->info, &state, e);
	if (r < 0)
		return r;
	u->state = state;
	u->begun = true;
	return 0;
}

static void begin_job(void *arg)
{
	struct http_request *req = arg;
	struct upload *u = req->upload;
	struct err e = { 0 };
	int r = call_begin(u, &e);
	(void)pthread_mutex_lock(&u->lock);
	if (r < 0) {
		u->failed = true;
		u->why = e;
	}
	(void)pthread_mutex_unlock(&u->lock);
	work_end(req, PHASE_BODY);
}

static void finish(struct http_request *req)
{
	struct upload *u = req->upload;
	struct err e = { 0 };
	int r = 0;
	if (u->fill_len) {
		r = u->sink->write(u->state, u->halves[u->filling], u->fill_len, &e);
		u->fill_len = 0;
	}
	u->begun = false;
	if (r < 0)
		u->sink->abort(u->state);
	else
		r = u->sink->finish(u->server->opts.ctx, req, u->state, &e);
	if (r < 0)
		(void)http_respond_error(req, &e);
	admit_unload(req);
}

static void finish_job(void *arg)
{
	finish(arg);
	work_end(arg, PHASE_RESPOND);
}

void upload_finish_empty(struct http_request *req)
{
	struct upload *u = req->upload;
	if (u->begun) {
		finish(req);
		return;
	}
	struct err e;
	(void)err_set(&e, ERR_INVALID, "the multipart body is empty");
	(void)http_respond_error(req, &e);
}

/* ---- multipart ---- */

static const char *clean_filename(struct http_request *req, const char *name)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1024);
	return name && field_filename_clean(name, strlen(name), &b) ? http_request_strdup(req, b.data) : NULL;
}

static void fail_locked(struct upload *u, enum err_kind kind, const char *what)
{
	if (!u->failed)
		(void)err_set(&u->why, kind, "%s", what);
	u->failed = true;
}

static void fail(struct upload *u, enum err_kind kind, const char *what)
{
	(void)pthread_mutex_lock(&u->lock);
	fail_locked(u, kind, what);
	(void)pthread_mutex_unlock(&u->lock);
}

static void new_part(struct upload *u, const char *name, const char *filename, const char *content_type)
{
	u->in_file = false;
	u->field = NULL;
	if (strcmp(name, "file") == 0) {
		if (u->file_seen)
			return;
		u->in_file = u->file_seen = u->begin_due = true;
		u->info.filename = clean_filename(u->req, filename);
		u->info.content_type = content_type ? http_request_strdup(u->req, content_type) : NULL;
		return;
	}
	if (u->file_seen)
		return;
	if (u->form_count++ == FORM_FIELDS_MAX) {
		fail(u, ERR_TOO_LARGE, "the form has too many fields before the file");
		return;
	}
	struct form_field *f = http_request_alloc(u->req, sizeof(*f));
	f->name = http_request_strdup(u->req, name);
	buf_init(&f->value, FORM_VALUE_MAX);
	f->next = u->form;
	u->form = u->field = f;
}

/* There is room: feed gives the parser no more than fits. */
static enum MHD_Result on_part(void *cls, enum MHD_ValueKind kind, const char *key, const char *filename,
			       const char *content_type, const char *transfer_encoding, const char *data, uint64_t off,
			       size_t size)
{
	(void)kind;
	(void)transfer_encoding;
	struct upload *u = cls;
	if (off == 0)
		new_part(u, key ? key : "", filename, content_type);
	if (u->in_file) {
		memcpy(u->halves[u->filling] + u->fill_len, data, size);
		u->fill_len += size;
	} else if (u->field && size && !buf_append(&u->field->value, data, size)) {
		fail(u, ERR_TOO_LARGE, "a field of the form is larger than 8 KiB");
	}
	return MHD_YES;
}

/* ---- the socket's side: HTTP thread ---- */

static bool have_half(struct upload *u, unsigned i)
{
	if (u->halves[i])
		return true;
	/* mmap, so that the memory goes back to the system when the upload is over. */
	void *p = mmap(NULL, HALF_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u->halves[i] = p == MAP_FAILED ? NULL : p;
	return u->halves[i];
}

int upload_begin(struct http_request *req, struct err *e)
{
	const char *type = http_request_header(req, "Content-Type");
	bool multipart = req->match.route->body == HTTP_BODY_STREAM && field_is_type(type, "multipart/form-data");
	struct upload *u = mr_calloc(1, sizeof(*u));
	u->server = req->server;
	u->req = req;
	u->sink = req->match.route->sink;
	u->info.multipart = multipart;
	u->info.length = multipart ? -1 : req->has_body ? req->content_length : 0;
	(void)pthread_mutex_init(&u->lock, NULL);
	atomic_store(&u->started_ms, clock_mono_ms());
	req->upload = u;
	if (!have_half(u, 0))
		return err_set(e, ERR_UNAVAILABLE, "no memory for the upload");
	if (multipart) {
		u->parser = MHD_create_post_processor(req->mhd, PARSER_BYTES, on_part, u);
		return u->parser ? 0 : err_set(e, ERR_INVALID, "Content-Type: multipart/form-data without a boundary");
	}
	if (!field_is_type(type, "application/x-www-form-urlencoded"))
		u->info.content_type = type;
	const char *disposition = http_request_header(req, "Content-Disposition");
	_cleanup_buf_ struct buf name;
	buf_init(&name, 1024);
	if (disposition && field_disposition_filename(disposition, &name))
		u->info.filename = http_request_strdup(req, name.data);
	else
		u->info.filename = clean_filename(req, http_request_query(req, "filename"));
	return call_begin(u, e);
}

enum room { ROOM_MADE, ROOM_LATER, ROOM_NEVER };

/* Hands the filled half to a job, or waits (suspended) for the job that has the other. */
static enum room make_room(struct upload *u, bool wait)
{
	enum room r = ROOM_LATER;
	(void)pthread_mutex_lock(&u->lock);
	if (u->failed) {
		r = ROOM_NEVER;
	} else if (u->writing) {
		if (wait) {
			u->suspended = true;
			atomic_store(&u->waiting_since_ms, clock_mono_ms());
			MHD_suspend_connection(u->req->mhd);
		}
	} else if (!have_half(u, !u->filling) || !work_hold(u->server)) {
		fail_locked(u, ERR_UNAVAILABLE, "the server is stopping or out of memory");
		r = ROOM_NEVER;
	} else {
		u->filling = !u->filling;
		u->write_len = u->fill_len;
		u->fill_len = 0;
		u->writing = true;
		r = ROOM_MADE;
		if (pool_submit(u->server->opts.pool, write_job, u) < 0) {
			u->writing = false;
			fail_locked(u, ERR_UNAVAILABLE, "too many requests are waiting; try again");
			work_release(u->server);
			r = ROOM_NEVER;
		}
	}
	(void)pthread_mutex_unlock(&u->lock);
	return r;
}

static size_t feed(struct upload *u, const char *data, size_t len)
{
	if (!u->parser) {
		size_t n = HALF_BYTES - u->fill_len < len ? HALF_BYTES - u->fill_len : len;
		memcpy(u->halves[u->filling] + u->fill_len, data, n);
		u->fill_len += n;
		return n;
	}
	size_t n = len < FEED_BYTES ? len : FEED_BYTES;
	if (HALF_BYTES - u->fill_len < FEED_BYTES + PARSER_BYTES)
		return 0;
	if (MHD_post_process(u->parser, data, n) == MHD_NO)
		fail(u, ERR_INVALID, "the multipart body is malformed");
	return n;
}

static bool has_failed(struct upload *u, struct err *e)
{
	(void)pthread_mutex_lock(&u->lock);
	bool failed = u->failed;
	if (failed)
		*e = u->why;
	(void)pthread_mutex_unlock(&u->lock);
	return failed;
}

bool upload_data(struct http_request *req, const char *data, size_t *size, struct err *e)
{
	struct upload *u = req->upload;
	size_t left = *size;
	bool waiting = false;
	while (left && !waiting) {
		size_t n = feed(u, data, left);
		data += n;
		left -= n;
		if (has_failed(u, e))
			return false;
		if (u->begin_due) {
			u->begin_due = false;
			waiting = work_start(req, begin_job);
			if (!waiting) {
				(void)err_set_code(e, ERR_UNAVAILABLE, "DRAINING", "the server is stopping");
				return false;
			}
		} else if (n == 0) {
			waiting = make_room(u, true) == ROOM_LATER;
		}
	}
	atomic_fetch_add(&u->bytes, *size - left);
	*size = left;
	if (!waiting && u->begun && u->fill_len >= WRITE_FROM_BYTES)
		(void)make_room(u, false);
	return true;
}

/* What the parser says at its end. */
static void end_multipart(struct upload *u)
{
	bool whole = MHD_destroy_post_processor(u->parser) == MHD_YES;
	u->parser = NULL;
	(void)pthread_mutex_lock(&u->lock);
	if (!whole)
		fail_locked(u, ERR_INVALID, "the multipart body ends too early");
	else if (!u->file_seen)
		fail_locked(u, ERR_INVALID, "the form has no field \"file\"");
	(void)pthread_mutex_unlock(&u->lock);
}

bool upload_end(struct http_request *req)
{
	struct upload *u = req->upload;
	struct err e;
	if (u->parser)
		end_multipart(u);
	if (u->begin_due && !has_failed(u, &e)) { /* the parser handed the part out only now */
		u->begin_due = false;
		return work_start(req, begin_job);
	}
	(void)pthread_mutex_lock(&u->lock);
	bool writing = u->writing;
	if (writing) { /* called again when it is done */
		u->suspended = true;
		atomic_store(&u->waiting_since_ms, clock_mono_ms());
		MHD_suspend_connection(req->mhd);
	}
	(void)pthread_mutex_unlock(&u->lock);
	if (writing)
		return true;
	if (has_failed(u, &e)) {
		(void)http_respond_error(req, &e);
		req->phase = PHASE_RESPOND;
		return false;
	}
	return work_start(req, finish_job);
}
