/* One task from start to reaping, on the caller's thread: moves frames between the channel and the handlers, and watches.
 *
 * A task is in one of these states:
 *   starting   asked of the zygote; ends with ZYGOTE_STARTED (→ running) or ZYGOTE_FAILED (→ over)
 *   running    the specification is sent; its messages are handled one at a time
 *   ending     it said RESULT or FAILURE, broke a rule, or its channel closed: it is killed unless it ends by itself
 *   over       ZYGOTE_EXITED came, or the zygote is gone (and the kernel has killed the task with it)
 *
 * Guarantees: task_run doesn't return before the task is over; nothing here blocks on the task's socket longer than a tick; what
 * the task says is checked before a handler sees it: inputs that the specification lists, renditions and segments that it asks
 * for, exactly the bytes announced, progress that doesn't fall. Handlers may block; their time counts as wall time but not as the
 * task's silence. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/fd.h"
#include "worker/task_client.h"
#include "worker/task_metrics.h"
#include "worker/task_spawn.h"

#define TICK_MS 250	       /* keep_going is promised every 500 */
#define START_TIMEOUT_MS 30000 /* a fork takes a millisecond: the zygote hangs */
#define END_TIMEOUT_MS 30000   /* from SIGKILL to being reaped: likewise */
#define LINGER_MS 2000	       /* from its last message to its end by itself */

struct run {
	struct zygote *zygote;
	const struct task_spec *spec;
	const struct task_handlers *h;
	const struct task_limits *limits;
	struct spawned process;
	int pidfd;
	int64_t started_ms, heard_ms, tick_ms;

	bool over, exit_known;
	struct zygote_status exit;

	struct buf message, answer;
	bool in_object;
	uint64_t object_left;
	uint32_t objects; /* begun so far */
	int64_t done_ticks;
	bool input_failed;
	struct err input_failure; /* what read said; the task's failure is a consequence of it */

	bool own_error; /* a handler's, or what the task itself reported: it is passed on as it is */
	bool last_word; /* RESULT or FAILURE was received */
	bool killed;	/* by us */
};

/* Marks an error as one that the caller knows. */
static int own(struct run *r, int res)
{
	if (res < 0)
		r->own_error = true;
	return res;
}

/* ---- watching ---- */

static int told_to_stop(struct err *e)
{
	return err_set(e, ERR_CANCELED, "told to stop");
}

static int check_limits(struct run *r, struct err *e)
{
	const int64_t now = clock_mono_ms();
	if (r->limits->wall_ms && now - r->started_ms > r->limits->wall_ms)
		return err_set_code(e, ERR_MEDIA, "TASK_TIMEOUT", "the task took longer than %u ms", r->limits->wall_ms);
	if (r->limits->silence_ms && now - r->heard_ms > r->limits->silence_ms)
		return err_set_code(e, ERR_MEDIA, "TASK_STALLED", "the task said nothing for %u ms", r->limits->silence_ms);
	if (now >= r->tick_ms) {
		r->tick_ms = now + TICK_MS;
		if (r->h->keep_going && !r->h->keep_going(r->h->ctx))
			return told_to_stop(e);
	}
	return 0;
}

static void take_status(struct run *r, const struct zygote_status *s)
{
	if (s->event != ZYGOTE_EXITED)
		return;
	r->exit = *s;
	r->exit_known = true;
	r->over = true;
}

/* Reads one packet of the status socket; its end without one means that the zygote is gone. */
static int read_status(struct run *r, struct zygote_status *ret, int *ret_pidfd, struct err *e)
{
	size_t len;
	int fds[2];
	int res = packet_recv(r->process.status, ret, sizeof(*ret), &len, fds, e);
	if (res == 0 && len != sizeof(*ret)) {
		fd_close(&fds[0]);
		res = err_set(e, ERR_PROTOCOL, "a status of %zu bytes", len);
	}
	if (res < 0) {
		/* it may not be a zombie yet: reaping it here lets the next call start a new one */
		zygote_condemn(r->zygote, r->process.zygote_pid);
		r->over = true;
		return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "the tasks' zygote is gone");
	}
	fd_close(&fds[1]);
	*ret_pidfd = fds[0];
	return 0;
}

/* Waits for the channel to allow `events` (or to fail, which the next call on it tells) while watching the limits. */
static int await_channel(struct run *r, short events, struct err *e)
{
	for (;;) {
		int res = check_limits(r, e);
		if (res < 0)
			return res;
		struct pollfd p[] = { { .fd = r->process.channel, .events = events },
				      { .fd = r->over ? -1 : r->process.status, .events = POLLIN } };
		int n = poll(p, MR_ARRAY_SIZE(p), TICK_MS);
		if (n < 0 && errno != EINTR)
			return err_errno(e, errno, "wait for the task");
		if (n <= 0)
			continue;
		if (p[0].revents)
			return 0;
		struct zygote_status s;
		int pidfd = -1;
		if (read_status(r, &s, &pidfd, NULL) == 0)
			take_status(r, &s);
		fd_close(&pidfd);
	}
}

/* ---- frames, without ever blocking in the kernel ---- */

static int receive(struct run *r, void *data, size_t len, struct err *e)
{
	size_t got = 0;
	while (got < len) {
		ssize_t n = recv(r->process.channel, (char *)data + got, len - got, MSG_DONTWAIT);
		if (n > 0) {
			got += (size_t)n;
			continue;
		}
		if (n == 0 || errno == ECONNRESET)
			return err_set(e, ERR_LOST, "the task closed its channel");
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return err_errno(e, errno, "read from the task");
		int res = await_channel(r, POLLIN, e);
		if (res < 0)
			return res;
	}
	return 0;
}

static int transmit(struct run *r, const void *data, size_t len, struct err *e)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = send(r->process.channel, (const char *)data + done, len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return err_set(e, ERR_LOST, "the task closed its channel");
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return err_errno(e, errno, "write to the task");
		int res = await_channel(r, POLLOUT, e);
		if (res < 0)
			return res;
	}
	return 0;
}

static int send_message(struct run *r, enum msg_type type, const struct buf *payload, struct err *e)
{
	uint8_t header[MSG_HEADER_BYTES];
	int res = channel_header_encode(type, payload->len, header, e);
	if (res == 0)
		res = transmit(r, header, sizeof(header), e);
	if (res == 0 && payload->len)
		res = transmit(r, payload->data, payload->len, e);
	return res;
}

static int receive_message(struct run *r, enum msg_type *ret_type, struct err *e)
{
	uint8_t header[MSG_HEADER_BYTES];
	uint32_t len;
	int res = receive(r, header, sizeof(header), e);
	if (res == 0)
		res = channel_header_decode(header, ret_type, &len, e);
	if (res < 0)
		return res;
	buf_clear(&r->message);
	void *room = buf_reserve(&r->message, len);
	if (!room)
		return err_set(e, ERR_UNAVAILABLE, "no memory for a message of %u bytes", len);
	res = len ? receive(r, room, len, e) : 0;
	if (res == 0)
		buf_commit(&r->message, len);
	return res;
}

/* ---- messages ---- */

static int refuse_read(struct run *r, const struct err *why, struct err *e)
{
	r->input_failed = true;
	r->input_failure = *why;
	buf_clear(&r->answer);
	int res = task_failure_encode(why, &r->answer, e);
	return res < 0 ? res : send_message(r, MSG_READ_FAILED, &r->answer, e);
}

static int handle_read(struct run *r, struct err *e)
{
	struct task_read q;
	int res = task_read_decode(r->message.data, r->message.len, &q, e);
	if (res < 0)
		return res;
	if (q.input >= r->spec->input_count)
		return err_set(e, ERR_PROTOCOL, "it asks for input %u of %u", q.input, r->spec->input_count);
	buf_clear(&r->answer);
	void *room = buf_reserve(&r->answer, q.length);
	if (!room)
		return err_set(e, ERR_UNAVAILABLE, "no memory for an answer of %u bytes", q.length);
	uint32_t got = 0;
	struct err why = { 0 };
	if (r->h->read(r->h->ctx, q.input, q.offset, room, q.length, &got, &why) < 0)
		return refuse_read(r, &why, e);
	if (got > q.length)
		return err_set(e, ERR_INTERNAL, "a read of %u bytes gave %u", q.length, got);
	buf_commit(&r->answer, got);
	r->heard_ms = clock_mono_ms();
	return send_message(r, MSG_DATA, &r->answer, e);
}

static int handle_progress(struct run *r, struct err *e)
{
	struct task_progress p;
	int res = task_progress_decode(r->message.data, r->message.len, &p, e);
	if (res < 0)
		return res;
	if (p.done_ticks < r->done_ticks)
		return err_set(e, ERR_PROTOCOL, "its progress falls");
	r->done_ticks = p.done_ticks;
	return r->h->progress ? own(r, r->h->progress(r->h->ctx, &p, e)) : 0;
}

/* Parts in order, and last the index. */
static const char *check_conversion_object(const struct task_object *o, uint32_t objects_before)
{
	if (o->kind == TASK_OBJECT_PART)
		return o->index == objects_before ? NULL : "a part out of order";
	return o->kind == TASK_OBJECT_INDEX ? NULL : "an object that a conversion doesn't make";
}

/* One rendition of sound. */
static const char *check_narration_object(const struct narrate_spec *n, const struct task_object *o)
{
	if ((o->kind != TASK_OBJECT_INIT && o->kind != TASK_OBJECT_SEGMENT) || o->rendition || o->iframe_count)
		return "an object that a narration doesn't make";
	if (o->kind == TASK_OBJECT_SEGMENT && (o->index < n->resume_segment || o->index >= NARRATE_SEGMENTS_MAX))
		return "a segment that isn't asked for";
	return NULL;
}

/* The broken task must not choose what is stored under which name. */
static const char *check_object(const struct run *r, const struct task_object *o)
{
	const struct ladder_spec *l = &r->spec->ladder;
	if (r->spec->kind == TASK_ANALYZE)
		return o->kind == TASK_OBJECT_BYPRODUCT ? NULL : "an object that an analysis doesn't make";
	if (r->spec->kind == TASK_CONVERT)
		return check_conversion_object(o, r->objects);
	if (r->spec->kind == TASK_JOIN)
		return o->kind == TASK_OBJECT_HEAD || o->kind == TASK_OBJECT_TAIL ? NULL : "an object that a join doesn't make";
	if (r->spec->kind == TASK_VOICE)
		return o->kind == TASK_OBJECT_PART && o->index == r->objects ? NULL : "a part that isn't the next";
	if (r->spec->kind == TASK_NARRATE)
		return check_narration_object(&r->spec->narrate, o);
	if (r->spec->kind == TASK_SPEAK)
		return o->kind == TASK_OBJECT_SPEECH && !r->objects ? NULL : "an object that a voice doesn't make";
	if (r->spec->kind != TASK_LADDER)
		return r->spec->kind == TASK_CHECK && o->kind == TASK_OBJECT_FINDING ? NULL : "an object that it does not make";
	if (o->kind != TASK_OBJECT_INIT && o->kind != TASK_OBJECT_SEGMENT)
		return "an object that a ladder doesn't make";
	if (o->rendition >= l->rung_count + l->audio_count + l->subtitle_count)
		return "an object of a rendition that isn't asked for";
	if (o->kind == TASK_OBJECT_INIT)
		return NULL;
	if (o->index < l->first_segment || (!l->last && o->index >= l->first_segment + l->segment_count))
		return "a segment outside the chunk";
	if (o->index < l->resume_segment)
		return "a segment that exists already";
	if ((o->rendition < l->rung_count) != (o->iframe_count > 0))
		return "pictures without an I-frame, or sound with one";
	return NULL;
}

static int end_object(struct run *r, struct err *e)
{
	r->in_object = false;
	return own(r, r->h->object_end(r->h->ctx, e));
}

static int handle_object(struct run *r, struct err *e)
{
	struct task_object o;
	int res = task_object_decode(r->message.data, r->message.len, &o, e);
	if (res < 0)
		return res;
	const char *wrong = check_object(r, &o);
	if (wrong)
		return err_set(e, ERR_PROTOCOL, "%s", wrong);
	res = own(r, r->h->object_begin(r->h->ctx, &o, e));
	if (res < 0)
		return res;
	r->in_object = true;
	r->objects++;
	r->object_left = o.size_bytes;
	return o.size_bytes ? 0 : end_object(r, e);
}

static int handle_blob(struct run *r, struct err *e)
{
	const size_t len = r->message.len;
	if (!r->in_object || len == 0 || len > r->object_left)
		return err_set(e, ERR_PROTOCOL, "%zu bytes where its object lacks %llu", len,
			       (unsigned long long)(r->in_object ? r->object_left : 0));
	int res = own(r, r->h->object_data(r->h->ctx, r->message.data, len, e));
	if (res < 0)
		return res;
	r->object_left -= len;
	return r->object_left ? 0 : end_object(r, e);
}

static int handle_result(struct run *r, struct task_result *ret, struct err *e)
{
	struct task_result result;
	int res = task_result_decode(r->message.data, r->message.len, &result, e);
	if (res < 0)
		return res;
	if (result.kind != r->spec->kind) {
		probe_result_release(&result.probe);
		return err_set(e, ERR_PROTOCOL, "the result of another kind of task");
	}
	*ret = result;
	return 0;
}

/* A task may say that media or the sandbox is at fault, or that it is wrong itself; what it says about leases, users or
 * dependencies would be believed further up, and isn't its business. */
static bool may_say(const struct err *f)
{
	switch (f->kind) {
	case ERR_MEDIA:
	case ERR_UNSUPPORTED:
	case ERR_TOO_LARGE:
	case ERR_INTERNAL:
	case ERR_PROTOCOL:
		return !f->retriable;
	case ERR_UNAVAILABLE:
		return strcmp(f->code, "SANDBOX_UNAVAILABLE") == 0;
	default:
		return false;
	}
}

static int handle_failure(struct run *r, struct err *e)
{
	struct err failure;
	int res = task_failure_decode(r->message.data, r->message.len, &failure, e);
	if (res < 0)
		return res;
	if (r->input_failed)
		return own(r, err_copy(e, &r->input_failure));
	if (!may_say(&failure))
		return err_set(e, ERR_PROTOCOL, "it fails with %s, which it can't know: %.300s", err_code(&failure),
			       failure.message);
	return own(r, err_copy(e, &failure));
}

static int handle(struct run *r, enum msg_type type, struct task_result *ret, struct err *e)
{
	if (r->in_object && type != MSG_BLOB && type != MSG_FAILURE)
		return err_set(e, ERR_PROTOCOL, "message %d within an object", (int)type);
	switch (type) {
	case MSG_READ:
		return handle_read(r, e);
	case MSG_PROGRESS:
		return handle_progress(r, e);
	case MSG_OBJECT:
		return handle_object(r, e);
	case MSG_BLOB:
		return handle_blob(r, e);
	case MSG_RESULT:
		r->last_word = true;
		return handle_result(r, ret, e);
	case MSG_FAILURE:
		r->last_word = true;
		return handle_failure(r, e);
	default:
		return err_set(e, ERR_PROTOCOL, "message %d from a task", (int)type);
	}
}

static int converse(struct run *r, struct task_result *ret, struct err *e)
{
	r->heard_ms = clock_mono_ms();
	buf_clear(&r->answer);
	int res = own(r, task_spec_encode(r->spec, &r->answer, e)); /* our own plan may make no sense */
	if (res == 0)
		res = send_message(r, MSG_SPEC, &r->answer, e);
	while (res == 0 && !r->last_word) {
		enum msg_type type;
		res = check_limits(r, e);
		if (res == 0)
			res = receive_message(r, &type, e);
		if (res == 0)
			res = handle(r, type, ret, e);
		r->heard_ms = clock_mono_ms();
	}
	return res;
}

/* ---- life ---- */

static uint32_t cpu_limit(const struct task_limits *l)
{
	/* a backstop for what the watchdog misses: as many seconds as all cores have in that time */
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	return l->wall_ms ? (l->wall_ms / 1000 + 2) * (uint32_t)(cores > 0 ? cores : 1) : 0;
}

static int await_status(struct run *r, int timeout_ms, struct zygote_status *ret, int *ret_pidfd, struct err *e)
{
	struct pollfd p = { .fd = r->process.status, .events = POLLIN };
	const int64_t until = clock_mono_ms() + timeout_ms;
	for (;;) {
		const int64_t left = until - clock_mono_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0)
			return read_status(r, ret, ret_pidfd, e);
		/* the zygote hangs: with it go all its children, and their runs start anew */
		zygote_condemn(r->zygote, r->process.zygote_pid);
		r->over = true;
		return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "the tasks' zygote does not answer");
	}
}

static int start(struct run *r, struct err *e)
{
	const struct task_limits *l = r->limits;
	const struct zygote_spawn request = { .op = ZYGOTE_SPAWN, .cpu_seconds = cpu_limit(l), .memory_bytes = l->memory_bytes,
					      .nice = l->nice, .batch = l->batch };
	int res = zygote_spawn_task(r->zygote, &request, &r->process, e);
	if (res < 0) {
		r->over = true;
		return res;
	}
	struct zygote_status s = { 0 };
	res = await_status(r, START_TIMEOUT_MS, &s, &r->pidfd, e);
	if (res < 0)
		return res;
	if (s.event == ZYGOTE_STARTED && r->pidfd >= 0)
		return 0;
	r->over = true;
	return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "no process for a task: %s", strerrordesc_np(s.errnum));
}

static void kill_task(struct run *r)
{
	if (r->over || r->pidfd < 0)
		return;
	(void)syscall(SYS_pidfd_send_signal, r->pidfd, SIGKILL, NULL, 0);
	r->killed = true;
}

/* Waits for the end; kills first, unless the task may be expected to come to it by itself. */
static void finish(struct run *r, bool may_linger)
{
	if (may_linger && !r->over) {
		struct pollfd p = { .fd = r->process.status, .events = POLLIN };
		int n;
		do
			n = poll(&p, 1, LINGER_MS);
		while (n < 0 && errno == EINTR);
		may_linger = n > 0;
	}
	if (!may_linger)
		kill_task(r);
	while (!r->over) {
		struct zygote_status s;
		int pidfd = -1;
		if (await_status(r, END_TIMEOUT_MS, &s, &pidfd, NULL) == 0)
			take_status(r, &s);
		fd_close(&pidfd);
	}
}

/* Why it closed its channel without a last word. */
static int explain_end(const struct run *r, struct err *e)
{
	if (!r->exit_known)
		return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "the tasks' zygote is gone");
	if (r->killed)
		return err_set_code(e, ERR_MEDIA, "TASK_PROTOCOL", "the task closed its channel and went on");
	const int status = r->exit.wait_status;
	if (!WIFSIGNALED(status))
		return err_set_code(e, ERR_MEDIA, "TASK_CRASHED", "the task ended without a result, exit code %d",
				    WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	const int sig = WTERMSIG(status);
	const char *name = sigabbrev_np(sig);
	/* a failed allocation aborts; so does a failed assertion, with memory to spare */
	const bool full = r->limits->memory_bytes &&
			  (uint64_t)r->exit.max_rss_kb * 1024 > r->limits->memory_bytes / 4 * 3;
	if (sig == SIGKILL)
		return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "the task was killed by somebody else");
	if (sig == SIGSYS)
		return err_set_code(e, ERR_MEDIA, "SANDBOX_VIOLATION", "the task was stopped at a forbidden system call");
	if (sig == SIGXCPU)
		return err_set_code(e, ERR_MEDIA, "TASK_TIMEOUT", "the task used all its CPU time");
	if (sig == SIGABRT && full)
		return err_set_code(e, ERR_MEDIA, "TASK_MEMORY", "the task needed more than %llu MiB",
				    (unsigned long long)(r->limits->memory_bytes >> 20));
	return err_set_code(e, ERR_MEDIA, "TASK_CRASHED", "the task was killed by signal %d (SIG%s)", sig, name ? name : "?");
}

/* Errors of the conversation as the caller knows them. */
static int classify(const struct run *r, int res, struct err *e)
{
	if (res == -ERR_LOST && !r->own_error)
		return explain_end(r, e);
	if (res == -ERR_PROTOCOL && !r->own_error) {
		char what[400];
		(void)snprintf(what, sizeof(what), "%.399s", e->message);
		return err_set_code(e, ERR_MEDIA, "TASK_PROTOCOL", "the task broke the protocol: %s", what);
	}
	return res;
}

static void measure(const struct run *r, struct task_usage *ret)
{
	*ret = (struct task_usage){ .wall_ms = clock_mono_ms() - r->started_ms };
	if (r->exit_known) {
		ret->max_rss_kb = r->exit.max_rss_kb;
		ret->cpu_ms = r->exit.cpu_ms;
	}
}

int task_run(struct zygote *z, const struct task_spec *spec, const struct task_handlers *h, const struct task_limits *limits,
	     struct task_result *ret, struct task_usage *ret_usage, struct err *e)
{
	struct err local = { 0 };
	struct run r = { .zygote = z, .spec = spec, .h = h, .limits = limits, .process = { .channel = -1, .status = -1 },
			 .pidfd = -1, .started_ms = clock_mono_ms() };
	buf_init(&r.message, MSG_MAX_BYTES);
	buf_init(&r.answer, MSG_MAX_BYTES);
	zygote_enter(z);
	int res = start(&r, &local);
	if (res == 0) {
		res = converse(&r, ret, &local);
		/* a lost channel is explained by how the task ended, which a kill would cover up */
		finish(&r, r.last_word || (res == -ERR_LOST && !r.own_error));
		if (res < 0)
			res = classify(&r, res, &local);
	}
	if (r.in_object && h->object_abort)
		h->object_abort(h->ctx);
	task_count(spec->kind, clock_mono_ms() - r.started_ms, res, &local);
	if (ret_usage)
		measure(&r, ret_usage);
	zygote_leave(z);
	fd_close(&r.process.channel);
	fd_close(&r.process.status);
	fd_close(&r.pidfd);
	buf_release(&r.message);
	buf_release(&r.answer);
	return res < 0 ? err_copy(e, &local) : 0;
}
