/* Exchanges over libcurl's multi socket interface: one epoll thread. In the server process; see exchange.h.
 *
 * libcurl may not be called from its own callbacks, so what those ask for (start, resume, cancel) is done when libcurl has
 * returned. */
#include "net/exchange.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/curl_once.h"
#include "os/fd.h"
#include "os/thread.h"

#define EVENTS_AT_ONCE 64
#define CONNECT_MS 10000L
#define RECEIVE_BYTES 4096L /* acknowledgements and small documents */
#define SEND_BYTES 16384L   /* the least that libcurl takes */
#define BULK_BYTES 131072L  /* each way, of an exchange that moves objects */

struct exchange {
	struct exchange_loop *loop;
	struct exchange *next, **at; /* of the loop: `at` is what points here */
	struct exchange_opts o;	      /* of its pointers ctx and functions alone are used */
	CURL *curl;
	struct curl_slist *headers;
	bool added, waiting, resume, cancelled, refused, told_head;
	bool over; /* the answer is, and the body need not go on */
	char error[CURL_ERROR_SIZE]; /* what libcurl says of it, or nothing */
};

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct exchange_loop {
	struct exchange_loop_opts opts;
	char *ca_file;
	pthread_t thread;
	int epoll_fd, wake_fd;
	CURLM *multi;
	int64_t timer_ms; /* monotonic, when libcurl wants to be called; -1: not */
	struct exchange *exchanges, *ended;
	bool dirty; /* one of them is to be started, resumed or cancelled */

	pthread_mutex_t lock;
	/* protected by lock */
	struct post *posts, **tail;
	bool ending;
};

/* ---- posts ---- */

void exchange_loop_post(struct exchange_loop *l, void (*fn)(void *arg), void *arg)
{
	const uint64_t one = 1;
	struct post *p = mr_calloc(1, sizeof(*p));
	p->fn = fn;
	p->arg = arg;
	(void)pthread_mutex_lock(&l->lock);
	*l->tail = p;
	l->tail = &p->next;
	(void)pthread_mutex_unlock(&l->lock);
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it wakes anyway */
}

/* False: it is told to end, and nothing was left. */
static bool run_posts(struct exchange_loop *l)
{
	(void)pthread_mutex_lock(&l->lock);
	struct post *p = l->posts;
	l->posts = NULL;
	l->tail = &l->posts;
	bool go_on = p || !l->ending;
	(void)pthread_mutex_unlock(&l->lock);
	while (p) {
		struct post *next = p->next;
		p->fn(p->arg);
		free(p);
		p = next;
	}
	return go_on;
}

/* ---- libcurl's callbacks ---- */

static void tell_head(struct exchange *x)
{
	long status = 0;
	if (x->told_head)
		return;
	(void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	x->told_head = true;
	if (x->o.head)
		x->o.head(x->o.ctx, (int)status);
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct exchange *x = arg;
	long status = 0;
	size_t len = size * count;
	if (x->cancelled)
		return 0;
	(void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	if (len <= 2 && *data == '\r' && status >= 200) /* the empty line: an answer may have no body for long */
		tell_head(x);
	return len;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct exchange *x = arg;
	if (x->cancelled || x->refused)
		return CURL_WRITEFUNC_ERROR;
	x->o.data(x->o.ctx, data, size * count);
	return x->refused ? CURL_WRITEFUNC_ERROR : size * count;
}

static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
	struct exchange *x = arg;
	if (x->cancelled)
		return CURL_READFUNC_ABORT;
	size_t n = x->over ? 0 : x->o.read(x->o.ctx, out, size * count);
	x->waiting = n == EXCHANGE_LATER;
	return x->waiting ? CURL_READFUNC_PAUSE : n;
}

/* While a body waits libcurl doesn't tell that the answer has ended or the peer is gone: it only stops to listen. */
static void note_end(CURL *c, int what)
{
	struct exchange *x = NULL;
	(void)curl_easy_getinfo(c, CURLINFO_PRIVATE, (char **)&x);
	if (!x || !x->waiting || x->cancelled || (what != CURL_POLL_REMOVE && (what & CURL_POLL_IN)))
		return;
	x->over = true;
	exchange_resume(x);
}

static int on_socket(CURL *c, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct exchange_loop *l = arg;
	struct epoll_event ev = { .data.fd = fd };
	(void)of_socket;
	note_end(c, what);
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0 && errno == ENOENT)
		(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct exchange_loop *l = arg;
	(void)multi;
	l->timer_ms = ms < 0 ? -1 : clock_mono_ms() + ms;
	return 0;
}

/* ---- an exchange ---- */

static void set_body(struct exchange *x, const struct exchange_opts *o)
{
	(void)curl_easy_setopt(x->curl, CURLOPT_POST, 1L);
	if (o->read) {
		(void)curl_easy_setopt(x->curl, CURLOPT_READFUNCTION, on_read);
		(void)curl_easy_setopt(x->curl, CURLOPT_READDATA, x);
		(void)curl_easy_setopt(x->curl, CURLOPT_FRESH_CONNECT, 1L);
		(void)curl_easy_setopt(x->curl, CURLOPT_FORBID_REUSE, 1L);
		x->headers = curl_slist_append(x->headers, "Transfer-Encoding: chunked");
		return;
	}
	(void)curl_easy_setopt(x->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_len);
	(void)curl_easy_setopt(x->curl, o->borrow_body ? CURLOPT_POSTFIELDS : CURLOPT_COPYPOSTFIELDS, o->body_len ? o->body : "");
}

static void set_options(struct exchange *x, const struct exchange_opts *o)
{
	CURL *c = x->curl;
	(void)curl_easy_setopt(c, CURLOPT_URL, o->url);
	(void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
	if (o->stall_s) {
		(void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
		(void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)o->stall_s);
	}
	(void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, o->bulk ? BULK_BYTES : RECEIVE_BYTES);
	(void)curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, o->bulk ? BULK_BYTES : SEND_BYTES);
	(void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	(void)curl_easy_setopt(c, CURLOPT_PRIVATE, x);
	(void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->error);
	if (x->loop->ca_file)
		(void)curl_easy_setopt(c, CURLOPT_CAINFO, x->loop->ca_file);
	for (size_t i = 0; i < o->header_count; i++) {
		const struct sigv4_pair *h = &o->headers[i];
		_cleanup_free_ char *line = mr_asprintf(*h->value ? "%s: %s" : "%s:%s", h->name, h->value);
		x->headers = curl_slist_append(x->headers, line);
	}
	x->headers = curl_slist_append(x->headers, "Expect:"); /* nothing waits for leave to be sent */
	bool head = o->method && strcmp(o->method, "HEAD") == 0;
	if (head)
		(void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	else if (!o->method || strcmp(o->method, "GET") != 0)
		set_body(x, o);
	if (o->method && !head)
		(void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, o->method);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
}

struct exchange *exchange_start(struct exchange_loop *l, const struct exchange_opts *opts)
{
	struct exchange *x = mr_calloc(1, sizeof(*x));
	x->loop = l;
	x->o = *opts;
	x->curl = curl_easy_init();
	if (x->curl)
		set_options(x, opts);
	x->next = l->exchanges;
	x->at = &l->exchanges;
	if (x->next)
		x->next->at = &x->next;
	l->exchanges = x;
	l->dirty = true;
	return x;
}

void exchange_resume(struct exchange *x)
{
	x->resume = true;
	x->loop->dirty = true;
}

void exchange_cancel(struct exchange *take_x)
{
	take_x->cancelled = true;
	take_x->loop->dirty = true;
}

void exchange_refuse(struct exchange *x)
{
	x->refused = true;
}

const char *exchange_header(struct exchange *x, const char *name)
{
	struct curl_header *h = NULL;
	return x->curl && curl_easy_header(x->curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

/* Its memory goes when nobody can be walking over it. */
static void exchange_drop(struct exchange *x)
{
	if (x->added)
		(void)curl_multi_remove_handle(x->loop->multi, x->curl);
	curl_easy_cleanup(x->curl);
	curl_slist_free_all(x->headers);
	*x->at = x->next;
	if (x->next)
		x->next->at = x->at;
	x->next = x->loop->ended;
	x->loop->ended = x;
}

static void exchange_end(struct exchange *x, CURLcode code)
{
	struct exchange_end end = { 0 };
	long status = 0;
	if (x->curl)
		(void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	end.status = (int)status;
	if (code == CURLE_OPERATION_TIMEDOUT)
		(void)err_set(&end.why, ERR_TIMEOUT, "no answer in time");
	else if (code == CURLE_ABORTED_BY_CALLBACK)
		(void)err_set(&end.why, ERR_CANCELED, "told to stop");
	else if (code != CURLE_OK)
		(void)err_set(&end.why, ERR_UNAVAILABLE, "%s", *x->error ? x->error : curl_easy_strerror(code));
	else if (!x->cancelled)
		tell_head(x);
	if (!x->cancelled)
		x->o.done(x->o.ctx, &end);
	exchange_drop(x);
}

/* ---- the thread ---- */

static struct exchange *next_asked(const struct exchange_loop *l)
{
	struct exchange *x = l->exchanges;
	while (x && !x->cancelled && x->added && !x->resume)
		x = x->next;
	return x;
}

/* What was asked for while libcurl ran. */
static void do_asked(struct exchange_loop *l)
{
	struct exchange *x;
	bool any = l->dirty;
	l->dirty = false;
	while (any && (x = next_asked(l))) {
		bool begin = !x->cancelled && !x->added, resume = x->resume && x->waiting;
		x->resume = false;
		if (begin)
			x->added = x->curl && curl_multi_add_handle(l->multi, x->curl) == CURLM_OK;
		if (x->cancelled)
			exchange_drop(x);
		else if (!x->added)
			exchange_end(x, CURLE_FAILED_INIT);
		else if (!begin && resume)
			(void)curl_easy_pause(x->curl, CURLPAUSE_CONT);
	}
}

static void end_those_done(struct exchange_loop *l)
{
	CURLMsg *m;
	int left;
	while ((m = curl_multi_info_read(l->multi, &left)))
		if (m->msg == CURLMSG_DONE) {
			struct exchange *x = NULL;
			CURLcode code = m->data.result;
			(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
			exchange_end(x, code);
		}
}

static void free_ended(struct exchange_loop *l)
{
	while (l->ended) {
		struct exchange *x = l->ended;
		l->ended = x->next;
		free(x);
	}
}

static int wait_ms(const struct exchange_loop *l, int64_t tick_ms)
{
	int64_t until = l->opts.tick_ms ? tick_ms : -1;
	if (l->timer_ms >= 0 && (until < 0 || l->timer_ms < until))
		until = l->timer_ms;
	int64_t left = until - clock_mono_ms();
	return until < 0 ? -1 : left > 0 ? (int)left : 0;
}

static void turn(struct exchange_loop *l, int64_t tick_ms)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	uint64_t count;
	int running;
	int n = epoll_wait(l->epoll_fd, events, EVENTS_AT_ONCE, wait_ms(l, tick_ms));
	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;
		uint32_t ev = events[i].events;
		int what = (ev & EPOLLIN ? CURL_CSELECT_IN : 0) | (ev & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (ev & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
		if (fd != l->wake_fd)
			(void)curl_multi_socket_action(l->multi, fd, what, &running);
		else if (read(fd, &count, sizeof(count)) < 0)
			continue;
	}
	if (l->timer_ms >= 0 && clock_mono_ms() >= l->timer_ms) {
		l->timer_ms = -1;
		(void)curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	end_those_done(l);
}

static void *loop_main(void *arg)
{
	struct exchange_loop *l = arg;
	int64_t tick_ms = clock_mono_ms() + l->opts.tick_ms;
	while (run_posts(l)) {
		do_asked(l);
		turn(l, tick_ms);
		if (l->opts.tick_ms && clock_mono_ms() >= tick_ms) {
			l->opts.tick(l->opts.ctx);
			tick_ms = clock_mono_ms() + l->opts.tick_ms;
		}
		do_asked(l);
		free_ended(l);
	}
	while (l->exchanges)
		exchange_end(l->exchanges, CURLE_ABORTED_BY_CALLBACK);
	free_ended(l);
	return NULL;
}

static void loop_free(struct exchange_loop *l)
{
	if (l->multi)
		(void)curl_multi_cleanup(l->multi);
	fd_close(&l->epoll_fd);
	fd_close(&l->wake_fd);
	(void)pthread_mutex_destroy(&l->lock);
	free(l->ca_file);
	free(l);
}

int exchange_loop_start(const char *name, const struct exchange_loop_opts *opts, struct exchange_loop **ret,
			struct err *e)
{
	net_curl_init();
	struct exchange_loop *l = mr_calloc(1, sizeof(*l));
	struct epoll_event ev = { .events = EPOLLIN };
	l->opts = *opts;
	l->ca_file = opts->ca_file ? mr_strdup(opts->ca_file) : NULL;
	l->timer_ms = -1;
	l->tail = &l->posts;
	(void)pthread_mutex_init(&l->lock, NULL);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->multi = curl_multi_init();
	ev.data.fd = l->wake_fd;
	bool ok = l->multi && l->epoll_fd >= 0 && l->wake_fd >= 0;
	if (!ok || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0) {
		loop_free(l);
		return err_set(e, ERR_UNAVAILABLE, "start a loop for HTTP: no descriptors");
	}
	(void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
	(void)curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	(void)curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
	int r = thread_start(&l->thread, name, loop_main, l);
	if (r != 0) {
		loop_free(l);
		return err_errno(e, r, "start a loop for HTTP");
	}
	*ret = l;
	return 0;
}

void exchange_loop_stop(struct exchange_loop *l)
{
	const uint64_t one = 1;
	if (!l)
		return;
	(void)pthread_mutex_lock(&l->lock);
	l->ending = true;
	(void)pthread_mutex_unlock(&l->lock);
	if (write(l->wake_fd, &one, sizeof(one)) == sizeof(one))
		(void)pthread_join(l->thread, NULL);
	loop_free(l);
}
