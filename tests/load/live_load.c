/* Many speakers at once, in one thread: what a load test needs besides a server. One process, no library.
 *
 *   live_load PORT SESSIONS CHUNK_MS FRAMES [NAME]     →  one line of JSON on stdout
 *
 * FRAMES is a file of WebSocket frames, masked and ready to be sent, each behind its length (32 bits, little endian): all but
 * the last are chunks 0, 1, …, one due every CHUNK_MS; the last one stops the session. Every session sends the same bytes, so
 * that this program takes a small share of the machine that it measures; sessions are set off by CHUNK_MS / SESSIONS.
 *
 * Latency is a chunk's: from the moment at which it was due until the server tells that the fragment which holds it is stored.
 * "oldest" are those of each fragment's first chunk, which contain the fragment's own length; "newest" those of its last one:
 * what the server adds. What isn't over GRACE_S after the last chunk was due counts as broken. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GRACE_S 30
#define LEAD_S 1
#define EVENTS 256
#define IN_MAX 4096
#define OPCODE_CLOSE 8
#define OPCODE_PING 9

struct frame {
	const uint8_t *bytes;
	uint32_t len;
};

struct session {
	int fd;
	bool open, over, broken, closed; /* closed: the server said so, by its message */
	bool pong_due;
	uint32_t due;	 /* frames that it is time for */
	uint32_t sent;	 /* whole frames */
	uint32_t offset; /* of the next one, sent */
	int64_t stored;	 /* chunk */
	uint32_t fragments, gaps;
	uint64_t told; /* by the server in the end */
	uint32_t in_len;
	uint8_t in[IN_MAX];
};

struct figures {
	double *values;
	size_t count;
};

static struct frame *frames;
static uint32_t frame_count;
static struct session *sessions;
static uint32_t session_count;
static double chunk_s, begin_s, late_s;
static struct figures oldest, newest;

static double now_s(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	(void)fprintf(stderr, "live_load: %s: %m\n", what);
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

static double due_s(const struct session *s, int64_t chunk)
{
	return begin_s + chunk_s * ((double)chunk + (double)(s - sessions) / session_count);
}

static void note(struct figures *f, double value)
{
	if ((f->count & (f->count - 1)) == 0)
		f->values = must(realloc(f->values, (f->count ? f->count * 2 : 1) * sizeof(*f->values)));
	f->values[f->count++] = value;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double quantile(const struct figures *f, double q)
{
	return f->count ? f->values[(size_t)((double)(f->count - 1) * q)] : -1;
}

static void load_frames(const char *path)
{
	FILE *f = fopen(path, "re");
	if (!f)
		die(path);
	uint8_t head[4];
	while (fread(head, 1, sizeof(head), f) == sizeof(head)) {
		uint32_t len = head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
		uint8_t *bytes = must(malloc(len ? len : 1));
		if (fread(bytes, 1, len, f) != len)
			die("a frame is cut short");
		frames = must(realloc(frames, (frame_count + 1) * sizeof(*frames)));
		frames[frame_count++] = (struct frame){ bytes, len };
	}
	(void)fclose(f);
}

/* ---- one session ---- */

static void lose(struct session *s)
{
	s->broken = !s->closed;
	s->over = true;
	(void)close(s->fd);
	s->fd = -1;
}

/* Blocks: all are connected before the first chunk is due. */
static void connect_session(struct session *s, uint16_t port, const char *name)
{
	char text[512];
	const int on = 1;
	const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	s->stored = -1;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	int len = snprintf(text, sizeof(text),
			   "GET /api/live?session_id=%s-%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
			   "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			   name, (unsigned)(s - sessions), (unsigned)port);
	if (send(s->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		die("send");
}

static void send_due(struct session *s)
{
	while (s->open && !s->over && s->sent < s->due) {
		const struct frame *f = &frames[s->sent];
		ssize_t n = send(s->fd, f->bytes + s->offset, f->len - s->offset, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			lose(s);
			return;
		}
		s->offset += (uint32_t)n;
		if (s->offset < f->len)
			return;
		s->offset = 0;
		s->sent++;
	}
	if (s->pong_due && s->open && !s->over && !s->offset) {
		static const uint8_t pong[] = { 0x8a, 0x80, 0, 0, 0, 0 };
		s->pong_due = send(s->fd, pong, sizeof(pong), MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
	}
}

static int64_t number_behind(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static void on_fragment(struct session *s, const char *text)
{
	int64_t chunk = number_behind(text, "\"chunkIndex\":");
	s->fragments++;
	if (chunk <= s->stored)
		return;
	double now = now_s();
	note(&oldest, now - due_s(s, s->stored + 1));
	note(&newest, now - due_s(s, chunk));
	s->stored = chunk;
}

static void on_text(struct session *s, const char *text)
{
	static const char ack[] = "{\"type\":\"ack\"", fragment[] = "{\"type\":\"fragment\"", gap[] = "{\"type\":\"gap\"",
			  closed[] = "{\"type\":\"closed\"", error[] = "{\"type\":\"error\"";
	if (strncmp(text, ack, sizeof(ack) - 1) == 0)
		return;
	if (strncmp(text, fragment, sizeof(fragment) - 1) == 0) {
		on_fragment(s, text);
	} else if (strncmp(text, gap, sizeof(gap) - 1) == 0) {
		s->gaps++;
	} else if (strncmp(text, closed, sizeof(closed) - 1) == 0) {
		s->closed = true;
		s->told = (uint64_t)number_behind(text, "\"fragments\":");
	} else if (strncmp(text, error, sizeof(error) - 1) == 0) {
		(void)fprintf(stderr, "live_load: session %u: %s\n", (unsigned)(s - sessions), text);
	}
}

/* A whole frame at the front of what came: its length, or 0. Servers don't mask, and this one sends no fragments of messages. */
static uint32_t take_frame(struct session *s, uint32_t at)
{
	const uint8_t *p = s->in + at;
	uint32_t have = s->in_len - at, head = 2, len;
	if (have < head)
		return 0;
	len = p[1] & 0x7f;
	if (len == 126) {
		head = 4;
		if (have < head)
			return 0;
		len = (uint32_t)p[2] << 8 | p[3];
	}
	if (have < head + len)
		return 0;
	if ((p[0] & 0x0f) == OPCODE_PING) {
		s->pong_due = true;
	} else if ((p[0] & 0x0f) != OPCODE_CLOSE) {
		char text[IN_MAX];
		memcpy(text, p + head, len);
		text[len] = '\0';
		on_text(s, text);
	}
	return head + len;
}

/* True: the server's answer to the handshake has come and is taken away. */
static bool open_now(struct session *s)
{
	uint8_t *end = memmem(s->in, s->in_len, "\r\n\r\n", 4);
	if (!end)
		return false;
	if (memcmp(s->in, "HTTP/1.1 101", 12) != 0) {
		(void)fprintf(stderr, "live_load: %.*s\n", (int)s->in_len, (const char *)s->in);
		lose(s);
		return false;
	}
	uint32_t used = (uint32_t)(end + 4 - s->in);
	memmove(s->in, s->in + used, s->in_len - used);
	s->in_len -= used;
	s->open = true;
	return true;
}

static void take_frames(struct session *s)
{
	uint32_t at = 0, used;
	while ((used = take_frame(s, at)))
		at += used;
	memmove(s->in, s->in + at, s->in_len - at);
	s->in_len -= at;
	if (s->closed)
		lose(s);
}

/* Edge triggered: all that there is. */
static void receive(struct session *s)
{
	while (!s->over) {
		ssize_t n = recv(s->fd, s->in + s->in_len, sizeof(s->in) - s->in_len, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			lose(s);
			return;
		}
		s->in_len += (uint32_t)n;
		if (s->open || open_now(s))
			take_frames(s);
	}
}

/* ---- all of them ---- */

static void connect_all(uint16_t port, const char *name, int epoll)
{
	sessions = must(calloc(session_count, sizeof(*sessions)));
	for (uint32_t i = 0; i < session_count; i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i };
		connect_session(&sessions[i], port, name);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, sessions[i].fd, &ev) < 0)
			die("epoll");
	}
}

static void run(int epoll)
{
	const uint64_t ticks = (uint64_t)frame_count * session_count;
	uint64_t tick = 0;
	uint32_t left = session_count;
	begin_s = now_s() + LEAD_S;
	const double until = begin_s + chunk_s * frame_count + GRACE_S;
	while (left && now_s() < until) {
		struct epoll_event events[EVENTS];
		double wait = tick < ticks ? begin_s + chunk_s * (double)tick / session_count - now_s() : 1;
		int n = epoll_wait(epoll, events, EVENTS, wait > 0 ? (int)(wait * 1e3) + 1 : 0);
		for (int i = 0; i < n; i++) {
			struct session *s = &sessions[events[i].data.u32];
			if (!s->over && (events[i].events & ~(uint32_t)EPOLLOUT))
				receive(s);
			if (!s->over)
				send_due(s);
		}
		double now = now_s();
		for (; tick < ticks && begin_s + chunk_s * (double)tick / session_count <= now; tick++) {
			struct session *s = &sessions[tick % session_count];
			double late = now - (begin_s + chunk_s * (double)tick / session_count);
			late_s = late > late_s ? late : late_s;
			s->due++;
			if (!s->over)
				send_due(s);
		}
		left = 0;
		for (uint32_t i = 0; i < session_count; i++)
			left += !sessions[i].over;
	}
}

static void report(void)
{
	uint64_t fragments = 0, gaps = 0, broken = 0, unstored = 0, untold = 0;
	for (uint32_t i = 0; i < session_count; i++) {
		const struct session *s = &sessions[i];
		fragments += s->fragments;
		gaps += s->gaps;
		broken += s->broken || !s->over;
		untold += s->told != s->fragments;
		unstored += (uint64_t)(frame_count - 2 - s->stored);
	}
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u);
	double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	qsort(oldest.values, oldest.count, sizeof(*oldest.values), by_size);
	qsort(newest.values, newest.count, sizeof(*newest.values), by_size);
	(void)printf("{\"sessions\":%u,\"chunks\":%u,\"fragments\":%llu,\"gaps\":%llu,\"broken\":%llu,\"miscounted\":%llu,"
		     "\"chunks_not_stored\":%llu,\"oldest_p50_s\":%.3f,\"oldest_p99_s\":%.3f,\"oldest_max_s\":%.3f,"
		     "\"newest_p50_s\":%.3f,\"newest_p99_s\":%.3f,\"newest_max_s\":%.3f,\"sent_late_max_s\":%.3f,\"cpu_s\":%.2f}\n",
		     session_count, frame_count - 1, (unsigned long long)fragments, (unsigned long long)gaps,
		     (unsigned long long)broken, (unsigned long long)untold, (unsigned long long)unstored, quantile(&oldest, 0.5),
		     quantile(&oldest, 0.99), quantile(&oldest, 1), quantile(&newest, 0.5), quantile(&newest, 0.99),
		     quantile(&newest, 1), late_s, cpu);
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		(void)fprintf(stderr, "usage: live_load PORT SESSIONS CHUNK_MS FRAMES [NAME]\n");
		return 2;
	}
	session_count = (uint32_t)strtoul(argv[2], NULL, 10);
	chunk_s = (double)strtoul(argv[3], NULL, 10) / 1e3;
	load_frames(argv[4]);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!session_count || frame_count < 2 || epoll < 0)
		die("sessions, frames");
	connect_all((uint16_t)strtoul(argv[1], NULL, 10), argc > 5 ? argv[5] : "load", epoll);
	run(epoll);
	report();
	return 0;
}
