/* One WebSocket on a loop, over wslay. Live threads of the server process. */
#include "live/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "base/clock.h"
#include "base/mem.h"
#include "os/fd.h"

#define BURST_S 8
#define SEND_STALL_MS 15000
#define REASON_MAX_BYTES 123 /* RFC 6455, 5.5: a control frame's 125, less the code */

/* Fills at `per_s` up to BURST_S seconds' worth. */
struct bucket {
	double left;
	uint32_t per_s;
	int64_t at_ms;
};

enum state {
	STATE_OPEN,    /* messages come */
	STATE_ENDED,   /* `ended` has been called; our close frame may still be on its way */
	STATE_READING, /* both are closed or broken; what comes is read away */
	STATE_DEAD,    /* to be freed */
};

struct websocket {
	struct loop_watch watch; /* first: the loop's handle */
	struct loop *loop;	 /* NULL: not attached */
	struct websocket_limits limits;
	struct websocket_handlers h;
	wslay_event_context_ptr wslay;
	enum state state;
	bool paused;
	bool in_io;	      /* within wslay: changes wait until it returns */
	bool failed;	      /* the connection broke */
	bool closing;	      /* our close frame follows on what is queued */
	bool close_queued;    /* which wslay would send before everything else, so it is handed over last */
	uint16_t close_code;
	char close_reason[REASON_MAX_BYTES];
	uint8_t close_reason_len;
	const char *why;      /* static; what was amiss */
	struct bucket bytes, frames;
	int64_t received_ms, pinged_ms, sent_ms, deadline_ms;
	size_t early_len, early_used;
	uint8_t early[];
};

/* ---- limits ---- */

static bool bucket_take(struct bucket *b, double n)
{
	int64_t now = clock_mono_ms();
	double most = (double)b->per_s * BURST_S;
	b->left += (double)(now - b->at_ms) * b->per_s / 1000;
	b->left = b->left > most ? most : b->left;
	b->at_ms = now;
	b->left -= n;
	return b->left >= 0;
}

static struct bucket bucket_full(uint32_t per_s)
{
	return (struct bucket){ .left = (double)per_s * BURST_S, .per_s = per_s, .at_ms = clock_mono_ms() };
}

static void default_u32(uint32_t *v, uint32_t value)
{
	if (!*v)
		*v = value;
}

/* ---- wslay's callbacks ---- */

static ssize_t read_socket(struct websocket *ws, uint8_t *buf, size_t len)
{
	size_t waiting = ws->early_len - ws->early_used;
	if (waiting) {
		len = len < waiting ? len : waiting;
		memcpy(buf, ws->early + ws->early_used, len);
		ws->early_used += len;
		return (ssize_t)len;
	}
	ssize_t n;
	do
		n = recv(ws->watch.fd, buf, len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags, void *arg)
{
	(void)flags;
	struct websocket *ws = arg;
	ssize_t n = ws->paused || ws->closing ? -1 : read_socket(ws, buf, len);
	if (ws->paused || ws->closing || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))) {
		wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	if (n <= 0) {
		ws->failed = true;
		wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	ws->received_ms = clock_mono_ms();
	if (!bucket_take(&ws->bytes, (double)n))
		websocket_close(ws, WEBSOCKET_POLICY, "RATE_LIMIT: too many bytes a second");
	return n;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags, void *arg)
{
	struct websocket *ws = arg;
	ssize_t n;
	do
		n = send(ws->watch.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL | (flags & WSLAY_MSG_MORE ? MSG_MORE : 0));
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		ws->sent_ms = clock_mono_ms();
		return n;
	}
	bool later = errno == EAGAIN || errno == EWOULDBLOCK;
	ws->failed |= !later;
	wslay_event_set_error(wslay, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static void on_frame(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
	(void)wslay;
	(void)frame;
	struct websocket *ws = arg;
	if (!ws->closing && !bucket_take(&ws->frames, 1))
		websocket_close(ws, WEBSOCKET_POLICY, "RATE_LIMIT: too many messages a second");
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *m, void *arg)
{
	(void)wslay;
	struct websocket *ws = arg;
	bool text = m->opcode == WSLAY_TEXT_FRAME;
	if (ws->state == STATE_OPEN && !ws->closing && (text || m->opcode == WSLAY_BINARY_FRAME))
		ws->h.message(ws->h.ctx, text, m->msg, m->msg_length);
}

/* ---- what follows from what has happened ---- */

static void end(struct websocket *ws)
{
	if (ws->state != STATE_OPEN)
		return;
	ws->state = STATE_ENDED;
	int code = WEBSOCKET_BROKEN;
	if (wslay_event_get_close_received(ws->wslay))
		code = wslay_event_get_status_code_received(ws->wslay);
	ws->h.ended(ws->h.ctx, code ? code : WEBSOCKET_NO_CODE, ws->why);
}

static void read_away(struct websocket *ws)
{
	uint8_t scrap[4096];
	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(ws->watch.fd, scrap, sizeof(scrap), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			ws->state = STATE_DEAD;
		if (n <= 0)
			return;
	}
}

static void watch_again(struct websocket *ws)
{
	uint32_t events = 0;
	if (ws->state == STATE_READING || (!ws->paused && wslay_event_want_read(ws->wslay)))
		events |= EPOLLIN;
	if (ws->state < STATE_READING && wslay_event_want_write(ws->wslay))
		events |= EPOLLOUT;
	loop_change(ws->loop, &ws->watch, events);
}

static void let_go(struct websocket *ws)
{
	struct websocket_handlers h = ws->h;
	loop_remove(ws->loop, &ws->watch);
	websocket_free(ws);
	h.gone(h.ctx);
}

/* After wslay has run: may free. */
static void settle(struct websocket *ws)
{
	if (ws->state < STATE_READING && !ws->failed && wslay_event_get_queued_msg_length(ws->wslay) > ws->limits.queue_bytes) {
		ws->why = "too slow to take what is sent";
		ws->failed = true;
	}
	bool closed = !wslay_event_want_read(ws->wslay) && !wslay_event_want_write(ws->wslay);
	if (ws->failed || closed || wslay_event_get_close_received(ws->wslay) || ws->closing)
		end(ws);
	if (ws->state == STATE_ENDED && ws->failed)
		ws->state = STATE_DEAD;
	if (ws->state == STATE_ENDED && (closed || (wslay_event_get_close_sent(ws->wslay) && !wslay_event_want_write(ws->wslay)))) {
		ws->state = STATE_READING;
		ws->deadline_ms = clock_mono_ms() + ws->limits.close_ms;
		(void)shutdown(ws->watch.fd, SHUT_WR);
	}
	if (ws->state == STATE_READING)
		read_away(ws);
	if (ws->state == STATE_DEAD)
		let_go(ws);
	else
		watch_again(ws);
}

static void send_queued(struct websocket *ws)
{
	if (!ws->failed && wslay_event_send(ws->wslay) != 0)
		ws->failed = true;
	if (!ws->closing || ws->close_queued || ws->failed || wslay_event_get_queued_msg_count(ws->wslay))
		return;
	ws->close_queued = true;
	if (wslay_event_queue_close(ws->wslay, ws->close_code, (const uint8_t *)ws->close_reason, ws->close_reason_len) != 0 ||
	    wslay_event_send(ws->wslay) != 0)
		ws->failed = true;
}

static void run(struct websocket *ws)
{
	if (ws->state < STATE_READING) {
		ws->in_io = true;
		/* For a broken protocol it queues the close frame itself; other failures leave it unable to read. */
		if (!ws->closing && wslay_event_recv(ws->wslay) != 0)
			ws->failed = true;
		send_queued(ws);
		ws->in_io = false;
	}
	settle(ws);
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
	struct websocket *ws = (struct websocket *)w;
	/* Reset; or both sides have closed, which is how reading away ends. */
	if ((events & (EPOLLERR | EPOLLHUP)) && ws->state < STATE_READING)
		ws->failed = true;
	run(ws);
}

/* ---- life ---- */

int websocket_new(int take_fd, const void *early, size_t early_len, const struct websocket_limits *limits,
		  const struct websocket_handlers *h, struct websocket **ret, struct err *e)
{
	static const struct wslay_event_callbacks callbacks = { .recv_callback = on_recv,
								.send_callback = on_send,
								.on_frame_recv_start_callback = on_frame,
								.on_msg_recv_callback = on_message };
	struct websocket *ws = mr_calloc(1, sizeof(*ws) + early_len);
	ws->watch = (struct loop_watch){ .fd = take_fd, .ready = on_ready };
	ws->h = *h;
	ws->why = "";
	ws->paused = true;
	ws->limits = *limits;
	default_u32(&ws->limits.message_bytes, 1u << 20);
	default_u32(&ws->limits.bytes_per_s, 256u << 10);
	default_u32(&ws->limits.messages_per_s, 100);
	default_u32(&ws->limits.queue_bytes, 64u << 10);
	default_u32(&ws->limits.ping_ms, 20000);
	default_u32(&ws->limits.silence_ms, 45000);
	default_u32(&ws->limits.close_ms, 2000);
	ws->bytes = bucket_full(ws->limits.bytes_per_s);
	ws->frames = bucket_full(ws->limits.messages_per_s);
	ws->received_ms = ws->pinged_ms = ws->sent_ms = clock_mono_ms();
	ws->early_len = early_len;
	if (early_len)
		memcpy(ws->early, early, early_len);
	if (wslay_event_context_server_init(&ws->wslay, &callbacks, ws) != 0) {
		ws->wslay = NULL;
		websocket_free(ws);
		return err_set(e, ERR_UNAVAILABLE, "no memory for the connection");
	}
	wslay_event_config_set_max_recv_msg_length(ws->wslay, ws->limits.message_bytes);
	*ret = ws;
	return 0;
}

void websocket_free(struct websocket *ws)
{
	if (!ws)
		return;
	if (ws->wslay)
		wslay_event_context_free(ws->wslay);
	fd_close(&ws->watch.fd);
	free(ws);
}

int websocket_attach(struct websocket *ws, struct loop *l, struct err *e)
{
	int r = loop_add(l, &ws->watch, 0, e);
	if (r == 0)
		ws->loop = l;
	return r;
}

void websocket_detach(struct websocket *ws)
{
	loop_remove(ws->loop, &ws->watch);
	ws->loop = NULL;
	ws->paused = true; /* nothing is read while nobody watches */
}

void websocket_pause(struct websocket *ws)
{
	ws->paused = true;
	if (ws->loop && !ws->in_io)
		watch_again(ws);
}

void websocket_resume(struct websocket *ws)
{
	if (!ws->paused)
		return;
	ws->paused = false;
	ws->received_ms = clock_mono_ms();
	if (ws->loop && !ws->in_io)
		run(ws);
}

/* Sends what it can now; what breaks is found by the loop or the tick. */
static void flush(struct websocket *ws)
{
	if (ws->in_io || !ws->loop || ws->state >= STATE_READING)
		return;
	ws->in_io = true;
	send_queued(ws);
	ws->in_io = false;
	watch_again(ws);
}

void websocket_send(struct websocket *ws, const char *text, size_t len)
{
	const struct wslay_event_msg m = { .opcode = WSLAY_TEXT_FRAME, .msg = (const uint8_t *)text, .msg_length = len };
	if (ws->state != STATE_OPEN || ws->closing || ws->failed)
		return;
	if (!wslay_event_want_write(ws->wslay))
		ws->sent_ms = clock_mono_ms();
	if (wslay_event_queue_msg(ws->wslay, &m) != 0)
		ws->failed = true;
	flush(ws);
}

void websocket_close(struct websocket *ws, enum websocket_code code, const char *reason)
{
	if (ws->closing || ws->state >= STATE_READING)
		return;
	size_t len = strnlen(reason, REASON_MAX_BYTES);
	ws->closing = true;
	ws->close_code = (uint16_t)code;
	memcpy(ws->close_reason, reason, len);
	ws->close_reason_len = (uint8_t)len;
	ws->deadline_ms = clock_mono_ms() + ws->limits.close_ms;
	flush(ws);
}

void websocket_tick(struct websocket *ws, int64_t now_ms)
{
	static const struct wslay_event_msg ping = { .opcode = WSLAY_PING };
	bool waiting = wslay_event_want_write(ws->wslay);
	if (!waiting)
		ws->sent_ms = now_ms;
	if (ws->state == STATE_OPEN && !ws->paused && now_ms - ws->received_ms > ws->limits.silence_ms) {
		ws->why = "silent";
		ws->failed = true;
	} else if (waiting && now_ms - ws->sent_ms > SEND_STALL_MS) {
		ws->why = "too slow to take what is sent";
		ws->failed = true;
	} else if (ws->state == STATE_OPEN && now_ms - ws->pinged_ms >= ws->limits.ping_ms) {
		ws->pinged_ms = now_ms;
		if (wslay_event_queue_msg(ws->wslay, &ping) != 0)
			ws->failed = true;
	}
	if (ws->deadline_ms && now_ms > ws->deadline_ms) {
		end(ws);
		ws->state = STATE_DEAD;
	}
	if (ws->loop)
		run(ws);
}
