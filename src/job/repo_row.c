/* Rows to values, and cursors. Every process that uses the repository. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/repo_internal.h"

void repo_copy_text(struct db_rows *rows, int column, char *out, size_t size)
{
	const char *text = db_text(rows, column);
	(void)snprintf(out, size, "%s", text ? text : "");
}

static char *dup_text(struct db_rows *rows, int column)
{
	const char *text = db_text(rows, column);
	return text ? mr_strdup(text) : NULL;
}

static uint32_t u32(struct db_rows *rows, int column)
{
	return (uint32_t)db_int(rows, column);
}

void repo_job_row(struct db_rows *rows, struct job *ret)
{
	*ret = (struct job){ .kind = (enum job_kind)db_int(rows, 2),
			     .status = (enum job_status)db_int(rows, 3),
			     .params_json = dup_text(rows, 4),
			     .source_key = dup_text(rows, 6),
			     .source_bytes = (uint64_t)db_int(rows, 7),
			     .prefix = dup_text(rows, 8),
			     .spec_json = dup_text(rows, 9),
			     .duration_ticks = db_int(rows, 10),
			     .segment_count = u32(rows, 11),
			     .target_duration_s = u32(rows, 12),
			     .rendition_count = u32(rows, 13),
			     .visible_segments = u32(rows, 14),
			     .published_segments = u32(rows, 15),
			     .ended = db_int(rows, 16) != 0,
			     .percent = db_real(rows, 17),
			     .speed = db_real(rows, 18),
			     .eta_seconds = db_real(rows, 19),
			     .generation_attempt = u32(rows, 21),
			     .error_message = dup_text(rows, 23),
			     .error_retriable = db_int(rows, 24) != 0,
			     .created_ms = db_int(rows, 25),
			     .updated_ms = db_int(rows, 26),
			     .started_ms = db_int(rows, 27),
			     .streaming_ms = db_int(rows, 28),
			     .finished_ms = db_int(rows, 29),
			     .expires_ms = db_int(rows, 30),
			     .revision = db_int(rows, 31),
			     .source_name = dup_text(rows, 32),
			     .result_json = dup_text(rows, 33),
			     .removed_ms = db_int(rows, 34),
			     .download_key = dup_text(rows, 35),
			     .stream_until_ms = db_int(rows, 36),
			     .grace_ms = db_int(rows, 38) };
	repo_copy_text(rows, 0, ret->id, sizeof(ret->id));
	repo_copy_text(rows, 1, ret->user_id, sizeof(ret->user_id));
	repo_copy_text(rows, 37, ret->parent_id, sizeof(ret->parent_id));
	repo_copy_text(rows, 5, ret->file_id, sizeof(ret->file_id));
	repo_copy_text(rows, 20, ret->stage, sizeof(ret->stage));
	repo_copy_text(rows, 22, ret->error_code, sizeof(ret->error_code));
}

void repo_file_row(struct db_rows *rows, struct file *ret)
{
	*ret = (struct file){ .name = dup_text(rows, 2),
			      .content_type = dup_text(rows, 3),
			      .key = dup_text(rows, 4),
			      .size_bytes = (uint64_t)db_int(rows, 5),
			      .ready = db_int(rows, 7) != 0,
			      .probe_json = dup_text(rows, 8),
			      .created_ms = db_int(rows, 9),
			      .updated_ms = db_int(rows, 10),
			      .analysis = (enum analysis_state)db_int(rows, 11),
			      .analysis_json = dup_text(rows, 12) };
	repo_copy_text(rows, 0, ret->id, sizeof(ret->id));
	repo_copy_text(rows, 1, ret->user_id, sizeof(ret->user_id));
	repo_copy_text(rows, 6, ret->sha256, sizeof(ret->sha256));
}

void repo_chunk_row(struct db_rows *rows, struct chunk *ret)
{
	*ret = (struct chunk){ .index = u32(rows, 1),
			       .kind = (enum chunk_kind)db_int(rows, 2),
			       .first_segment = u32(rows, 3),
			       .segment_count = u32(rows, 4),
			       .last = db_int(rows, 5) != 0,
			       .state = (enum chunk_state)db_int(rows, 6),
			       .claims = u32(rows, 7),
			       .failures = u32(rows, 8),
			       .weight_ticks = db_int(rows, 9),
			       .done_ticks = db_int(rows, 10) };
	repo_copy_text(rows, 0, ret->job_id, sizeof(ret->job_id));
}

void repo_cursor_format(char order, int64_t number, const char *id, char out[64])
{
	(void)snprintf(out, 64, "%c%" PRIx64 ".%s", order, (uint64_t)number, id);
}

int repo_cursor_parse(const char *cursor, char order, int64_t *ret_number, char ret_id[UUID_SIZE], struct err *e)
{
	const char *hex = cursor + 1;
	size_t digits = cursor[0] == order ? strspn(hex, "0123456789abcdef") : 0;
	if (digits < 1 || digits > 15 || hex[digits] != '.' || !uuid_valid(hex + digits + 1))
		return err_set_code(e, ERR_INVALID, "BAD_CURSOR", "\"cursor\" is not one that this list gave");
	*ret_number = (int64_t)strtoull(hex, NULL, 16);
	(void)snprintf(ret_id, UUID_SIZE, "%s", hex + digits + 1);
	return 0;
}

void repo_job_rows_release(struct job_rows *rows)
{
	for (uint32_t i = 0; i < rows->count; i++)
		job_release(&rows->items[i]);
	free(rows->items);
	*rows = (struct job_rows){ 0 };
}

int repo_job_rows(struct repo *repo, const char *sql, const struct db_params *params, struct job_rows *ret,
		  struct err *e)
{
	_cleanup_job_rows_ struct job_rows list = { 0 };
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_query(c, sql, params, &rows, e)) < 0)
		return r;
	while ((r = db_next(rows, e)) > 0) {
		if (list.count % 16 == 0)
			list.items = mr_reallocarray(list.items, list.count + 16, sizeof(*list.items));
		repo_job_row(rows, &list.items[list.count++]);
	}
	if (r < 0)
		return r;
	*ret = list;
	list = (struct job_rows){ 0 };
	return 0;
}

int repo_job_each(struct repo *repo, const char *sql, const struct db_params *params, repo_job_fn fn, void *ctx,
		  struct err *e)
{
	_cleanup_job_rows_ struct job_rows list = { 0 };
	int r = repo_job_rows(repo, sql, params, &list, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < list.count; i++)
		fn(ctx, &list.items[i]);
	return 0;
}
