/* The checks of tasks and of speech: see doctor.h. A zygote is started as a server's is, and each check runs in
 * children of it. */
#include <string.h>

#include "base/mem.h"
#include "cmd/doctor.h"
#include "cmd/locate.h"
#include "worker/speech.h"
#include "worker/task_check.h"

#define LIMIT_MS 45000
#define SENTENCE "The doctor speaks one sentence."

static int check_open(struct doctor *d, struct finding *f, struct err *e)
{
	char *path = NULL, sandbox[128];
	struct zygote *z;
	int r = locate_task(options_get(d->options, "task"), &path, e);
	if (r < 0)
		return r;
	d->task_path = path;
	r = zygote_start(path, &z, e);
	if (r < 0)
		return r;
	d->zygote = z;
	zygote_sandbox(z, sandbox, sizeof(sandbox));
	return finding_say(f, "%s: %s", path, sandbox);
}

static int check_sandbox(struct doctor *d, struct finding *f, struct err *e)
{
	struct task_check_found found;
	int r = task_check(d->zygote, CHECK_SANDBOX, &found, e);
	if (r == 0 && found.wrong)
		r = err_set(e, ERR_INTERNAL, "%s", found.problems);
	if (r < 0)
		return r;
	return found.tried ? finding_say(f, "a task ran; %u ways out are refused (files, sockets, programs, tracing)",
					 found.tried)
			   : finding_say(f, "a task ran; this build, which is for tests, has a wider sandbox");
}

static int check_codecs(struct doctor *d, struct finding *f, struct err *e)
{
	struct task_check_found found;
	int r = task_check(d->zygote, CHECK_CODECS, &found, e);
	if (r < 0)
		return r;
	if (found.wrong)
		return finding_warn(f, "install a libavcodec that has them; until then jobs that need them fail",
				    "%u of %u: %s", found.wrong, found.tried, found.problems);
	return finding_say(f, "all %u encoders, decoders and filters that jobs may need", found.tried);
}

static int check_speech(struct doctor *d, struct finding *f, struct err *e)
{
	size_t bytes = 0;
	if (!d->zygote)
		return err_set(e, ERR_UNAVAILABLE, "there are no tasks, which speak, or look at what was spoken");
	int r = speech_try(d->speech, d->zygote, SENTENCE, &bytes, e);
	return r < 0 ? r : finding_say(f, "%s spoke a sentence: %zu bytes", d->speech->provider, bytes);
}

const struct doctor_check doctor_task_checks[] = {
	{ "tasks", GROUP_TASKS, check_open, LIMIT_MS, .opens = true },
	{ "sandbox", GROUP_TASKS, check_sandbox, LIMIT_MS },
	{ "codecs", GROUP_TASKS, check_codecs, LIMIT_MS },
	{ "speech", GROUP_SPEECH, check_speech, LIMIT_MS },
};
const size_t doctor_task_check_count = MR_ARRAY_SIZE(doctor_task_checks);
