/* The repository's tests: see repo_fixture.h. */
#include "repo_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/keys.h"
#include "job/plan_narrate.h"

int repo_fixture_setup(void **state)
{
	struct repo_fixture *f = mr_calloc(1, sizeof(*f));
	fresh_db_make(&f->at);
	OK(db_open(&(struct db_opts){ .url = f->at.url }, &f->db, &f->e));
	OK(repo_open(f->db, &f->repo, &f->e));
	*state = f;
	return 0;
}

int repo_fixture_teardown(void **state)
{
	struct repo_fixture *f = *state;
	repo_close(f->repo);
	db_close(f->db);
	fresh_db_remove(&f->at);
	free(f);
	return 0;
}

int64_t number(struct repo_fixture *f, const char *text)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	OK(db_first(c, text, DB_NO_PARAMS, &rows, &f->e));
	return db_int(rows, 0);
}

void sql(struct repo_fixture *f, const char *text)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	OK(db_exec(c, text, DB_NO_PARAMS, NULL, &f->e));
}

void age(struct repo_fixture *f, int64_t ms)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	OK(db_exec(c, "UPDATE chunk SET due_ms = due_ms - $1", DB_PARAMS(DB_INT(ms)), NULL, &f->e));
	OK(db_exec(c, "UPDATE job SET advanced_ms = advanced_ms - $1, run_ms = run_ms - $1, served_ms = served_ms - $1",
		   DB_PARAMS(DB_INT(ms)), NULL, &f->e));
}

static void boundaries(int64_t **ret, uint32_t count, int64_t step)
{
	*ret = mr_calloc(count + 1, sizeof(**ret));
	for (uint32_t i = 0; i <= count; i++)
		(*ret)[i] = i * step;
}

void plan_make(struct ladder_plan *p, const uint32_t *chunk_segments)
{
	*p = (struct ladder_plan){ .target_duration_s = 4, .rendition_count = 3 };
	p->spec = (struct ladder_spec){ .video_stream = 0,
					.audio_count = 1,
					.audios = { { 1, 2, 128000 } },
					.segment_ticks = SEGMENT_TICKS,
					.rung_count = 2,
					.audio_rate = 48000 };
	p->renditions[0] = (struct rendition){ .index = 0,
					       .kind = RENDITION_VIDEO,
					       .name = "720p",
					       .width = 1280,
					       .height = 720,
					       .frame_rate_milli = 25000,
					       .timescale = VIDEO_TIMESCALE,
					       .has_iframes = true,
					       .declared_bps = 3000000 };
	p->renditions[1] = (struct rendition){ .index = 1,
					       .kind = RENDITION_VIDEO,
					       .name = "360p",
					       .width = 640,
					       .height = 360,
					       .frame_rate_milli = 25000,
					       .timescale = VIDEO_TIMESCALE,
					       .has_iframes = true,
					       .declared_bps = 900000 };
	p->renditions[2] = (struct rendition){ .index = 2,
					       .kind = RENDITION_AUDIO,
					       .is_default = true,
					       .name = "audio",
					       .channels = 2,
					       .language = "en",
					       .timescale = 48000,
					       .declared_bps = 130000 };
	while (chunk_segments[p->chunk_count])
		p->segment_count += chunk_segments[p->chunk_count++];
	p->chunks = mr_calloc(p->chunk_count + 1, sizeof(*p->chunks));
	uint32_t first = 0;
	for (uint32_t i = 0; i < p->chunk_count; i++) {
		p->chunks[i] = (struct plan_chunk){ .kind = CHUNK_LADDER,
						    .first_segment = first,
						    .segment_count = chunk_segments[i],
						    .last = i + 1 == p->chunk_count,
						    .weight_ticks = chunk_segments[i] * SEGMENT_TICKS };
		first += chunk_segments[i];
	}
	p->chunks[p->chunk_count] = (struct plan_chunk){ .kind = CHUNK_FINISH, .first_segment = first, .waits = true };
	p->spec_json = ladder_spec_format(&p->spec);
	p->duration_ticks = p->segment_count * SEGMENT_TICKS;
	boundaries(&p->video_ticks, p->segment_count, SEGMENT_TICKS);
	boundaries(&p->audio_frames, p->segment_count, SEGMENT_FRAMES);
}

struct job_new job_new_of(const char *user, const struct ladder_plan *p)
{
	struct job_new n = { .user_id = user,
			     .kind = JOB_LADDER,
			     .file_id = "",
			     .source_key = "uploads/u/source.mp4",
			     .source_name = "source.mp4",
			     .source_bytes = 12345,
			     .prefix = "hls/u/j",
			     .params_json = "{}",
			     .plan = ladder_job_plan(p) };
	uuid7_new(n.id);
	return n;
}

void make_job(struct repo_fixture *f, const char *user, const uint32_t *chunk_segments, char id[UUID_SIZE])
{
	struct ladder_plan p;
	plan_make(&p, chunk_segments);
	struct job_new n = job_new_of(user, &p);
	struct job j = { 0 };
	bool existing = true;
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	assert_false(existing);
	memcpy(id, j.id, UUID_SIZE);
	job_release(&j);
	ladder_plan_release(&p);
}

struct job get_job(struct repo_fixture *f, const char *id)
{
	struct job j = { 0 };
	OK(repo_job_get(f->repo, NULL, id, &j, &f->e));
	return j;
}

enum job_status status_of(struct repo_fixture *f, const char *id)
{
	struct job j = get_job(f, id);
	enum job_status status = j.status;
	job_release(&j);
	return status;
}

void make_file(struct repo_fixture *f, const char *user, char id[UUID_SIZE])
{
	uuid7_new(id);
	char name[] = "film.mp4", type[] = "video/mp4";
	_cleanup_free_ char *key = mr_asprintf("uploads/%s/%s.mp4", user, id);
	struct file file = { .name = name, .content_type = type, .key = key };
	memcpy(file.id, id, UUID_SIZE);
	(void)snprintf(file.user_id, sizeof(file.user_id), "%s", user);
	OK(repo_file_create(f->repo, &file, &f->e));
	OK(repo_file_ready(f->repo, id, 777, "abc", "{\"format\":\"mov\"}", NULL, &f->e));
}

struct claim claim_as(struct repo_fixture *f, const char *worker)
{
	struct claim c = { 0 };
	OK(repo_claim(f->repo, WORK_JOBS, 0, worker, LEASE_MS, &c, &f->e));
	return c;
}

struct segment segment_at(uint32_t rendition, uint32_t index)
{
	int64_t step = rendition == 2 ? SEGMENT_FRAMES * AAC_FRAME_SAMPLES : SEGMENT_TICKS;
	struct segment s = { .rendition = rendition,
			     .index = index,
			     .start_ticks = index * step,
			     .duration_ticks = step,
			     .bytes = 1000 };
	if (rendition != 2) {
		s.iframe_count = 2;
		s.iframes[0] = (struct task_iframe){ .offset = 24, .size_bytes = 100 };
		s.iframes[1] = (struct task_iframe){ .ticks = step / 2, .offset = 500, .size_bytes = 90 };
	}
	(void)snprintf(s.sha256, sizeof(s.sha256), "%031u%032u", rendition, index);
	return s;
}

int commit_init(struct repo *repo, const struct claim *c, uint32_t rendition, struct err *e)
{
	return repo_commit_init(repo, c, rendition, rendition == 2 ? "mp4a.40.2" : "avc1.64001f", 700 + rendition,
				"1n1t", e);
}

void commit_inits(struct repo_fixture *f, const struct claim *c)
{
	for (uint32_t i = 0; i < c->job.rendition_count; i++)
		OK(commit_init(f->repo, c, i, &f->e));
}

void commit_segments(struct repo_fixture *f, const struct claim *c, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		for (uint32_t r = 0; r < c->job.rendition_count; r++) {
			struct segment s = segment_at(r, i);
			OK(repo_commit_segment(f->repo, c, &s, &f->e));
		}
}

void work_chunk(struct repo_fixture *f, const struct claim *c)
{
	uint32_t end = c->chunk.first_segment + c->chunk.segment_count;
	commit_inits(f, c);
	commit_segments(f, c, c->chunk.first_segment, end);
	OK(repo_chunk_done(f->repo, c, end, &f->e));
}

void work_all_media(struct repo_fixture *f)
{
	while (number(f, "SELECT COUNT(*) FROM chunk WHERE kind = 1 AND state IN (2, 3)") > 0) {
		_cleanup_claim_ struct claim c = claim_as(f, "w");
		assert_int_equal(c.chunk.kind, CHUNK_LADDER);
		work_chunk(f, &c);
	}
}

void work_finish(struct repo_fixture *f)
{
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	assert_int_equal(c.chunk.kind, CHUNK_FINISH);
	OK(repo_job_end(f->repo, &c, &f->e));
	OK(repo_published(f->repo, c.job.id, c.job.segment_count, &f->e));
	OK(repo_job_complete(f->repo, &c, &f->e));
}

struct err failure(enum err_kind kind)
{
	struct err why;
	(void)err_set(&why, kind, "it did not work");
	return why;
}

void make_narration(struct repo_fixture *f, char id[UUID_SIZE])
{
	struct narrate_params params;
	struct narrate_plan plan;
	OK(narrate_params_parse("{\"script\":\"One. Two. Three.\",\"voice\":\"slt\"}", &params, &f->e));
	OK(narrate_plan(&params, NULL, "flite", &plan, &f->e));
	struct job_new n = { .user_id = "u",
			     .kind = JOB_NARRATION,
			     .file_id = "",
			     .source_key = "",
			     .source_name = "",
			     .params_json = "{}",
			     .expires_ms = 1,
			     .plan = narrate_job_plan(&plan) };
	uuid7_new(n.id);
	_cleanup_free_ char *prefix = key_job_prefix(n.kind, n.user_id, n.id);
	n.prefix = prefix;
	struct job j;
	bool existing;
	OK(repo_job_create(f->repo, &n, &j, &existing, &f->e));
	memcpy(id, j.id, UUID_SIZE);
	job_release(&j);
	narrate_plan_release(&plan);
	narrate_params_release(&params);
}

static void note_key(void *ctx, const char *key)
{
	char **list = ctx;
	char *longer = mr_asprintf("%s%s ", *list, key);
	free(*list);
	*list = longer;
}

char *doomed_keys(struct repo_fixture *f)
{
	char *list = mr_strdup("");
	OK(repo_objects_doomed(f->repo, 10, note_key, &list, &f->e));
	return list;
}

void job_in_status(struct repo_fixture *f, enum job_status status, char id[UUID_SIZE])
{
	MAKE_JOB(f, "u", id, 1, 2);
	if (status == JOB_PENDING)
		return;
	if (status == JOB_CANCELED) {
		struct job j = { 0 };
		OK(repo_job_cancel(f->repo, "u", id, &j, &f->e));
		job_release(&j);
		return;
	}
	_cleanup_claim_ struct claim c = claim_as(f, "w");
	assert_string_equal(c.job.id, id);
	bool flag;
	int64_t wait;
	struct err why = failure(ERR_MEDIA);
	switch (status) {
	case JOB_STREAMING:
		work_chunk(f, &c);
		OK(repo_advance(f->repo, id, 0, false, &flag, &wait, &f->e));
		assert_true(flag);
		break;
	case JOB_FAILED:
		OK(repo_chunk_failed(f->repo, &c, &why, &flag, &f->e));
		assert_true(flag);
		break;
	case JOB_COMPLETED:
	case JOB_DELETING:
		work_chunk(f, &c);
		work_all_media(f);
		work_finish(f);
		if (status == JOB_DELETING)
			OK(repo_job_delete(f->repo, "u", id, &f->e));
		break;
	default:
		break;
	}
}
