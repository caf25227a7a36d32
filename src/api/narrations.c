/* Narrations: making the job, and what its JSON says. Its MP3: narration_download.c. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/plan_narrate.h"
#include "job/probe_json.h"
#include "worker/speech.h"

/* The voice is the provider's default where none is named. */
static int check_voice(struct api *a, struct narrate_params *p, struct err *e)
{
	const struct speech_config *speech = worker_speech(a->o.worker);
	if (!speech)
		return err_set_code(e, ERR_UNAVAILABLE, "NO_SPEECH", "this server speaks nothing");
	if (!p->voice)
		p->voice = mr_strdup(speech->default_voice);
	int r = speech_voice_check(speech, p->voice, e);
	return r < 0 ? err_wrap(e, "voice") : 0;
}

/* The music's loudness, if its analysis has measured it by now. */
static int32_t loudness_of(const struct file *f)
{
	json_t *loudness = analysis_loudness(f);
	const json_t *lufs = json_object_get(loudness, "integrated_lufs");
	int32_t mlufs = json_is_number(lufs) ? (int32_t)(json_number_value(lufs) * 1000 - 0.5) : NARRATE_GAIN_UNKNOWN;
	json_decref(loudness);
	return mlufs;
}

static int plan_of(const struct narrate_params *p, const struct file *music, const char *provider, struct narrate_plan *ret,
		   struct err *e)
{
	if (!music)
		return narrate_plan(p, NULL, provider, ret, e);
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	int r = probe_json_parse(music->probe_json, probe, e);
	if (r == 0)
		r = narrate_plan(p, &(struct narrate_music){ .probe = probe, .mlufs = loudness_of(music) }, provider, ret, e);
	probe_result_release(probe);
	free(probe);
	return r;
}

static int create(struct api *a, struct http_request *req, const struct narrate_params *p, const struct file *music,
		  const struct repeatable *rep, struct job *ret, struct err *e)
{
	const char *provider = worker_speech(a->o.worker)->provider;
	struct file none = { .key = (char[]){ "" }, .name = NULL };
	struct narrate_plan plan;
	char cache_key[SHA256_HEX_SIZE];
	int r = plan_of(p, music, provider, &plan, e);
	if (r < 0)
		return r;
	(void)snprintf(none.user_id, sizeof(none.user_id), "%s", http_request_identity(req)->user);
	speech_script_digest(provider, p->voice, &p->parsed, cache_key);
	struct job_new n = job_new_for(music ? music : &none, JOB_NARRATION, rep);
	_cleanup_free_ char *prefix = key_job_prefix(n.kind, n.user_id, n.id);
	_cleanup_free_ char *params_json = narrate_params_format(p, cache_key);
	n.prefix = prefix;
	n.params_json = params_json;
	n.plan = narrate_job_plan(&plan);
	n.expires_ms = clock_wall_ms() + NARRATION_LIFETIME_MS;
	r = job_create(a, req, &n, ret, e);
	narrate_plan_release(&plan);
	return r;
}

int narration_create(struct api *a, struct http_request *req, const json_t *params, const struct repeatable *rep, struct job *ret,
		     struct err *e)
{
	struct narrate_params p;
	struct file music;
	_cleanup_free_ char *text = params ? json_dumps(params, JSON_COMPACT) : NULL;
	int r = narrate_params_parse(text, &p, e);
	if (r < 0)
		return r;
	const bool has_music = p.music_file_id[0];
	r = check_voice(a, &p, e);
	if (r == 0 && has_music)
		r = source_file(a, req, p.music_file_id, &music, e);
	if (r == 0) {
		r = create(a, req, &p, has_music ? &music : NULL, rep, ret, e);
		if (has_music)
			file_release(&music);
	}
	narrate_params_release(&p);
	return r;
}

bool narration_streams(const struct job *j)
{
	return !j->stream_until_ms || clock_wall_ms() < j->stream_until_ms;
}

void narration_json(const struct api *a, const struct job *j, const char *base_url, const char *host, json_t *job)
{
	json_t *params = json_object_get(job, "params"), *key = json_object_get(params, "tts_cache_key");
	if (key)
		json_object_set(job, "tts_cache_key", key);
	json_object_del(params, "tts_cache_key");
	json_object_set_new(job, "download", job_download_json(a, j, *j->download_key != '\0', base_url, host));
}
