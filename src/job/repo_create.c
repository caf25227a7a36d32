/* The repository's repo_job_create: a job with everything that is planned of it, in one transaction; repeats by
 * idempotency key. Server process (and one-shot runs).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "job/repo_internal.h"

struct create_tx {
	const struct job_new *n;
	struct job job;
	bool existing;
};

/* The job that an earlier request with this key made: 1, or 0 if there is none. */
static int find_earlier(struct db_conn *c, const char *user_id, const char *key, const char *request_hash, int64_t now,
			struct job *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c,
			 "SELECT request_hash, job_id FROM idempotency WHERE user_id = $1 AND idempotency_key = $2"
			 " AND created_ms > $3",
			 DB_PARAMS(DB_TEXT(user_id), DB_TEXT(key), DB_INT(now - IDEMPOTENCY_KEPT_MS)), &rows, e);
	if (r <= 0)
		return r;
	if (strcmp(db_text(rows, 0), request_hash ? request_hash : "") != 0)
		return err_set_code(e, ERR_CONFLICT, "IDEMPOTENCY_KEY_REUSED",
				    "this Idempotency-Key came with another request before");
	r = repo_job_load(c, user_id, db_text(rows, 1), ret, e);
	return r < 0 ? r : 1;
}

int repo_job_earlier(struct repo *repo, const char *user_id, const char *key, const char *request_hash, struct job *ret,
		     struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_now_ms(c, &now, e)) < 0)
		return r;
	r = find_earlier(c, user_id, key, request_hash, now, ret, e);
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "no job was made with this key");
	return r < 0 ? r : 0;
}

/* The source must be there when the job begins; from then on FILE_IN_USE keeps it. */
static int check_file(struct db_conn *c, const struct job_new *n, struct err *e)
{
	if (!n->file_id || !*n->file_id)
		return 0;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT user_id, ready FROM file WHERE id = $1" DB_LOCK,
			 DB_PARAMS(DB_TEXT(n->file_id)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0 || strcmp(n->user_id, db_text(rows, 0)) != 0)
		return err_set(e, ERR_NOT_FOUND, "there is no such file");
	if (!db_int(rows, 1))
		return err_set_code(e, ERR_CONFLICT, "FILE_NOT_READY", "the file has not arrived yet");
	return 0;
}

static int64_t weight_of(const struct job_plan *p)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < p->chunk_count; i++)
		sum += p->chunks[i].weight_ticks;
	return sum;
}

static int insert_job(struct db_conn *c, const struct job_new *n, int64_t now, struct err *e)
{
	const struct job_plan *p = &n->plan;
	/* Its revision comes at the end of the transaction. */
	return db_exec(c,
		       "INSERT INTO job (id, user_id, kind, status, params_json, file_id, source_key, source_bytes,"
		       " prefix, spec_json, duration_ticks, segment_count, target_duration_s, rendition_count,"
		       " stage, created_ms, updated_ms, expires_ms, weight_ticks, source_name, revision)"
		       " VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'queued', $14, $14, $15,"
		       " $16, $17, 0)",
		       DB_PARAMS(DB_TEXT(n->id), DB_TEXT(n->user_id), DB_INT(n->kind), DB_TEXT(n->params_json),
				 DB_TEXT(n->file_id ? n->file_id : ""), DB_TEXT(n->source_key), DB_INT(n->source_bytes),
				 DB_TEXT(n->prefix), DB_TEXT(p->spec_json), DB_INT(p->duration_ticks),
				 DB_INT(p->segment_count), DB_INT(p->target_duration_s), DB_INT(p->rendition_count),
				 DB_INT(now), DB_INT(n->expires_ms), DB_INT(weight_of(p)),
				 DB_TEXT(n->source_name ? n->source_name : "")),
		       NULL, e);
}

/* Subtitles have the video's boundaries, or the sound's in their own ticks (the first rendition is one, then). */
static int64_t boundary(const struct job_plan *p, const struct rendition *x, uint32_t i)
{
	if (p->video_ticks && x->kind != RENDITION_AUDIO)
		return p->video_ticks[i];
	int64_t samples = p->audio_frames[i] * AAC_FRAME_SAMPLES;
	uint32_t rate = p->renditions[0].timescale;
	if (x->kind == RENDITION_AUDIO)
		return samples;
	return (int64_t)(((__int128)samples * x->timescale + rate / 2) / rate);
}

static int insert_segments(struct db_conn *c, const struct job_new *n, const struct rendition *x, struct err *e)
{
	const struct job_plan *p = &n->plan;
	for (uint32_t i = 0; i < p->segment_count; i++) {
		int64_t start = boundary(p, x, i), end = boundary(p, x, i + 1);
		int r = db_exec(c,
				"INSERT INTO segment (job_id, rendition, idx, start_ticks, duration_ticks)"
				" VALUES ($1, $2, $3, $4, $5)",
				DB_PARAMS(DB_TEXT(n->id), DB_INT(x->index), DB_INT(i), DB_INT(start),
					  DB_INT(end - start)),
				NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int insert_renditions(struct db_conn *c, const struct job_new *n, struct err *e)
{
	for (uint32_t i = 0; i < n->plan.rendition_count; i++) {
		const struct rendition *x = &n->plan.renditions[i];
		assert(x->index == i);
		int r = db_exec(c,
				"INSERT INTO rendition (job_id, idx, kind, name, width, height,"
				" frame_rate_milli, channels, language, timescale, declared_bps, label, is_default,"
				" forced, commentary, hearing_impaired, visual_impaired,"
				" has_iframes)"
				" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
				DB_PARAMS(DB_TEXT(n->id), DB_INT(x->index), DB_INT(x->kind), DB_TEXT(x->name),
					  DB_INT(x->width), DB_INT(x->height), DB_INT(x->frame_rate_milli),
					  DB_INT(x->channels), DB_TEXT(x->language), DB_INT(x->timescale),
					  DB_INT(x->declared_bps), DB_TEXT(x->label), DB_INT(x->is_default),
					  DB_INT(x->forced), DB_INT(x->commentary), DB_INT(x->hearing_impaired),
					  DB_INT(x->visual_impaired), DB_INT(x->has_iframes)),
				NULL, e);
		if (r < 0)
			return r;
		r = insert_segments(c, n, x, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int insert_chunks(struct db_conn *c, const struct job_new *n, int64_t now, struct err *e)
{
	for (uint32_t i = 0; i < n->plan.chunk_count; i++) {
		const struct plan_chunk *p = &n->plan.chunks[i];
		int r = db_exec(c,
				"INSERT INTO chunk (job_id, idx, kind, first_segment, segment_count, is_last, state,"
				" weight_ticks, due_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
				DB_PARAMS(DB_TEXT(n->id), DB_INT(i), DB_INT(p->kind), DB_INT(p->first_segment),
					  DB_INT(p->segment_count), DB_INT(p->last),
					  DB_INT(p->waits ? CHUNK_WAITING : CHUNK_READY), DB_INT(p->weight_ticks),
					  p->waits ? DB_NULL : DB_INT(now)),
				NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int remember_key(struct db_conn *c, const struct job_new *n, int64_t now, struct err *e)
{
	if (!n->idempotency_key)
		return 0;
	/* one that outlived its time */
	int r = db_exec(c, "DELETE FROM idempotency WHERE user_id = $1 AND idempotency_key = $2 AND created_ms <= $3",
			DB_PARAMS(DB_TEXT(n->user_id), DB_TEXT(n->idempotency_key), DB_INT(now - IDEMPOTENCY_KEPT_MS)),
			NULL, e);
	if (r < 0)
		return r;
	return db_exec(c,
		       "INSERT INTO idempotency (user_id, idempotency_key, request_hash, job_id, created_ms)"
		       " VALUES ($1, $2, $3, $4, $5)",
		       DB_PARAMS(DB_TEXT(n->user_id), DB_TEXT(n->idempotency_key),
				 DB_TEXT(n->request_hash ? n->request_hash : ""), DB_TEXT(n->id), DB_INT(now)),
		       NULL, e);
}

int repo_job_insert(struct db_conn *c, const struct job_new *n, int64_t now, struct err *e)
{
	int r;
	if ((r = insert_job(c, n, now, e)) < 0 || (r = insert_renditions(c, n, e)) < 0 ||
	    (r = insert_chunks(c, n, now, e)) < 0)
		return r;
	return 0;
}

static int create_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct create_tx *t = ctx;
	const struct job_new *n = t->n;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	job_release(&t->job);
	t->existing = false;
	if (n->idempotency_key) {
		r = find_earlier(c, n->user_id, n->idempotency_key, n->request_hash, now, &t->job, e);
		t->existing = r > 0;
		if (r != 0)
			return r;
	}
	if ((r = check_file(c, n, e)) < 0 || (r = repo_job_insert(c, n, now, e)) < 0 ||
	    (r = remember_key(c, n, now, e)) < 0 || (r = repo_revise(c, n->id, now, e)) < 0)
		return r;
	return repo_job_load(c, n->user_id, n->id, &t->job, e);
}

int repo_job_create(struct repo *repo, const struct job_new *n, struct job *ret, bool *ret_existing, struct err *e)
{
	assert(n->plan.chunk_count && (n->plan.rendition_count || !n->plan.segment_count));
	struct create_tx t = { .n = n };
	int r = repo_transact(repo, "create a job", create_tx, &t, e);
	if (r < 0) {
		job_release(&t.job);
		return r;
	}
	*ret = t.job;
	*ret_existing = t.existing;
	return 0;
}
